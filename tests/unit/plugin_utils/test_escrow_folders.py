# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The escrow on the controller: written whole to each place, opened by the right key alone, and what is former is gone."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import escrow
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine
from ansible_collections.radiology.hardening.plugins.plugin_utils import escrow_folders

KEY = b"ABCD-EFGH"


@pytest.fixture
def places(tmp_path: Path) -> list[str]:
    return [str(tmp_path / each / "pacs" / "studies") for each in ("one", "two")]


def make_pair(folder: Path, name: str, *words: str) -> tuple[str, str]:
    """Make a key pair under a passphrase; return the private key's path and the certificate."""
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    made = (
        "openssl",
        "req",
        "-x509",
        "-newkey",
        *words,
        "-days",
        "2",
        "-subj",
        f"/CN={name}",
        "-passout",
        "pass:secret",
    )
    subprocess.run((*made, "-keyout", str(key), "-out", str(certificate)), check=True, capture_output=True)
    return str(key), certificate.read_text("ascii")


@pytest.mark.parametrize(
    "words", [("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), ("rsa:2048",)], ids=lambda each: each[0]
)
def test_each_private_key_opens_and_answers_and_no_other(tmp_path: Path, words: tuple[str, ...]) -> None:
    pairs = [make_pair(tmp_path, name, *words) for name in ("provider", "clinic", "stranger")]
    path = tmp_path / "sealed"
    path.write_bytes(escrow.seal(Machine(), KEY, [certificate for key, certificate in pairs[:2]]))
    for key, _certificate in pairs[:2]:
        assert escrow_folders.open_sealed(str(path), key, "secret") == KEY
        answer = escrow_folders.answer(str(path), key, "secret", "nonce")
        assert answer == hashlib.sha256(b"nonce" + KEY).hexdigest() == escrow.answer(KEY, "nonce")
    with pytest.raises(HardeningError, match=r"stranger\.key does not open"):
        escrow_folders.open_sealed(str(path), pairs[2][0], "secret")
    with pytest.raises(HardeningError, match=r"provider\.key does not open"):
        escrow_folders.open_sealed(str(path), pairs[0][0], "wrong")
    damaged = bytearray(path.read_bytes())
    damaged[-20] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(HardeningError, match="does not open"):
        escrow_folders.open_sealed(str(path), pairs[0][0], "secret")


def test_the_line_that_people_run_gives_the_answer(tmp_path: Path) -> None:
    key, certificate = make_pair(tmp_path, "clinic", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    path = tmp_path / "sealed"
    path.write_bytes(escrow.seal(Machine(), KEY, [certificate]))
    line = escrow_folders.how_to_answer(str(path), "nonce").replace("PRIVATE_KEY.pem", f"{key} -passin pass:secret")
    said = subprocess.run(["sh", "-c", line], capture_output=True, check=True, text=True).stdout
    assert said.split()[0] == escrow_folders.answer(str(path), key, "secret", "nonce")


def test_what_is_kept_is_private_whole_and_in_every_place(places: list[str]) -> None:
    for content in (b"one", b"another"):
        escrow_folders.keep(places, "file", content)
        for place in places:
            assert sorted(os.listdir(place)) == ["README", "file"]
            assert Path(place, "file").read_bytes() == content
            assert Path(place, "file").stat().st_mode & 0o777 == 0o600
            assert Path(place).stat().st_mode & 0o777 == 0o700


def test_the_former_file_is_overwritten_not_only_unlinked(places: list[str]) -> None:
    escrow_folders.keep(places, "file", b"former")
    with open(Path(places[0], "file"), "rb") as former:
        escrow_folders.keep(places, "file", b"present")
        assert former.read() == bytes(6)
    with open(Path(places[1], "file"), "rb") as former:
        escrow_folders.forget(places, "file")
        assert former.read() == bytes(7)
    assert [os.listdir(place) for place in places] == [["README"], ["README"]]
    escrow_folders.forget(places, "file")


def test_a_name_that_a_cut_left_beside_is_never_the_reason_to_overwrite_the_file(places: list[str]) -> None:
    """The former name is given before the file is replaced: until then both are the same file."""
    escrow_folders.keep(places, "file", b"the only one")
    for place in places:
        os.link(Path(place, "file"), Path(place, "file" + escrow_folders.FORMER))
    with open(Path(places[0], "file"), "rb") as file:
        escrow_folders._wipe_former(str(Path(places[0], "file")))
        assert file.read() == b"the only one"
    escrow_folders.keep(places, "file", b"next")
    assert [sorted(os.listdir(place)) for place in places] == [["README", "file"]] * 2


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HardeningError, match=r"one/name cannot be written: Not a directory\. The act ended there"):
        escrow_folders.keep([str(tmp_path / "file" / "one")], "name", b"")


def header(epoch: int) -> bytes:
    return b"LUKS\xba\xbe\0\2" + (16384).to_bytes(8, "big") + epoch.to_bytes(8, "big") + bytes(1000)


def test_the_newest_header_is_the_one_of_the_highest_epoch(places: list[str]) -> None:
    for place, epoch in zip(places, (7, 12), strict=True):
        escrow_folders.keep([place], escrow_folders.HEADER, gzip.compress(header(epoch)))
    path, copy = escrow_folders.newest_header(places)
    assert path.startswith(places[1])
    assert copy == header(12)
    whole = Path(path).read_bytes()
    for damaged in (b"noise", whole[:40], b""):
        Path(path).write_bytes(damaged)
        assert escrow_folders.newest_header(places)[1] == header(7)
    Path(places[0], escrow_folders.HEADER).unlink()
    with pytest.raises(HardeningError, match="No copy of a header that can be read lies in"):
        escrow_folders.newest_header(places)


def test_what_stands_beside_is_read_from_the_first_place_that_can_tell(places: list[str]) -> None:
    assert escrow_folders.told(places) == {}
    escrow_folders.about(places, {"host": "pacs"})
    Path(places[0], escrow_folders.ABOUT).write_text("[]")
    assert escrow_folders.told(places) == {"host": "pacs"}
    Path(places[0], escrow_folders.ABOUT).write_text("{")
    assert escrow_folders.told(places) == {"host": "pacs"}


def test_two_places_and_a_certificate_are_demanded(tmp_path: Path) -> None:
    assert escrow_folders.folders({"folders": ["one", "two"]}, str(tmp_path), "pacs", "studies") == [
        f"{tmp_path}/one/pacs/studies",
        f"{tmp_path}/two/pacs/studies",
    ]
    (tmp_path / "same").symlink_to("one")
    for given in (["one"], ["one", "same"], []):
        with pytest.raises(HardeningError, match="fewer than two places"):
            escrow_folders.folders({"folders": given}, str(tmp_path), "pacs", "studies")
    with pytest.raises(HardeningError, match="names no certificate"):
        escrow_folders.certificates({}, str(tmp_path))
    with pytest.raises(HardeningError, match="cannot be read as PEM"):
        escrow_folders.certificates({"certificates": ["none.pem"]}, str(tmp_path))
    (tmp_path / "noise.pem").write_text("noise")
    with pytest.raises(HardeningError, match=r"accepted is an X\.509 certificate"):
        escrow_folders.certificates({"certificates": ["noise.pem"]}, str(tmp_path))
