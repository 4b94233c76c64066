# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The second factor of those who administer from outside: what is seen of sshd and PAM, and what is done about it."""

from __future__ import annotations

import getpass
import grp
import os
from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import second_factor, ssh_daemon
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, Result
from ansible_collections.radiology.hardening.plugins.module_utils.steps import apply
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue
from test_agreement import hardened, surface

PAM = "# PAM configuration for sshd\n@include common-auth\naccount required pam_nologin.so\n"
TABLET = {"name": "tablet", "person": "c.moreau", "addresses": ["10.99.1.3"], "services": {"ssh": 22, "web": 443}}
HOME = {"name": "home", "person": "a.martin", "addresses": ["10.99.1.2"], "services": {"web": 443}}
SCOPE = {"tunnel": {"network": ["10.99.1.0/24"], "peers": [HOME, TABLET]}}
BOTH = f"usepam yes\nkbdinteractiveauthentication yes\nauthenticationmethods {second_factor.METHODS}\n"
COMMAND = ["sshd", "-T"]
UNMET = ["authentication.outside.one_factor", "authentication.outside.asked"]


class Gateway(Host):
    """A folder as the host; sshd says what it is told to, of whoever calls from the tunnel."""

    def __init__(self, root, said=BOTH, callers=()):
        super().__init__(str(root))
        self.said, self.callers, self.asked = said, callers, []

    def run(self, command, **_):
        if command[0] == "sshd":
            self.asked.append(command[-1])
            return Result(0, self.said, "")
        if command[0] == "dpkg-query":
            return Result(0, "".join(f"{name} installed\n" for name in second_factor.PACKAGES), "")
        if command[0] == "ss":
            return Result(0, "".join(f"0 0 10.0.0.1:22 {caller}:50000\n" for caller in self.callers), "")
        raise AssertionError(command)

    def write(self, path, content, **how):
        super().write(path, content, **{**how, **self.me})

    def folder(self, path, **how):
        super().folder(path, **{**how, **self.me})

    @property
    def me(self):
        return {"owner": getpass.getuser(), "group": grp.getgrgid(os.getgid()).gr_name}


@pytest.fixture(name="host")
def gateway(tmp_path):
    (tmp_path / "etc/pam.d").mkdir(parents=True)
    (tmp_path / "etc/pam.d/sshd").write_text(PAM)
    return Gateway(tmp_path)


def seen(host, scope=None):
    return second_factor.observe(host, SCOPE if scope is None else scope, COMMAND, ["engineer"])


def test_the_match_block_stands_in_the_drop_in_where_somebody_administers_from_outside():
    assert ssh_daemon.render(SCOPE).endswith(
        "Match Address 10.99.1.0/24\n  KbdInteractiveAuthentication yes\n"
        "  AuthenticationMethods publickey,keyboard-interactive:pam\n  PermitRootLogin no\n"
    )
    nobody = {"tunnel": {"network": ["10.99.1.0/24"], "peers": [HOME]}}
    assert "Match" not in ssh_daemon.render(nobody)
    assert ssh_daemon.render(nobody) == ssh_daemon.render({})


def test_the_role_has_pam_ask_and_finds_nothing_to_do_then(host):
    assert not seen(host)["asked"]
    apply(host, second_factor.steps(seen(host), UNMET, SCOPE))
    text = Path(host.path(second_factor.SSHD)).read_text()
    assert text == f"{second_factor.INCLUDE}\n{PAM}"
    found = seen(host)
    assert found == {
        "declared": True,
        "one_factor": [],
        "asked": True,
        "secrets_private": True,
        "present": True,
        "everybody": False,
    }
    assert second_factor.steps(found, [], SCOPE) == []
    asked = [each.partition(",")[0] for each in host.asked[-3:]]
    assert asked == ["user=c.moreau", "user=engineer", "user=root"]
    assert host.asked[-1].endswith(",host=10.99.1.3,addr=10.99.1.3,laddr=127.0.0.1,lport=22,rdomain=")


def test_what_is_put_on_the_host_is_the_program(host):
    apply(host, second_factor.steps(seen(host), UNMET, SCOPE))
    text = Path(host.path(second_factor.PROGRAM)).read_text()
    assert text.startswith("#!/usr/bin/python3\n")
    compile(text, "radiology-second-factor", "exec")
    assert Path(host.path(second_factor.PROGRAM)).stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    "said",
    [
        "",
        BOTH.replace(second_factor.METHODS, "any"),
        BOTH.replace(second_factor.METHODS, "publickey"),
        BOTH.replace(second_factor.METHODS, f"{second_factor.METHODS} publickey"),
        BOTH.replace("kbdinteractiveauthentication yes", "kbdinteractiveauthentication no"),
        BOTH.replace("usepam yes", "usepam no"),
    ],
)
def test_fewer_than_two_factors_are_told_by_device_and_address(tmp_path, said):
    assert seen(Gateway(tmp_path, said))["one_factor"] == [
        f"tablet 10.99.1.3 {login}" for login in ("c.moreau", "engineer", "root")
    ]


def test_a_line_of_somebody_before_the_code_counts(host):
    apply(host, second_factor.steps(seen(host), UNMET, SCOPE))
    file = Path(host.path(second_factor.SSHD))
    file.write_text(f"auth sufficient pam_permit.so\n{file.read_text()}")
    assert not seen(host)["asked"]
    apply(host, second_factor.steps(seen(host), UNMET, SCOPE))
    assert file.read_text() == f"{second_factor.INCLUDE}\nauth sufficient pam_permit.so\n{PAM}"
    assert seen(host)["asked"]


def test_what_is_left_of_another_release_is_taken_out_too(host):
    apply(host, second_factor.steps(seen(host), UNMET, SCOPE))
    Path(host.path(second_factor.PAM_FILE)).write_text("auth required pam_oath.so\n")
    apply(host, second_factor.steps(seen(host, {}), [], {}))
    assert Path(host.path(second_factor.SSHD)).read_text() == PAM
    assert not Path(host.path(second_factor.PAM_FILE)).exists()


def test_another_network_of_the_tunnel_is_another_table(host):
    apply(host, second_factor.steps(seen(host), UNMET, SCOPE))
    moved = {"tunnel": {"network": ["10.98.1.0/24"], "peers": [TABLET]}}
    assert not seen(host, moved)["asked"]


def test_it_is_taken_out_when_nobody_administers_from_outside_any_more(host):
    apply(host, second_factor.steps(seen(host), UNMET, SCOPE))
    apply(host, second_factor.steps(seen(host, {}), [], {}))
    assert Path(host.path(second_factor.SSHD)).read_text() == PAM
    assert second_factor.steps(seen(host, {}), [], {}) == []


@pytest.mark.parametrize(
    ("callers", "everybody"),
    [((), False), (("10.99.1.3",), True), (("10.99.1.3", "10.0.0.9"), False), (("[::ffff:10.99.1.3]",), True)],
)
def test_who_came_in_through_the_tunnel_is_not_shut_out(tmp_path, callers, everybody):
    found = seen(Gateway(tmp_path, said="", callers=callers))
    assert found["everybody"] is everybody
    if everybody:
        with pytest.raises(HardeningError, match="a code that Ansible cannot give"):
            second_factor.steps(found, UNMET, SCOPE)
    else:
        assert second_factor.steps(found, UNMET, SCOPE)


def test_secrets_that_others_read_are_closed(host):
    found = {**seen(host), "secrets_private": False}
    steps = second_factor.steps(found, ["authentication.outside.secrets_private"], SCOPE)
    assert [step.does for step in steps] == [f"Keep {second_factor.SECRETS} for root alone"]


@pytest.mark.parametrize(("declared", "reloads"), [(True, True), (False, False)])
def test_sshd_is_not_reloaded_for_a_code_that_nobody_is_asked_for(declared, reloads):
    known = hardened("authentication", "debian12")
    outside = {"declared": declared, "asked": False, "present": False, "one_factor": []}
    mine = known["facts"]["authentication"]
    facts = {**known["facts"], "authentication": {**mine, "outside": {**mine["outside"], **outside}}}
    wanted = catalogue.wanted(catalogue.load("authentication"))
    told = [step.does for step in surface("authentication").plan(facts, wanted, known["scope"])]
    assert any(does.startswith("Reload sshd") for does in told) is reloads
    assert bool(told) is reloads
