# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The gateway of a tunnel of IPsec: what is seen of it there, and the steps that bring it up and take it down.

The facts are those of a tunnel of WireGuard, so that the same controls judge both. A change of devices ends no other
device's connections.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import (
    certificates,
    home_idle,
    home_idle_program,
    home_ipsec,
    home_tunnel,
    own_key,
    own_words,
    unit_state,
)
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.firewall_tunnel import (
    INTERFACE,
    OF_IPSEC,
    named,
    ports,
)
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

REQUESTED = "Ask the clinic's authority for the certificate of the tunnel's gateway"
"""Told of a step after which the controller has something to sign."""
OF_WIREGUARD = "whoever comes by WireGuard"
"""Said of what is left of the other protocol."""
OF_US = "whoever comes by IPsec"
OF_GATEWAY = (home_ipsec.KEY, home_ipsec.CERTIFICATE, home_ipsec.SETTINGS)
STARTER = "strongswan-starter.service"
"""strongSwan as it is set by /etc/ipsec.conf: it waits on the same ports, and reads nothing of ours."""
LIST = ["swanctl", "--list-conns", "--raw"]
ANEW = ["swanctl", "--load-creds", "--clear", "--noprompt"]
"""Forgets the certificates and keys whose files are gone."""


def observe(host: Host, tunnel: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts, and `running`: whose addresses come in by the tunnel."""
    runs, public = host.run(LIST).ok, _public(host)
    conns, pools = _loaded(host)
    standing = _standing(host)
    undeclared, missing = home_ipsec.differing(conns, pools, standing, tunnel)
    there = [peer for peer in tunnel["peers"] if home_ipsec.connection(peer) in conns]
    heard = {str(peer["public_key"]): _now(peer, standing) for peer in there}
    unused = home_idle.observe(host, heard, tunnel, heard)
    unit = unit_state.properties(host, home_tunnel.UNIT)
    up = runs and unit_state.is_active(unit)
    wanted = home_ipsec.files(tunnel, home_idle.keys(host, heard))
    return {
        "carrier": home_ipsec.CARRIER if all(map(host.stat, home_ipsec.PROGRAMS)) else None,
        "key": _key(host, public, tunnel),
        "tunnel": {
            "up": up,
            "differs": _uncertified(host, public, tunnel) + (_unread(host, unit, [*wanted]) if up else []),
        },
        "peers": {
            "undeclared": [*undeclared, *_naming_ours(host), *([OF_WIREGUARD] if _wireguard(host) else [])],
            "missing": sorted({*missing, *tunnel["waiting"]} - {*unused["shut_out"]}),
        },
        "unused": unused,
        "persistent": {
            "enabled": unit_state.is_enabled(unit),
            "file_is_declared": all(host.text(path) == text for path, text in wanted.items())
            and not home_ipsec.left_over(_listed(host), wanted),
            "altered": own_words.altered(host, unit, (home_tunnel.UNIT_FILE, home_ipsec.SERVICE)),
        },
        "running": {
            **{name: frozenset({pool.base}) for name, pool in pools.items() if name.startswith(home_ipsec.OURS)},
            **{str(peer["public_key"]): frozenset(home_tunnel.allowed(peer)) for peer in tunnel["named"]},
        },
    }


def plan(mine: Mapping[str, Any], unmet: set[str], tunnel: Mapping[str, Any]) -> list[Step]:
    """Return the steps; none beyond the request while the controller has to sign the gateway's certificate."""
    key, peers, persistent, differs = mine["key"], mine["peers"], mine["persistent"], mine["tunnel"]["differs"]
    steps: list[Step] = []
    if OF_WIREGUARD in peers["undeclared"]:
        steps.append(Step("Take down the tunnel of WireGuard, which IPsec takes the place of", take_down_wireguard))
    if key["public"] is not None and "key.file" in unmet:
        steps.append(Step("Keep the private key of the tunnel's gateway for root alone", _keep_key))
    signed = tunnel["certificate"] and not tunnel["due"] and home_ipsec.OTHER_KEY not in differs
    if key["public"] is None or not key["published"] or not signed:
        steps.append(Step(REQUESTED, lambda host: _request(host, tunnel)))
    else:
        told = _told(mine, tunnel)
        strangers = own_words.strangers(persistent["altered"], home_tunnel.UNIT_FILE)
        if told:
            without = f", without {', '.join(strangers)}" if strangers else ""
            steps.append(Step(f"{told}{without}", lambda host: _bring_up(host, tunnel, strangers)))
        if {"unused.watched", "unused.let_in"} & unmet:
            does = "Take out, now and every ten minutes, the devices that nobody used for 90 days"
            steps.append(Step(does, lambda host: home_idle.keep(host, tunnel)))
    left = [unasked(name) for name in tunnel["waiting"]]
    left += [_of_another(each) for each in peers["undeclared"] if each.startswith(home_ipsec.OTHERS)]
    left += [_shut_out(name) for name in mine["unused"]["shut_out"]]
    return steps + [deliberate(sentence) for sentence in left]


def restarts(mine: Mapping[str, Any]) -> bool:
    """Tell whether the plan brings the tunnel down for a moment."""
    down = not mine["tunnel"]["up"] or mine["tunnel"]["differs"] or mine["persistent"]["altered"]
    return bool(down or mine["key"]["public"] is None or not mine["key"]["published"])


def unasked(name: str) -> str:
    """Return what is said of a device that has no certificate."""
    return f"{name} cannot come in yet: make its key there, and hand in its request as remote_access/{name}.csr"


def left(host: Host) -> list[str]:
    """Return whether anything is left of a tunnel of IPsec, as one who comes in; none of it is anybody else's."""
    ours = any(map(host.stat, (*OF_GATEWAY, home_ipsec.REQUEST)))
    return [OF_US] if ours or home_ipsec.left_over(_listed(host)) else []


def take_down(host: Host) -> None:
    """End the tunnel; strongSwan goes on for the connections of others, and is stopped where there are none.

    The request goes last, so that a run that is killed leaves something of ours to be found.
    """
    if host.text(home_tunnel.UNIT_FILE) == home_ipsec.SERVICE:
        host.must(["systemctl", "--quiet", "disable", "--now", home_tunnel.UNIT])
        host.remove(home_tunnel.UNIT_FILE)
    home_idle.take_out(host)
    for path in (*home_ipsec.left_over(_listed(host)), *OF_GATEWAY):
        host.remove(path)
    host.must(["systemctl", "daemon-reload"])
    if host.run(LIST).ok:
        _leave(host)
    host.remove(home_ipsec.REQUEST)


def _leave(host: Host) -> None:
    """Have strongSwan, which runs, forget what was ours."""
    host.must(ANEW)
    host.must(["swanctl", "--load-all", "--noprompt"])
    others = [name for name in home_ipsec.loaded(host.must(LIST)) if not name.startswith(home_ipsec.OURS)]
    if others:
        host.must(["systemctl", "restart", home_ipsec.DAEMON])
    else:
        host.must(["systemctl", "--quiet", "disable", "--now", home_ipsec.DAEMON])


def take_down_wireguard(host: Host) -> None:
    """End a tunnel of WireGuard, whose place this one takes; its key stays."""
    if host.stat(home_tunnel.UNIT_FILE):
        host.must(["systemctl", "--quiet", "disable", "--now", home_tunnel.UNIT])
    host.run(["ip", "link", "delete", "dev", INTERFACE])
    home_idle.take_out(host)
    host.remove(home_tunnel.CONFIGURATION)


def names(tunnel: Mapping[str, Any]) -> list[str]:
    """Return the names that the gateway's certificate bears: its own, and the address that devices call."""
    return [f"DNS:{title(tunnel)}", f"IP:{tunnel['endpoint']}"]


def title(tunnel: Mapping[str, Any]) -> str:
    """Return the name under which the clinic's authority signs for the gateway."""
    return f"{tunnel['gateway']}-tunnel"


def _public(host: Host) -> str | None:
    told = host.run(["openssl", "pkey", "-in", home_ipsec.KEY, "-pubout"])
    return certificates.key_digest(told.output) if told.ok else None


def _key(host: Host, public: str | None, tunnel: Mapping[str, Any]) -> dict[str, Any]:
    entry, lies = host.stat(home_ipsec.KEY), host.text(home_ipsec.REQUEST)
    return {
        "file": f"{entry.mode} {entry.owner}" if entry else None,
        "public": public,
        "published": bool(public and lies and _asked(host, tunnel) == lies),
    }


def _asked(host: Host, tunnel: Mapping[str, Any]) -> str:
    return own_key.request(
        host,
        home_ipsec.KEY,
        home_ipsec.REQUEST,
        common_name=title(tunnel),
        names=names(tunnel),
        usages=certificates.BOTH_SIDES,
    )


def _uncertified(host: Host, public: str | None, tunnel: Mapping[str, Any]) -> list[str]:
    """Return what keeps the gateway from showing who it is."""
    if not tunnel["certificate"]:
        return ["no certificate of the clinic's authority"]
    said = host.run(["openssl", "x509", "-noout", "-pubkey"], stdin=tunnel["certificate"]).output
    return [] if certificates.key_digest(certificates.public_key(said)) == public else [home_ipsec.OTHER_KEY]


def _unread(host: Host, unit: dict[str, str], paths: Sequence[str]) -> list[str]:
    """Return in what the running tunnel is not as its files have it."""
    daemon = unit_state.properties(host, home_ipsec.DAEMON)
    read = [path for path in paths if path != home_ipsec.SETTINGS]
    found = {
        f"no interface {OF_IPSEC}": not host.stat(f"/sys/class/net/{OF_IPSEC}"),
        "settings that strongSwan has not read": unit_state.is_older(host, daemon, [home_ipsec.SETTINGS]),
        "connections that strongSwan has not read": unit_state.is_older(host, unit, read),
    }
    return [words for words, is_so in found.items() if is_so]


def _loaded(host: Host) -> tuple[dict[str, home_ipsec.Loaded], dict[str, home_ipsec.Pool]]:
    """Return the connections and the pools that strongSwan has."""
    conns, pools = host.run(LIST).output, host.run(["swanctl", "--list-pools", "--raw"]).output
    return home_ipsec.loaded(conns), home_ipsec.pools(pools)


def _naming_ours(host: Host) -> list[str]:
    """Return the files of others that name what is ours, as a connection that gives away a device's address."""
    listed = [f"{home_ipsec.CONNECTIONS}/{name}" for name in host.list(home_ipsec.CONNECTIONS)]
    others = [path for path in listed if not _name(path).startswith(home_ipsec.OURS)]
    return [
        f"{home_ipsec.OTHERS}file {path}"
        for path in (*others, f"{home_ipsec.FOLDER}/swanctl.conf")
        if home_ipsec.OURS in (host.text(path) or "")
    ]


def _standing(host: Host) -> set[str]:
    return home_idle_program.connected(host.run(["swanctl", "--list-sas", "--raw"]).output)


def _now(peer: Mapping[str, Any], standing: set[str]) -> int:
    """Return now, in seconds since 1970, where a device is connected, else 0."""
    return int(time.time()) if home_ipsec.connection(peer) in standing else 0


def _listed(host: Host) -> dict[str, tuple[str, ...]]:
    return {folder: host.list(folder) for folder in (home_ipsec.CONNECTIONS, home_ipsec.CERTIFICATES)}


def _wireguard(host: Host) -> bool:
    """Tell whether anything is left of a tunnel of WireGuard."""
    return host.stat(home_tunnel.CONFIGURATION) is not None or host.stat(f"/sys/class/net/{INTERFACE}") is not None


def _told(mine: Mapping[str, Any], tunnel: Mapping[str, Any]) -> str:
    """Return what bringing the tunnel up does, in words; nothing where it is as declared."""
    persistent, there = mine["persistent"], mine["peers"]
    whom = ", ".join(sorted(str(peer["name"]) for peer in tunnel["peers"])) or "nobody"
    if restarts(mine):
        return f"Bring the tunnel up on {named(ports(tunnel))}, for {whom}"
    gone = [name for name in there["undeclared"] if name != OF_WIREGUARD and not name.startswith(home_ipsec.OTHERS)]
    new = [name for name in there["missing"] if name not in tunnel["waiting"]]
    said = ([f"shut out {', '.join(gone)}"] if gone else []) + ([f"let in {', '.join(new)}"] if new else [])
    if said:
        sentence = " and ".join(said)
        return f"{sentence[0].upper()}{sentence[1:]}, and leave the others as they are"
    if not persistent["file_is_declared"]:
        return f"Give strongSwan what the clinic file says of {whom}, and end what that no longer lets in"
    return "" if persistent["enabled"] else f"Have the tunnel come up with the machine, for {whom}"


def _of_another(found: str) -> str:
    return f"{found} takes or gives what is the tunnel's, and is not ours to take out of {home_ipsec.FOLDER}"


def _shut_out(name: str) -> str:
    return (
        f"{name} was shut out of the tunnel, since nobody used it for 90 days: take it out of the clinic file, or hand "
        "in the request of another key"
    )


def _keep_key(host: Host) -> None:
    host.own(home_ipsec.KEY, mode=0o600)


def _request(host: Host, tunnel: Mapping[str, Any]) -> None:
    """Make the key where there is none, and the request for it; both stay until the controller has it signed."""
    if _public(host) is None:
        host.write(home_ipsec.KEY, own_key.made(host), mode=0o600)
    host.folder(home_tunnel.FOLDER, mode=0o700)
    host.write(home_ipsec.REQUEST, _asked(host, tunnel))


def _bring_up(host: Host, tunnel: Mapping[str, Any], strangers: Sequence[str]) -> None:
    """Write what strongSwan reads, have it read that, and end the connections of whom it lets in no more."""
    if host.run(["systemctl", "--quiet", "is-active", STARTER]).ok:
        raise HardeningError(
            f"{STARTER} runs here, for the connections of /etc/ipsec.conf, and leaves no port for {home_ipsec.DAEMON}: "
            f"move them to {home_ipsec.CONNECTIONS} and disable it, or have the tunnel end elsewhere, or by WireGuard."
        )
    home_idle.forget(host, tunnel)
    standing = _standing(host)
    heard = {str(peer["public_key"]): _now(peer, standing) for peer in tunnel["peers"]}
    wanted = home_ipsec.files(tunnel, home_idle.keys(host, heard))
    otherwise = home_ipsec.otherwise(*_loaded(host), tunnel, renewing=True)
    anew = [
        path
        for path, text in wanted.items()
        if path.startswith(home_ipsec.CONNECTIONS) and (_name(path) in otherwise or _is_anew(host.text(path), text))
    ]
    for path in (*home_ipsec.left_over(_listed(host), wanted), *anew, *strangers):
        host.remove(path)
    _end(host, standing)
    for path, text in wanted.items():
        if host.text(path) != text:
            host.write(path, text, mode=0o600 if path.startswith(home_ipsec.CONNECTIONS) else 0o644)
    host.write(home_tunnel.UNIT_FILE, home_ipsec.SERVICE)
    host.enable(home_ipsec.DAEMON, home_tunnel.UNIT)
    _load(host, wanted)


def _is_anew(before: str | None, text: str) -> bool:
    """Tell whether a connection is other than it was, but for its certificates, or was none."""
    return before is None or home_ipsec.without_certificates(before) != home_ipsec.without_certificates(text)


def _end(host: Host, standing: set[str]) -> None:
    """End the connections of ours that have no file now, which are kept from coming back first.

    Before any file of theirs is written: a run that is killed finds them without one again. And strongSwan gives a pool
    no other address while a device has the former one. Forced, since one that is asleep or hostile confirms nothing.
    """
    there = {name.removesuffix(".conf") for name in host.list(home_ipsec.CONNECTIONS)}
    ended = sorted(name for name in standing - there if name.startswith(home_ipsec.OURS))
    if ended:
        host.run(["swanctl", "--load-conns"])
    for name in ended:
        host.run(["swanctl", "--terminate", "--ike", name, "--force", "--timeout", "5"])


def wanted_names(wanted: Mapping[str, str]) -> set[str]:
    """Return the names of the connections among files."""
    return {_name(path) for path in wanted if path.startswith(home_ipsec.CONNECTIONS)}


def _name(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".conf").removesuffix(".crt")


def _load(host: Host, wanted: Mapping[str, str]) -> None:
    daemon = unit_state.properties(host, home_ipsec.DAEMON)
    stale = unit_state.is_older(host, daemon, [home_ipsec.SETTINGS]) or not host.stat(f"/sys/class/net/{OF_IPSEC}")
    if stale or not unit_state.is_active(daemon):
        host.must(["systemctl", "restart", home_ipsec.DAEMON])
    host.must(ANEW)
    host.must(["systemctl", "restart", home_tunnel.UNIT])
    lacking = wanted_names(wanted) - {*home_ipsec.loaded(host.must(LIST))}
    if lacking:
        words = host.run(["journalctl", "-u", home_tunnel.UNIT, "-n", "5", "--no-pager", "-o", "cat"]).output
        raise HardeningError(f"strongSwan does not take {', '.join(sorted(lacking))}; it says: {words.strip()}")
