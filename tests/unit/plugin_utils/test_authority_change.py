# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One authority of a clinic follows another: who signs, who is trusted, who hinders it, and that a kill loses nothing."""

from __future__ import annotations

import datetime
import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.action import clinic_authority as action
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import (
    authority,
    authority_change,
    authority_folders,
    clinic_folder,
    device_certificates,
    revocation,
)
from test_clinic_authority import DEVICE, hand_in, request

ACTS = {("", "new"): 4, ("new", "shown"): 9, ("shown", "only"): 2, ("shown", "new"): 9, ("new", "former"): 2}
"""How often each step renames, replaces or removes something, so that a run can be killed before it."""
STEPS = list(ACTS)
WAYS = {"": (), "new": ("new",), "shown": ("new", "shown")}


class Vault:
    """Stand for a clinic's vault file."""

    path = "vault.yml"

    def __init__(self) -> None:
        self.held: dict[Any, str] = {}

    def get(self, *name: str) -> str | None:
        return self.held.get(name)

    def ensure(self, name: str | tuple[str, ...], factory: Any) -> str:
        return self.held.setdefault((name,) if isinstance(name, str) else name, factory())


class Clinic:
    """A clinic's folder with one server and one device, both signed for."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.vault = str(directory), Vault()
        hand_in(directory, request())
        self.sign()
        authority.sign(self.vault, self.directory, request("pacs"), "pacs")  # type: ignore[arg-type]

    def sign(self) -> tuple[list[str], list[str]]:
        """Do what a run of harden does on the controller."""
        authority_change.settle(self.directory)
        vault: Any = self.vault
        revocation.revoke(vault, self.directory, [DEVICE])
        return device_certificates.sign(vault, self.directory, [DEVICE], check_mode=False)

    def go(self, *stages: str, hindrance: str = "", **how: bool) -> list[str]:
        """Bring it to one stage after the other, and return what the last one said."""
        said: list[str] = []
        for stage in stages:
            vault: Any = self.vault
            said = authority_change.change(vault, self.directory, stage, lambda dummy: hindrance, **how)
        return said

    @property
    def stage(self) -> str:
        return authority_folders.stage(self.directory)

    @property
    def trusted(self) -> list[str]:
        return authority.authorities(self.directory)

    @property
    def admitted(self) -> list[str]:
        return device_certificates.admitted(self.directory, DEVICE)

    def tree(self) -> dict[str, bytes]:
        """Return what lies in the folder of the authorities."""
        home = Path(authority_folders.home(self.directory))
        return {str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()}

    def lasts(self, *, device: bool) -> bool:
        return authority.lasts(self.directory, "ct" if device else "pacs", device=device)


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    return Clinic(tmp_path / "clinic")


def test_a_change_begins_with_two_that_are_trusted_of_which_the_new_one_signs_for_devices(clinic: Clinic) -> None:
    (first,), before = clinic.trusted, clinic.admitted
    assert clinic.go("new") == [authority_change.SENTENCES["", "new"]]
    assert clinic.trusted[0] == first
    assert len(set(clinic.trusted)) == 2
    assert (clinic.lasts(device=True), clinic.lasts(device=False)) == (False, True)
    assert clinic.sign() == (["ct"], [])
    assert clinic.lasts(device=True)
    assert clinic.admitted[1:] == before, "the former certificate goes on to let the device in"
    assert clinic.tree()["trusted.crt"].decode() == "".join(clinic.trusted)
    assert clinic.go("new") == [] == clinic.sign()[0]


def test_the_servers_show_the_new_one_next_and_both_stay_trusted(clinic: Clinic) -> None:
    clinic.go("new")
    clinic.sign()
    both, admitted = clinic.trusted, clinic.admitted
    clinic.go("shown")
    assert clinic.tree()["ca.crt"].decode() == both[1]
    assert clinic.trusted == both
    assert clinic.admitted == admitted
    assert (clinic.lasts(device=True), clinic.lasts(device=False)) == (True, False)


def test_at_the_end_one_is_left_and_the_former_key_is_destroyed(clinic: Clinic) -> None:
    clinic.go("new")
    clinic.sign()
    (_first, second), former = clinic.trusted, clinic.tree()["ca.key"]
    clinic.go("shown", "only")
    assert clinic.trusted == [second]
    assert sorted(clinic.tree()) == ["README", "ca.crt", "ca.key", "revoked.crl"]
    assert former not in clinic.tree().values()
    assert len(clinic.admitted) == 1, "a certificate of the former authority opens no door"
    assert clinic.go("only") == clinic.go("former") == []


def test_the_way_back_leads_to_the_same_authority(clinic: Clinic) -> None:
    before = clinic.tree()
    clinic.go("new", "shown", "new")
    assert {name: text for name, text in clinic.tree().items() if name in before} == before
    assert clinic.lasts(device=False)
    clinic.go("former")
    assert clinic.tree() == before


def test_each_authority_has_a_name_and_a_passphrase_of_its_own(clinic: Clinic) -> None:
    clinic.go("new")
    held = list(clinic.vault.held.values())
    assert len(set(held)) == 2
    names = {authority.load_certificate(text, "ca.crt").subject for text in clinic.trusted}
    assert len(names) == 2
    del clinic.vault.held[("authority_passphrase",)]
    with pytest.raises(HardeningError, match=r"lacks authority_passphrase, which opens .*authority/ca\.key"):
        clinic.go("shown")
    with pytest.raises(HardeningError, match=r"lacks authority_passphrase, which opens .*authority/ca\.key"):
        authority.demand_whole(clinic.vault, clinic.directory)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("stage", "wanted", "accepted"),
    [("", "shown", "new"), ("new", "only", "former, shown"), ("shown", "former", "new, only")],
)
def test_a_stage_is_not_left_out(clinic: Clinic, stage: str, wanted: str, accepted: str) -> None:
    clinic.go(*WAYS[stage])
    before = clinic.tree()
    with pytest.raises(HardeningError, match=f"from which no step leads to authority={wanted}; accepted: {accepted}"):
        clinic.go(wanted)
    assert clinic.tree() == before


def test_a_word_that_is_no_stage_is_refused(clinic: Clinic) -> None:
    with pytest.raises(HardeningError, match="authority is old; accepted: new, shown, only, former"):
        clinic.go("old")


@pytest.mark.parametrize(("stage", "wanted"), STEPS)
def test_check_mode_says_the_same_and_does_nothing(clinic: Clinic, stage: str, wanted: str) -> None:
    clinic.go(*WAYS[stage])
    before = clinic.tree()
    assert clinic.go(wanted, check_mode=True) == [authority_change.SENTENCES[stage, wanted]]
    assert clinic.tree() == before


def test_what_comes_too_early_is_refused_unless_told_otherwise(clinic: Clinic) -> None:
    clinic.go("new")
    for check_mode in (True, False):
        with pytest.raises(HardeningError, match=r"^authority=shown comes too early: ws; -e anyway=true goes on"):
            clinic.go("shown", hindrance="ws", check_mode=check_mode)
    assert clinic.stage == "new"
    clinic.go("shown", hindrance="ws", anyway=True)
    assert clinic.stage == "shown"


class KilledError(Exception):
    """Stands for the end of a run in the middle."""


def kill(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Let the run end at one of its acts on the disk; a folder's removal ends with one file removed."""
    acts = iter(range(after))

    def guarded(do: Any) -> Any:
        def act(*given: Any, **how: Any) -> Any:
            if next(acts, None) is None:
                if do is removal and os.path.isdir(given[0]):
                    os.unlink(next(path for path in Path(given[0]).iterdir()))
                raise KilledError
            return do(*given, **how)

        return act

    removal = shutil.rmtree
    monkeypatch.setattr(os, "rename", guarded(os.rename))
    monkeypatch.setattr(os, "replace", guarded(os.replace))
    monkeypatch.setattr(shutil, "rmtree", guarded(removal))


@pytest.mark.parametrize(
    ("stage", "wanted", "after"), [(*step, after) for step, acts in ACTS.items() for after in range(acts + 1)]
)
def test_a_run_that_is_killed_leaves_a_whole_authority_and_the_next_one_goes_on(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch, stage: str, wanted: str, after: int
) -> None:
    clinic.go(*WAYS[stage])
    clinic.sign()
    before, admitted = clinic.trusted, clinic.admitted
    kill(monkeypatch, after)
    killed = False
    try:
        clinic.go(wanted)
    except KilledError:
        killed = True
    monkeypatch.undo()
    assert killed == (after < ACTS[stage, wanted])
    authority.demand_whole(clinic.vault, clinic.directory)  # type: ignore[arg-type]
    assert set(before) & set(clinic.trusted), "no authority is left that somebody knows"
    if wanted not in ("only", "former"):
        assert set(admitted) <= set(clinic.admitted)
    clinic.sign()
    clinic.go(wanted)
    assert clinic.stage == ("" if wanted in ("only", "former") else wanted)
    due = {"only": before[1:], "former": before[:1]}.get(wanted, before)
    assert clinic.trusted[: len(due)] == due
    assert len(clinic.trusted) == (1 if wanted in ("only", "former") else 2)
    assert not [name for name in os.listdir(authority_folders.home(clinic.directory)) if ".part" in name]
    clinic.sign()
    assert clinic.lasts(device=True)
    assert clinic.lasts(device=False) == (wanted in ("new", "former"))


def seen(clinic: Clinic, fingerprint: str = "", began: float = 1000.0, since: float = 500.0) -> dict[str, Any]:
    """Return what the module seen_devices says of the one server."""
    text = clinic_folder.read(authority.certificate_path(clinic.directory, "pacs"))
    devices = {"ct": {"fingerprint": fingerprint, "began": began}} if fingerprint else {}
    return {"devices": devices, "shown": hashlib.sha256(text.encode()).hexdigest(), "shown_since": since}


def hindrance(clinic: Clinic, wanted: str, **servers: dict[str, Any]) -> str:
    return authority_change.hindrance(clinic.directory, wanted, [DEVICE], servers)


def test_a_device_hinders_the_servers_until_it_comes_with_a_certificate_of_the_new_authority(clinic: Clinic) -> None:
    clinic.go("new")
    clinic.sign()
    new, former = clinic.admitted
    said = "ct did not come with a certificate of the new authority yet"
    assert hindrance(clinic, "shown", pacs=seen(clinic)).startswith(said)
    assert hindrance(clinic, "shown", pacs=seen(clinic, former)).startswith(said)
    assert hindrance(clinic, "shown", pacs=seen(clinic, new)) == ""
    newer = seen(clinic, former, 2000.0)
    assert hindrance(clinic, "shown", pacs=seen(clinic, new), store=newer).startswith(said), "it went back"
    assert hindrance(clinic, "former", pacs=seen(clinic, new)).startswith("ct comes with a certificate of the new")
    assert (
        hindrance(clinic, "former", pacs=seen(clinic, former)) == hindrance(clinic, "former", pacs=seen(clinic)) == ""
    )


def test_the_former_ends_once_each_device_came_since_the_servers_show_the_new_one(clinic: Clinic) -> None:
    clinic.go("new")
    clinic.sign()
    clinic.go("shown")
    new, former = clinic.admitted
    assert hindrance(clinic, "only", pacs=seen(clinic, new)).startswith("pacs does not show its certificate of the new")
    authority.sign(clinic.vault, clinic.directory, request("pacs"), "pacs")  # type: ignore[arg-type]
    assert hindrance(clinic, "only", pacs=seen(clinic, new)) == ""
    assert hindrance(clinic, "only", pacs=seen(clinic, new) | {"shown": "another"}).startswith("pacs does not show")
    for fingerprint, began in ((new, 505.0), (former, 1000.0), ("", 0.0)):
        said = hindrance(clinic, "only", pacs=seen(clinic, fingerprint, began))
        assert said == "ct did not come with a certificate of the new authority since the servers show theirs"


def test_a_device_that_is_not_let_in_hinders_nothing(clinic: Clinic) -> None:
    clinic.go("new")
    (Path(clinic.directory) / "certificates" / "ct.crt").unlink()
    assert hindrance(clinic, "shown", pacs=seen(clinic)) == ""


def test_the_days_of_a_change_are_counted_from_the_new_authority_on(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert authority_change.days(clinic.directory) == 0
    now = datetime.datetime.now(tz=datetime.UTC) - datetime.timedelta(days=91, hours=1)
    monkeypatch.setattr(authority, "datetime", SimpleNamespace(datetime=SimpleNamespace(now=lambda tz: now), UTC=None))
    clinic.go("new")
    monkeypatch.undo()
    assert authority_change.days(clinic.directory) == 91
    clinic.go("shown")
    assert authority_change.days(clinic.directory) == 91
    clinic.go("only")
    assert authority_change.days(clinic.directory) == 0


def test_an_engineer_is_told_of_a_change_under_way_and_of_an_authority_that_grows_old(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert authority_change.remarks(clinic.directory) == []
    monkeypatch.setattr(authority, "AUTHORITY_DAYS", 729.5)
    clinic.go("new")
    change, old = authority_change.remarks(clinic.directory)
    assert "is at authority=new, 0 days after" in change
    assert "goes on with -e authority=shown, then authority=only" in change
    assert "ends in 729 days" in old
    clinic.go("shown")
    assert "is at authority=shown, 0 days after" in authority_change.remarks(clinic.directory)[0]
    clinic.go("only")
    assert authority_change.remarks(clinic.directory) == [old]


def test_a_bundle_that_is_missing_is_written_by_the_next_run_of_harden(clinic: Clinic) -> None:
    clinic.go("new")
    bundle = Path(authority_folders.bundle(clinic.directory))
    bundle.unlink()
    clinic.sign()
    assert bundle.read_text(encoding="ascii") == "".join(clinic.trusted)


def test_both_lists_name_what_is_revoked_and_openssl_refuses_by_them(clinic: Clinic) -> None:
    clinic.go("new")
    clinic.sign()
    folder = Path(clinic.directory)
    texts = device_certificates.all_of(clinic.directory, "ct")
    trust, lists = folder / "trust.crt", folder / "lists.crl"
    trust.write_text("".join(clinic.trusted), encoding="ascii")

    def verdicts() -> list[int]:
        lists.write_text(revocation.lists(clinic.directory), encoding="ascii")
        command = ["openssl", "verify", "-crl_check_all", "-CAfile", str(trust), "-CRLfile", str(lists)]
        return [
            subprocess.run(command, input=each, text=True, capture_output=True, check=False).returncode
            for each in texts
        ]

    assert verdicts() == [0, 0]
    vault: Any = clinic.vault
    revocation.revoke(vault, clinic.directory, [{**DEVICE, "lost": True}])
    assert 0 not in verdicts()
    assert len(revocation.serials(clinic.directory, [])) == 2


def test_an_authority_is_changed_on_all_servers_of_a_clinic_in_one_run() -> None:
    clinics = {"pacs.a": "a", "store.a": "a", "pacs.b": "b", "viewer.a": "a"}
    known = {host: {"clinic": {"name": name}, "clinic_host": {"name": host[:-2]}} for host, name in clinics.items()}
    groups = {"orthanc_servers": list(clinics), "declared_only": ["viewer.a"]}
    servers = action._servers({"hostvars": known, "groups": groups, "clinic": {"name": "a"}})
    assert servers == {"pacs.a": "pacs", "store.a": "store"}
    answers = {"pacs.a": {"devices": {}, "shown": "x"}, "store.a": {"devices": {}, "shown": "y"}, "pacs.b": {}}
    assert action._of_each(servers, answers) == {"pacs": answers["pacs.a"], "store": answers["store.a"]}
    for silent in ({}, {"store.a": {"unreachable": True}}):
        with pytest.raises(HardeningError, match=r"^store\.a did not answer, or is left out by --limit; an authority"):
            action._of_each(servers, {"pacs.a": answers["pacs.a"], **silent})
