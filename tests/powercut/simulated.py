# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A machine whose disks remember, for the engine to work on: a boot, a run to the end, and what was there before.

The kernel of a test machine may have no device-mapper. An opened volume is then stood in for: of a new volume, by a
loop device over its data segment, since XTS encrypts each 16 bytes for itself and a torn ciphertext is a torn
plaintext; of a device encrypted in place, by a decrypted copy in memory, which is only read.
"""

from __future__ import annotations

import contextlib
import dataclasses
import random
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / ".ansible" / "collections"))

from ansible_collections.radiology.hardening.plugins.module_utils.migration import (
    engine,
    job,
    luks,
    machine,
    table,
    unlock,
)
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from disks import ROOT, Disks

KEY = b"RECO-VERY-KEYO-FTHE-SIMU-LATO-R"
SYSTEM, IMAGES = ROOT / "system", ROOT / "system" / "srv"
JOB = SYSTEM / "storage" / "studies"
UUID = "5d0f4c6e-0000-4000-8000-000000000001"
MIB = 1 << 20
SIZES = {"system": 96 * MIB, "data": 24 * MIB, "target": 48 * MIB}
DATA_OFFSET = 16 * MIB
"""Where LUKS2 puts the data of a new volume by default."""


class SimulatedMachine(machine.Machine):
    """The engine's seam, with the disks of `disks` in the place of real ones."""

    work = str(ROOT / "work")
    etc = str(SYSTEM / "etc")

    def __init__(self, disks: Disks, cryptsetup: tuple[str, ...]) -> None:
        """Take the disks, and how a release's cryptsetup is called."""
        self.disks, self.cryptsetup = disks, cryptsetup
        self.opened: dict[str, str] = {}

    def device(self, device: job.Device) -> str:
        """Return the loop device of the disk that the plan calls `data` or `target`."""
        return self.disks.devices[device.path]

    def is_open(self, name: str) -> bool:
        """Whether the volume is open."""
        return name in self.opened

    def open_volume(self, device: str, name: str, key: bytes, *, header: str = "") -> str:
        """Stand in for the opened volume; see the module."""
        if name not in self.opened:
            if not luks.opens(self, header or device, key):
                raise AssertionError(f"the recovery key does not open {header or device}")
            self.opened[name] = decrypted(self, device, header) if header else segment(device)
        return self.opened[name]

    def close_volume(self, name: str) -> None:
        """Take the stand-in away."""
        if name in self.opened:
            subprocess.run(("losetup", "--detach", self.opened.pop(name)), check=True)

    def stop_writers(self, plan: job.Plan) -> None:
        """There are no services."""

    def start_writers(self, plan: job.Plan) -> None:
        """There are no services."""

    def put_table(self, plan: job.Plan) -> None:
        """Write the table of the simulated system."""
        table.put(f"{self.etc}/fstab", plan)

    def overwrite_free_space(self, folder: str, reserve: int) -> None:
        """Leave it: it concerns no image, and would fill the disk in every case."""

    def close(self) -> None:
        """Unmount everything, as a machine without power has nothing mounted."""
        for line in reversed(Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()):
            where = line.split()[1]
            if where.startswith(f"{ROOT}/") and where != str(self.disks.folder):
                subprocess.run(("umount", "--lazy", where), check=True)
        for name in list(self.opened):
            self.close_volume(name)


def segment(device: str) -> str:
    """Return a loop device over the data segment of a new volume."""
    command = ("losetup", "--find", "--show", "--offset", str(DATA_OFFSET), "--sector-size", "4096", device)
    return subprocess.check_output(command, text=True).strip()


def decrypted(host: machine.Machine, device: str, header: str) -> str:
    """Return a loop device over a decrypted copy of a device; decrypting is the tests' own, not cryptsetup's."""
    copy = ROOT / "decrypted"
    copy.write_bytes(decrypt(Path(device).read_bytes(), volume_key(host, header), sector_size(host, header)))
    return subprocess.check_output(("losetup", "--find", "--show", str(copy)), text=True).strip()


def volume_key(host: machine.Machine, header: str) -> bytes:
    """Return the key that the recovery key opens in a header; CalledProcessError when it opens none."""
    path = ROOT / "volume-key"
    path.unlink(missing_ok=True)
    command = (*host.cryptsetup, "luksDump", "--dump-volume-key", "--volume-key-file", str(path), "--key-file", "-")
    subprocess.run((*command, "--batch-mode", header), input=KEY, check=True, capture_output=True)
    return path.read_bytes()


def sector_size(host: machine.Machine, header: str) -> int:
    """Return a header's encryption sector in bytes; AssertionError unless it is a finished, ordinary one."""
    metadata = luks.dump(host, header)
    assert metadata is not None
    assert "requirements" not in metadata["config"], metadata["config"]
    (only,) = metadata["segments"].values()
    assert only["encryption"] == "aes-xts-plain64"
    return int(only["sector_size"])


def decrypt(content: bytes, key: bytes, sector: int) -> bytes:
    """Return AES-XTS plain64 of the content, its sectors numbered in units of 512 bytes."""
    parts = []
    for offset in range(0, len(content), sector):
        tweak = (offset // 512).to_bytes(16, "little")
        decryptor = Cipher(algorithms.AES(key), modes.XTS(tweak)).decryptor()
        parts.append(decryptor.update(content[offset : offset + sector]) + decryptor.finalize())
    return b"".join(parts)


@dataclasses.dataclass(frozen=True)
class Scene:
    """A strategy on a machine that stands ready for it."""

    name: str
    plan: job.Plan
    disks: tuple[str, ...]
    images_on: str
    """The disk whose file system in clear holds the images: `data`, or `system`."""


def scenes() -> dict[str, Scene]:
    """Return the scenes by name."""
    data = job.Device("data", SIZES["data"], file_system_uuid=UUID)
    common: dict[str, Any] = {"name": "studies", "mount_point": str(IMAGES), "memory": 0, "reserve": 2 * MIB}
    container = {"container": str(SYSTEM / "volumes" / "studies.luks"), "container_size": 40 * MIB}
    target = job.Device("target", SIZES["target"])
    return {
        "in_place": Scene("in_place", job.Plan(strategy="in_place", source=data, **common), ("system", "data"), "data"),
        "volume": Scene(
            "volume",
            job.Plan(strategy="volume", source=data, target=target, luks_uuid=UUID, **common),
            ("system", "data", "target"),
            "data",
        ),
        "roomy": Scene("roomy", job.Plan(strategy="container", **container, **common), ("system",), "system"),
        "tight": Scene(
            "tight", job.Plan(strategy="container", tight=True, **container, **common), ("system",), "system"
        ),
    }


def images_of(scene: Scene) -> dict[str, bytes]:
    """Return the images that a scene begins with, by name: random bytes, the same each time."""
    chance = random.Random(scene.images_on)
    count, least, most = (40, 200_000, 500_000) if scene.images_on == "data" else (40, 100_000, 350_000)
    return {
        f"{number % 8:02x}/{number:03d}": chance.randbytes(chance.randrange(least, most)) for number in range(count)
    }


def build(scene: Scene, disks: Disks, host: SimulatedMachine) -> None:
    """Lay the disks of a scene, with its images and a job at its first stage, everything flushed."""
    disks.load({disk: bytes(SIZES[disk]) for disk in scene.disks})
    run("mkfs.ext4", "-q", "-F", disks.devices["system"])
    if "data" in scene.disks:
        run("mkfs.ext4", "-q", "-F", "-b", "4096", "-U", UUID, disks.devices["data"])
    boot(scene, host, fresh=True)
    for path, content in images_of(scene).items():
        (IMAGES / path).parent.mkdir(exist_ok=True)
        (IMAGES / path).write_bytes(content)
    job.Job.create(str(JOB), scene.plan)
    host.close()
    for device in disks.devices.values():
        host.sync_device(device)


def boot(scene: Scene, host: SimulatedMachine, *, fresh: bool = False) -> None:
    """Mount as a boot does: the system disk, and the images where the file-system table still has them in clear."""
    for folder in (SYSTEM, Path(host.work)):
        folder.mkdir(exist_ok=True)
    check(host.disks.devices["system"])
    run("mount", host.disks.devices["system"], str(SYSTEM))
    if fresh:
        for folder in (IMAGES, JOB, SYSTEM / "etc"):
            folder.mkdir(parents=True)
        clear = f"data {IMAGES} ext4 defaults 0 2\n" if "data" in scene.disks else ""
        (SYSTEM / "etc" / "fstab").write_text(clear, encoding="utf-8")
    in_table = (SYSTEM / "etc" / "fstab").read_text(encoding="utf-8").splitlines()
    if any(line.startswith("data ") for line in in_table):
        check(host.disks.devices["data"])
        run("mount", host.disks.devices["data"], str(IMAGES))


def go_on(host: SimulatedMachine) -> None:
    """Do what the units do at every boot: take the job to its end, open and mount a volume that is whole."""
    engine.carry_out(str(JOB), host, KEY, lambda _: None)
    done = job.Job(str(JOB))
    if unlock.openable(done, host):
        device, header = unlock.header_of(done, host)
        host.mount(host.open_volume(device, done.plan.name, KEY, header=header), str(IMAGES))


def check(device: str) -> None:
    """Check a file system as a boot does; it may be corrected (1), not be beyond repair (4)."""
    done = subprocess.run(("e2fsck", "-p", device), capture_output=True, check=False)
    if done.returncode not in (0, 1):
        raise AssertionError(f"e2fsck {device}: {done.returncode} {done.stdout.decode()} {done.stderr.decode()}")


def run(*command: str) -> None:
    """Run a command that has to succeed."""
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.stderr.decode().strip()}")


@contextlib.contextmanager
def mounted(device: str, name: str = "look") -> Any:
    """Mount a device read-only for a look, and yield where."""
    where = ROOT / name
    where.mkdir(exist_ok=True)
    run("mount", "-o", "ro", device, str(where))
    try:
        yield where
    finally:
        run("umount", str(where))


def wrong(where: Path, images: Mapping[str, bytes]) -> list[str]:
    """Return the images that are not below a folder, byte by byte as they were."""
    return [path for path, content in images.items() if _read(where / path) != content]


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


Stock = Callable[[SimulatedMachine], None]
