# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The engine on a machine whose disks remember: its seam with simulated devices, and what the units do at a boot.

The kernel of a test machine may have no device-mapper. An opened volume is then stood in for: of a new volume, by a
loop device over its data segment, since XTS encrypts each 16 bytes for itself and a torn ciphertext is a torn
plaintext; of a device encrypted in place, by a decrypted copy in memory, which is only read. So encryption in place
under running programs (plan.online) cannot be simulated: cryptsetup needs the opened mapping for it. The machine
tests cut it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / ".ansible" / "collections"))

import headers
from ansible_collections.radiology.hardening.plugins.module_utils.migration import (
    engine,
    job,
    luks,
    machine,
    records,
    retirement,
    table,
    unlock,
)
from disks import LOOPS, ROOT, Disks
from places import CONTAINER, DISKS, HEADER, IMAGES, JOB, KEY, KEYSLOTS, MIB, TABLE, UUID, boot, shut_down

RESERVE = {"tight": 8 * MIB}
"""Bytes that stay free beside a container; so many that `tight` moves its images in several batches."""

luks.HEADER_SIZE = HEADER
luks.KEY_FOLDER = str(ROOT / "keys")
records.FILL = 256 << 10


class SimulatedMachine(machine.Machine):
    """The engine's seam, with the disks of `disks` in the place of real ones."""

    work = str(ROOT / "work")
    etc = str(TABLE.parent)

    def __init__(self, disks: Disks, cryptsetup: tuple[str, ...]) -> None:
        """Take the disks, and how a release's cryptsetup is called."""
        self.disks, self.cryptsetup = disks, cryptsetup
        self.opened: dict[str, str] = {}

    def run(self, command: Sequence[str], *, stdin: bytes = b"") -> machine.Result:
        """Run a command; new headers are smaller than cryptsetup's default, so that a case is cheaper."""
        words = tuple(command)
        if words[: len(self.cryptsetup)] == self.cryptsetup and {"luksFormat", "--init-only"} & set(words):
            words += ("--luks2-keyslots-size", str(KEYSLOTS))
        return super().run(words, stdin=stdin)

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
            self.opened[name] = self.decrypted(device, header) if header else segment(device)
        return self.opened[name]

    def decrypted(self, device: str, header: str) -> str:
        """Return a loop device over a decrypted copy of a device."""
        copy = ROOT / "decrypted"
        copy.write_bytes(headers.decrypt(Path(device).read_bytes(), headers.read(self.cryptsetup, header)))
        return LOOPS.attach(str(copy))

    def close_volume(self, name: str) -> None:
        """Take the stand-in away."""
        if name in self.opened:
            LOOPS.detach(self.opened.pop(name))

    def shows_volume(self, where: str, name: str) -> bool:
        """Whether the volume's stand-in is mounted there."""
        return name in self.opened and self.source_of(where) == self.opened[name]

    def make_file_system(self, device: str, kind: str) -> None:
        """Make a file system; under its new key, what a former attempt left would read as noise."""
        with open(device, "r+b") as file:
            file.write(b"\x5a" * (64 << 10))
        super().make_file_system(device, kind)

    def stop_writers(self, plan: job.Plan) -> None:
        """There are no services."""

    def start_writers(self, plan: job.Plan) -> None:
        """There are no services."""

    def put_table(self, plan: job.Plan) -> None:
        """Write the table of the simulated system."""
        table.put(str(TABLE), plan)


def segment(device: str) -> str:
    """Return a loop device over the data segment of a new volume; as an opened volume, it passes no discards on."""
    volume = LOOPS.attach(device, "--offset", str(HEADER), "--sector-size", "4096")
    Path(f"/sys/class/block/{Path(volume).name}/queue/discard_max_bytes").write_text("0", encoding="ascii")
    return volume


def plan_of(scene: str) -> job.Plan:
    """Return the plan of a scene."""
    data = job.Device("data", DISKS["in_place"]["data"], file_system_uuid=UUID)
    common: dict[str, Any] = {
        "name": "studies",
        "mount_point": str(IMAGES),
        "memory": 0,
        "reserve": RESERVE.get(scene, 2 * MIB),
        "luks_uuid": UUID,
    }
    if scene == "in_place":
        return job.Plan(strategy="in_place", source=data, **common)
    if scene == "volume":
        target = job.Device("target", DISKS["volume"]["target"])
        return job.Plan(strategy="volume", source=data, target=target, **common)
    return job.Plan(
        strategy="container", tight=scene == "tight", container=str(CONTAINER), container_size=16 * MIB, **common
    )


class Ours:
    """The migration: what the playbook and the units do after each boot."""

    header = JOB / "header"

    def __init__(self, scene: str, disks: Disks, cryptsetup: tuple[str, ...]) -> None:
        """Take a scene; `wiped` is `roomy` when its former copy is retired."""
        self.scene, self.disks, self.plan = scene, disks, plan_of(scene)
        self.host = SimulatedMachine(disks, cryptsetup)

    def begin(self) -> None:
        """Bring the laid disks to where the scene begins."""
        if self.scene == "wiped":
            boot(self.disks)
            self.encrypt(lambda _: None)
            self.shut_down()

    def go_on(self, reached: Callable[[str], None]) -> None:
        """Go on after a boot to the end; `reached` gets the name of each stage."""
        self.encrypt(reached)
        if self.scene == "wiped":
            retirement.retire(job.Job(str(JOB)), self.host, lambda _: reached("retired"))

    def encrypt(self, reached: Callable[[str], None]) -> None:
        """Take the job to its end, as playbook and unit do; open and mount a volume that is whole, as a boot does."""
        if not (JOB / "plan.json").exists():
            job.Job.create(str(JOB), self.plan)
        done = job.Job(str(JOB))
        if not done.stage.startswith("retir"):
            stages = engine.strategy_of(done, self.host, KEY, lambda _: None).STAGES

            def tell(sentence: str) -> None:
                if (stage := sentence.rpartition(" ")[2]) in stages:
                    reached(stage)

            engine.prepare(str(JOB), self.host, KEY, tell)
            engine.carry_out(str(JOB), self.host, KEY, tell)
        if unlock.openable(done, self.host):
            device, header = unlock.header_of(done, self.host)
            self.host.mount(self.host.open_volume(device, done.plan.name, KEY, header=header), str(IMAGES))

    def shut_down(self) -> None:
        """Unmount everything and close the volume."""
        shut_down(self.disks, self.host.opened.values())
        self.host.opened.clear()
