# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What devices are let in by, before and after their certificates are signed anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.action import device_certificates as action
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import authority, device_certificates
from cryptography.hazmat.primitives.asymmetric import ec
from test_clinic_authority import DEVICE, SECRETS, hand_in, request


def sign(directory: Path, **how: bool) -> tuple[list[str], list[str]]:
    return device_certificates.sign(SECRETS, str(directory), [DEVICE], **{"check_mode": False, **how})


def admitted(directory: Path) -> list[str]:
    return device_certificates.admitted(str(directory), DEVICE)


def test_every_valid_certificate_of_a_device_lets_it_in_the_present_one_first(tmp_path: Path) -> None:
    assert admitted(tmp_path) == []
    hand_in(tmp_path, request())
    found: list[str] = []
    for _each in range(3):
        assert sign(tmp_path, anew=True) == (["ct"], [])
        present = authority.fingerprint((tmp_path / "certificates" / "ct.crt").read_text())
        assert present not in found
        found = [present, *found]
        assert admitted(tmp_path) == found
    (tmp_path / "certificates" / "former" / "ct.crt").unlink()
    assert admitted(tmp_path) == found[:1]


def test_a_renewal_for_a_new_key_keeps_the_former_certificate_too(tmp_path: Path) -> None:
    hand_in(tmp_path, request())
    sign(tmp_path)
    before = admitted(tmp_path)
    hand_in(tmp_path, request())
    assert sign(tmp_path) == (["ct"], [])
    assert admitted(tmp_path)[1:] == before


def test_a_certificate_that_expired_lets_nobody_in_and_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_in(tmp_path, request())
    monkeypatch.setattr(authority, "CERTIFICATE_DAYS", -0.5)
    sign(tmp_path)
    monkeypatch.undo()
    sign(tmp_path)
    assert len(admitted(tmp_path)) == 1
    assert not (tmp_path / "certificates" / "former").exists()
    assert authority.lasts(str(tmp_path), "ct")


def test_check_mode_keeps_and_signs_nothing(tmp_path: Path) -> None:
    hand_in(tmp_path, request())
    sign(tmp_path)
    before = admitted(tmp_path)
    assert sign(tmp_path, anew=True, check_mode=True) == (["ct"], [])
    assert admitted(tmp_path) == before


def test_a_device_without_a_request_waits(tmp_path: Path) -> None:
    assert sign(tmp_path, anew=True) == ([], ["ct"])


def test_a_server_that_was_never_hardened_is_named(tmp_path: Path) -> None:
    with pytest.raises(HardeningError, match="there is nothing to rotate: harden pacs first"):
        device_certificates.demand_of_server(str(tmp_path), "pacs")


def variables() -> dict[str, Any]:
    clinics = {"pacs.a": "a", "store.a": "a", "pacs.b": "b"}
    known = {host: {"clinic": {"name": name}, "clinic_host": {"name": host[:-2]}} for host, name in clinics.items()}
    return {"hostvars": known, "ansible_play_hosts_all": list(known), "clinic": {"name": "a"}}


def test_the_servers_of_a_clinic_are_its_own() -> None:
    assert action._servers(variables()) == {"pacs": "pacs.a", "store": "store.a"}


@pytest.mark.parametrize(("wanted", "chosen"), [("", ["ct", "ws"]), ("ct", ["ct"]), ("pacs", [])])
def test_one_device_or_all_are_signed_for(wanted: str, chosen: list[str]) -> None:
    devices = [{"name": "ct"}, {"name": "ws"}]
    assert [device["name"] for device in action._chosen(wanted, devices, ["pacs"], "a")] == chosen


def test_a_name_that_nobody_bears_is_refused() -> None:
    with pytest.raises(HardeningError, match="a has no device mr that speaks TLS; accepted: pacs, ct, and -l clinic_"):
        action._chosen("mr", [{"name": "ct"}], ["pacs"], "a")


def test_a_key_of_two_devices_is_refused_before_it_is_signed(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    hand_in(tmp_path, request(key=key))
    (tmp_path / "requests" / "ws.csr").write_text(request("ws", key=key), encoding="ascii")
    with pytest.raises(HardeningError, match=r"requests/ws.csr has the key of .*/requests/ct.csr; accepted: a request"):
        device_certificates.demand_own_keys(str(tmp_path), ["ct", "mr", "ws"])
    (tmp_path / "requests" / "ws.csr").write_text(request("ws"), encoding="ascii")
    device_certificates.demand_own_keys(str(tmp_path), ["ct", "mr", "ws"])


def test_a_request_with_the_key_of_a_signed_certificate_is_another_s(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    hand_in(tmp_path, request(key=key))
    sign(tmp_path)
    (tmp_path / "requests" / "ct.csr").rename(tmp_path / "requests" / "ws.csr")
    with pytest.raises(HardeningError, match=r"requests/ws.csr has the key of .*/certificates/ct.crt"):
        device_certificates.demand_own_keys(str(tmp_path), ["ct", "ws"])
    (tmp_path / "requests" / "ws.csr").write_text("no request", encoding="ascii")
    device_certificates.demand_own_keys(str(tmp_path), ["ct", "ws"])


def test_the_keys_of_a_clinic_are_those_of_what_was_signed_former_ones_too(tmp_path: Path) -> None:
    assert device_certificates.keys(str(tmp_path)) == {}
    for dummy in range(2):
        hand_in(tmp_path, request())
        assert sign(tmp_path) == (["ct"], []), dummy
    hand_in(tmp_path, request())
    found = device_certificates.keys(str(tmp_path))
    present = (tmp_path / "certificates" / "ct.crt").read_text(encoding="ascii")
    assert list(found) == ["ct"]
    assert len(found["ct"]) == 2
    assert found["ct"][0] == authority.key_digest(present, "ct.crt")
    prints = device_certificates.fingerprints(str(tmp_path))
    assert [len(each) for each in prints.values()] == [2]
    assert prints["ct"][0] == authority.fingerprint(present)
