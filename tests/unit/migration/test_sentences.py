# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A job's last sentence reaches the journal and the engineer, whatever bytes the name of a file is made of."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import cli

NAME = os.fsdecode(b"/srv/images/M\xfcller.dcm")


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (HardeningError(f"{NAME} appeared."), cli.NEEDS_A_PERSON, "/srv/images/M\\udcfcller.dcm appeared."),
        (OSError(errno.EIO, "Bad", NAME), cli.NEEDS_A_PERSON, "Bad: /srv/images/M\\udcfcller.dcm"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "No space left on device"),
    ],
)
def test_a_sentence_with_bytes_that_are_no_text_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, said: str
) -> None:
    def fail(dummy: str) -> int:
        raise error

    journal = io.BytesIO()
    monkeypatch.setattr(cli, "run", fail)
    monkeypatch.setattr(cli, "progress_path", lambda name: str(tmp_path / f"{name}.json"))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(journal, encoding="utf-8", errors="strict"))
    assert cli.main(["run", "studies"]) == status
    assert journal.getvalue().decode() == f"{said}\n"
    noted = json.loads((tmp_path / "studies.json").read_text())
    assert (noted["sentence"], noted["failed"]) == (said, True)
