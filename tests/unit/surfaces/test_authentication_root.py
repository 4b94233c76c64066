# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Root's password: what passwd says, when it is locked, what undoes that, and who must not be locked out."""

from __future__ import annotations

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import root_account
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import Deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, Result

UNMET = ["authentication.root.password"]
SSHD = {"installed": True, "UsePAM": "yes"}


class Passwd(Host):
    """A host on which passwd answers, and that keeps what was run and what would undo it."""

    def __init__(self, said):
        super().__init__()
        self.said, self.ran, self.undo = said, [], []

    def run(self, command, **dummy):
        self.ran.append(list(command))
        return Result(0 if self.said else 127, self.said, "")

    def undone_by(self, name, *command):
        self.undo.append((len(self.ran), list(command)))


def steps(found="set", unmet=None, sshd=None, root_login="prohibit-password", pam=None, *, sudo_asks=(), **scope):
    unmet, sshd = UNMET if unmet is None else unmet, sshd or SSHD
    found = {"password": found, "sudo_asks": list(sudo_asks)}
    return root_account.steps(found, unmet, sshd, scope, {"PermitRootLogin": root_login, **(pam or {})})


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("root L 2026-11-25 0 99999 7 -1\n", "locked"),
        ("root P 2026-11-25 0 99999 7 -1\n", "set"),
        ("root NP 2026-11-25 0 99999 7 -1\n", "none"),
        ("root ? \n", None),
        ("", None),
    ],
)
def test_passwd_is_read(said, state):
    assert root_account.observe(Passwd(said), {})["password"] == state


@pytest.mark.parametrize(("former", "option"), [("set", "--unlock"), ("none", "--delete")])
def test_the_lock_is_kept_for_undo_before_it_is_put(former, option):
    host = Passwd("done\n")
    (step,) = steps(former)
    step.do(host)
    assert host.ran == [["passwd", "--lock", "root"]]
    assert host.undo == [(0, ["passwd", option, "root"])]


def test_a_locked_root_has_no_plan():
    assert steps("locked", unmet=[]) == []


def test_who_becomes_root_by_its_password_is_not_locked_out():
    with pytest.raises(HardeningError, match=r"become root by su.*use sudo"):
        steps(becomes_by="su")
    assert steps(becomes_by="sudo")
    assert steps("locked", unmet=[], becomes_by="su") == []


def sudo(settings="", special="", allowed="(ALL : ALL) ALL"):
    """Return what sudo 1.9.13 says of anna."""
    return (
        "Matching Defaults entries for anna on pacs:\n"
        f"    env_reset, mail_badpass, secure_path=/usr/sbin\\:/usr/bin, use_pty{settings}\n\n"
        + (f"Runas and Command-specific defaults for anna:\n    {special}\n\n" if special else "")
        + (f"User anna may run the following commands on pacs:\n    {allowed}\n" if allowed else "")
        + ("" if allowed else "User anna is not allowed to run sudo on pacs.\n")
    )


@pytest.mark.parametrize(
    ("said", "needs"),
    [
        (sudo(), False),
        *((sudo(f", {word}"), True) for word in ("rootpw", "runaspw", "targetpw")),
        (sudo(", rootpw, !rootpw"), False),
        (sudo(", !rootpw, rootpw, env_keep+=X"), True),
        (sudo(', passprompt="say rootpw, please"'), False),
        (sudo(', passprompt="the password, please", targetpw'), True),
        (sudo(special="Defaults>root runaspw"), True),
        (sudo(special="Defaults!/bin/sh rootpw"), True),
        (sudo(", rootpw", allowed="(ALL : ALL) NOPASSWD: ALL"), False),
        (sudo(", rootpw", allowed="(ALL : ALL) NOPASSWD: /bin/ls, PASSWD: ALL"), True),
        (sudo(", rootpw", allowed="(ALL : ALL) NOPASSWD: /bin/ls\n    (root) /bin/sh"), True),
        (sudo(", rootpw, !authenticate"), False),
        (sudo(", rootpw", allowed=""), False),
        ("", False),
    ],
)
def test_sudo_is_asked_who_needs_the_password_of_root(said, *, needs):
    assert root_account.needs_root(said) is needs


class Sudo(Passwd):
    """A host with people, of whom sudo asks root's password."""

    def text(self, path):
        people = "anna:x:1000:1000::/home/anna:/bin/bash\nnobody:x:65534:65534::/:/usr/sbin/nologin\n"
        return f"root:x:0:0::/root:/bin/bash\nwww:x:33:33::/:/bin/sh\n{people}" if path == "/etc/passwd" else None

    def run(self, command, **dummy):
        super().run(command)
        said = {"sudo": sudo(", rootpw"), "getent": "sudo:x:27:dora,anna\nadmin:x:1001:\n"}
        return Result(0, said.get(command[0], self.said), "")


def test_people_and_the_engineer_are_asked_for_where_root_is_not_locked():
    assert root_account.observe(Sudo("root P\n"), {"engineer": "ldap"})["sudo_asks"] == ["anna", "dora", "ldap"]
    assert root_account.observe(Sudo("root P\n"), {"engineer": "root"})["sudo_asks"] == ["anna", "dora"]
    host = Sudo("root L\n")
    assert root_account.observe(host, {"engineer": "anna"}) == {"password": "locked", "sudo_asks": []}
    assert host.ran == [["passwd", "--status", "root"]]


def test_root_is_not_locked_where_sudo_asks_for_its_password():
    (step,) = steps(sudo_asks=["anna"], becomes_by="sudo", engineer="anna")
    assert isinstance(step, Deliberate)
    assert step.does.startswith("sudo asks anna for root's password")
    assert root_account.steps({"password": "set"}, UNMET, SSHD, {}, {"PermitRootLogin": "no"})
    assert steps("locked", unmet=[], sudo_asks=["anna"]) == []


def test_keys_of_root_go_on_to_open_an_sshd_without_pam():
    with pytest.raises(HardeningError, match="UsePAM yes"):
        steps(sshd={**SSHD, "UsePAM": "no"})
    assert steps(sshd={**SSHD, "UsePAM": "no"}, root_login="no")
    assert steps(sshd={"installed": False, "UsePAM": None})


@pytest.mark.parametrize(("engineer", "refused"), [("anna", False), ("root", True), ("", True)])
def test_an_sshd_that_gets_pam_back_refuses_only_whoever_is_in_as_root_or_unknown(engineer, refused):
    given = {"sshd": {**SSHD, "UsePAM": "no"}, "pam": {"UsePAM": "yes"}, "engineer": engineer}
    if not refused:
        assert steps(**given)
        return
    with pytest.raises(HardeningError, match="UsePAM yes"):
        steps(**given)
