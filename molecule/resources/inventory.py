# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The inventory of a lab: copies of the two clinic files, and how the engineer reaches their hosts."""

from __future__ import annotations

import datetime
import hashlib
import os
import re
import secrets
from pathlib import Path

import network
import scanned
import yaml
from topology import TOPOLOGY, Host

CLINIC_FILES = Path(__file__).resolve().parents[2] / "inventories" / "lab"
PASSWORD = "vault-password"
STRANGER = "attacker"
"""Looks from the internet. A lab without him has evidence of a look laid beside its clinic files."""
DAYS = 300
"""For which a declaration in clear of the lab holds, whatever the day is."""
LOW = 104
"""The port that the oldest modalities call, whatever they are told."""


def write(
    folder: Path,
    lab: str,
    state: Path,
    hosts: list[Host],
    *,
    tunnel: bool = False,
    laptop: bool = False,
    ipsec: bool = False,
) -> None:
    """Write the clinic files and `lab.yml`, which says how to reach each host, into a folder.

    Of a host that this lab has not, nobody can log in: it counts as declared only. With `tunnel` the viewers on the
    workstations are said to speak no TLS; with `laptop` the workstations are carried home, and read by the tunnel; with
    `ipsec` that is one of IPsec.
    """
    folder.mkdir(parents=True, exist_ok=True)
    present = {host.name for host in hosts}
    standing = {
        clinic: number
        for clinic, number in TOPOLOGY.clinics.items()
        if present & {*_hardened(number, present), f"side-{number}"}
    }
    for clinic, number in standing.items():
        text = (CLINIC_FILES / f"{clinic}.yml").read_text(encoding="utf-8")
        text = (
            text.replace("    may: [echo, find, move, get,", "    tunnel: true\n    may: [echo, find, move, get,")
            if tunnel
            else text
        )
        text = carried(text) if laptop else text
        text = by_gateway(text, TOPOLOGY.hosts[_gate(number)]) if _gate(number) in present else text
        text = by_ipsec(text) if ipsec else text
        text = until(text, DAYS)
        text = beside(text, number) if f"side-{number}" in present else text
        (folder / f"{clinic}.yml").write_text(text, encoding="utf-8")
        if STRANGER not in present:
            scanned.lay(folder / f"{clinic}.yml")
    children = {
        f"lab_{number}": {"hosts": _reached(lab, state, clinic, number, present)} for clinic, number in standing.items()
    }
    absent = {
        f"{name.partition('-')[0]}.{clinic}": {"clinic_managed": False}
        for clinic, number in standing.items()
        for name in sorted(_hardened(number, present) - present)
    }
    listed = {"all": {"children": {**children, "declared_only": {"hosts": absent}}}}
    (folder / "lab.yml").write_text(yaml.safe_dump(listed, width=1000), encoding="utf-8")
    password(state)


def carried(text: str) -> str:
    """Return a clinic file whose workstation is a laptop: a device of the tunnel, and no listener."""
    four, six = re.search(r'  network: \["([0-9.]+)\.0/24", "([0-9a-f:]+::)/64"\]', text).groups()  # type: ignore[union-attr]
    peer = f'{{person: a.martin, workstation: ws, addresses: ["{four}.4", "{six}4"], may: [web]}}'
    text = text.replace("    port: 11112\n    tls: true\n", "    tls: true\n")
    return text.replace("  peers:\n", f"  peers:\n    reading: {peer}\n")


def by_gateway(text: str, host: Host) -> str:
    """Return a clinic file whose tunnel ends on a gateway of its own."""
    (lan, admin), quoted = host.addresses, {name: [f'"{text}"' for text in host.plain(name)] for name in host.addresses}
    gate = (
        "gateways:\n  gate:\n    title: Way in from home\n    addresses:\n"
        f"      lan: [{', '.join(quoted[lan])}]\n      admin: [{', '.join(quoted[admin])}]\n"
        f"    ssh: {{address: {quoted[admin][0]}, user: engineer}}\n\n"
    )
    return text.replace("workstations:\n", f"{gate}workstations:\n", 1).replace(
        "  gateway: pacs\n", "  gateway: gate\n"
    )


def beside(text: str, number: int) -> str:
    """Return a clinic file with an old modality that speaks no TLS, and the small box that stands beside it."""
    box, old = TOPOLOGY.hosts[f"side-{number}"], TOPOLOGY.hosts[f"old-{number}"]
    room = f"room{number}"
    given = yaml.safe_load(text)
    lan, admin = (list(box.plain(f"{network}{number}")) for network in ("lan", "admin"))
    given.setdefault("gateways", {})["old-box"] = {
        "title": "Small box beside the radiography room's detector",
        "addresses": {"lan": lan, "admin": admin},
        "ssh": {"address": admin[0], "user": "engineer"},
        "room": {
            "modality": "old",
            "interface": "room",
            "network": TOPOLOGY.networks[room][0],
            "address": box.plain(room)[0],
            "modality_address": old.plain(room)[0],
            "port": LOW,
        },
    }
    given["modalities"]["old"] = {
        "title": "Detector of 2006",
        "ae_title": f"{given['modalities']['us']['ae_title'][:4]}OLD1",
        "addresses": {"lan": [*lan]},
        "port": 11112,
        "tls": True,
        "may": ["echo", "find", "move", "store"],
    }
    return str(yaml.safe_dump(given, width=1000, sort_keys=False, allow_unicode=True))


def by_ipsec(text: str) -> str:
    """Return a clinic file whose tunnel is one of IPsec, in which devices have no keys of WireGuard."""
    text = re.sub(r"      public_key: .*\n", "", text)
    return re.sub(r"(remote_access:\n  gateway: pacs\n)(  port: .*\n)?", r"\1  protocol: ipsec\n", text)


def until(text: str, days: int) -> str:
    """Return a clinic file whose declaration in clear ends in so many days from today, or ended before it."""
    day = datetime.datetime.now(tz=datetime.UTC).date() + datetime.timedelta(days=days)
    return re.sub(r'(cleartext: .* expires: )"[0-9-]+"', rf'\g<1>"{day.isoformat()}"', text)


def _hardened(number: int, present: set[str]) -> set[str]:
    """Return the hosts of a clinic that a run hardens, where they stand; a gateway is declared only where it does."""
    return {f"pacs-{number}", f"ws-{number}", *({_gate(number)} & present)}


def _gate(number: int) -> str:
    return f"gate-{number}"


def password(state: Path) -> str:
    """Return the password of this lab's vaults, made at random the first time."""
    file = state / PASSWORD
    if not file.is_file():
        state.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(24) + "\n", encoding="utf-8")
    return file.read_text(encoding="utf-8").strip()


def _reached(lab: str, state: Path, clinic: str, number: int, present: set[str]) -> dict[str, dict[str, object]]:
    """Return the connection variables of a clinic's hosts; only those with a leg in the admin network go through it."""
    names = {
        "pacs": f"pacs-{number}",
        "gate": _gate(number),
        "ws": f"ws-{number}",
        "ct": f"ct-{number}",
        "us": f"us-{number}",
        "ct-probe": f"ct-{number}",
        "us-probe": f"us-{number}",
        "old-box": f"side-{number}",
        "laptop": f"laptop-{number}",
        "attacker": STRANGER,
        "box": f"box-{number}",
    }
    # Every lab has the same addresses: a multiplexed connection is shared within one instance of one lab alone.
    instance = hashlib.sha256((state / "id.pub").read_bytes()).hexdigest()[:8]
    found: dict[str, dict[str, object]] = {}
    for name, host in names.items():
        if host not in present:
            continue
        administered = f"admin{number}" in TOPOLOGY.hosts[host].addresses
        inside = network.namespace(lab, network.ADMIN if administered else host)
        enter = f"{'' if os.geteuid() == 0 else 'sudo '}nsenter --net=/run/netns/{inside}"
        address = TOPOLOGY.hosts[host].plain(f"admin{number}")[0] if administered else "127.0.0.1"
        # The alias keeps the engineer's multiplexed connections to different hosts apart.
        found[f"{name}.{clinic}"] = {
            "ansible_host": address if administered else f"{name}.{clinic}.lab",
            "ansible_user": "engineer",
            "ansible_control_path": f"%(directory)s/lab-{instance}-%%C",
            "ansible_ssh_private_key_file": str(state / "id"),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={state}/known_hosts -o StrictHostKeyChecking=accept-new "
            f"-o ProxyCommand='{enter} nc {address} 22'",
            "ansible_python_interpreter": "/usr/bin/python3",
        }
    return found
