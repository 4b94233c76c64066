# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tunnel of those who read from home, by IPsec: what its files say, and what strongSwan says of it. Pure functions.

IKEv2 by charon-systemd, set by swanctl (strongSwan 5.9 and 6.0 of Debian 12 and 13). A device is let in by the very
certificate that was signed for it, and by no authority, which signs for others too; it is given the addresses of a pool
of its own. What other connections the host has stays. ESP is carried in user space by kernel-libipsec: on every kernel,
and through one interface that rules of the firewall can name.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.radiology.hardening.plugins.module_utils import home_tunnel

IPSEC = "ipsec"
DAEMON = "strongswan.service"
PROGRAMS = ("/usr/sbin/charon-systemd", "/usr/sbin/swanctl", "/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so")
CARRIER = "kernel-libipsec"
FOLDER = "/etc/swanctl"
"""Where strongSwan's AppArmor profiles let swanctl read keys, certificates and connections."""
KEY = f"{FOLDER}/private/radiology-tunnel.key"
CERTIFICATE = f"{FOLDER}/x509/radiology-tunnel.crt"
REQUEST = f"{home_tunnel.FOLDER}/gateway.csr"
"""What the controller fetches, and has signed."""
SETTINGS = "/etc/strongswan.d/radiology.conf"
CONNECTIONS = f"{FOLDER}/conf.d"
CERTIFICATES = f"{FOLDER}/x509"
OURS = "radiology-home-"
"""How the names of devices' connections, pools and files begin."""
DYNAMIC = frozenset({"dynamic"})
"""In the place of ranges: what the pool gives."""
OTHERS = "another's "
"""Begins what is said of connections that are not ours to take out."""
ANYBODY = re.compile(r" remote-1 \{(?:id=%any )?class=public key .*?certs=\[\] cacerts=\[\]")
"""In what strongSwan says of a connection."""
OTHER_KEY = "a certificate that is not of the gateway's key"

PLUGINS = """\
# Kept by radiology.hardening (role remote_access): ESP is carried in user space, and nothing listens beside IKE.
charon {
  plugins {
    kernel-libipsec {
      load = yes
    }
    dhcp {
      load = no
    }
  }
}
"""
SERVICE = f"""\
# Kept by radiology.hardening (role remote_access): the tunnel of those who read from home.
[Unit]
Description=Tunnel of those who read from home
Requires={DAEMON}
PartOf={DAEMON}
Wants=network-online.target
After=network-online.target radiology-firewall.service {DAEMON}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/swanctl --load-all --noprompt

[Install]
WantedBy=multi-user.target
"""
CONNECTION = """\
# Kept by radiology.hardening (role remote_access): %(device)s, by its own certificate.
# key %(key)s
connections {
  %(name)s {
    version = 2
    proposals = aes256gcm16-prfsha384-ecp384, aes256-sha384-ecp384
    pools = %(pools)s
    unique = replace
    encap = yes
    send_cert = always
    send_certreq = no
    dpd_delay = 30s
    local {
      auth = pubkey
      certs = radiology-tunnel.crt
      id = %(endpoint)s
    }
    remote {
      auth = pubkey
      id = %%any
      certs = %(certificates)s
    }
    children {
      %(name)s {
        local_ts = %(reached)s
        esp_proposals = aes256gcm16-ecp384
      }
    }
  }
}
pools {
%(addresses)s
}
"""
"""The identity that a device tells is not asked for: clients tell name or subject of their certificate, as they will.

Certificate requests would name authorities, of which none opens this door. `encap`: kernel-libipsec speaks UDP alone.
"""


class Loaded(NamedTuple):
    """A connection as strongSwan has it."""

    certificates: tuple[str, ...]
    """Subjects of those that it accepts."""
    authorities: str
    """Subjects of those that it accepts all certificates of."""
    here: frozenset[str]
    there: frozenset[str]
    """Ranges at this end, and at the device's; `dynamic`: the addresses that a pool gives."""
    anybody: bool = False
    """Whether it takes whoever has any certificate that strongSwan was given, as those of devices."""


class Pool(NamedTuple):
    """A pool as strongSwan has it."""

    base: str
    size: int


def is_chosen(tunnel: Mapping[str, Any]) -> bool:
    """Tell whether a tunnel is one of IPsec."""
    return tunnel.get("protocol") == IPSEC


def connection(peer: Mapping[str, Any]) -> str:
    """Return the name of a device's connection."""
    return f"{OURS}{peer['name']}"


def common_name(device: str) -> str:
    """Return the name in a device's certificate: one that no server and no device of DICOM bears."""
    return f"{device}.remote-access"


def files(tunnel: Mapping[str, Any], unused: Iterable[str] = ()) -> dict[str, str]:
    """Return path and text of what strongSwan reads; no connections of keys that are `unused`. None holds a secret."""
    found = {SETTINGS: PLUGINS, CERTIFICATE: str(tunnel.get("certificate", ""))}
    for peer in tunnel["peers"]:
        if peer["public_key"] not in set(unused):
            found[f"{CONNECTIONS}/{connection(peer)}.conf"] = _connection(peer, tunnel)
            for number, text in enumerate(peer["certificates"]):
                found[f"{CERTIFICATES}/{_certificate(peer, number)}"] = text
    return found


def left_over(listed: Mapping[str, Iterable[str]], wanted: Iterable[str] = ()) -> list[str]:
    """Return the paths of our connections and certificates that are not wanted; `listed`: folder to names in it."""
    paths = {f"{folder}/{name}" for folder, names in listed.items() for name in names if name.startswith(OURS)}
    return sorted(path for path in paths - {*wanted} if path.endswith((".conf", ".crt")))


def without_certificates(text: str) -> list[str]:
    """Return the lines of a connection but for those that name certificates: one that is renewed ends nothing."""
    return [line for line in text.splitlines() if " certs = " not in line]


def _connection(peer: Mapping[str, Any], tunnel: Mapping[str, Any]) -> str:
    name, pools = connection(peer), _pools(peer)
    return CONNECTION % {
        "device": peer["name"],
        "key": peer["public_key"],
        "name": name,
        "pools": ", ".join(sorted(pools)),
        "endpoint": tunnel["endpoint"],
        "certificates": ", ".join(_certificate(peer, number) for number, _text in enumerate(peer["certificates"])),
        "reached": ", ".join(sorted(_alone(peer["reached"]))),
        "addresses": "\n".join(
            f"  {pool} {{\n    addrs = {ipaddress.ip_network(address)}\n  }}" for pool, address in sorted(pools.items())
        ),
    }


def _pools(peer: Mapping[str, Any]) -> dict[str, str]:
    """Return the name of each pool of a device, and its one address."""
    addresses = map(ipaddress.ip_address, peer["addresses"])
    return {f"{connection(peer)}-{address.version}": str(address) for address in addresses}


def _certificate(peer: Mapping[str, Any], number: int) -> str:
    return f"{connection(peer)}{f'.former-{number}' if number else ''}.crt"


def _alone(addresses: Iterable[Any]) -> list[str]:
    return [str(ipaddress.ip_network(str(address))) for address in addresses]


def loaded(told: str) -> dict[str, Loaded]:
    """Read `swanctl --list-conns --raw`: each connection by its name."""
    found = {}
    for line in told.splitlines():
        named = re.match(r"list-conn event \{(.+?) \{local_addrs=", line)
        remote = re.search(r" remote-1 \{.*?certs=\[(.*?)\] cacerts=\[(.*?)\]\}", line)
        ranges = re.findall(r"local-ts=\[(.*?)\] remote-ts=\[(.*?)\]", line)
        if named:
            found[named[1]] = Loaded(
                tuple(re.findall(r"CN=(?:[^ ,]+)", remote[1])) if remote else (),
                remote[2] if remote else "",
                frozenset(each for here, _there in ranges for each in here.split()),
                frozenset(each for _here, there in ranges for each in there.split()),
                bool(remote and ANYBODY.search(remote[0])),
            )
    return found


def pools(told: str) -> dict[str, Pool]:
    """Read `swanctl --list-pools --raw`: each pool by its name."""
    found = re.findall(r"([^\s{]+) \{base=([0-9a-fA-F.:]+) size=([0-9]+) ", told)
    return {name: Pool(str(ipaddress.ip_address(base)), int(size)) for name, base, size in found}


def differing(
    conns: Mapping[str, Loaded], given: Mapping[str, Pool], standing: Iterable[str], tunnel: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    """Return who comes in otherwise than the clinic file gives it, and which of its devices cannot.

    `conns`, `given`: what strongSwan has of connections and pools. `standing`: the connections that are open now.
    """
    declared = {connection(peer): peer for peer in tunnel.get("peers") or []}
    ours = [name for name in conns if name.startswith(OURS)]
    undeclared = [f"{name.removeprefix(OURS)}, which is nobody's" for name in ours if name not in declared]
    undeclared += [f"{declared[name]['name']}, otherwise than declared" for name in otherwise(conns, given, tunnel)]
    undeclared += [
        f"{name.removeprefix(OURS)}, which is connected still"
        for name in standing
        if name.startswith(OURS) and name not in conns
    ]
    missing = [str(peer["name"]) for name, peer in declared.items() if name not in conns]
    return sorted({*undeclared, *_of_others(conns, given, tunnel)}), sorted(missing)


def otherwise(
    conns: Mapping[str, Loaded], given: Mapping[str, Pool], tunnel: Mapping[str, Any], *, renewing: bool = False
) -> set[str]:
    """Return the connections of devices of the clinic file that strongSwan has, and has not as declared.

    `renewing`: how many certificates a device has makes no difference.
    """
    declared = {connection(peer): peer for peer in tunnel.get("peers") or []}

    def seen(each: Loaded) -> Loaded:
        return each._replace(certificates=tuple({*each.certificates})) if renewing else each

    return {
        name
        for name in {*conns} & {*declared}
        if seen(conns[name]) != seen(_due(declared[name]))
        or any(given.get(pool) != Pool(address, 1) for pool, address in _pools(declared[name]).items())
    }


def _due(peer: Mapping[str, Any]) -> Loaded:
    subject = f"CN={common_name(peer['name'])}"
    return Loaded((subject,) * len(peer["certificates"]), "", frozenset(_alone(peer["reached"])), DYNAMIC)


def _of_others(conns: Mapping[str, Loaded], given: Mapping[str, Pool], tunnel: Mapping[str, Any]) -> Iterator[str]:
    """Yield the connections and pools of others that take or give addresses of the tunnel, or let in its devices."""
    ranges = [ipaddress.ip_network(text) for text in tunnel.get("network") or []]
    for name, pool in given.items():
        if not name.startswith(OURS) and any(_gives(pool, each) for each in ranges):
            yield f"{OTHERS}pool {name}"
    for name, each in conns.items():
        if not name.startswith(OURS) and each.anybody:
            yield f"{OTHERS}connection {name}, which takes any certificate"
        if not name.startswith(OURS) and any(_overlap(text, ranges) for text in each.there - DYNAMIC):
            yield f"{OTHERS}connection {name}"


def _gives(pool: Pool, network: Any) -> bool:
    """Tell whether a pool may give an address of a range."""
    first = ipaddress.ip_address(pool.base)
    return first.version == network.version and first <= network[-1] and int(first) + pool.size > int(network[0])


def _overlap(text: str, ranges: Sequence[Any]) -> bool:
    """Tell whether a traffic selector, such as `10.0.0.0/8[tcp/22]`, may have an address of these ranges."""
    try:
        mine = ipaddress.ip_network(text.partition("[")[0])
    except ValueError:
        return True
    return any(mine.version == each.version and mine.overlaps(each) for each in ranges)
