# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a secret survives on a machine: its whole disks, its memory-backed file systems, its journal, its processes."""

from __future__ import annotations

import base64
import gzip
import os
import secrets
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from clinic import MARK
from eyes import MEMORY
from virtual_guest import VirtualMachine

BLOCK = 32 << 20
"""Bytes of a disk that are searched at once."""
PLANT = """
read -r planted
printf %s "$planted" >/var/tmp/planted
sync /var/tmp/planted
rm /var/tmp/planted
printf %s "$planted" >/dev/shm/planted
printf 'A sentence with %s in it' "$planted" | systemd-cat
"""


def forms(secret: bytes) -> list[bytes]:
    """Return what a secret may look like: as it is, in hexadecimal, in base 64 wherever it begins, without dashes."""
    bare = secret.replace(b"-", b"")
    found = []
    for each in dict.fromkeys((secret, bare, bare.lower())):
        found += [each, each.hex().encode(), each.hex().upper().encode()]
        for shift in range(3):
            # The first and the last letters depend on the neighbours.
            encoded = base64.b64encode(bytes(shift) + each)[(0, 2, 3)[shift] :].rstrip(b"=")[:-1]
            found += [encoded, encoded.translate(bytes.maketrans(b"+/", b"-_"))]
    return list(dict.fromkeys(found))


def opened_key(envelope: Path, private_key: Path) -> bytes:
    """Return the recovery key from its CMS envelope."""
    command = ("openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", str(envelope), "-inkey")
    return subprocess.run((*command, str(private_key)), check=True, capture_output=True).stdout


def volume_key(header: Path, key: bytes) -> bytes:
    """Return the volume key from a header's copy."""
    with tempfile.TemporaryDirectory() as folder:
        plain, result = Path(folder, "header"), Path(folder, "key")
        plain.write_bytes(gzip.decompress(header.read_bytes()))
        command = ("cryptsetup", "luksDump", "--dump-volume-key", "--volume-key-file", str(result), "--key-file", "-")
        path = {**os.environ, "PATH": "/usr/sbin:/sbin:/usr/bin:/bin"}
        subprocess.run((*command, "--batch-mode", str(plain)), input=key, check=True, capture_output=True, env=path)
        return result.read_bytes()


class Canary:
    """A search that has to find what was planted, and nothing else."""

    def __init__(self, machine: VirtualMachine, processes: Path) -> None:
        """Take a machine, and the file where the command lines and environments of its processes are noted."""
        self.machine, self.processes = machine, processes
        self.planted = base64.b32encode(secrets.token_bytes(30))

    def plant(self) -> None:
        """Leave a string of our own in each place that is searched."""
        self.machine.run(PLANT, stdin=self.planted.decode() + "\n")
        self.machine.run(["sh", "-c", "sleep 3; true", self.planted.decode()])

    def search(self, known: Mapping[str, bytes]) -> dict[str, dict[str, int]]:
        """Return how often what lies where; AssertionError where a secret lies, or the planted string was not found.

        The machine has to run; its power is cut.
        """
        wanted = {"what was planted": self.planted, "an image": MARK}
        for name, secret in known.items():
            wanted |= {f"{name}, form {number}": each for number, each in enumerate(forms(secret))}
        given = "\n".join(each.hex() for each in wanted.values())
        told = self.machine.run(["python3", "-c", MEMORY], stdin=given, seconds=900).stdout.split()
        places = {"memory, journal or processes": dict(zip(wanted, map(int, told), strict=True))}
        self.machine.run(["sync"])
        self.machine.power_cut()
        places["the processes noted"] = count(self.processes, wanted)
        raw = self.machine.folder / "system.raw"
        command = ("qemu-img", "convert", "-O", "raw", self.machine.disks["system"].file, raw.name)
        subprocess.run(command, cwd=self.machine.folder, check=True)
        places["the system disk"] = count(raw, wanted)
        raw.unlink()
        for disk in set(self.machine.disks) - {"system"}:
            places[f"the {disk} disk"] = count(self.machine.folder / self.machine.disks[disk].file, wanted)
        blind = [place for place in list(places)[:3] if not places[place]["what was planted"]]
        assert not blind, f"the search does not find what was planted in {', '.join(blind)}"
        secrets_found = [
            f"{name} lies in {place}"
            for place, found in places.items()
            for name, times in found.items()
            if times and name not in ("what was planted", "an image")
        ]
        assert not secrets_found, "; ".join(secrets_found)
        return places


def count(path: Path, wanted: Mapping[str, bytes]) -> dict[str, int]:
    """Return how often each byte string lies in a file, its holes passed over."""
    found = dict.fromkeys(wanted, 0)
    longest = max(map(len, wanted.values()))
    with path.open("rb") as file:
        at, end = 0, os.fstat(file.fileno()).st_size
        while at < end:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:  # nothing but a hole follows
                break
            hole = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            rest = b""
            while at < hole:
                block = os.pread(file.fileno(), min(BLOCK, hole - at), at)
                at += len(block)
                held = rest + block
                for name, each in wanted.items():
                    # What lies in the rest alone was counted before.
                    found[name] += held.count(each) - rest.count(each)
                rest = held[-longest + 1 :]
    return found
