# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The opened encrypted volumes of a host: what their headers say, what opens them, and who holds the recovery key.

Never asks for a key; no key, passphrase or sealed secret becomes a fact. Formats: LUKS2 on-disk format 1.1.3.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.disk_stack import Node, Stack, cipher_of
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host

STORAGE = "/var/lib/radiology-hardening/storage"
"""Where each deliberate encryption has a folder of its volume's name: header, stage, proof of escrow."""

CIPHER, KEY_BITS, DERIVATION = "aes-xts-plain64", 512, "argon2id"
RECOVERY = "radiology-recovery"
"""Type of the token that names the keyslot of the recovery key."""
BINDINGS = ("clevis", "systemd-tpm2")
"""Types of tokens that name a keyslot which a machine opens without a person."""
NAMED = (RECOVERY, *BINDINGS)
PINS = ("tpm2", "tang", "sss")
COPIES = 2
"""Places besides the volume that hold a copy of its header."""

Volume = dict[str, Any]


def observe(host: Host, stack: Stack) -> list[Volume]:
    """Return every opened encrypted volume, by name."""
    crypts = [node for node in stack.nodes.values() if node.kind == "crypt"]
    return [_volume(host, stack, node) for node in sorted(crypts, key=lambda node: node.name)]


def jobs(host: Host) -> dict[str, str]:
    """Return each deliberate encryption by name, with the stage that it has reached."""
    found: dict[str, str] = {}
    for name in host.list(STORAGE):
        stage = parse_json(host.text(f"{STORAGE}/{name}/stage.json") or "").get("stage")
        if stage is not None:
            found[name] = str(stage)
    return found


def _volume(host: Host, stack: Stack, node: Node) -> Volume:
    """Return what is known of a volume; `kind` is LUKS1, LUKS2, PLAIN and so on, as the kernel has it."""
    words = (host.text(f"/sys/block/{node.kernel_name}/dm/uuid") or "").split("-")
    kind = words[1] if words[0] == "CRYPT" and len(words) > 1 else ""
    devices = [stack.nodes[name].path for name in node.parents]
    detached = f"{STORAGE}/{node.name}/header"
    header = detached if host.stat(detached) is not None else (devices[0] if devices else "")
    table = stack.tables.get(node.name, [])
    found: Volume = {
        "name": node.name,
        "kind": kind,
        "device": devices[0] if devices else "",
        "header": header,
        "encrypts": stack.encrypts(node),
        "cipher": ", ".join(sorted({cipher_of(target) or target.split()[2] for target in table})),
        "key_bits": min((key_bits(target) for target in table), default=0),
        **read_header({}, ""),
        "escrow": {},
    }
    if kind == "LUKS2" and header:
        dumped = host.run(["cryptsetup", "luksDump", "--dump-json-metadata", header])
        found |= read_header(parse_json(dumped.output), host.run(["cryptsetup", "luksDump", header]).output)
        found["escrow"] = read_escrow(parse_json(host.text(f"{STORAGE}/{node.name}/escrow.json") or ""))
    return found


def read_header(metadata: Mapping[str, Any], text: str) -> Volume:
    """Return what the two forms of `cryptsetup luksDump` say; `readable` is false where they say nothing.

    Version, UUID and epoch stand in the text alone, keyslots and tokens in the metadata.
    """
    tokens = [token for token in _values(metadata, "tokens") if isinstance(token, dict)]
    keyslots = [
        {
            "slot": str(slot),
            "derivation": str(_object(known.get("kdf")).get("type", "")),
            "named_by": sorted(
                {str(token.get("type")) for token in tokens if str(slot) in map(str, _values(token, "keyslots"))}
            ),
        }
        for slot, known in _object(metadata.get("keyslots")).items()
        if isinstance(known, dict) and known.get("type") == "luks2"
    ]
    requirements = _object(_object(metadata.get("config")).get("requirements"))
    return {
        "readable": bool(metadata.get("segments")),
        "uuid": _line(text, "UUID"),
        "epoch": int(_line(text, "Epoch") or 0),
        "keyslots": sorted(keyslots, key=lambda known: (len(str(known["slot"])), known["slot"])),
        "tokens": sorted(str(token.get("type")) for token in tokens),
        "bindings": sorted(filter(None, map(binding, tokens))),
        "unfinished": bool(requirements.get("mandatory")),
    }


def binding(token: Mapping[str, Any]) -> str:
    """Return what a token binds its keyslot to: `tpm2 pcr 7`, `tpm2`, `tang`; empty for none that we know."""
    if token.get("type") == "systemd-tpm2":
        registers = ",".join(map(str, _values(token, "tpm2-pcrs"))) or ("signed" if token.get("tpm2_pubkey") else "")
        return f"tpm2 pcr {registers}" if registers else "tpm2"
    if token.get("type") != "clevis":
        return ""
    clevis = _object(decoded(str(_object(token.get("jwe")).get("protected", ""))).get("clevis"))
    pin = str(clevis.get("pin", ""))
    registers = str(_object(clevis.get(pin)).get("pcr_ids", ""))
    return f"{pin} pcr {registers}" if pin == "tpm2" and registers else pin or "unknown"


def decoded(text: str) -> dict[str, Any]:
    """Return the JSON object in a base64url text without padding (RFC 7515); an empty one for anything else."""
    try:
        return parse_json(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode())
    except (ValueError, binascii.Error):
        return {}


def parse_json(text: str) -> dict[str, Any]:
    """Return the JSON object in a text; an empty one for anything else."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return _object(found)


def read_escrow(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the proof of escrow with its types made sure; empty where there is none."""
    if not record:
        return {}
    return {
        "luks_uuid": str(record.get("luks_uuid", "")),
        "proven_at": str(record.get("proven_at", "")),
        "recipients": [str(each) for each in _values(record, "recipients")],
        "header_epoch": record["header_epoch"] if isinstance(record.get("header_epoch"), int) else 0,
        "header_copies": [str(each) for each in _values(record, "header_copies")],
    }


def key_bits(target: str) -> int:
    """Return the length of the key of one line of device-mapper's table, in bits; 0 where it has none."""
    words = target.split()
    if not cipher_of(target) or len(words) < 5:
        return 0
    in_keyring = re.match(r":(\d+):", words[4])
    return 8 * int(in_keyring[1]) if in_keyring else 4 * len(words[4])


# What the controls ask of volumes, in sentences


def not_luks2(volumes: Sequence[Volume]) -> list[str]:
    """Return the volumes that hold patient data and are no LUKS2, or no longer (or not yet) wholly encrypted."""
    said = []
    for volume in volumes:
        if volume["kind"] != "LUKS2":
            said.append(f"{volume['name']} is {volume['kind'] or 'of an unknown kind'}, not LUKS2")
        elif not volume["encrypts"] or volume["unfinished"]:
            said.append(f"{volume['name']} is not wholly encrypted yet")
        elif not volume["readable"]:
            said.append(f"{volume['name']}: its header {volume['header']} cannot be read")
    return said


def weak(volumes: Sequence[Volume]) -> list[str]:
    """Return where a volume falls short of AES-XTS with 512 bits, or a passphrase of argon2id.

    A keyslot that a token names holds a key of random bits, which no derivation makes stronger.
    """
    said = []
    for volume in volumes:
        if volume["cipher"] != CIPHER or volume["key_bits"] != KEY_BITS:
            said.append(f"{volume['name']}: {volume['cipher'] or 'no cipher'} with {volume['key_bits']} bits")
        said += [
            f"{volume['name']}: the passphrase of keyslot {slot['slot']} is derived by {slot['derivation']}"
            for slot in volume["keyslots"]
            if not slot["named_by"] and slot["derivation"] != DERIVATION
        ]
    return said


def unknown_keyslots(volumes: Sequence[Volume], passphrases: int) -> list[str]:
    """Return the keyslots that no token of ours names, where there are more of them than declared passphrases."""
    said = []
    for volume in volumes:
        if volume["kind"] != "LUKS2":
            continue
        if not volume["readable"]:
            said.append(f"{volume['name']}: its keyslots cannot be read")
        slots = [slot["slot"] for slot in volume["keyslots"] if not set(slot["named_by"]) & set(NAMED)]
        if len(slots) > passphrases:
            said.append(f"{volume['name']}: keyslots {', '.join(slots)} are named by no token, {passphrases} declared")
    return said


def not_escrowed(volumes: Sequence[Volume]) -> list[str]:
    """Return the volumes whose recovery key, or whose newest header, nobody but the host is proven to hold."""
    said = []
    for volume in volumes:
        escrow = volume["escrow"]
        recovery = any(RECOVERY in slot["named_by"] for slot in volume["keyslots"])
        reasons = [
            (not escrow, "no proof that its recovery key was escrowed"),
            (bool(escrow) and escrow["luks_uuid"] != volume["uuid"], "the proof of escrow is of another volume"),
            (bool(escrow) and not escrow["recipients"], "the proof of escrow names nobody"),
            (bool(escrow) and not _is_date(escrow["proven_at"]), "the proof of escrow has no date"),
            (
                bool(escrow) and escrow["header_epoch"] != volume["epoch"],
                f"its header has changed since its recovery key was escrowed (now at epoch {volume['epoch']})",
            ),
            (bool(escrow) and len(escrow["header_copies"]) < COPIES, f"fewer than {COPIES} copies of its header"),
            (not recovery, "no keyslot is named as the recovery key's"),
        ]
        said += [f"{volume['name']}: {reason}" for is_so, reason in reasons if is_so][:1]
    return said


def unbound(volumes: Sequence[Volume]) -> list[str]:
    """Return the volumes that neither a TPM nor Tang opens, so that they wait for a person after a power cut."""
    return [f"{volume['name']} opens by no TPM and no Tang" for volume in volumes if not volume["bindings"]]


def loosely_bound(volumes: Sequence[Volume]) -> list[str]:
    """Return the volumes that a TPM gives to whatever starts, or that a pin opens which we do not know."""
    return [
        f"{volume['name']} opens by {bound}"
        + (", whatever system starts: no PCR is checked" if bound == "tpm2" else ", a pin that proves nothing")
        for volume in volumes
        for bound in volume["bindings"]
        if bound == "tpm2" or bound.partition(" ")[0] not in PINS
    ]


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _values(found: Mapping[str, Any], key: str) -> list[Any]:
    value = found.get(key)
    return list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else []


def _line(text: str, name: str) -> str:
    found = re.search(rf"^{name}:[ \t]*(\S+)", text, re.MULTILINE)
    return found[1] if found else ""


def _is_date(text: str) -> bool:
    return re.match(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}", text) is not None
