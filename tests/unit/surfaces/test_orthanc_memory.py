# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The bound at which Orthanc is refused memory, and the bombs that are sent against it."""

from __future__ import annotations

import argparse
import copy
import gzip
import io
import runpy
import sys
import types
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import orthanc_configuration
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import orthanc
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue
from test_agreement import hardened

CONTROLS = catalogue.wanted(catalogue.load("orthanc"))
MIB = 2**20
BOMBER = Path(__file__).parents[3] / "molecule" / "resources" / "devices" / "bomber.py"


@pytest.mark.parametrize(("maximum", "refused"), [(4096, 3584), ("1024", 896), (1000, 875)])
def test_orthanc_is_refused_memory_before_the_kernel_ends_it(maximum: int | str, refused: int) -> None:
    known = hardened("orthanc", "debian13")
    text = orthanc.sandbox(known["facts"]["orthanc"], CONTROLS, {**known["scope"], "memory_maximum_mib": maximum})
    assert f"MemoryMax={maximum}M\nLimitDATA={refused}M\n" in text


@pytest.mark.parametrize(
    ("limit", "maximum", "percent"),
    [
        (str(3584 * MIB), str(4096 * MIB), 88),
        (str(4096 * MIB), str(4096 * MIB), 100),
        (str(MIB), str(4096 * MIB), 1),
        ("infinity", str(4096 * MIB), 0),
        (str(2**64 - 1), str(4096 * MIB), 0),
        (str(3584 * MIB), "infinity", 0),
        ("", "", 0),
    ],
)
def test_where_memory_is_refused_is_told_in_hundredths(limit: str, maximum: str, percent: int) -> None:
    assert orthanc_configuration.refused_percent(limit, maximum) == percent


@pytest.mark.parametrize("percent", [0, 100])
def test_a_bound_that_is_gone_or_too_late_is_set_anew(percent: int) -> None:
    known = hardened("orthanc", "debian12")
    facts = copy.deepcopy(known["facts"])
    facts["orthanc"]["memory_refused_percent"] = percent
    (step,) = orthanc.plan(facts, CONTROLS, known["scope"])
    assert step.does.startswith("Configure Orthanc to keep orthanc.memory_refused_percent: ")


@pytest.fixture
def bomber(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The lab's program, without what it needs to call a server."""
    for name, parts in (("pynetdicom", ("AE", "evt")), ("pynetdicom.dimse_primitives", ("C_STORE",))):
        stand_in = types.ModuleType(name)
        for part in parts:
            setattr(stand_in, part, None)
        monkeypatch.setitem(sys.modules, name, stand_in)
    return runpy.run_path(str(BOMBER))


def test_bombs_are_what_they_say_and_small(bomber: dict[str, Any], tmp_path: Path) -> None:
    said = bomber["make"](argparse.Namespace(path=str(tmp_path / "bombs"), mib=8))
    bombs = {name: (tmp_path / "bombs" / name).read_bytes() for name in said.split()}
    assert max(map(len, bombs.values())) < MIB // 40
    assert gzip.decompress(bombs["gzip"]) == bytes(8 * MIB)
    with zipfile.ZipFile(io.BytesIO(bombs["zip"])) as archive:
        assert archive.testzip() is None
        assert [each.file_size for each in archive.infolist()] == [8 * MIB]
    start = 144 + int.from_bytes(bombs["deflated"][140:144], "little")
    data = zlib.decompressobj(-15).decompress(bombs["deflated"][start:])
    assert len(bombs["deflated"]) % 2 == 0
    assert data.endswith(b"OW\0\0" + (8 * MIB).to_bytes(4, "little") + bytes(8 * MIB))
    assert b"OW\0\0\xfe\xff\xff\xff" in bombs["announced"]
    assert bombs["zip"] in bombs["stow-zip"]
    assert bombs["deflated"] in bombs["stow-deflated"]
