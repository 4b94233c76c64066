# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lab's networks: bridges in one namespace, a namespace for each host, nothing on the machine's own interfaces."""

from __future__ import annotations

import machine
from topology import TOPOLOGY, Host

ADMIN = "admin"
"""The engineer's station: a leg in each clinic's admin network."""

DMZ = """
table inet box {
  chain forwards { type nat hook prerouting priority dstnat; policy accept;
    iifname "internet" meta nfproto ipv4 meta l4proto { tcp, udp } dnat ip to %(pacs)s
  }
  chain out { type nat hook postrouting priority srcnat; policy accept;
    oifname "internet" ip saddr %(lan)s masquerade
  }
}
"""
FORWARDED = """
table inet box {
  chain forwards { type nat hook prerouting priority dstnat; policy accept;
    iifname "internet" meta nfproto ipv4 tcp dport { 4242, 8042 } dnat ip to %(pacs)s
  }
  chain out { type nat hook postrouting priority srcnat; policy accept;
    oifname "internet" ip saddr %(lan)s masquerade
  }
  chain through { type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "lan" accept
    ct status dnat accept
    meta nfproto ipv6 tcp dport { 4242, 8042 } accept
    icmpv6 type { echo-request, destination-unreachable, packet-too-big } accept
  }
}
"""


def namespace(lab: str, host: str) -> str:
    """Return the name of a host's namespace, which is its container's too."""
    return f"rhlab-{lab}-{host}"


def names(lab: str) -> set[str]:
    """Return every name that a lab may use, for containers and namespaces; no other lab shares one."""
    return {namespace(lab, host) for host in (*TOPOLOGY.hosts, ADMIN, "switch")}


def lay(lab: str, hosts: list[Host]) -> None:
    """Make the bridges, the hosts' legs, their addresses and routes, and the boxes' forwards."""
    switch = namespace(lab, "switch")
    _add(switch)
    _batch(switch, [f"link add {name} type bridge forward_delay 0" for name in TOPOLOGY.networks])
    _batch(switch, [f"link set {name} up" for name in TOPOLOGY.networks])
    number = 0
    stations = [*hosts, Host(ADMIN, "", {f"admin{n}": _station(f"admin{n}") for n in TOPOLOGY.clinics.values()})]
    for host in stations:
        mine = namespace(lab, host.name)
        _add(mine)
        here, there = ["link set lo up"], []
        for network, addresses in host.addresses.items():
            number += 1
            leg = network if host.name == ADMIN else _leg(network)
            here += [f"link add {leg} type veth peer name port{number} netns {switch}", *_standing(leg, addresses)]
            there += [f"link set port{number} master {network} up"]
        _batch(mine, here)
        _batch(switch, there)
        _batch(mine, _routes(host))
        if host.kind == "box":
            _play_box(mine, host)


def carry(lab: str, host: Host, network: str, last: int) -> tuple[str, str]:
    """Take a host out of its networks into another, as a laptop is carried; return its addresses there.

    `last`: the last part of them, the same figure in IPv4 and IPv6.
    """
    mine, switch, port = namespace(lab, host.name), namespace(lab, "switch"), f"carried-{host.name}"
    four, six = TOPOLOGY.networks[network]
    there = four.replace(".0/", f".{last}/"), six.replace("::/", f"::{last}/")
    _batch(mine, [f"link set {_leg(name)} down" for name in host.addresses])
    _batch(mine, [f"link add {network} type veth peer name {port} netns {switch}", *_standing(network, there)])
    _batch(switch, [f"link set {port} master {network} up"])
    return there[0].partition("/")[0], there[1].partition("/")[0]


def bring_back(lab: str, host: Host, network: str) -> None:
    """Bring a host back that was carried into a network; what a leg forgets when it is down is given to it anew."""
    mine = namespace(lab, host.name)
    _batch(mine, [f"link delete {network}", *(f"address flush dev {_leg(name)}" for name in host.addresses)])
    for name, addresses in host.addresses.items():
        _batch(mine, _standing(_leg(name), addresses))
    _batch(mine, _routes(host))


def remove(lab: str) -> None:
    """Delete every namespace of a lab; its interfaces and what still runs inside, such as relays of SSH, go with it."""
    listed = machine.root("ip", "netns", "list").stdout.splitlines()
    for name in sorted({line.split()[0] for line in listed if line} & names(lab)):
        inside = machine.root("ip", "netns", "pids", name, check=False).stdout.split()
        if inside:
            machine.root("kill", *inside, check=False)
        machine.root("ip", "netns", "delete", name)


def _leg(network: str) -> str:
    """Return what a host calls its interface on a network."""
    return network.rstrip("0123456789")


def _standing(leg: str, addresses: tuple[str, ...]) -> list[str]:
    """Return the lines that give an interface its addresses."""
    given = [f"address add {address}{' nodad' if ':' in address else ''} dev {leg}" for address in addresses]
    return [*given, f"link set {leg} up"]


def _station(network: str) -> tuple[str, str]:
    four, six = TOPOLOGY.networks[network]
    return four.replace(".0/", ".2/"), six.replace("::/", "::2/")


def _routes(host: Host) -> list[str]:
    if host.kind in ("attacker", "home"):
        boxes = [other for other in TOPOLOGY.hosts.values() if other.kind == "box"]
        return [f"route add {TOPOLOGY.networks[_lan(box)][1]} via {box.plain('internet')[1]}" for box in boxes]
    if host.kind in ("box", ADMIN) or _lan(host) not in host.addresses:
        return []
    gateway = TOPOLOGY.hosts[f"box-{host.name.partition('-')[2]}"].plain(_lan(host))
    return [f"route add default via {address}" for address in gateway]


def _lan(host: Host) -> str:
    return f"lan{host.name.partition('-')[2]}"


def _play_box(mine: str, box: Host) -> None:
    number = box.name.partition("-")[2]
    for name in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
        machine.root("ip", "netns", "exec", mine, "sysctl", "-qw", f"{name}=1")
    known = {
        "pacs": TOPOLOGY.hosts[f"pacs-{number}"].plain(f"lan{number}")[0],
        "lan": TOPOLOGY.networks[f"lan{number}"][0],
    }
    rules = (DMZ if box.clinic == "dmz-practice" else FORWARDED) % known
    machine.root("ip", "netns", "exec", mine, "nft", "-f", "-", stdin=rules)


def _add(name: str) -> None:
    """Add a network in which as many messages to the journal may wait as on a machine of its own.

    There systemd raises the kernel's ten before its sockets are made (PID 1, unless in a container). With ten, a busy
    journald loses what programs tell it that do not wait, such as nginx.
    """
    machine.root("ip", "netns", "add", name)
    machine.root("ip", "netns", "exec", name, "sysctl", "-qw", "net.unix.max_dgram_qlen=512")


def _batch(name: str, lines: list[str]) -> None:
    if lines:
        machine.root("ip", "-netns", name, "-batch", "-", stdin="\n".join(lines) + "\n")
