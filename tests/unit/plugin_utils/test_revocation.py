# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the clinic's authority takes back, and that nothing of it is ever let in again."""

from __future__ import annotations

import datetime
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import certificates, dicom_front, dicom_front_state
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.plugin_utils import authority, device_certificates, revocation
from cryptography import x509
from test_clinic_authority import DEVICE, SECRETS, hand_in, request

LOST = {**DEVICE, "lost": True}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a clinic's folder in which the scanner was signed for twice."""
    hand_in(tmp_path, request())
    for _each in range(2):
        device_certificates.sign(SECRETS, str(tmp_path), [DEVICE], check_mode=False, anew=True)
    return tmp_path


def revoke(folder: Path, *devices: dict[str, Any], check_mode: bool = False) -> list[str]:
    return revocation.revoke(SECRETS, str(folder), devices or (DEVICE,), check_mode=check_mode)


def listed(folder: Path) -> list[str]:
    return revocation.serials(str(folder), [])


def serial(folder: Path, name: str = "certificates/ct.crt") -> str:
    return f"{x509.load_pem_x509_certificate((folder / name).read_bytes()).serial_number:x}"


def test_the_first_run_makes_a_list_that_names_nobody(tmp_path: Path) -> None:
    assert revoke(tmp_path) == []
    made = (tmp_path / "authority" / "revoked.crl").read_bytes()
    assert len(list(x509.load_pem_x509_crl(made))) == 0
    revoke(tmp_path)
    assert (tmp_path / "authority" / "revoked.crl").read_bytes() == made


def test_every_certificate_of_a_lost_device_is_revoked_for_good(folder: Path) -> None:
    present = serial(folder)
    assert revoke(folder, LOST) == ["Revoke 2 certificates of ct"]
    assert present in listed(folder)
    assert len(listed(folder)) == 2
    assert device_certificates.admitted(str(folder), DEVICE) == []
    assert not (folder / "certificates" / "ct.crt").exists()
    assert revoke(folder, LOST) == revoke(folder, DEVICE) == []
    assert len(listed(folder)) == 2


def test_a_certificate_is_revoked_by_its_serial_number_alone(folder: Path) -> None:
    former, present = serial(folder, "certificates/former/ct.crt"), serial(folder)
    assert revoke(folder, {**DEVICE, "revoked": [former]}) == ["Revoke 1 certificate of ct"]
    assert listed(folder) == [former]
    assert serial(folder) == present
    assert len(device_certificates.admitted(str(folder), DEVICE)) == 1
    assert revoke(folder, {**DEVICE, "revoked": [former]}) == []


def test_a_serial_number_that_is_no_certificate_of_the_device_is_refused(folder: Path) -> None:
    with pytest.raises(
        HardeningError, match=f"names 1234, which is no certificate of ct in .*; accepted: .*{serial(folder)}"
    ):
        revoke(folder, {**DEVICE, "revoked": ["1234"]})
    with pytest.raises(HardeningError, match="accepted: none, since it has no certificate"):
        revoke(folder, {**DEVICE, "name": "ws", "revoked": ["1234"]})


def test_a_request_for_a_revoked_key_is_not_signed_again_and_one_for_a_new_key_is(folder: Path) -> None:
    revoke(folder, LOST)
    assert device_certificates.sign(SECRETS, str(folder), [DEVICE], check_mode=False) == ([], ["ct"])
    hand_in(folder, request())
    assert device_certificates.sign(SECRETS, str(folder), [DEVICE], check_mode=False) == (["ct"], [])
    assert revoke(folder) == []
    assert len(device_certificates.admitted(str(folder), DEVICE)) == 1


def test_check_mode_says_what_would_be_revoked_and_revokes_nothing(folder: Path) -> None:
    assert revoke(folder, LOST, check_mode=True) == ["Revoke 2 certificates of ct"]
    assert not (folder / "authority" / "revoked.crl").exists()
    assert len(revocation.serials(str(folder), [LOST])) == 2, "the audit counts them before they are revoked"
    assert len(device_certificates.admitted(str(folder), DEVICE)) == 2


@pytest.mark.parametrize(("days", "anew"), [(731.5, False), (729.5, True), (-1, True)])
def test_a_list_that_runs_short_is_made_anew_and_loses_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, days: float, *, anew: bool
) -> None:
    monkeypatch.setattr(revocation, "LIST_DAYS", days)
    if days > 0:
        revoke(folder, LOST)
    else:
        monkeypatch.setattr(authority, "DAY", datetime.timedelta(hours=1))
        revoke(folder, LOST)
    monkeypatch.undo()
    before, names = (folder / "authority" / "revoked.crl").read_text(), listed(folder)
    revoke(folder)
    after = (folder / "authority" / "revoked.crl").read_text()
    assert (after != before) is anew
    assert listed(folder) == names
    dates = [
        {each.serial_number: each.revocation_date_utc for each in x509.load_pem_x509_crl(text.encode())}
        for text in (before, after)
    ]
    assert dates[0] == dates[1]


def test_a_list_that_lost_an_entry_or_another_authority_signed_is_made_anew(folder: Path, tmp_path: Path) -> None:
    revoke(folder)
    empty = (folder / "authority" / "revoked.crl").read_text()
    revoke(folder, LOST)
    (folder / "authority" / "revoked.crl").write_text(empty)
    revoke(folder)
    assert len(listed(folder)) == 2
    other = tmp_path / "other"
    revoke(other)
    (folder / "authority" / "revoked.crl").write_text((other / "authority" / "revoked.crl").read_text())
    revoke(folder)
    made = x509.load_pem_x509_crl((folder / "authority" / "revoked.crl").read_bytes())
    ours = x509.load_pem_x509_certificate((folder / "authority" / "ca.crt").read_bytes())
    assert made.is_signature_valid(ours.public_key())  # type: ignore[arg-type]


def test_a_spoiled_list_is_refused_by_its_name(folder: Path) -> None:
    revoke(folder)
    (folder / "authority" / "revoked.crl").write_text("no list")
    with pytest.raises(HardeningError, match=r"authority/revoked.crl is no list of revoked certificates in PEM form"):
        revoke(folder, LOST)


def test_openssl_and_the_observer_read_the_list(folder: Path, tmp_path: Path) -> None:
    revoke(folder, LOST)
    root = tmp_path / "host"
    front = root / dicom_front.FOLDER.lstrip("/")
    front.mkdir(parents=True)
    (front / "ca.crt").write_text((folder / "authority" / "ca.crt").read_text())
    (front / "revoked.crl").write_text((folder / "authority" / "revoked.crl").read_text())
    due = [*listed(folder), "abc"]
    found = dicom_front_state.revocation(Host(str(root)), {"signed": {"revoked": due}})
    assert found == {"of_our_authority": True, "days_left": revocation.LIST_DAYS - 1, "unrevoked": ["abc"]}
    revoke(tmp_path / "other")
    (front / "ca.crt").write_text((tmp_path / "other" / "authority" / "ca.crt").read_text())
    assert not dicom_front_state.revocation(Host(str(root)), {})["of_our_authority"]
    (front / "revoked.crl").unlink()
    missing = dicom_front_state.revocation(Host(str(root)), {"signed": {"revoked": ["abc"]}})
    assert missing == {"of_our_authority": False, "days_left": -1, "unrevoked": ["abc"]}


def test_openssl_refuses_a_revoked_certificate(folder: Path) -> None:
    good = (folder / "certificates" / "ct.crt").read_text()
    (folder / "thief.crt").write_text(good)
    command = ["openssl", "verify", "-crl_check", "-CAfile", str(folder / "authority" / "ca.crt")]
    command += ["-CRLfile", str(folder / "authority" / "revoked.crl"), str(folder / "thief.crt")]
    revoke(folder)
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    revoke(folder, LOST)
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode
    assert "certificate revoked" in done.stderr


def test_what_is_no_list_has_no_days() -> None:
    assert certificates.days_of_list("") == -1
    assert certificates.serials("    Serial Number: 00AB12\n") == ["ab12"]
