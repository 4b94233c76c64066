# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who is let in at a workstation unasked."""

from __future__ import annotations

import people_host
import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import workstation_login
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import parted
from people_host import Machine


@pytest.fixture
def machine(tmp_path):
    return people_host.practice(tmp_path)


@pytest.mark.parametrize(
    ("path", "text", "part"),
    [
        ("/etc/gdm3/daemon.conf", "[daemon]\nAutomaticLoginEnable = True\nAutomaticLogin=radio\n", "automatic"),
        ("/etc/gdm3/custom.conf", "[daemon]\nTimedLoginEnable=true\n", "automatic"),
        ("/etc/lightdm/lightdm.conf", "[Seat:*]\nautologin-user=radio\n", "automatic"),
        ("/etc/lightdm/lightdm.conf.d/50-x.conf", "[SeatDefaults]\nautologin-guest=true\n", "automatic"),
        ("/etc/lightdm/lightdm.conf.d/50-x.conf", "[Seat:*]\nallow-guest=true\n", "guest"),
        ("/etc/sddm.conf.d/kde.conf", "[Autologin]\nUser=radio\n", "automatic"),
    ],
)
def test_a_login_that_nobody_is_asked_for_is_named_and_set_aside(tmp_path, path, text, part):
    machine = Machine(tmp_path)
    machine.lay(path, text)
    facts = workstation_login.observe(machine)
    assert [told.partition(" ")[0] for told in facts[part]] == [f"{path}:2"]
    (step,) = workstation_login.steps(facts)
    step.do(machine)
    assert machine.text(path).splitlines()[1].startswith("# Set aside by radiology.hardening: ")
    assert not any(workstation_login.observe(machine).values())


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/gdm3/daemon.conf", "[daemon]\n# AutomaticLoginEnable = true\nAutomaticLoginEnable=false\n"),
        ("/etc/lightdm/lightdm.conf", "[Seat:*]\n#autologin-user=\nautologin-user=\nallow-guest=false\n"),
        ("/etc/sddm.conf", "[Users]\nUser=radio\n[Autologin]\nUser=\n"),
        ("/etc/sddm.conf.d/kde.conf.bak", "[Autologin]\nUser=radio\n"),
        ("/etc/systemd/system/getty@tty1.service.d/x.conf", "[Service]\nExecStart=-/sbin/agetty -o '-p' %I $TERM\n"),
    ],
)
def test_what_logs_nobody_in_is_no_finding(tmp_path, path, text):
    machine = Machine(tmp_path)
    machine.lay(path, text)
    facts = workstation_login.observe(machine)
    assert (facts["automatic"], facts["guest"]) == ([], [])


def test_a_console_loses_the_option_and_keeps_its_command(tmp_path):
    machine, path = Machine(tmp_path), "/etc/systemd/system/getty@tty1.service.d/autologin.conf"
    machine.lay(path, "[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin radio --noclear %I $TERM\n")
    (step,) = workstation_login.steps(workstation_login.observe(machine))
    step.do(machine)
    assert machine.text(path).splitlines()[-1] == "ExecStart=-/sbin/agetty --noclear %I $TERM"
    assert "systemctl daemon-reload" in machine.asked


def test_lightdm_lets_guests_in_until_it_is_told(tmp_path):
    machine = Machine(tmp_path)
    machine.lay(workstation_login.LIGHTDM, "")
    facts = workstation_login.observe(machine)
    assert facts["guest"] == [workstation_login.UNSAID]
    workstation_login.steps(facts)[0].do(machine)
    assert workstation_login.observe(machine)["guest"] == []


def test_a_file_of_a_package_and_an_account_without_a_password_are_left_to_a_person(tmp_path):
    machine = Machine(tmp_path)
    machine.lay("/usr/share/lightdm/lightdm.conf.d/live.conf", "[Seat:*]\nautologin-user=user\n")
    machine.account("h.meyer", "")
    machine.join("nopasswdlogin", "a.martin")
    facts = workstation_login.observe(machine)
    assert facts["without_password"] == ["a.martin", "h.meyer"]
    ordinary, left = parted(workstation_login.steps(facts))
    assert (ordinary, len(left), len(facts["advice"])) == ([], 3, 3)
