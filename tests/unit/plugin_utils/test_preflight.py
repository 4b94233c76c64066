# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run would be given on one host: settings, secrets, certificates, and the way to it."""

from __future__ import annotations

import datetime
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible.template import Templar
from ansible_collections.radiology.hardening.plugins.plugin_utils import (
    authority,
    authority_change,
    catalogue,
    clinic_file,
    concerns,
    preflight,
    preflight_settings,
    templates,
)
from ansible_collections.radiology.hardening.plugins.plugin_utils.secrets import Secrets

ROOT = Path(__file__).resolve().parents[3]
KINDS = {
    "orthanc_servers": concerns.SERVER,
    "gateways": concerns.GATEWAY,
    "workstations": concerns.WORKSTATION,
}
SMALL = (ROOT / "tests" / "unit" / "inventory" / "valid" / "small.yml").read_text(encoding="utf-8")
VAULT = VaultLib([("default", VaultSecret(b"a clinic's vault password"))])
OTHER = VaultLib([("default", VaultSecret(b"another"))])


class Clinic:
    """The small clinic file in a folder, and what is checked of its hosts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept = folder / "test"
        self.vault: Any = VAULT
        self.text = SMALL
        self.now = datetime.datetime.now(tz=datetime.UTC)

    def check(self, host: str = "pacs.test", **variables: Any) -> preflight.Checked:
        found = clinic_file.build(self.text.encode(), str(self.folder / "test.yml"))
        known = {**found.shared, **found.hosts[host], "inventory_hostname": host, **variables}
        controller = preflight.Controller(
            render=Templar(loader=DataLoader(), variables=known).template,
            trust=templates.trusted,
            vault=lambda directory: Secrets(directory, self.vault, check_mode=True),
            user="somebody",
            now=self.now,
        )
        return preflight.check(known, controller)

    def problems(self, **variables: Any) -> list[str]:
        return self.check(**variables).remarks.problems

    def keep(self, name: str, content: str | bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def escrow(self, *certificates: str) -> None:
        listed = ", ".join(certificates)
        self.text += f"escrow: {{certificates: [{listed}], folders: [keys, /srv/keys]}}\n"


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    return Clinic(tmp_path)


def pair(folder: Path, *words: str, days: str = "30") -> tuple[str, str]:
    """Make a key pair; return private key and certificate."""
    key = folder / "made.key"
    command = ("openssl", "req", "-x509", "-newkey", *words, "-nodes", "-subj", "/CN=x", "-keyout", str(key))
    done = subprocess.run((*command, "-days", days), check=True, capture_output=True, text=True)
    return key.read_text(encoding="ascii"), done.stdout


def test_a_host_is_judged_by_the_roles_that_harden_its_kind() -> None:
    plays = yaml.safe_load((ROOT / "playbooks" / "harden.yml").read_text(encoding="utf-8"))
    hardening: dict[str, dict[str, None]] = {}
    for play in plays:  # laptops are led to the gateway once it is hardened: a role that comes again counts once
        found = hardening.setdefault(KINDS[play["hosts"].partition(":!")[0]], {})
        found |= dict.fromkeys(role["role"].rpartition(".")[2] for role in play["roles"])
    assert {kind: tuple(found) for kind, found in hardening.items()} == concerns.ROLES


@pytest.mark.parametrize(
    ("kind", "managed", "roles", "persons"),
    [
        ("orthanc_server", True, concerns.ROLES["orthanc_server"], False),
        ("orthanc_server", False, concerns.ROLES["orthanc_server"], False),
        ("gateway", True, concerns.ROLES["gateway"], False),
        ("workstation", True, concerns.ROLES["workstation"], False),
        ("workstation", False, (), True),
        ("modality", True, (), True),
        ("modality", False, (), True),
    ],
)
def test_a_host_is_judged_by_its_roles_or_by_what_persons_tell(
    kind: str, managed: bool, roles: tuple[str, ...], persons: bool
) -> None:
    known = {"clinic_host": {"kind": kind}, "clinic_managed": managed}
    assert concerns.is_judged(known)
    assert (concerns.roles(known), concerns.told_by_persons(known)) == (roles, persons)
    asked = {control.role for control in concerns.controls(known, "strict")}
    assert asked == {*roles, *(("device",) if kind in concerns.DEVICES else ())}


def test_no_workstation_is_asked_what_an_orthanc_server_does() -> None:
    asked = {}
    for kind in ("orthanc_server", "workstation"):
        known = {"clinic_host": {"kind": kind}, "clinic_managed": True}
        asked[kind] = {each.id for each in concerns.controls(known, "strict") if each.role == "authentication"}
    held = catalogue.load("authentication")
    assert asked["orthanc_server"] == {control.id for control in held}
    left_out = {
        control.id for control in held if control.applies_when and control.applies_when.fact == "orthanc.installed"
    }
    left_out.add("authentication.second_factor")  # a tunnel from home ends on a server
    assert asked["workstation"] == asked["orthanc_server"] - left_out
    assert {"authentication.ssh_keys_only", "authentication.accounts_locked"} <= asked["workstation"]
    assert "authentication.web_https_only" in left_out


def test_a_lost_device_and_a_vantage_point_are_not_judged() -> None:
    assert not concerns.is_judged({"clinic_host": {"kind": "modality", "lost": True}})
    assert not concerns.is_judged({"clinic_host": {"kind": "vantage_point"}})


def test_a_workstation_is_checked_for_the_settings_of_its_own_roles_alone(clinic: Clinic) -> None:
    clinic.text = clinic.text.replace("may: [echo, find, get]", "may: [echo]\n    ssh: {user: engineer}")
    wrong = clinic.check("ws.test", system_journal_days="long", orthanc_memory_maximum_mib="lots")
    assert [sentence.partition(" is not")[0] for sentence in wrong.remarks.problems] == ["ws.test: system_journal_days"]
    found = clinic.check("ws.test")
    assert (found.remarks.problems, found.remarks.notes, found.profile) == ([], [], "baseline")
    assert found.reach is not None


def test_a_clinic_as_it_is_first_written_has_notes_alone(clinic: Clinic) -> None:
    found = clinic.check()
    assert found.remarks.problems == []
    assert found.remarks.notes == [
        f"{clinic.kept}/vault.yml has no password yet for a.martin; the next run of harden makes it.",
        f"{clinic.kept}/requests holds no request of ws, ct: not let in yet.",
    ]
    assert (found.profile, list(found.waivers)) == ("baseline", [])
    assert not clinic.kept.exists()


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        (
            {"authentication_root_login": "yes"},
            "authentication_root_login is not what role authentication takes; accepted: one of no, prohibit-password,",
        ),
        (
            {"orthanc_memory_maximum_mib": "lots"},
            "orthanc_memory_maximum_mib is not what role orthanc takes; accepted: a whole number.",
        ),
        (
            {"firewall_services": [{"name": "ssh"}]},
            "firewall_services is not what role firewall takes; accepted: a list, each item a mapping with name (a text),",
        ),
        (
            {"orthanc_memory_maximum": 512},
            "orthanc_memory_maximum is no setting of role orthanc; accepted, and nearest to it: orthanc_memory_maximum_",
        ),
        ({"hardening_profile": "lax"}, "hardening_profile is 'lax'; accepted: baseline, strict."),
        (
            {"hardening_waivers": [{"control": "orthanc.none", "reason": "r", "owner": "o", "expires": "2027-01-01"}]},
            "hardening_waivers: there is no control 'orthanc.none'.",
        ),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else "",
)
def test_what_no_role_takes_is_told_by_name(clinic: Clinic, variables: dict[str, Any], problem: str) -> None:
    (found,) = clinic.problems(**variables)
    assert found.startswith(f"pacs.test: {problem}")


def test_a_weaker_choice_is_refused_with_the_control(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    option = preflight_settings.specification("authentication")["authentication_root_login"]
    monkeypatch.setitem(option, "choices", ["yes", *option["choices"]])
    (problem,) = clinic.problems(authentication_root_login="yes")
    assert problem.startswith("pacs.test: authentication_root_login is 'yes', but control authentication.")
    assert "add a waiver" in problem


def test_what_cannot_be_made_out_is_told_by_name(clinic: Clinic) -> None:
    (problem,) = clinic.problems(orthanc_name=templates.trusted("{{ of_nobody }}"))
    assert problem.startswith("pacs.test: orthanc_name cannot be made out: ")
    assert "of_nobody" in problem


def test_a_foreign_variable_is_left_alone(clinic: Clinic) -> None:
    assert clinic.problems(firewall_vendor="x", orthanc_colour="y") == []


def test_a_refused_value_is_not_shown(clinic: Clinic) -> None:
    found = clinic.check(authentication_root_login="S3cret", orthanc_memory_maximum_mib="S3cret").remarks
    assert len(found.problems) == 2
    assert "S3cret" not in str(found)


def test_the_vault_file_has_to_open_and_its_passwords_to_be_text(clinic: Clinic) -> None:
    clinic.text = SMALL.replace("people:\n", "people:\n  b.leroy: {name: Bruno Leroy, role: reader}\n")
    path = clinic.kept / "vault.yml"
    note = f"{path} has no password yet for b.leroy; the next run of harden makes it."
    clinic.keep("test/vault.yml", VAULT.encrypt("passwords: {a.martin: S3cret}\n"))
    found = clinic.check().remarks
    assert (found.problems, found.notes[0]) == ([], note)
    clinic.keep("test/vault.yml", VAULT.encrypt("passwords: {a.martin: 12345}\n"))
    assert clinic.problems() == [f"{path}: passwords.a.martin is not text; put it in quotes with `ansible-vault edit`."]
    clinic.keep("test/vault.yml", OTHER.encrypt("passwords: {a.martin: S3cret}\n"))
    (problem,) = clinic.problems()
    assert problem.startswith(f"{path} does not open with this password")
    clinic.keep("test/vault.yml", "passwords: {a.martin: S3cret}\n")
    (problem,) = clinic.problems()
    assert problem.startswith(f"{path} is not encrypted")
    assert "S3cret" not in problem


def test_without_a_vault_password_nothing_could_be_kept(clinic: Clinic) -> None:
    clinic.vault = VaultLib(None)
    (problem,) = clinic.problems()
    assert problem.startswith(f"{clinic.kept}/vault.yml keeps this clinic's secrets, encrypted; to write it, give")


def test_the_authority_has_to_be_whole(clinic: Clinic) -> None:
    secrets = Secrets(str(clinic.kept), VAULT)
    _key, request = csr(clinic.folder, "ct", "10.0.1.30")
    authority.sign(secrets, str(clinic.kept), request, "ct", names=["ct", "10.0.1.30"])
    assert clinic.problems() == []
    (clinic.kept / "vault.yml").unlink()
    (problem,) = clinic.problems()
    assert "lacks authority_passphrase, which opens" in problem
    (clinic.kept / "authority" / "ca.key").unlink()
    (problem,) = clinic.problems()
    assert problem.startswith(f"{clinic.kept}/authority/ca.key is missing, and a new authority would shut out")


def test_a_change_of_the_authority_is_told_and_both_have_to_be_whole(clinic: Clinic) -> None:
    secrets, directory = Secrets(str(clinic.kept), VAULT), str(clinic.kept)
    authority.sign(secrets, directory, csr(clinic.folder, "ct", "10.0.1.30")[1], "ct", names=["ct", "10.0.1.30"])
    authority_change.change(secrets, directory, "new", lambda dummy: "")
    told = [note for note in clinic.check().remarks.notes if "is at authority=new, 0 days after it was begun" in note]
    assert len(told) == 1
    assert clinic.problems() == []
    (clinic.kept / "authority" / "next" / "ca.key").unlink()
    (problem,) = clinic.problems()
    assert problem.startswith(f"{clinic.kept}/authority/next/ca.key is missing")


def test_what_a_device_hands_in_has_to_be_its_own(clinic: Clinic) -> None:
    clinic.keep("test/requests/ct.csr", csr(clinic.folder, "another", "10.0.1.30")[1])
    clinic.keep("test/requests/ws.csr", "of no kind")
    clinic.keep("test/authority/ca.crt", "of no kind")
    clinic.keep("test/certificates/pacs-web.crt", "of no kind")
    problems = clinic.problems()
    assert [problem.partition(" ")[0] for problem in problems] == [
        f"{clinic.kept}/authority/ca.key",
        f"{clinic.kept}/requests/ws.csr",
        f"{clinic.kept}/requests/ct.csr",
        f"{clinic.kept}/certificates/pacs-web.crt",
    ]


def test_what_the_next_run_takes_back_is_told_before(clinic: Clinic) -> None:
    clinic.keep("test/certificates/ct.crt", pair(clinic.folder, "rsa:2048")[1])
    assert not any("Revoke" in note for note in clinic.check().remarks.notes)
    clinic.text = SMALL.replace("\n  ct:\n", "\n  ct:\n    lost: true\n")
    notes = clinic.check().remarks.notes
    assert "The next run of harden does this for good: Revoke 1 certificate of ct." in notes
    assert not any("requests holds no request of ws, ct" in note for note in notes), (
        "nothing is awaited of a lost device"
    )
    clinic.text = SMALL.replace("\n  ct:\n", '\n  ct:\n    revoked_certificates: ["12"]\n')
    assert any(problem.startswith("revoked_certificates of ct names 12, which is no") for problem in clinic.problems())


def test_two_devices_with_one_key_are_refused_before_a_host_is_reached(clinic: Clinic) -> None:
    certificate = pair(clinic.folder, "rsa:2048")[1]
    for name in ("ct", "ws"):
        clinic.keep(f"test/certificates/{name}.crt", certificate)
    (told,) = [problem for problem in clinic.problems() if " has the key of " in problem]
    assert "certificates/ct.crt" in told
    assert "certificates/ws.crt" in told


def test_certificates_of_the_escrow_have_to_be_ones(clinic: Clinic) -> None:
    key, certificate = pair(clinic.folder, "rsa:2048")
    clinic.keep("good.pem", certificate)
    clinic.keep("both.pem", key + certificate)
    clinic.keep("text.pem", "no certificate")
    clinic.keep("hollow.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    clinic.keep("ed.pem", pair(clinic.folder, "ed25519")[1])
    clinic.escrow("good.pem", "both.pem", "text.pem", "hollow.pem", "ed.pem", "none.pem")
    names = f"escrow.certificates names {clinic.folder}"
    problems = clinic.problems()
    assert len(problems) == 5
    assert problems[0] == f"{names}/both.pem, which holds a private key too; accepted: the certificate alone."
    assert problems[1] == f"{names}/text.pem; accepted is an X.509 certificate as PEM."
    assert problems[2].startswith(f"{clinic.folder}/hollow.pem is not a certificate in PEM form")
    assert problems[3].startswith(
        f"{clinic.folder}/ed.pem: accepted are keys on elliptic curves of 256 bits or more and RSA"
    )
    assert problems[4] == f"{names}/none.pem, which cannot be read as PEM: No such file or directory."


def test_a_certificate_of_the_escrow_that_has_expired_is_a_note(clinic: Clinic) -> None:
    clinic.keep("good.pem", pair(clinic.folder, "rsa:2048", days="1")[1])
    clinic.escrow("good.pem")
    expired = (
        f"escrow.certificates names {clinic.folder}/good.pem, which has expired; see whether its key is still held."
    )
    clinic.now += datetime.timedelta(days=2)
    assert expired in clinic.check().remarks.notes


def test_how_a_host_is_reached_comes_from_its_variables(clinic: Clinic) -> None:
    assert str(clinic.check().reach) == "engineer@10.0.2.10 port 22"
    jump = {"ansible_port": 2222, "ansible_ssh_common_args": "-J box", "ansible_user": templates.trusted("{{ who }}")}
    reach = clinic.check(who="d.petit", **jump).reach
    assert reach is not None
    assert str(reach) == "d.petit@10.0.2.10 port 2222"
    assert reach.arguments == "-J box -o ServerAliveInterval=15 -o ServerAliveCountMax=8"
    assert str(clinic.check(ansible_connection="local").reach).endswith("port 22 over local")


def test_a_vantage_point_says_where_it_stands_and_what_it_looks_at(clinic: Clinic) -> None:
    clinic.text += '  desk: {kind: admin, addresses: {admin: ["10.0.2.2"]}, ssh: {}}\n'
    found = clinic.check("desk.test")
    assert str(found.reach) == "somebody@10.0.2.2 port 22, to look from the admin at 10.0.2.10, 10.0.1.20, 10.0.1.30"
    assert (found.profile, found.remarks.problems) == (None, [])


def test_a_device_that_nobody_logs_in_to_is_checked_for_what_persons_attest(clinic: Clinic) -> None:
    word = (
        "{host: ct, by: A, date: 2026-11-26, expires: 2027-11-26, controls: {device.own_accounts: one user a person}}"
    )
    clinic.text += f"hardening_attestations: [{word}]\n"
    found = clinic.check("ct.test")
    assert (found.reach, found.profile, found.remarks.problems, found.remarks.notes) == (None, "baseline", [], [])
    assert [(each.control, each.host) for each in found.attestations or ()] == [("device.own_accounts", "ct.test")]
    assert {control.role for control in found.controls} == {"device"}
    assert clinic.check("pacs.test").attestations is None
    assert clinic.check("ct.test", hardening_attestations=[{"host": "ct.test"}]).remarks.problems == [
        "ct.test: hardening_attestations: that of ct.test lacks by, date, expires, controls."
    ]


def test_a_server_without_ssh_is_a_note(clinic: Clinic) -> None:
    found = clinic.check(clinic_managed=False)
    assert found.reach is None
    assert found.remarks.notes[0].startswith("pacs.test has no ssh block, so nobody logs in to it")


def csr(folder: Path, name: str, address: str) -> tuple[str, str]:
    """Make a certificate request; return private key and request."""
    key = folder / "made.key"
    names = f"subjectAltName=DNS:{name},IP:{address}"
    made = ("openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-addext", names)
    done = subprocess.run((*made, "-keyout", str(key)), check=True, capture_output=True, text=True)
    return key.read_text(encoding="ascii"), done.stdout


def test_first_passwords_of_a_workstation_are_made_where_they_lack_and_told_where_they_would_be_guessed(
    clinic: Clinic,
) -> None:
    clinic.text = clinic.text.replace("may: [echo, find, get]", "may: [echo]\n    ssh: {user: engineer}")
    plain = "initial_passwords: {a.martin: %s}\n"
    for password, problems in (
        ("Sommer2026", [f"{clinic.kept}/vault.yml: initial_passwords.a.martin would be guessed; accepted: none,"]),
        ("Xq7pT2mWv9Kd4sB8hRnZcLty", []),
    ):
        clinic.keep("test/vault.yml", VAULT.encrypt(plain % password))
        found = clinic.check("ws.test").remarks.problems
        assert [each.partition(" so that")[0] for each in found] == problems
    clinic.keep("test/vault.yml", OTHER.encrypt(plain % "x"))
    (problem,) = clinic.check("ws.test").remarks.problems
    assert "does not open with this password" in problem
