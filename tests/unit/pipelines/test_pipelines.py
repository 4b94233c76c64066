# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The commands of both pipelines, run as they stand in a provider's repository: each verdict is the exit status."""

from __future__ import annotations

import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pipelines
import pytest
import yaml
from packaging.requirements import Requirement
from provider import CLINICS, PASSWORD, PIPELINES, ROOT, Repository, said

NAMES = ("github-actions.yml", "gitlab-ci.yml")
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nof no use\n-----END OPENSSH PRIVATE KEY-----"
EXPIRED = "[{control: orthanc.webdav_off, reason: Migration, owner: D. Petit, expires: 2020-01-31}]"


def play(repository: Repository, name: str, job: str) -> subprocess.CompletedProcess[str]:
    """Run a job as it stands; return what its last shell did."""
    found = pipelines.jobs(name)[job]
    key = str(repository.home / "of-type-file")
    Path(key).write_text(f"{KEY}\n", encoding="ascii")
    variables = {**found.environment, "SSH_PRIVATE_KEY": key if name == "gitlab-ci.yml" else KEY}
    for script in found.scripts:
        done = repository.run(script, **variables)
        if done.returncode:
            break
    return done


@pytest.mark.parametrize("name", NAMES)
def test_validate_passes_and_reaches_nobody(repository: Repository, name: str) -> None:
    repository.encrypt("rue-lumiere/vault.yml", "passwords: {a.martin: Nobody reads this}\n")
    done = play(repository, name, "validate")
    assert done.returncode == 0, said(done)
    assert "PASS: clinics checked: 2; hosts that a run would reach: 8; reached now: none." in said(done)
    assert "archive.rue-lumiere engineer@192.168.20.10 port 22" in said(done)
    assert "Nobody reads this" not in said(done)
    assert repository.called == []


@pytest.mark.parametrize("name", NAMES)
def test_validate_fails_for_a_broken_clinic_file(repository: Repository, name: str) -> None:
    repository.edit("rue-lumiere", "may: [echo, store, worklist]", "may: [stor]")
    done = play(repository, name, "validate")
    assert done.returncode != 0
    assert 'lumiere.yml:113: modalities.ct.may[0] is "stor"; accepted: one of echo, store' in said(done)


@pytest.mark.parametrize("name", NAMES)
def test_validate_fails_for_an_expired_waiver(repository: Repository, name: str) -> None:
    repository.edit("rue-lumiere", "hardening_waivers: []", f"hardening_waivers: {EXPIRED}")
    done = play(repository, name, "validate")
    assert done.returncode != 0
    assert "WRONG" in said(done)
    assert "orthanc.webdav_off, of D. Petit, expired on 2020-01-31; accepted: a later day, or no waiver." in said(done)
    assert "FAIL: found wanting: rue-lumiere (1)." in said(done)


@pytest.mark.parametrize("name", NAMES)
def test_validate_fails_for_a_vault_file_that_does_not_open(repository: Repository, name: str) -> None:
    file = repository.encrypt("rue-lumiere/vault.yml", "passwords: {a.martin: Nobody reads this}\n", "another password")
    done = play(repository, name, "validate")
    assert done.returncode != 0
    assert f"WRONG: {file} does not open with this password" in said(done)
    assert "FAIL: found wanting: rue-lumiere (1)." in said(done)


def test_validate_fails_without_the_secret_of_the_ci_system(repository: Repository) -> None:
    done = repository.run(pipelines.jobs("gitlab-ci.yml")["validate"].scripts[0], VAULT_PASSWORD="")
    assert done.returncode != 0
    assert "the secret VAULT_PASSWORD of your CI system is not set" in said(done)


@pytest.mark.parametrize("job", ["audit", "probe"])
@pytest.mark.parametrize("name", NAMES)
def test_the_nights_jobs_attach_junit_and_fail_where_nobody_answers(
    repository: Repository, name: str, job: str
) -> None:
    done = play(repository, name, job)
    assert done.returncode != 0
    assert "Found wanting: bord-de-mer, rue-lumiere." in said(done)
    assert "ssh" in repository.called, "the ssh of this test was not called, so it proves nothing elsewhere"
    found = pipelines.jobs(name)[job]
    assert all((repository.folder / path).is_dir() for path in found.attached)
    (pattern,) = found.junit
    reports = sorted(repository.folder.glob(pattern))
    assert [report.parent.name for report in reports] == list(CLINICS)
    for report in reports:
        assert sum(int(suite.get("errors", 0)) for suite in ElementTree.parse(report).getroot()) > 0


def test_a_machine_is_known_by_the_host_keys_of_its_own_clinic_alone(repository: Repository) -> None:
    for clinic in CLINICS:
        (repository.clinics / clinic).mkdir()
        (repository.clinics / clinic / "known_hosts").write_text("192.0.2.1 ssh-ed25519 AAAA\n", encoding="ascii")
    done = repository.run("ansible-playbook -i clinics/rue-lumiere.yml radiology.hardening.probe")
    assert done.returncode != 0
    assert repository.called_with
    for words in repository.called_with:
        first = words.partition("UserKnownHostsFile=")[2]
        assert first.startswith(f'"{repository.clinics}/rue-lumiere/known_hosts" ~/.ssh/known_hosts'), words
        assert "StrictHostKeyChecking" not in words  # ssh asks then, and nobody is there to answer


@pytest.mark.parametrize("name", NAMES)
def test_the_key_of_the_runner_is_its_own_alone(repository: Repository, name: str) -> None:
    play(repository, name, "probe")
    key = repository.home / ".ssh" / "clinics"
    assert key.read_text(encoding="ascii") == f"{KEY}\n"
    assert key.stat().st_mode & 0o777 == 0o600


def test_both_pipelines_run_the_same_playbooks() -> None:
    first, second = ({name: job.playbooks for name, job in pipelines.jobs(name).items()} for name in NAMES)
    assert first == second
    assert list(first) == ["validate", "audit", "probe"]
    for job, (command,) in first.items():
        assert command.startswith(f"ansible-playbook -i clinics radiology.hardening.{job}")
        assert (ROOT / "playbooks" / f"{job}.yml").is_file()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_run_here_installs_what_the_collection_needs(name: str) -> None:
    for job in pipelines.jobs(name).values():
        assert job.installs == [
            "python3 -m pip install -r requirements.txt",
            "ansible-galaxy collection install -r requirements.yml",
        ]
        assert job.commands[:2] == job.installs


def test_requirements_are_those_of_the_collection() -> None:
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
    listed = yaml.safe_load((PIPELINES / "requirements.yml").read_text(encoding="utf-8"))["collections"]
    assert listed == [{"name": f"{galaxy['namespace']}.{galaxy['name']}", "version": galaxy["version"]}]
    lines = (PIPELINES / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = {each.name: str(each.specifier) for each in (Requirement(line) for line in lines if line[:1] != "#")}
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    plugin = (ROOT / "plugins" / "inventory" / "clinic.py").read_text(encoding="utf-8")
    assert wanted == {"ansible-core": runtime["requires_ansible"], "cryptography": "", "jsonschema": ">=4.0"}
    assert "jsonschema >= 4.0" in plugin
    assert galaxy["version"] in (ROOT / "docs" / "pipelines.md").read_text(encoding="utf-8")


def test_jobs_run_when_they_should_and_attach_whatever_the_verdict() -> None:
    github = yaml.safe_load((PIPELINES / NAMES[0]).read_text(encoding="utf-8"))
    gitlab = yaml.safe_load((PIPELINES / NAMES[1]).read_text(encoding="utf-8"))
    assert set(github[True]) == {"push", "schedule"}  # YAML reads the key `on` as true
    for job in ("audit", "probe"):
        assert github["jobs"][job]["if"] == "github.event_name == 'schedule'"
        assert gitlab[job]["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "schedule"'}]
        assert github["jobs"][job]["steps"][-1]["if"] == "always()"
        assert gitlab[job]["artifacts"]["when"] == "always"
        assert "clinics" in github["jobs"][job]["runs-on"]
        assert gitlab[job]["tags"] == ["clinics"]
    assert github["jobs"]["validate"]["if"] == "github.event_name != 'schedule'"
    assert gitlab["validate"]["rules"] == [{"if": '$CI_PIPELINE_SOURCE != "schedule"'}]


def test_no_secret_is_in_the_files(repository: Repository) -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in PIPELINES.iterdir())
    assert "PRIVATE KEY-----" not in text
    assert PASSWORD not in text
    assert repository.run("./vault-password").stdout == f"{PASSWORD}\n"
