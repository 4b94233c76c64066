# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is read of PAM's files, and what is planned and done about accounts that are not locked."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import account_lockout
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, Result

BEFORE = "auth\trequisite\tpam_faillock.so preauth deny=5 unlock_time=900\n"
UNIX = "auth\t[success=2 default=ignore]\tpam_unix.so nullok try_first_pass\n"
AFTER = "auth\t[default=die]\tpam_faillock.so authfail deny=5 unlock_time=900\n"
REST = "auth\trequisite\t\t\tpam_deny.so\n"
AUTH = f"# here are the modules\n{BEFORE}{UNIX}{AFTER}{REST}"
ACCOUNT = "account\trequired\tpam_faillock.so\naccount [success=1 default=ignore] pam_unix.so\n"
HELD = {"in_force": True, "deny": 5, "unlock_time": 900, "of_others": False}
NONE = {"in_force": False, "deny": None, "unlock_time": None, "of_others": False}


class Pam(Host):
    """A host below a folder, whose pam-auth-update writes the file that it is given."""

    def __init__(self, root: str, becomes: str = AUTH) -> None:
        super().__init__(root)
        self.becomes, self.commands = becomes, []

    def run(self, command, **_):
        self.commands.append(list(command))
        (self.file(account_lockout.AUTH)).write_text(self.becomes)
        return Result(0, "", "")

    def file(self, path):
        return Path(self.path(path))

    def undone_by(self, name, *command):
        self.commands.append(["undo", *command])

    def write(self, path, content, **_):
        self.file(path).write_text(content)


@pytest.fixture(name="host")
def pam(tmp_path):
    for folder in ("etc/pam.d", "etc/security", "usr/share/pam-configs"):
        (tmp_path / folder).mkdir(parents=True)
    return Pam(str(tmp_path))


def lay(host, auth=AUTH, account=ACCOUNT, settings=None, ours=True):
    host.file(account_lockout.AUTH).write_text(auth)
    host.file(account_lockout.ACCOUNT).write_text(account)
    if settings is not None:
        host.file(account_lockout.SETTINGS).write_text(settings)
    for name, text in account_lockout.OURS.items() if ours else ():
        host.file(f"{account_lockout.PROFILES}/{name}").write_text(text)
    return account_lockout.observe(host)


def test_what_pam_auth_update_writes_is_in_force(host):
    assert lay(host) == HELD
    assert lay(host, settings="# deny = 2\ndeny = 9\nunlock_time = 10\n") == HELD


@pytest.mark.parametrize(
    ("auth", "account"),
    [
        (UNIX + REST, ACCOUNT),
        (BEFORE + UNIX + REST, ACCOUNT),
        (UNIX + AFTER + REST, ACCOUNT),
        (UNIX + BEFORE + AFTER + REST, ACCOUNT),
        (BEFORE + AFTER + UNIX + REST, ACCOUNT),
        (AUTH.replace("auth\t[default=die]", "# auth\t[default=die]"), ACCOUNT),
        (BEFORE + AFTER, ACCOUNT),
        ("", ""),
    ],
)
def test_lines_that_are_missing_or_misplaced_count_nothing(host, auth, account):
    assert lay(host, auth, account) == NONE


def test_what_no_account_line_resets_is_not_in_force(host):
    assert lay(host, account="account required pam_unix.so\n") == {**HELD, "in_force": False}


@pytest.mark.parametrize(
    ("settings", "deny", "unlock_time"),
    [
        (None, 3, 600),
        ("deny=4\nunlock_time = never\n", 4, 0),
        ("silent\n  deny = 10 # many\n#unlock_time = 1\n", 10, 600),
    ],
)
def test_lines_without_arguments_leave_it_to_the_file(host, settings, deny, unlock_time):
    bare = AUTH.replace(" deny=5 unlock_time=900", "")
    found = lay(host, bare, settings=settings, ours=False)
    assert found == {"in_force": True, "deny": deny, "unlock_time": unlock_time, "of_others": True}


def test_of_two_lines_that_differ_the_laxer_is_told(host):
    found = lay(host, AUTH.replace("authfail deny=5 unlock_time=900", "authfail deny=7 unlock_time=60"))
    assert (found["deny"], found["unlock_time"]) == (7, 60)


def test_a_host_that_keeps_it_has_no_plan_and_others_ways_are_refused_by_name():
    assert account_lockout.steps(HELD, []) == []
    others = {"in_force": True, "deny": 10, "unlock_time": 60, "of_others": True}
    with pytest.raises(HardeningError, match=r"common-auth already, with deny=10 and unlock_time=60"):
        account_lockout.steps(others, ["authentication.lockout.deny"])


def test_the_undo_is_kept_before_pam_is_changed(host):
    lay(host, UNIX + REST, ours=False)
    (step,) = account_lockout.steps(NONE, ["authentication.lockout.in_force"])
    assert step.does == "Lock an account for 15 minutes after 5 wrong passwords (pam_faillock)"
    step.do(host)
    undo, done = host.commands
    assert undo[0] == "undo"
    assert undo[-3:] == ["--disable", *account_lockout.OURS]
    assert done[-3:] == ["--enable", *account_lockout.OURS]
    assert account_lockout.observe(host) == HELD


def test_a_file_that_pam_auth_update_leaves_alone_is_named(host):
    lay(host, UNIX + REST, ours=False)
    host.becomes = UNIX + REST
    (step,) = account_lockout.steps(NONE, ["authentication.lockout.in_force"])
    with pytest.raises(HardeningError, match="changed by hand"):
        step.do(host)
