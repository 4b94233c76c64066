# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Devices at home that nobody uses any more: a timer of systemd shuts them out (home_idle_program).

The configuration of the tunnel names them on, so that nothing else has to know: the program takes them out whenever the
tunnel comes up, and each day. Another key of the same device counts from the day on which it is let in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import home_idle_program, own_programs, unit_state
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host

PROGRAM = "/usr/local/sbin/radiology-tunnel-idle"
SERVICE = "radiology-tunnel-idle.service"
TIMER = "radiology-tunnel-idle.timer"
SERVICE_FILE = f"/etc/systemd/system/{SERVICE}"
TIMER_FILE = f"/etc/systemd/system/{TIMER}"
SERVICE_TEXT = f"""\
# Kept by radiology.hardening (role remote_access): shuts out devices at home that nobody uses any more.
[Unit]
Description=Shut out the devices that did not come through the tunnel for {home_idle_program.DAYS} days
Requisite=radiology-tunnel.service
After=radiology-tunnel.service

[Service]
Type=oneshot
ExecStart={PROGRAM}
"""
TIMER_TEXT = """\
# Kept by radiology.hardening (role remote_access): shuts out devices at home that nobody uses any more.
[Unit]
Description=Each day, shut out the devices that nobody uses any more

[Timer]
OnCalendar=%s
Persistent=true

[Install]
WantedBy=timers.target
"""
FACTS: dict[str, str] = {
    "unused.watched": "bool: each day, and when the tunnel comes up, the keys that nobody uses are taken out",
    "unused.let_in": "list of str: devices that come in by a key that was silent for 90 days",
    "unused.shut_out": "list of str: devices of the clinic file whose key was taken out for that",
}


def units(tunnel: Mapping[str, Any]) -> dict[str, str]:
    """Return path and text of each unit. WireGuard knows when a key was last heard of; strongSwan, who is there now."""
    return {SERVICE_FILE: SERVICE_TEXT, TIMER_FILE: TIMER_TEXT % ("*:0/10" if tunnel.get("ports") else "daily")}


def observe(
    host: Host, running: Iterable[str], tunnel: Mapping[str, Any], heard: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Return the facts; `running` are the keys that open the tunnel now. `heard`: see `keys`."""
    unused, present = keys(host, heard), set(running)
    names = {str(peer["public_key"]): str(peer["name"]) for peer in tunnel.get("peers") or []}
    timer = unit_state.properties(host, TIMER)
    return {
        "watched": host.text(PROGRAM) == own_programs.text(home_idle_program)
        and all(host.text(path) == text for path, text in units(tunnel).items())
        and unit_state.is_enabled(timer)
        and unit_state.is_active(timer),
        "let_in": sorted(names.get(key, f"key {key[:8]}... of nobody") for key in unused & present),
        "shut_out": sorted(names[key] for key in unused - present if key in names),
    }


def keys(host: Host, heard: Mapping[str, int] | None = None) -> set[str]:
    """Return the keys that were silent for 90 days, as the program noted it and the tunnel says now.

    `heard`: when each key was last heard of, in seconds since 1970 or 0; WireGuard is asked where it is left out.
    """
    noted = home_idle_program.parsed(host.text(home_idle_program.FILE) or "")
    if heard is None:
        told = host.run(["wg", "show", home_idle_program.INTERFACE, "latest-handshakes"]).output
        heard = home_idle_program.handshakes(told)
    now = noted.on(noted.day, heard)
    return {key for key, heard in now.keys.items() if heard.idle}


def forget(host: Host, tunnel: Mapping[str, Any]) -> None:
    """Forget the keys that the clinic file does not give: one that comes back there begins anew."""
    noted = home_idle_program.parsed(host.text(home_idle_program.FILE) or "")
    declared = {str(peer["public_key"]) for peer in tunnel.get("peers") or []}
    left = {key: heard for key, heard in noted.keys.items() if key in declared}
    if left != noted.keys:
        host.write(home_idle_program.FILE, noted._replace(keys=left).text(), mode=0o600)


def keep(host: Host, tunnel: Mapping[str, Any]) -> None:
    """Have the timer run, and take out now who is not used."""
    host.write(PROGRAM, own_programs.text(home_idle_program), mode=0o755)
    for path, text in units(tunnel).items():
        host.write(path, text)
    host.enable(TIMER)
    host.must(["systemctl", "restart", TIMER])
    host.must(["systemctl", "start", SERVICE])


def take_out(host: Host) -> None:
    """Take the timer out again, with what it noted."""
    if host.stat(TIMER_FILE):
        host.must(["systemctl", "--quiet", "disable", "--now", TIMER])
    for path in (SERVICE_FILE, TIMER_FILE, PROGRAM, home_idle_program.FILE):
        host.remove(path)
