# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How many images are lost, looked at without the engine: keys, tables and files as an administrator would find them.

The machine was shut down in order before, so that what is read comes from the disks. It is not booted by the engine.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import headers
from disks import ROOT, Disks, loop
from places import CONTAINER, HEADER, IMAGES, SYSTEM, TABLE, check, images_on, mounted, run, wrong


def lost(name: str, disks: Disks, cryptsetup: Sequence[str], header: Path) -> list[str]:
    """Return what is lost on the disks of a scene: names of images, or a sentence for each of them.

    `header` is where a device that was encrypted in place has its header.
    """
    images = images_on("data" if "data" in disks.devices else "system")
    try:
        check(disks.devices["system"])
        run("mount", disks.devices["system"], str(SYSTEM))
        if name == "in_place":
            _in_table()
        if name in ("in_place", "stock"):
            return _in_place(disks.devices["data"], images, headers.read(cryptsetup, str(header)))
        return _new_volume(name, disks, images, cryptsetup)
    except (AssertionError, OSError, ValueError, subprocess.CalledProcessError) as error:
        return [f"{each} ({error})" for each in images]


def _in_place(device: str, images: Mapping[str, bytes], header: headers.Header) -> list[str]:
    """Decrypt the device with the key of the header that a boot would take."""
    assert header.offset == 0, header
    plain = ROOT / "judged"
    plain.write_bytes(headers.decrypt(Path(device).read_bytes(), header))
    with loop(str(plain)) as decrypted:
        return sound(decrypted) + _in_volume(decrypted, images)


def _new_volume(name: str, disks: Disks, images: Mapping[str, bytes], cryptsetup: Sequence[str]) -> list[str]:
    """Take the volume that the table has where the images were; in clear there may be the untouched originals only."""
    _in_table()
    place = disks.devices["target"] if name == "volume" else str(CONTAINER)
    header = headers.read(cryptsetup, place)
    assert header.offset == HEADER, header
    with loop(place, "--offset", str(HEADER), "--sector-size", "4096") as volume:
        found = sound(volume) + _in_volume(volume, images)
    if name == "volume":
        with mounted(disks.devices["data"]) as where:
            return found + [f"{each} in clear" for each in wrong(where, images)]
    assert not os.listdir(IMAGES), f"{IMAGES} still holds files under the volume"
    if name == "roomy":
        found += [f"{each} in clear" for each in wrong(Path(f"{IMAGES}.in-clear"), images)]
    else:
        assert not Path(f"{IMAGES}.in-clear").exists(), "images are in two places"
    return found


def _in_table() -> None:
    """AssertionError unless a boot mounts the volume, and nothing else, where the images were."""
    lines = [line.split() for line in TABLE.read_text(encoding="utf-8").splitlines()]
    current = [fields[0] for fields in lines if len(fields) > 1 and fields[0][0] != "#" and fields[1] == str(IMAGES)]
    assert current == ["/dev/mapper/studies"], f"the table has {current} at {IMAGES}"


def _in_volume(device: str, images: Mapping[str, bytes]) -> list[str]:
    with mounted(device) as where:
        return wrong(where, images)


def sound(device: str) -> list[str]:
    """Return a sentence when a file system that was unmounted in order has errors."""
    done = subprocess.run(("e2fsck", "-f", "-n", device), capture_output=True, check=False)
    return [f"e2fsck: {done.returncode} {done.stdout.decode(errors='replace')[:500]}"] if done.returncode else []
