# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""sshd on fixture trees: what is read before the drop-in, Match blocks, lockouts, and what sshd refuses."""

from __future__ import annotations

import getpass
import grp
import hashlib
import os
import shlex
from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import (
    ssh_command_line,
    ssh_daemon,
    ssh_group,
    ssh_undo,
)
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, Result
from ansible_collections.radiology.hardening.plugins.module_utils.steps import apply

TITLE = "sshd: /usr/sbin/sshd -D {} [listener] 0 of 10-100 startups"
STOCK = "# Debian's\n\nInclude /etc/ssh/sshd_config.d/*.conf\n\nKbdInteractiveAuthentication no\nX11Forwarding yes\n"
SAID = "".join(f"{keyword.lower()} {value}\n" for keyword, value in ssh_daemon.KEYWORDS.items())


class Fixture(Host):
    """A folder as the host; sshd and systemctl answer from a table."""

    def __init__(self, root, said=SAID, refuses=""):
        super().__init__(str(root))
        self.said, self.refuses, self.ran = said, refuses, []

    def run(self, command, **_):
        self.ran.append(" ".join(command))
        if command[:2] == [ssh_daemon.BINARY, "-T"]:
            settings = dict(line.split(" ", 1) for line in self.said.splitlines())
            settings |= {key.lower(): value for key, _equals, value in (each.partition("=") for each in command[3::2])}
            return Result(0, "".join(f"{key} {value}\n" for key, value in settings.items()), "")
        if command == [ssh_daemon.BINARY, "-t"]:
            text = "".join(self.text(f"{ssh_daemon.FOLDER}/{name}") or "" for name in self.list(ssh_daemon.FOLDER))
            bad = bool(self.refuses) and self.refuses in text
            return Result(255 if bad else 0, "", f"Bad configuration option: {self.refuses}" if bad else "")
        if command[:2] == ["systemctl", "show"]:
            return Result(
                0, "ActiveState=active\nUnitFileState=enabled\nStateChangeTimestampMonotonic=0\nMainPID=7\n", ""
            )
        if command == ["systemctl", "restart", ssh_daemon.UNIT] and (said := self.text(ssh_command_line.DEFAULTS)):
            started = shlex.split(said.rpartition("SSHD_OPTS=")[2])
            tree(Path(self.root), {"/proc/7/cmdline": TITLE.format(*started or [""])})
        return Result(0, "", "")

    def write(self, path, content, **how):
        super().write(path, content, **{**how, **self.me})

    def folder(self, path, **how):
        super().folder(path, **{**how, **self.me})

    @property
    def me(self):
        return {"owner": getpass.getuser(), "group": grp.getgrgid(os.getgid()).gr_name}


def tree(tmp_path, files):
    for path, text in files.items():
        target = tmp_path / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return tmp_path


def host(tmp_path, files, **how):
    (tmp_path / "run").mkdir(exist_ok=True)
    return Fixture(
        tree(tmp_path, {"/etc/passwd": "root:x:0:0::/root:/bin/bash\n", ssh_daemon.MAIN: STOCK, **files}), **how
    )


def planned(machine, **scope):
    facts = ssh_daemon.observe(machine, scope)
    digest = hashlib.sha256(ssh_daemon.render(scope).encode()).hexdigest()
    return ssh_daemon.plan(facts, [], digest, scope)


def test_in_a_main_file_without_an_include_the_right_lines_are_set_aside(tmp_path):
    """sshd_config of Debian 10, which an upgrade left as it was."""
    rows = [
        "Port 22",
        "AllowUsers vendor",
        "X11Forwarding yes",
        "Match User guest",
        "  PasswordAuthentication yes",
        "  Banner none",
    ]
    machine = host(tmp_path, {ssh_daemon.MAIN: "\n".join(rows) + "\n"})
    facts = ssh_daemon.observe(machine, {})
    assert (facts["included"], facts["exceptions"]) == (False, [f"{ssh_daemon.MAIN}:5"])
    group = {"recent": [], "strangers": [], "idle": [], "declared": ["root"], "command_line": []}
    group["lines"] = [f"{ssh_daemon.MAIN}:2"]
    unmet = [f"authentication.ssh_access.{name}" for name in ("limited", "lines")]
    more = ssh_group.within(group, unmet, {}, wanted=True)
    digest = hashlib.sha256(ssh_daemon.render({}).encode()).hexdigest()
    apply(machine, ssh_daemon.plan(facts, [], digest, {}, (more, ssh_group.touched(group))))
    rows[1], rows[4] = ssh_daemon.ASIDE + rows[1], ssh_daemon.ASIDE + rows[4].strip()
    assert machine.text(ssh_daemon.MAIN).splitlines() == [ssh_daemon.INCLUDE, *rows]
    assert machine.text(ssh_group.FILE) == ssh_group.TEXT
    again = ssh_daemon.observe(machine, {})
    assert (again["included"], again["shadows"], again["exceptions"]) == (True, [], [])


def test_a_stock_host_gets_the_drop_in_and_a_reload(tmp_path):
    machine = host(tmp_path, {})
    steps = planned(machine)
    assert [step.does for step in steps] == [
        ssh_undo.UNDO.armed,
        f"Let people in over SSH by key only ({ssh_daemon.FILE})",
        "Reload sshd, which keeps sessions open",
    ]
    apply(machine, steps)
    assert "PasswordAuthentication no" in machine.text(ssh_daemon.FILE)
    assert "systemctl reload ssh.service" in machine.ran


def test_what_comes_first_and_what_a_match_block_says_is_set_aside(tmp_path):
    files = {
        f"{ssh_daemon.FOLDER}/00-convenience.conf": "PasswordAuthentication yes\nPort 22\n",
        f"{ssh_daemon.FOLDER}/50-cloud-init.conf": "PasswordAuthentication yes\n",
        ssh_daemon.MAIN: "PermitRootLogin=yes\n"
        + STOCK
        + "Match User guest\n  PasswordAuthentication yes\n  Banner none\n",
    }
    machine = host(tmp_path, files)
    facts = ssh_daemon.observe(machine, {})
    assert facts["shadows"] == [f"{ssh_daemon.MAIN}:1", f"{ssh_daemon.FOLDER}/00-convenience.conf:1"]
    assert facts["exceptions"] == [f"{ssh_daemon.MAIN}:9"]
    apply(machine, planned(machine))
    again = ssh_daemon.observe(machine, {})
    assert (again["shadows"], again["exceptions"]) == ([], [])
    assert machine.text(f"{ssh_daemon.FOLDER}/00-convenience.conf") == (
        "# Set aside by radiology.hardening: PasswordAuthentication yes\nPort 22\n"
    )
    assert machine.text(f"{ssh_daemon.FOLDER}/50-cloud-init.conf") == "PasswordAuthentication yes\n"
    assert "Banner none" in machine.text(ssh_daemon.MAIN)


def test_match_all_and_other_ways_to_authenticate_are_exceptions(tmp_path):
    late = "Match all\nPasswordAuthentication yes\nAuthenticationMethods password\nMaxAuthTries 4\n"
    machine = host(tmp_path, {f"{ssh_daemon.FOLDER}/90-late.conf": late})
    where = f"{ssh_daemon.FOLDER}/90-late.conf"
    assert ssh_daemon.observe(machine, {})["exceptions"] == [f"{where}:2", f"{where}:3"]


def test_a_configuration_that_does_not_read_the_folder_is_made_to(tmp_path):
    machine = host(tmp_path, {ssh_daemon.MAIN: "PasswordAuthentication yes\n"})
    assert f"Read {ssh_daemon.FOLDER} first in {ssh_daemon.MAIN}" in [step.does for step in planned(machine)]
    apply(machine, planned(machine))
    assert machine.text(ssh_daemon.MAIN).startswith(ssh_daemon.INCLUDE + "\n")
    assert ssh_daemon.observe(machine, {})["included"]


def test_a_configuration_of_others_that_reads_no_folder_is_named_with_what_it_says(tmp_path):
    machine = host(tmp_path, {ssh_daemon.MAIN: "Port 22\nX11Forwarding yes\nMaxAuthTries 2\n"})
    assert ssh_daemon.observe(machine, {})["overriding"] == [
        (
            f"{ssh_daemon.MAIN} has no `{ssh_daemon.INCLUDE}`, so {ssh_daemon.FILE} is not read (x11forwarding yes in "
            f"{ssh_daemon.MAIN}:2): put it on the first line, or run the role again"
        )
    ]


@pytest.mark.parametrize(
    ("line", "exception"),
    [
        ("PermitRootLogin no", False),
        ("PermitRootLogin forced-commands-only", False),
        ("PermitRootLogin yes", True),
        ("MaxAuthTries 2", False),
        ("MaxAuthTries 6", True),
        ("LoginGraceTime 20s", False),
        ("LoginGraceTime 0", True),
        ("LoginGraceTime 1m", True),
        ("ClientAliveInterval 1m30s", False),
        ("X11Forwarding no", False),
    ],
)
def test_what_others_keep_more_tightly_stays(tmp_path, line, exception):
    machine = host(tmp_path, {ssh_daemon.MAIN: f"{STOCK}Match Group guests\n  {line}\n"})
    assert bool(ssh_daemon.observe(machine, {})["exceptions"]) is exception


def test_root_by_key_is_no_exception_only_where_root_may_come(tmp_path):
    machine = host(tmp_path, {ssh_daemon.MAIN: f"{STOCK}Match Group guests\n  PermitRootLogin without-password\n"})
    assert ssh_daemon.observe(machine, {})["exceptions"] == []
    assert len(ssh_daemon.observe(machine, {"root_login": "no"})["exceptions"]) == 1


@pytest.mark.parametrize("value", ["prohibit-password", "without-password"])
def test_both_spellings_of_root_by_key_are_one(tmp_path, value):
    machine = host(tmp_path, {}, said=f"permitrootlogin {value}\nmaxauthtries 4\n")
    facts = ssh_daemon.observe(machine, {})
    assert facts["PermitRootLogin"] == "prohibit-password"
    assert facts["MaxAuthTries"] == 4


def test_an_engineer_without_a_key_is_refused_before_anything_changes(tmp_path):
    machine = host(tmp_path, {})
    with pytest.raises(HardeningError, match="root, as whom you came in, has no authorized key"):
        planned(machine, engineer="root")
    assert machine.read(ssh_daemon.FILE) is None


def test_an_engineer_with_a_key_is_let_through(tmp_path):
    machine = host(tmp_path, {"/root/.ssh/authorized_keys": "# old\nssh-ed25519 AAAA me\n"})
    assert ssh_daemon.observe(machine, {})["authorized_keys"] == {"root": 1}
    assert planned(machine, engineer="root")


def test_root_is_refused_where_root_is_to_be_refused(tmp_path):
    machine = host(tmp_path, {"/root/.ssh/authorized_keys": "ssh-ed25519 AAAA me\n"})
    with pytest.raises(HardeningError, match="authentication_root_login is no"):
        planned(machine, engineer="root", root_login="no")


def test_what_sshd_refuses_is_put_back_and_told_in_its_words(tmp_path):
    machine = host(tmp_path, {ssh_daemon.FILE: "# former\n"}, refuses="MaxAuthTries")
    with pytest.raises(HardeningError, match="Bad configuration option: MaxAuthTries"):
        apply(machine, planned(machine))
    assert machine.text(ssh_daemon.FILE) == "# former\n"
    assert "systemctl reload ssh.service" not in machine.ran


def test_the_undo_puts_back_what_was_and_removes_what_was_not(tmp_path):
    machine = host(tmp_path, {f"{ssh_daemon.FOLDER}/00-convenience.conf": "PasswordAuthentication yes\n"})
    apply(machine, planned(machine))
    script = machine.text(f"{ssh_undo.UNDO.folder}/undo.sh").splitlines()
    assert f"rm -f {ssh_daemon.FILE}" in script
    assert any(
        line.endswith(f" {ssh_daemon.FOLDER}/00-convenience.conf") for line in script if line.startswith("back ")
    )
    assert machine.text(f"{ssh_undo.UNDO.folder}/2") == "PasswordAuthentication yes\n"
    assert f"systemctl restart {ssh_undo.UNDO.timer}" in machine.ran
    assert machine.ran.index(f"systemctl restart {ssh_undo.UNDO.timer}") < machine.ran.index(
        "systemctl reload ssh.service"
    )


def test_a_host_without_sshd_has_no_plan(tmp_path):
    class Bare(Fixture):
        def run(self, command, **_):
            return Result(127, "", "not found")

    assert planned(Bare(tree(tmp_path, {}))) == []


def test_weak_algorithms_are_named_and_silence_is_not_none(tmp_path):
    strong = "ciphers aes256-ctr\nkexalgorithms curve25519-sha256\nmacs hmac-sha2-256\n"
    weak = strong.replace("aes256-ctr", "aes256-ctr,aes128-cbc").replace(
        "hmac-sha2-256", "hmac-sha1,umac-64@openssh.com"
    )
    said = {text: host(tmp_path, {}, said=text) for text in (strong, weak, "ciphers aes256-ctr\n")}
    seen = [ssh_daemon.observe(machine, {})["weak_algorithms"] for machine in said.values()]
    assert seen == [[], ["Ciphers aes128-cbc", "MACs hmac-sha1", "MACs umac-64@openssh.com"], None]


@pytest.mark.parametrize(
    ("line", "set_aside"),
    [
        ("Ciphers aes256-gcm@openssh.com", False),
        ("MACs hmac-sha1,hmac-sha2-256", True),
        ("KexAlgorithms +diffie-hellman-group1-sha1", True),
        ("MACs -umac-128@openssh.com", True),
    ],
)
def test_a_list_of_algorithms_of_a_site_stays_when_it_has_no_weak_one(tmp_path, line, set_aside):
    machine = host(tmp_path, {f"{ssh_daemon.FOLDER}/00-convenience.conf": f"{line}\n"})
    apply(machine, planned(machine))
    kept = machine.text(f"{ssh_daemon.FOLDER}/00-convenience.conf")
    assert kept == (f"{ssh_daemon.ASIDE}{line}\n" if set_aside else f"{line}\n")


def started(tmp_path, options, defaults):
    files = {"/proc/7/cmdline": TITLE.format(options), ssh_command_line.DEFAULTS: defaults}
    return host(tmp_path, {**files, ssh_daemon.FILE: ssh_daemon.render({})})


@pytest.mark.parametrize(
    ("options", "clashing"),
    [
        ("-o PasswordAuthentication=yes", ["-o", "PasswordAuthentication=yes"]),
        ("-4 -oPermitRootLogin=yes -p 2222", ["-o", "PermitRootLogin=yes"]),
        ("-f /etc/ssh/other", ["-f", "/etc/ssh/other"]),
        ("-4 -o UseDNS=no -o PasswordAuthentication=no -E /var/log/sshd", []),
        ("-o PermitRootLogin yes", ["-o", "PermitRootLogin", "yes"]),
        ("-Z", ["-D", "-Z"]),
        ("", []),
    ],
)
def test_what_sshd_was_started_with_is_told_where_it_differs(tmp_path, options, clashing):
    facts = ssh_daemon.observe(started(tmp_path, options, ""), {})
    assert facts["command_line"] == clashing
    assert [each.startswith(f"sshd was started with {' '.join(clashing)}, ") for each in facts["overriding"]] == (
        [True] if clashing else []
    )


def test_sshd_is_asked_with_what_it_was_started_with_and_started_without_that_alone(tmp_path):
    line = "SSHD_OPTS='-4 -oPasswordAuthentication=yes -p 2222'"
    machine = started(tmp_path, "-4 -oPasswordAuthentication=yes -p 2222", f"# Debian's\n{line}\n")
    facts = ssh_daemon.observe(machine, {})
    assert facts["PasswordAuthentication"] == "yes"
    digest = hashlib.sha256(ssh_daemon.render({}).encode()).hexdigest()
    steps = ssh_daemon.plan(facts, ["authentication.sshd.PasswordAuthentication"], digest, {})
    assert "Start sshd without -o PasswordAuthentication=yes, which keeps sessions open" in [
        each.does for each in steps
    ]
    apply(machine, steps)
    assert machine.text(ssh_command_line.DEFAULTS) == (
        f"# Debian's\n# Set aside by radiology.hardening: {line}\nSSHD_OPTS='-4 -p 2222'\n"
    )
    assert ssh_daemon.observe(machine, {})["PasswordAuthentication"] == "no"


def test_options_that_the_unit_itself_gives_are_refused_with_where_to_look(tmp_path):
    class Unit(Fixture):
        def run(self, command, **how):
            return Result(0, "", "") if command[:2] == ["systemctl", "restart"] else super().run(command, **how)

    machine = Unit(started(tmp_path, "-o PasswordAuthentication=yes", "SSHD_OPTS=\n").root)
    with pytest.raises(HardeningError, match="does not come from /etc/default/ssh: take it out"):
        ssh_command_line.take_out(machine, ["-o", "PasswordAuthentication=yes"])
    assert machine.text(ssh_command_line.DEFAULTS) == "SSHD_OPTS=\n"


OUTSIDE = {
    "network": ["10.99.1.0/24"],
    "peers": [{"name": "tablet", "person": "c.moreau", "addresses": ["10.99.1.3"], "services": {"ssh": 22}}],
}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"tunnel": OUTSIDE}, {"tunnel": {**OUTSIDE, "network": ["10.98.1.0/24"]}}),
        ({"tunnel": OUTSIDE}, {"tunnel": OUTSIDE, "root_login": "no"}),
        ({"tunnel": OUTSIDE}, {}),
        ({}, {"tunnel": OUTSIDE}),
    ],
)
def test_our_own_match_block_is_written_anew_and_never_set_aside(tmp_path, before, after):
    machine = host(tmp_path, {ssh_daemon.FILE: ssh_daemon.render(before)})
    steps = planned(machine, **after)
    assert not any("Set aside" in step.does for step in steps)
    apply(machine, steps)
    assert machine.text(ssh_daemon.FILE) == ssh_daemon.render(after)
    assert ssh_daemon.observe(machine, after)["exceptions"] == []


@pytest.mark.parametrize(
    "methods", ["publickey", "publickey,keyboard-interactive:pam publickey", "publickey,keyboard-interactive:pam"]
)
def test_a_block_that_spares_somebody_the_code_is_set_aside_where_people_come_from_outside(tmp_path, methods):
    path = f"{ssh_daemon.FOLDER}/00-backup.conf"
    machine = host(tmp_path, {path: f"Match User engineer\nAuthenticationMethods {methods}\n"})
    assert ssh_daemon.observe(machine, {})["exceptions"] == ([] if methods == "publickey" else [f"{path}:2"])
    assert ssh_daemon.observe(machine, {"tunnel": OUTSIDE})["exceptions"] == [f"{path}:2"]


@pytest.mark.parametrize(("scope", "where"), [({"tunnel": OUTSIDE}, ["1"]), ({}, [])])
def test_pam_is_brought_back_where_people_come_from_outside_alone(tmp_path, scope, where):
    path = f"{ssh_daemon.FOLDER}/00-baseline.conf"
    machine = host(tmp_path, {path: "UsePAM no\n"})
    assert ssh_daemon.observe(machine, scope)["shadows"] == [f"{path}:{number}" for number in where]
    assert ("UsePAM yes\n" in ssh_daemon.render(scope)) is bool(where)
    apply(machine, planned(machine, **scope))
    assert machine.text(path) == (f"{ssh_daemon.ASIDE}UsePAM no\n" if where else "UsePAM no\n")


@pytest.mark.parametrize(("caller", "value"), [("10.0.0.9", "yes"), ("10.99.1.3", "no")])
def test_what_an_engineers_connection_is_granted_beyond_the_drop_in_is_told(tmp_path, caller, value):
    class Connected(Fixture):
        def run(self, command, **how):
            if command[0] == "ss":
                return Result(0, f"0 0 10.0.0.1:22 {caller}:50000\n", "")
            if command[:2] == [ssh_daemon.BINARY, "-T"]:
                if not command[-1].endswith(",rdomain="):
                    return Result(255, "", "'Match LocalPort' in configuration but 'lport' not in ... specification.")
                if f"addr={caller}" in command[-1]:
                    return Result(0, SAID.replace("x11forwarding no", "x11forwarding yes"), "")
                return Result(0, SAID.replace("maxauthtries 4", "maxauthtries 2"), "")
            return super().run(command, **how)

    machine = Connected(host(tmp_path, {}).root)
    facts = ssh_daemon.observe(machine, {"ssh_user": "engineer", "tunnel": OUTSIDE})
    assert (facts["X11Forwarding"], facts["MaxAuthTries"]) == (value, 2)
