# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whom sshd lets in: what is asked of it, whom a run keeps in, and what it says of those whom nobody declared."""

from __future__ import annotations

import hashlib

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import ssh_asked, ssh_daemon, ssh_group
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, Result

LOGINS = ("root", "engineer", "c.moreau", "backup", "vendor")
SCOPE = {
    "ssh_user": "engineer",
    "people": [{"login": "c.moreau", "role": "administrator"}, {"login": "a.martin", "role": "reader"}],
    "root_login": "prohibit-password",
}
SSHD = {"authorized_keys": dict.fromkeys(LOGINS, 1), "keys_from_elsewhere": False}
ALL = [f"authentication.ssh_access.{name}" for name in ("limited", "refused", "strangers", "lines")]


class Machine(Host):
    """A folder as the host; sshd says the lines of its files, and the journal what it is told."""

    accepted: tuple[str, ...] = ()

    def run(self, command, **_):
        if command[:2] == [ssh_daemon.BINARY, "-T"]:
            read = (line for line in ssh_daemon.lines(self) if not line["match"])
            said = [f"{line['keyword']} {word}" for line in read for word in line["value"].split()]
            return Result(0, "\n".join(["port 22", *said]), "")
        if command[0] == "getent":
            return Result(0, f"{command[2]}:x:1\n" if command[2] in LOGINS else "", "")
        if command[0] == "id":
            mine = [ssh_group.NAME] if command[2] in ssh_group.members(self, ssh_group.NAME) else []
            return Result(0, " ".join([command[2], *mine]), "")
        if command[0] == "journalctl":
            told = (f"Accepted publickey for {login} from 10.0.0.9 port 5 ssh2" for login in self.accepted)
            return Result(0, "\n".join(told), "")
        return Result(0, "", "")


def host(tmp_path, group="", accepted=(), **files):
    passwd = "".join(f"{login}:x:{1000 + at}:{at}::/home/{login}:/bin/bash\n" for at, login in enumerate(LOGINS))
    shadow = "".join(f"{login}:*:1:0:9:7:::\n" for login in LOGINS)
    texts = {"/etc/passwd": passwd, "/etc/shadow": shadow, "/etc/group": f"{ssh_group.NAME}:x:990:{group}\n"}
    texts |= {ssh_daemon.MAIN: f"{ssh_daemon.INCLUDE}\nPort 22\n"}
    texts |= {f"{ssh_daemon.FOLDER}/{name}.conf": text for name, text in files.items()}
    for path, text in texts.items():
        target = tmp_path / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    machine = Machine(str(tmp_path))
    machine.accepted = tuple(accepted)
    return machine


def seen(machine, **scope):
    return ssh_group.observe(machine, {**SCOPE, **scope}, SSHD)


def told(found, unmet=tuple(ALL), **scope):
    given = {**SCOPE, **scope}
    steps = [
        *ssh_group.before(found, given, wanted=True),
        *ssh_group.within(found, list(unmet), given, wanted=True),
        *ssh_group.left(found, list(unmet), given),
    ]
    return [step.does for step in steps]


HELD = {"group": "engineer,root,c.moreau", "00-radiology-ssh-group": ssh_group.TEXT}


def test_a_host_whose_group_is_in_force_has_nothing_to_say(tmp_path):
    found = seen(host(tmp_path, **HELD))
    assert (found["limited"], found["refused"], found["strangers"], found["lines"]) == (True, [], [], [])
    assert found["file"] == hashlib.sha256(ssh_group.TEXT.encode()).hexdigest()
    assert (found["advice"], told(found, ())) == ([], [])


def test_the_group_stands_before_sshd_is_told_and_names_who_comes_in_no_more(tmp_path):
    found = seen(host(tmp_path))
    limiting = "Let in members of group radiology-ssh alone over SSH"
    assert (found["limited"], found["idle"]) == (False, ["backup", "vendor"])
    assert told(found) == [
        "Put engineer, root, c.moreau into group radiology-ssh, whose members come in over SSH",
        f"{limiting}; backup, vendor, whom nobody declared, no more ({ssh_group.FILE})",
    ]
    assert seen(host(tmp_path), ssh_accounts=["backup", "absent"])["declared"] == [*HELD["group"].split(","), "backup"]


def test_who_came_in_lately_and_is_not_declared_is_told_and_nothing_is_limited(tmp_path):
    found = seen(host(tmp_path, accepted=["engineer", "backup", "gone"]))
    assert (found["recent"], found["idle"]) == (["backup"], ["vendor"])
    group, left = told(found)
    assert group.startswith("Put engineer, root, c.moreau into group")
    assert left.startswith("backup, whom nobody declared, comes in over SSH: write it in authentication_ssh_accounts")
    assert found["advice"] == [left]
    assert "Let in members" in told(seen(host(tmp_path, accepted=["backup"]), ssh_accounts=["backup"]))[-1]


def test_the_login_of_the_run_is_a_member_whatever_is_declared(tmp_path):
    found = seen(host(tmp_path, accepted=["vendor"]))
    assert told(found, engineer="vendor")[0].startswith("Put engineer, root, c.moreau, vendor into group")
    assert any("Let in members" in each for each in told(found, engineer="vendor"))
    again = seen(host(tmp_path, **{**HELD, "group": "engineer,root,c.moreau,vendor"}, accepted=["vendor"]))
    assert told(again, ["authentication.ssh_access.strangers"], engineer="vendor") == again["advice"]


def test_a_member_whom_nobody_declared_leaves_unless_it_came_in_lately(tmp_path):
    files = {**HELD, "group": "engineer,root,c.moreau,vendor"}
    unmet = ["authentication.ssh_access.strangers"]
    assert seen(host(tmp_path, **files))["strangers"] == ["vendor"]
    assert told(seen(host(tmp_path, **files)), unmet) == [
        "Take vendor, whom nobody declared, out of group radiology-ssh"
    ]
    assert told(seen(host(tmp_path, **files, accepted=["vendor"])), unmet)[0].startswith("vendor, whom nobody declared")


@pytest.mark.parametrize(
    ("text", "lines", "refused"),
    [
        ("AllowGroups staff\n", [1], []),
        ("AllowGroups radiology-ssh\n", [], []),
        ("AllowUsers engineer root\n", [1], ["c.moreau"]),
        ("AllowUsers engineer root c.*@10.0.0.0/8\n", [], []),
        ("AllowUsers *\nDenyUsers guest c.moreau\n", [2], ["c.moreau"]),
        ("DenyUsers c.moreau@192.0.2.7\n", [], []),
        ("DenyGroups radiology-*\n", [1], ["engineer", "root", "c.moreau"]),
        ("DenyGroups guests\n", [], []),
        ("Match LocalPort 2222\nAllowGroups staff\n", [2], []),
    ],
)
def test_lines_of_others_are_judged_by_whom_they_let_in(tmp_path, text, lines, refused):
    machine = host(tmp_path, **HELD, **{"10-site": text})
    found = seen(machine)
    assert found["lines"] == [f"{ssh_daemon.FOLDER}/10-site.conf:{number}" for number in lines]
    assert found["refused"] == refused
    assert [each.startswith("Set aside") for each in told(found, ALL[1:] if lines else ())] == [True] * len(lines)


def test_what_holds_no_more_where_the_control_is_waived_and_what_root_may_not(tmp_path):
    found = seen(host(tmp_path, **HELD), root_login="no")
    assert (found["declared"], found["strangers"]) == (["engineer", "c.moreau"], [])
    (step,) = ssh_group.within(found, [], SCOPE, wanted=False)
    assert step.does == f"Let in whoever has a key again ({ssh_group.FILE})"
    assert ssh_group.before({**found, "members": []}, SCOPE, wanted=False) == []
    assert ssh_group.within({**found, "file": None}, [], SCOPE, wanted=False) == []


def test_sessions_and_logins_at_a_terminal_count_and_titles_of_others_do_not(tmp_path):
    answers = {
        "ps": "root sshd: carla [priv]\ncarla sshd: carla@pts/0\nroot sshd-session: dora@notty\neve sshd: frank@pts/1\n",
        "last": "gina pts/0 10.0.0.4 Thu Nov 26 10:00 still logged in\nhugo tty7 :0 Thu Nov 26 10:00\n",
        "lastlog": "Username Port From Latest\nida pts/2 10.0.0.5 Wed Sep 30 10:00\njon pts/3 Wed Sep 30 10:00\n",
    }

    class Remembering(Machine):
        def run(self, command, **_):
            return Result(0, answers.get(command[0], ""), "")

    assert ssh_group.came_in(Remembering(str(tmp_path))) == ["carla", "dora", "gina", "ida"]


def test_sshd_is_asked_with_all_that_a_match_block_may_ask_for(tmp_path):
    class Connected(Machine):
        def run(self, command, **_):
            return Result(0, "0 0 10.0.0.1:2222 10.0.0.9:5\n0 0 [::ffff:10.0.0.1]:2222 10.99.1.3:6\n0 0 a\n", "")

    scope = {"ssh_user": "engineer", "addresses": ["10.0.0.1", "fd00::1"], "tunnel": {"network": ["10.99.1.0/24"]}}
    asked = [*ssh_asked.strangers(scope, ["2222"]), *ssh_asked.engineers(Connected(str(tmp_path)), scope, ["2222"])]
    who = "user=radiology-stranger,host=192.0.2.1,addr=192.0.2.1"
    assert asked == [
        f"{who},laddr=10.0.0.1,lport=2222,rdomain=",
        f"{who},laddr=fd00::1,lport=2222,rdomain=",
        "user=engineer,host=10.0.0.9,addr=10.0.0.9,laddr=10.0.0.1,lport=2222,rdomain=",
    ]


def test_what_a_folder_says_that_is_to_be_read_is_set_aside_before_it_is(tmp_path):
    """sshd_config of Debian 10 reads no folder: a file there shuts out everybody once it does."""
    machine = host(tmp_path, **HELD, **{"10-site": "AllowUsers vendor\nMatch User guest\nX11Forwarding yes\n"})
    (tmp_path / ssh_daemon.MAIN.lstrip("/")).write_text("Port 22\nX11Forwarding yes\n")
    site = f"{ssh_daemon.FOLDER}/10-site.conf"
    assert seen(machine)["lines"] == [f"{site}:1"]
    found = ssh_daemon.observe(machine, {})
    assert (found["included"], found["shadows"], found["exceptions"]) == (False, [], [f"{site}:3"])
    assert site not in found["overriding"][0]
    assert f"x11forwarding yes in {ssh_daemon.MAIN}:2" in found["overriding"][0]
