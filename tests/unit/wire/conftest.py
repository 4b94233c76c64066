# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the tests of the probe share."""

from __future__ import annotations

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.wire import dicom


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a second, in place of ten, for DICOM's answer of what will never give one."""
    monkeypatch.setattr(dicom, "SECONDS", 1)
