# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The playbook validate: what Ansible leaves out is named, nobody is reached, and no secret is shown."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml
from provider import Repository, certificate, said

VALIDATE = "ansible-playbook -i clinics radiology.hardening.validate"
SECRET = "Nobody-reads-this"


def wrong(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what was said to be wrong."""
    return [line.strip().removeprefix("WRONG: ") for line in done.stdout.splitlines() if "WRONG: " in line]


def test_the_watch_sees_whoever_is_reached(repository: Repository) -> None:
    repository.run("python3 -c \"import socket; socket.getaddrinfo('192.0.2.1', 22)\"; ssh host || true")
    assert repository.called == ["socket.getaddrinfo 192.0.2.1", "ssh"]


def test_files_that_ansible_leaves_out_are_named(repository: Repository) -> None:
    repository.edit("rue-lumiere", "may: [echo, store, worklist]", "may: [stor]")
    again = repository.clinics / "second.yml"
    again.write_bytes((repository.clinics / "bord-de-mer.yml").read_bytes())
    done = repository.run(f"{VALIDATE} -i clinics/none.yml", ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED="false")
    assert done.returncode != 0
    first, second, third = wrong(done)
    assert first.startswith(f"{repository.clinics}/rue-lumiere.yml:113: modalities.ct.may[0] is")
    assert second.startswith(f'{again}: name is "bord-de-mer", as in {again.with_name("bord-de-mer.yml")}; accepted: ')
    assert third.startswith(f"{repository.clinics}/none.yml is given as inventory, but is not there")
    assert "Clinique du Bord de Mer" in done.stdout
    assert "FAIL: found wanting: the inventory (3)." in said(done)


def test_a_clinic_file_that_no_plugin_takes_is_named(repository: Repository) -> None:
    done = repository.run(
        VALIDATE,
        ANSIBLE_INVENTORY_ENABLED="ansible.builtin.ini",
        ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED="false",
    )
    assert done.returncode != 0
    assert [sentence.partition(": ")[2][:32] for sentence in wrong(done)[:2]] == 2 * [
        "Ansible took no clinic from it; "
    ]
    assert wrong(done)[2] == "There is no clinic in this inventory, so nothing was checked."


def test_files_may_be_given_one_by_one(repository: Repository) -> None:
    (repository.clinics / "bord-de-mer.yml").rename(repository.folder / "elsewhere.yml")
    done = repository.run("ansible-playbook -i clinics/rue-lumiere.yml -i elsewhere.yml radiology.hardening.validate")
    assert done.returncode == 0, said(done)
    assert "clinics checked: 2" in done.stdout


def test_forty_clinics_at_once(repository: Repository) -> None:
    text = (repository.clinics / "rue-lumiere.yml").read_text(encoding="utf-8")
    for number in range(1, 41):
        other = text.replace("name: rue-lumiere", f"name: clinic-{number}").replace("192.168.", f"10.{number}.")
        (repository.clinics / f"clinic-{number}.yml").write_text(other, encoding="utf-8")
    (repository.clinics / "clinic-40.yml").write_text(
        other.replace("10.40.20.10", "10.39.20.10").replace('cidrs: ["10.40.20.0/24"]', 'cidrs: ["10.39.20.0/24"]'),
        encoding="utf-8",
    )
    done = repository.run(VALIDATE)
    assert done.returncode != 0
    assert "FAIL: found wanting: clinic-40 (1)." in said(done)
    assert len(wrong(done)) == 1
    assert "archive.clinic-40 is reached at 10.39.20.10 port 22, as archive.clinic-39 of" in wrong(done)[0]
    assert repository.called == []


def test_a_limit_is_refused(repository: Repository) -> None:
    done = repository.run(f"{VALIDATE} --limit clinic_rue_lumiere")
    assert done.returncode != 0
    assert "Nothing was checked, since --limit leaves out the controller" in said(done)


@pytest.mark.parametrize("name", ["audit", "probe"])
@pytest.mark.parametrize(("limit", "refused"), [("clinic_rue_lumiere", True), ("clinic_rue_lumiere,localhost", False)])
def test_a_look_without_its_verdict_is_refused(repository: Repository, name: str, limit: str, refused: bool) -> None:
    done = repository.run(f"ansible-playbook -i clinics radiology.hardening.{name} --limit {limit}")
    assert done.returncode != 0
    assert (f"accepted: --limit '{limit},localhost'" in said(done)) is refused
    assert bool(repository.called) is not refused
    assert ("Found wanting: rue-lumiere." in said(done)) is not refused


def test_a_server_that_is_only_declared_is_left_alone_and_told(repository: Repository) -> None:
    file = repository.clinics / "rue-lumiere.yml"
    clinic = yaml.safe_load(file.read_text(encoding="utf-8"))
    for key in ("ssh", "storage"):
        del clinic["orthanc_servers"]["archive"][key]
    file.write_text(yaml.safe_dump(clinic), encoding="utf-8")
    done = repository.run(f"ansible-playbook -i {file} radiology.hardening.harden")
    assert done.returncode == 0, said(done)
    assert repository.called == []
    done = repository.run(f"ansible-playbook -i {file} radiology.hardening.audit -e report_directory=reports")
    assert done.returncode != 0
    report = json.loads((repository.folder / "reports" / "rue-lumiere" / "report.json").read_text(encoding="utf-8"))
    assert {each["verdict"] for each in report["findings"]} == {"not_audited"}
    assert "declares this host without an ssh block" in json.dumps(report["findings"])
    assert "archive" not in " ".join(repository.called)


def test_settings_of_groups_are_checked_and_no_value_is_shown(repository: Repository) -> None:
    settings = {
        "authentication_root_login": SECRET,
        "orthanc_memory_maximum_mb": SECRET,
        "orthanc_name": "{{ of_nobody }}",
        "dicom_tls_name": f"{{{{ '{SECRET}' | no_such_filter }}}}",
        "firewall_services": f"{{{{ '{SECRET}' | to_datetime }}}}",
    }
    (repository.clinics / "group_vars").mkdir()
    file = repository.clinics / "group_vars" / "clinic_rue_lumiere.yml"
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    done = repository.run(VALIDATE)
    assert done.returncode != 0
    names = [sentence.split()[1] for sentence in wrong(done)]
    assert sorted(names) == sorted(settings)
    assert all(sentence.startswith("archive.rue-lumiere: ") for sentence in wrong(done))
    assert SECRET not in said(done)


def test_an_encrypted_variable_has_to_open(repository: Repository) -> None:
    encrypted = repository.run(f"ansible-vault encrypt_string {SECRET}", VAULT_PASSWORD="another password").stdout
    (repository.clinics / "group_vars").mkdir()
    file = repository.clinics / "group_vars" / "orthanc_servers.yml"
    file.write_text(f"ansible_become_password: {encrypted}", encoding="utf-8")
    done = repository.run(VALIDATE)
    assert done.returncode != 0
    assert wrong(done) == [
        f"{host}: ansible_become_password is encrypted and does not open with this run's vault password."
        for host in ("pacs.bord-de-mer", "archive.rue-lumiere")
    ]


def test_an_encrypted_file_of_variables_has_to_open(repository: Repository) -> None:
    file = repository.encrypt("group_vars/orthanc_servers.yml", f"orthanc_name: {SECRET}\n", "another password")
    done = repository.run(VALIDATE)
    assert done.returncode != 0
    (sentence,) = wrong(done)
    assert sentence.startswith(f"{file} does not open with this password: give the vault's password")


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_the_certificates_of_the_escrow_are_checked(repository: Repository, text: str | None) -> None:
    file = repository.clinics / "escrow" / "clinic.pem"
    file.unlink()
    if text:
        file.write_text(text, encoding="ascii")
    done = repository.run(VALIDATE)
    assert done.returncode != 0
    (sentence,) = wrong(done)
    assert sentence.startswith(f"escrow.certificates names {file}")


def test_no_secret_is_shown_however_loud(repository: Repository) -> None:
    encrypted = repository.run(f"ansible-vault encrypt_string {SECRET}").stdout
    (repository.clinics / "group_vars").mkdir()
    (repository.clinics / "group_vars" / "all.yml").write_text(f"ansible_password: {encrypted}", encoding="utf-8")
    repository.encrypt("rue-lumiere/vault.yml", f"passwords: {{a.martin: {SECRET}}}\nauthority_passphrase: {SECRET}\n")
    done = repository.run(f"{VALIDATE} -vvv --diff")
    assert done.returncode == 0, said(done)
    assert SECRET not in said(done)
    assert certificate("provider").splitlines()[1] not in said(done)
    assert sorted(path.name for path in (repository.clinics / "rue-lumiere").iterdir()) == ["vault.yml"]
    assert repository.called == []
