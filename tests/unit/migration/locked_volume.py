# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A volume that is encrypted, on files: the real cryptsetup and openssl, a stand-in for the TPM, Tang and systemd.

A kernel without device-mapper opens no volume; a header, its keyslots and its tokens need none.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import (
    escrow,
    evidence,
    job,
    key_calls,
    keys,
    keyslots,
    luks,
    records,
    unlock,
)
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine, Result
from ansible_collections.radiology.hardening.plugins.plugin_utils import escrow_folders
from ansible_collections.radiology.hardening.plugins.plugin_utils.key_acts import Acts

NAME = "studies"
UUID = "5d0f4c6e-0000-4000-8000-000000000002"
TPM = {"pin": "tpm2", "config": {"pcr_bank": "sha256", "pcr_ids": "7"}}
SERIAL = "DISK-1"
PASSPHRASE = "of the private key"
MUTATING = ("luksAddKey", "luksKillSlot", "token", "luksFormat")


class PowerCut(BaseException):
    """The power went."""


class Bench(Machine):
    """The engine's seam on files, with a TPM that can be another one."""

    def __init__(self, root: Path) -> None:
        self.etc, self.work = str(root / "etc"), str(root / "work")
        self.tpm = "the first TPM"
        self.opened: set[str] = set()
        self.started: list[str] = []
        self.disk = SERIAL
        self.event: Callable[[str], None] = lambda what: None
        self.commands: list[str] = []
        if os.geteuid() != 0:
            self.cryptsetup = ("cryptsetup", "--disable-locks")

    def run(self, command: Sequence[str], *, stdin: bytes = b"") -> Result:
        self.commands.append(" ".join(command))
        if command[:3] == ("clevis", "luks", "pass"):
            return self.passed(command[4], command[6])
        if command[:2] == ("clevis", "encrypt"):
            return Result(0, self.tpm.encode() + b"\n" + stdin, b"")
        if command[:2] == ("clevis", "decrypt"):
            bound, key = stdin.split(b"\n", 1)
            return Result(0, key, b"") if bound.decode() == self.tpm else Result(1, b"", b"another TPM")
        if command[0] == "systemd-escape":
            return Result(0, b"srv-images.mount\n", b"")
        if command[0] == "systemctl":
            self.started += [word for word in command[1:] if "." in word]
            return Result(0, b"", b"")
        if any(word in command for word in MUTATING):
            self.event(f"before {' '.join(command[1:4])}")
        return super().run(command, stdin=stdin)

    def passed(self, header: str, slot: str) -> Result:
        """Answer as Clevis does: with the slot's key on the TPM that it was bound to, else with an error."""
        for token in keyslots.tokens(self, header, "clevis").values():
            if slot in token["keyslots"] and token["tpm"] == self.tpm:
                return Result(0, token["key"].encode(), b"")
        return Result(1, b"", b"the TPM does not give the key")

    def bind(self, header: str, unlock: Mapping[str, Any], key: bytes) -> None:
        """Do as `clevis luks bind`: a keyslot of a random key, then a token."""
        slot, made = keyslots.free(self, header), os.urandom(16).hex()
        plan = job.Plan(name=NAME, strategy="volume", mount_point="/", memory=0)
        keyslots.add(self, header, slot, plan, opener=key, key=made.encode())
        told = {"clevis": {"pin": unlock["pin"], unlock["pin"]: unlock["config"]}}
        protected = base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")
        token = {"type": "clevis", "keyslots": [slot], "jwe": {"protected": protected}, "tpm": self.tpm, "key": made}
        self.must((*self.cryptsetup, "token", "import", header), stdin=json.dumps(token).encode())

    def serials(self, device: str) -> tuple[str, ...]:
        return (self.disk,)

    def device(self, device: job.Device) -> str:
        return device.path

    def is_open(self, name: str) -> bool:
        return name in self.opened

    def open_volume(self, device: str, name: str, key: bytes, *, header: str = "") -> str:
        assert luks.opens(self, header or device, key)
        self.opened.add(name)
        return f"/dev/mapper/{name}"

    def shows_volume(self, where: str, name: str) -> bool:
        return name in self.opened

    def put_table(self, plan: job.Plan) -> None:
        self.started.append(f"table {plan.unlock['pin']}")


@dataclasses.dataclass
class Volume:
    """A host with an encrypted volume, its two escrow folders, and the engineer who runs the acts."""

    root: Path
    strategy: str
    name: str = "pacs"
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    shown: list[str] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        self.machine = Bench(self.root)
        self.places = [str(self.root / "escrow" / each / "pacs" / NAME) for each in ("one", "two")]
        self.folder = str(self.root / "storage" / NAME)
        self.device = str(self.root / "device")
        self.certificates = [
            (self.root / "escrow" / f"{each}.pem").read_text("ascii") for each in ("provider", "clinic")
        ]

    # As the acts see the host

    def call(self, call: str, **arguments: Any) -> dict[str, Any]:
        """Make one call, as the module does: what goes over the wire is JSON."""
        empty = {"storage": {}, "certificates": [], "recipients": [], "evidence": {}, "answer": "", "confirm": ""}
        given = json.loads(json.dumps({**empty, **arguments, "call": call}))
        return json.loads(json.dumps(key_calls.make(self.machine, NAME, given)))  # type: ignore[no-any-return]

    def hand(self, document: bytes) -> None:
        Path(luks.KEY_FOLDER).mkdir(exist_ok=True)
        Path(keys.handed(NAME)).write_bytes(document)

    def acts(self, **given: Any) -> Acts:
        known = {"name": NAME, "private_key": self.private_key("clinic"), "passphrase": PASSPHRASE}
        return Acts(self, self.places, {**known, **given}, self.shown.append)

    def rotate(self, **given: Any) -> dict[str, Any]:
        return self.acts(**given).rotate(self.certificates, check=bool(given.get("check")))

    # As a witness sees it

    @property
    def job(self) -> job.Job:
        return job.Job(self.folder)

    @property
    def header(self) -> str:
        device, header = unlock.header_of(self.job, self.machine)
        return header or device

    def private_key(self, name: str) -> str:
        return str(self.root / "escrow" / f"{name}.key")

    def sealed(self) -> list[bytes]:
        """Return every recovery key that lies sealed in an escrow folder, opened; a file that opens no more is left."""
        found = []
        for path in sorted(path for place in self.places for path in Path(place).glob("*.p7m")):
            with contextlib.suppress(HardeningError):
                found.append(escrow_folders.open_sealed(str(path), self.private_key("provider"), PASSPHRASE))
        return found

    def record(self, name: str) -> dict[str, Any]:
        return records.read_json(self.job.path(name)) or {}

    def opens(self, key: bytes, header: str = "") -> bool:
        return luks.opens(self.machine, header or self.header, key)

    def reboot(self) -> None:
        """Forget what was in memory."""
        shutil.rmtree(luks.KEY_FOLDER, ignore_errors=True)
        self.machine.opened.clear()
        self.machine.event = lambda what: None


Lay = Callable[[str], Volume]
"""Gives a test an encrypted volume of a strategy."""


def build(root: Path, strategy: str) -> Volume:
    """Lay an encrypted volume with its escrow, as encrypt_storage leaves it."""
    folder = root / "storage" / NAME
    folder.mkdir(parents=True)
    (root / "etc").mkdir()
    (root / "escrow").mkdir()
    for each in ("provider", "clinic"):
        certificate(root / "escrow", each)
    size = (16 if strategy == "in_place" else 32) << 20
    device = job.Device(str(root / "device"), size, serial=SERIAL)
    with open(device.path, "wb") as file:
        file.truncate(size)
    plan = job.Plan(
        name=NAME,
        strategy=strategy,
        mount_point="/srv/images",
        source=device if strategy == "in_place" else None,
        target=device if strategy == "volume" else None,
        container=device.path if strategy == "container" else "",
        luks_uuid=UUID,
        memory=0,
        services=("orthanc.service",),
        unlock=TPM,
    )
    job.Job.create(str(folder), plan)
    volume = Volume(root, strategy)
    key = escrow.make_key()
    detached = strategy == "in_place"
    header = volume.header
    command = ["luksFormat", "--type", "luks2", "--uuid", UUID, "--key-file", "-", "--batch-mode"]
    command += [
        *luks.derivation(plan),
        "--luks2-keyslots-size",
        "2m",
    ]  # small: the rest of 16 MiB compresses to nothing
    command += ["--header", header, "--offset", "0"] if detached else ["--offset", str((16 << 20) // 512)]
    with open(header, "ab") as file:
        file.truncate(16 << 20 if detached else size)
    volume.machine.must((*volume.machine.cryptsetup, *command, device.path), stdin=key)
    luks.name_recovery_slot(volume.machine, header)
    volume.machine.bind(header, TPM, key)
    volume.job.record("done")
    sealed = escrow.seal(volume.machine, key, volume.certificates)
    taken = evidence.collect(volume.job, volume.machine)
    escrow_folders.keep(volume.places, escrow_folders.SEALED, sealed)
    escrow_folders.keep(volume.places, escrow_folders.HEADER, base64.b64decode(taken["header"]))
    told = {
        **{name: taken[name] for name in ("luks_uuid", "digest")},
        "recipients": [escrow_folders.fingerprint(each) for each in volume.certificates],
        "places": [f"{place} (on the controller)" for place in volume.places],
    }
    escrow_folders.about(volume.places, {**told, "host": "pacs", "name": NAME})
    evidence.record(volume.job, volume.machine, told)
    return volume


def certificate(folder: Path, name: str) -> None:
    """Make a key pair, its private key under a passphrase."""
    words = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-days", "30")
    files = ("-subj", f"/CN={name}", "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem")
    subprocess.run((*words, *files, "-passout", f"pass:{PASSPHRASE}"), check=True, capture_output=True)


def digest(path: str) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
