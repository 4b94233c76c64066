# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who comes in at a workstation, and who administers it."""

from __future__ import annotations

import subprocess

import people_host
import pytest
from ansible_collections.radiology.hardening.plugins.action import workstation as action
from ansible_collections.radiology.hardening.plugins.module_utils import (
    workstation_accounts,
    workstation_people,
)
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import parted
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from people_host import HASH, PEOPLE, SCOPE, Machine

ALL = [f"people.{name}" for name in ("missing", "departed", "unable", "undeclared", "shared", "privileged")]


@pytest.fixture
def machine(tmp_path):
    return people_host.practice(tmp_path)


def seen(machine, **scope):
    found = workstation_people.observe(machine, {**SCOPE, **scope})
    return {name: told for name, told in found.items() if told and "advice" not in name}


def does(machine, **scope):
    given = {**SCOPE, **scope}
    return [step.does for step in workstation_people.steps(workstation_people.observe(machine, given), ALL, given)]


def test_people_of_the_clinic_file_and_the_engineer_are_no_finding(machine):
    assert seen(machine) == {}
    assert does(machine) == []


@pytest.mark.parametrize(
    ("secret", "expires", "keys", "opens"),
    [
        (HASH, "", False, True),
        ("", "", False, True),
        ("!", "", False, False),
        (f"!{HASH}", "", False, False),
        (f"!{HASH}", "", True, True),
        (HASH, "1", True, False),
        (HASH, "99999", False, True),
    ],
)
def test_somebody_comes_in_by_a_password_or_a_key_until_the_account_has_expired(tmp_path, secret, expires, keys, opens):
    machine = Machine(tmp_path)
    machine.account("other", secret, expires)
    if keys:
        machine.lay("/home/other/.ssh/authorized_keys", "# none\nssh-ed25519 AAAA\n")
    assert workstation_accounts.accounts(machine)[-1].opens is opens
    assert seen(machine, people=[]) == ({"undeclared": ["other"]} if opens else {})


def test_a_row_that_points_elsewhere_is_no_account(machine):
    machine.lay("/etc/passwd", f"{machine.text('/etc/passwd')}+::::::\n-guest::::::\n")
    assert [each.login for each in workstation_accounts.accounts(machine)][-1] == "c.moreau"
    assert seen(machine) == {}


def test_an_account_without_a_shell_is_nobodys_login(tmp_path):
    machine = Machine(tmp_path)
    machine.account("other", shell="/usr/sbin/nologin")
    assert seen(machine, people=[]) == {}


@pytest.mark.parametrize("login", ["radio", "Radio2", "pacs", "guest", "imaging-1", "secretariat", "user", "ws_3"])
def test_an_account_of_everybodys_is_named_even_where_it_is_declared(machine, login):
    machine.account(login)
    assert seen(machine) == {"shared": [login]}
    assert seen(machine, accounts=[login]) == {"shared": [login]}
    assert "shared" in seen(machine, people=[*PEOPLE, {"login": login, "role": "reader"}])
    ordinary, left = parted(workstation_people.steps(workstation_people.observe(machine, SCOPE), ALL, SCOPE))
    assert ordinary == []
    assert left[0].does.startswith(f"{login} is an account of everybody's")


def test_another_account_is_told_unless_the_site_names_it_or_it_is_the_engineers(machine):
    machine.account("h.meyer")
    assert seen(machine) == {"undeclared": ["h.meyer"]}
    assert seen(machine, accounts=["h.meyer"]) == {}
    assert seen(machine, engineer="h.meyer") == {"undeclared": ["engineer"], "privileged": ["engineer in group sudo"]}


def test_who_is_gone_from_the_clinic_file_loses_the_login_and_no_more(machine):
    machine.account("b.leroy")
    machine.join("radiology-people", "b.leroy")
    facts = workstation_people.observe(machine, SCOPE)
    assert (facts["departed"], facts["undeclared"]) == (["b.leroy"], [])
    (step,) = workstation_people.steps(facts, ALL, SCOPE)
    step.do(machine)
    assert machine.asked[-1] == "usermod --expiredate 1970-01-02 b.leroy"
    machine.account("b.leroy", expires="1")
    assert seen(machine) == {}


def test_a_new_account_is_opened_last_and_its_password_is_in_no_command(machine):
    scope = {**SCOPE, "people": [*PEOPLE, {"login": "d.new", "name": "Dora: New,\n", "role": "technician"}]}
    facts = workstation_people.observe(machine, scope)
    assert facts["missing"] == ["d.new"]
    (step,) = workstation_people.steps(facts, ALL, {**scope, "initial_passwords": {"d.new": "The-first-one"}})
    machine.asked.clear()
    step.do(machine)
    made, *rest = machine.asked
    assert made.startswith("useradd --create-home --key HOME_MODE=0700")
    assert made.endswith("--comment Dora New --expiredate 1970-01-02 d.new")
    assert rest == [
        "gpasswd --add d.new radiology-people",
        "chpasswd",
        "chage --lastday 0 d.new",
        "usermod --expiredate  d.new",
    ]
    assert machine.given == ["d.new:The-first-one\n"]
    with pytest.raises(HardeningError, match="the controller gives no first password"):
        workstation_people.steps(facts, ALL, scope)[0].do(machine)


@pytest.mark.parametrize(
    ("account", "marked", "missing", "fresh"),
    [
        ((HASH, "", False), False, True, False),
        (("!", "", False), True, True, True),
        (("!", "", True), True, False, False),
        ((HASH, "1", False), True, True, True),
        ((f"!{HASH}", "", False), True, False, False),
        ((HASH, "19000", False), True, False, False),
    ],
    ids=["had before", "never had one", "a key", "came back", "locked by somebody", "expired by somebody"],
)
def test_a_password_that_a_person_has_stays(tmp_path, account, marked, missing, fresh):
    machine = Machine(tmp_path)
    secret, expires, keys = account
    machine.account("a.martin", secret, expires)
    machine.join("radiology-people", *(["a.martin"] if marked else []))
    if keys:
        machine.lay("/home/a.martin/.ssh/authorized_keys", "ssh-ed25519 AAAA\n")
    scope = {**SCOPE, "people": PEOPLE[:1], "initial_passwords": {"a.martin": "The-first-one"}}
    facts = workstation_people.observe(machine, scope)
    assert facts["missing"] == (["a.martin"] if missing else [])
    for step in workstation_people.steps(facts, ALL, scope):
        step.do(machine)
    assert ("chpasswd" in machine.asked) is fresh
    assert not any(words.startswith("useradd") for words in machine.asked)


def test_what_undoes_needs_no_account_that_is_gone():
    for words in (workstation_people.LEAVE, workstation_people.JOIN, workstation_people.CLOSE):
        done = subprocess.run(["sh", "-c", words, "sh", "nobody-of-this-name", "sudo"], check=False)
        assert done.returncode == 0


def test_a_reader_leaves_the_group_sudo_and_an_administrator_joins_it(machine):
    machine.groups["sudo"] = ["engineer", "a.martin"]
    machine.join("adm", "a.martin")
    assert seen(machine) == {
        "unable": ["c.moreau"],
        "privileged": ["a.martin in group adm", "a.martin in group sudo"],
    }
    machine.asked.clear()
    facts = workstation_people.observe(machine, SCOPE)
    machine.asked.clear()
    for step in workstation_people.steps(facts, ALL, SCOPE):
        step.do(machine)
    assert machine.asked == [
        "gpasswd --add c.moreau sudo",
        "gpasswd --delete a.martin adm",
        "gpasswd --delete a.martin sudo",
    ]


def test_nobody_leaves_a_group_while_it_is_not_known_who_the_engineer_is(machine):
    machine.join("sudo", "a.martin")
    ordinary, left = parted(
        workstation_people.steps(workstation_people.observe(machine, SCOPE), ALL, {**SCOPE, "engineer": ""})
    )
    assert ordinary == []
    assert "a.martin in group sudo may administer this machine" in left[0].does


def test_what_sudoers_grants_and_what_an_undeclared_account_may_is_left_to_a_person(machine):
    machine.answers["--other-user a.martin"] = "User a.martin may run the following commands on ws:\n    (ALL) ALL\n"
    machine.account("h.meyer")
    machine.join("docker", "h.meyer")
    facts = workstation_people.observe(machine, SCOPE)
    assert facts["privileged"] == ["a.martin by sudoers", "h.meyer in group docker"]
    assert len(facts["privilege_advice"]) == 2
    ordinary, left = parted(workstation_people.steps(facts, ["people.privileged"], SCOPE))
    assert (ordinary, len(left)) == ([], 2)


def test_a_first_group_is_a_membership_too_and_cannot_be_left(machine):
    row, secret = machine.people["a.martin"]
    machine.people["a.martin"] = (row.replace(":1002::", ":900::"), secret)
    machine.join("sudo")
    assert machine.text("/etc/group").startswith("sudo:x:900:")
    assert seen(machine) == {"privileged": ["a.martin in group sudo"]}
    (step,) = workstation_people.steps(workstation_people.observe(machine, SCOPE), ALL, SCOPE)
    with pytest.raises(HardeningError, match="is the first group of"):
        step.do(machine)


def test_a_login_of_debians_own_is_refused_before_anything_is_done(machine):
    machine.account("backup", number=30)
    scope = {**SCOPE, "people": [{"login": "backup", "role": "reader"}]}
    with pytest.raises(HardeningError, match="people of the clinic file has backup, an account of the system"):
        does(machine, **scope)


class Vault:
    """A clinic's secrets."""

    path = "/clinic/vault.yml"

    def __init__(self, **held: str) -> None:
        self.held = held

    def ensure(self, name):
        return self.held.setdefault(name[1], "Xq7pT2mWv9Kd4sB8hRnZcLty")


def test_a_first_password_that_would_be_guessed_is_refused_and_one_that_is_missing_is_made():
    assert set(action.first_passwords(Vault(), {"people": PEOPLE})) == {"a.martin", "c.moreau"}
    with pytest.raises(HardeningError, match=r"would be guessed: initial_passwords\.a\.martin\. Take them out"):
        action.first_passwords(Vault(**{"a.martin": "Sommer2026"}), {"people": PEOPLE})
