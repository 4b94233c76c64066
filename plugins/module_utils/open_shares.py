# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Folders that a host offers over the network to whoever asks: Samba's shares for guests, exports of NFS to the world.

Nothing of it is closed by a run: somebody made it so because a machine or a person stores or reads there without an
account, and would lose images on the day that it is closed unawares.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, in_one_line
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

FACTS: dict[str, str] = {
    "shares.open": "list of str: shares of Samba that admit guests, folders that NFS exports to everybody, each with "
    "the file that says so; a configuration of Samba that cannot be read counts as one",
    "shares.advice": "list of str: what to do about each of them",
}
SMB = "/etc/samba/smb.conf"
EXPORTS, EXPORTS_FOLDER = "/etc/exports", "/etc/exports.d"
TABLE = "exportfs"
"""Stands for what was exported by hand and is in no file."""
YES = ("yes", "true", "1", "y", "t")
ANY_NAME = re.compile(r"[.?]*\*[.?*]*")
"""Patterns of names that every name fits, for `*` and `?` stand for dots too: `*` is everybody, and so is `*.*`."""
WORD = re.compile(r'(?:"[^"]*"|[^\s"])+')
Settings = Mapping[str, Mapping[str, str]]


def observe(host: Host) -> dict[str, Any]:
    """Return the facts below `shares`."""
    found = [*_of_samba(host), *_of_nfs(host)]
    return {"open": [each for each, _advice in found], "advice": [advice for _each, advice in found]}


def steps(found: Mapping[str, Any], unmet: Sequence[str]) -> list[Step]:
    """Return what a person does."""
    return [deliberate(text) for text in found["advice"] or ["close what is open to everybody"]] if unmet else []


def settings(shown: str) -> Settings:
    """Read what `testparm -s -v` shows: section -> option -> value, all in the spelling of testparm."""
    sections: dict[str, dict[str, str]] = {}
    section: dict[str, str] = {}
    for line in shown.splitlines():
        name, equals, value = line.partition("=")
        if line.startswith("[") and line.rstrip().endswith("]"):
            section = sections.setdefault(line.strip()[1:-1], {})
        elif equals:
            section[name.strip()] = value.strip()
    return sections


def exported(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield folder, client and options of each export in the words of exports(5)."""
    for line in re.sub(r"\\\n", " ", text).splitlines():
        words = WORD.findall(line.partition("#")[0])
        folder = _plain(words[0]) if words else ""
        common = [word[1:] for word in words[1:] if word.startswith("-")]
        for word in [word for word in words[1:] if not word.startswith("-")] or [""] * bool(words):
            client, _bracket, options = word.partition("(")
            own = options.rstrip(")")
            yield folder, client.strip('"'), own if "sec=" in own else ",".join(filter(None, [*common, own]))


def _of_samba(host: Host) -> Iterator[tuple[str, str]]:
    answer = host.run(["testparm", "-s", "-v"])
    if answer.status == 127:
        return
    if not answer.ok:
        yield (
            f"Samba ({in_one_line(answer.errors)[-200:]})",
            "run `testparm -s`, and mend what it says of Samba's files",
        )
        return
    told = settings(answer.output)
    common = told.get("global", {})
    for name, share in told.items():
        values = {**common, **share}
        if name != "global" and _is(values, "guest ok") and _is(values, "available") and not _is(values, "printable"):
            path, file = share.get("path", "its folder"), _file_of(host, name)
            advice = (
                f"the share {name} of {path} admits guests: see who uses it, give them accounts (`smbpasswd -a`), set "
                f"`guest ok = no` in {file}, and run `smbcontrol all reload-config`"
            )
            yield f"{name} ({path}), to guests by {file}", advice
    if _is(common, "usershare allow guests") and common.get("usershare max shares", "0") != "0":
        yield from _of_users(host, common.get("usershare path", ""))


def _of_users(host: Host, folder: str) -> Iterator[tuple[str, str]]:
    """Yield what people share by themselves (net usershare), a file a share."""
    for name in host.list(folder) if folder else ():
        told = dict(line.partition("=")[::2] for line in (host.text(f"{folder}/{name}") or "").splitlines())
        if told.get("guest_ok", "").strip().lower() in YES:
            path = told.get("path", "").strip()
            advice = f"somebody shares {path} with guests: see who uses it, then run `net usershare delete {name}`"
            yield f"{name} ({path}), to guests by {folder}/{name}", advice


def _file_of(host: Host, share: str) -> str:
    """Return the file that has a share's section: smb.conf, or one that it includes by its name."""
    text = host.text(SMB) or ""
    included = re.findall(r"(?mi)^\s*include\s*=\s*(/[^\s%]+)\s*$", text)
    section = re.compile(rf"(?mi)^\s*\[\s*{re.escape(share)}\s*\]")
    return next((path for path in (SMB, *included) if section.search(host.text(path) or "")), f"what {SMB} includes")


def _of_nfs(host: Host) -> Iterator[tuple[str, str]]:
    """Yield what NFS exports now, and what its files will have it export when it starts anew."""
    table = host.run(["exportfs", "-s"])
    if table.status == 127:
        return
    extra = [f"{EXPORTS_FOLDER}/{name}" for name in host.list(EXPORTS_FOLDER) if name.endswith(".exports")]
    known: dict[str, list[tuple[str, str]]] = {}
    for file, text in [*((path, host.text(path) or "") for path in (EXPORTS, *extra)), (TABLE, table.output)]:
        for folder, client, options in exported(text):
            if not _proves_who(options):
                known.setdefault(folder, []).append((file, client))
    for folder, given in known.items():
        opened = _everybody([client for _file, client in given])
        files = list(dict.fromkeys(file for file, client in given if client in opened))
        if files:
            file = next((name for name in files if name != TABLE), TABLE)
            calls = " and ".join(f"`exportfs -u '{client or '*'}:{folder}'`" for client in opened)
            mend = f"run {calls}" if file == TABLE else f"name them in {file}, and run `exportfs -ra`"
            yield (
                f"{folder}, to everybody by {file}",
                f"NFS exports {folder} to everybody: see which machines use it, {mend}",
            )


def _everybody(clients: Sequence[str]) -> list[str]:
    """Return those of a folder's clients that are everybody, alone or together, as both halves of the addresses are.

    No client before the brackets is everybody as well (exports(5)).
    """
    whole = [client for client in clients if not client or ANY_NAME.fullmatch(client)]
    ranges = {client: network for client in clients if (network := _range(client)) is not None}
    for version in (4, 6):
        mine = {client: network for client, network in ranges.items() if network.version == version}
        together = list(ipaddress.collapse_addresses(mine.values()))  # type: ignore[type-var]
        if [network.prefixlen for network in together] == [0]:
            whole += [client for client, network in mine.items() if network.prefixlen == 0] or list(mine)
    return list(dict.fromkeys(whole))


def _range(client: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return a client's range of addresses; None for names, netgroups and patterns."""
    try:
        return ipaddress.ip_network(client, strict=False)
    except ValueError:
        return None


def _proves_who(options: str) -> bool:
    """Tell whether only those are admitted whom Kerberos knows."""
    flavours = [word[4:].split(":") for word in options.split(",") if word.startswith("sec=")]
    return bool(flavours) and all(flavour.startswith("krb5") for each in flavours for flavour in each)


def _is(values: Mapping[str, str], option: str) -> bool:
    return values.get(option, "").lower() in YES


def _plain(word: str) -> str:
    """Return a folder without the quotes and octal figures of exports(5)."""
    return re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), word.replace('"', ""))
