# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How many images are lost, looked at without the engine: keys, tables and files as an administrator would find them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from simulated import IMAGES, JOB, ROOT, Scene, SimulatedMachine, decrypt, mounted, sector_size, volume_key, wrong
from simulated import images_of as expected


def lost(scene: Scene, host: SimulatedMachine) -> list[str]:
    """Return what is lost after a recovery: names of images, or a sentence for all of them."""
    images = expected(scene)
    try:
        if scene.name == "in_place":
            return _in_place(host, images)
        return _new_volume(scene, host, images)
    except (AssertionError, OSError, subprocess.CalledProcessError) as error:
        return [f"{each} ({error})" for each in images]


def _in_place(host: SimulatedMachine, images: dict[str, bytes]) -> list[str]:
    """Decrypt the device with the key of the header that a boot would take."""
    header = str(JOB / "header")
    content = decrypt(
        Path(host.disks.devices["data"]).read_bytes(), volume_key(host, header), sector_size(host, header)
    )
    plain = ROOT / "judged"
    plain.write_bytes(content)
    device = subprocess.check_output(("losetup", "--find", "--show", str(plain)), text=True).strip()
    try:
        with mounted(device) as where:
            return wrong(where, images)
    finally:
        subprocess.run(("losetup", "--detach", device), check=True)


def _new_volume(scene: Scene, host: SimulatedMachine, images: dict[str, bytes]) -> list[str]:
    """Take what is mounted where the images were, which has to be the volume, and nothing under it."""
    assert os.path.ismount(IMAGES), f"nothing is mounted at {IMAGES}"
    source = next(
        line.split()[0]
        for line in reversed(Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines())
        if line.split()[1] == str(IMAGES)
    )
    assert source == host.opened["studies"], f"{source} is mounted at {IMAGES}"
    found = wrong(IMAGES, images)
    if scene.name == "tight":
        subprocess.run(("umount", str(IMAGES)), check=True)
        assert not os.listdir(IMAGES), f"{IMAGES} still holds files under the volume"
    if scene.name == "volume":
        with mounted(host.disks.devices["data"]) as where:
            found += [f"{each} in clear" for each in wrong(where, images)]
    if scene.name == "roomy":
        found += [f"{each} in clear" for each in wrong(Path(f"{IMAGES}.in-clear"), images)]
    return found
