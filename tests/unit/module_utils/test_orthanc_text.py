# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import orthanc_options, orthanc_text
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from hypothesis import given
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def test_orthanc_s_dialect_is_read() -> None:
    text = '\ufeff{ // comment\n "A" : "http://x//y", /* two\nlines */ "B" : [1, 2, ], "A2": "/* no */",\n}'
    assert orthanc_text.parse(text, "f") == {"A": "http://x//y", "B": [1, 2], "A2": "/* no */"}


def test_the_last_of_two_keys_in_one_file_counts() -> None:
    assert orthanc_text.parse('{"A": 1, "A": 2}', "f") == {"A": 2}


@given(st.dictionaries(st.text(), JSON))
def test_whatever_json_is_read_as_json(value: dict[str, object]) -> None:
    assert orthanc_text.parse(json.dumps(value), "f") == value


@given(st.text())
def test_whatever_stands_in_a_file_gives_an_object_or_a_sentence(text: str) -> None:
    try:
        assert isinstance(orthanc_text.parse(text, "/etc/orthanc/x.json"), dict)
    except HardeningError as error:
        assert str(error).startswith("/etc/orthanc/x.json")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"A": }', "# no"])
def test_what_stops_orthanc_is_refused(text: str) -> None:
    with pytest.raises(HardeningError, match=r"x\.json"):
        orthanc_text.parse(text, "x.json")


def test_a_folder_is_read_as_orthanc_reads_it(tmp_path: Path) -> None:
    folder = tmp_path / "etc" / "orthanc"
    (folder / "below").mkdir(parents=True)
    for name, text in {
        "a.json": '{"A": 1, "B": 1}',
        "b.JSON": '{"B": 2}',
        ".c.json": '{"C": 3}',
        "d.bak": "no",
        "below/e.json": "no",
    }.items():
        (folder / name).write_text(text, encoding="utf-8")
    merged, twice = orthanc_text.merge(orthanc_text.read(Host(str(tmp_path)), "/etc/orthanc"))
    assert merged == {"A": 1, "B": 1, "C": 3}
    assert twice == ["B"]


def test_keys_are_known_by_version() -> None:
    assert "DicomTlsMinimumProtocolVersion" not in orthanc_options.known("1.10.1+dfsg-2+deb12u1")
    assert "DicomTlsMinimumProtocolVersion" in orthanc_options.known("1.12.7+dfsg-4")
    assert orthanc_options.nearest("DicomTLSEnabled", "1.12.7") == "DicomTlsEnabled"
    assert orthanc_options.nearest("AuthentificationEnabled", "1.10.1") == "AuthenticationEnabled"
    assert orthanc_options.nearest("Zzz", "1.12.7") == ""
