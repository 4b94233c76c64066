# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The only seam between the migration and the machine: commands, devices, volumes, mounts, services."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import processes, records, table, tree
from ansible_collections.radiology.hardening.plugins.module_utils.migration.job import Device, Plan

SECTOR = 4096
"""Bytes at the start of a LUKS2 header that name it: magic, checksum, UUID (on-disk format 1.1.3, 2.1)."""


TPM = "/dev/tpmrm0"
TELL_TPM = ("tpm2_shutdown", "--clear", "--tcti", f"device:{TPM}")
"""Said to a TPM after Clevis used a key of it. Otherwise it takes each power cut for an attempt to guess (TPM 2.0
Library, part 1, dictionary attack protection: a shutdown that was not orderly), and after a few cuts, three with some
TPMs, opens nothing for minutes or hours. It works on as before."""


class OtherDiskError(HardeningError):
    """A device lies on another disk than the one that was confirmed."""


CHECKED_WITHIN = 3600.0
"""Seconds within which a boot's check of a large file system is over."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What a command answered: exit status and both outputs, as bytes."""

    status: int
    output: bytes
    errors: bytes


class Machine:
    """The machine that the migration runs on."""

    cryptsetup: tuple[str, ...] = ("cryptsetup",)
    """How cryptsetup is called."""

    etc: str = "/etc"
    """Where the file-system table lies."""
    work: str = "/run/radiology-hardening"
    """Below it file systems are mounted for the length of a stage."""

    # Commands

    def run(self, command: Sequence[str], *, stdin: bytes = b"") -> Result:
        """Run a command (no shell) to its end, however long it takes; status 127 when it is not installed."""
        result = self._run(command, stdin)
        if command[0] == "clevis" and os.path.exists(TPM):
            self._run(TELL_TPM, b"")
        return result

    def _run(self, command: Sequence[str], stdin: bytes) -> Result:
        try:
            # The seam itself; this runs as a unit of its own, where there is no AnsibleModule.
            done = subprocess.run(  # pylint: disable=ansible-bad-function
                list(command),
                input=stdin,
                capture_output=True,
                check=False,
                env={**os.environ, "LC_ALL": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            )
        except (FileNotFoundError, PermissionError) as error:
            return Result(127, b"", f"{command[0]}: {error.strerror}".encode())
        return Result(done.returncode, done.stdout, done.stderr)

    def must(self, command: Sequence[str], *, stdin: bytes = b"", accepted: tuple[int, ...] = (0,)) -> bytes:
        """Run a command that has to end with an accepted status, and return its output."""
        result = self.run(command, stdin=stdin)
        if result.status not in accepted:
            said = (result.errors or result.output).decode("utf-8", "replace").strip() or f"status {result.status}"
            raise HardeningError(f"`{' '.join(command)}` failed: {said}")
        return result.output

    # Devices

    def device(self, device: Device) -> str:
        """Return the block device that was confirmed; HardeningError when another one bears its name now."""
        try:
            handle = os.open(device.path, os.O_RDONLY)
        except OSError as error:
            raise HardeningError(f"{device.path} cannot be opened: {error.strerror}.") from error
        try:
            size = os.lseek(handle, 0, os.SEEK_END)
        finally:
            os.close(handle)
        if size != device.size:
            raise HardeningError(f"{device.path} has {size} bytes; the device that was confirmed has {device.size}.")
        return os.path.realpath(device.path)

    def confirm_file_system(self, device: str, confirmed: Device | None) -> None:
        """HardeningError unless the device still holds the file system in clear that was confirmed."""
        wanted = confirmed.file_system_uuid if confirmed else ""
        found = self.run(("blkid", "-p", "-s", "UUID", "-o", "value", device)).output.decode().strip()
        if not wanted or found != wanted:
            raise HardeningError(
                f"{device} holds the file system {found or 'none'}; the one that was confirmed is {wanted or 'none'}."
            )

    def confirm_no_other(self, device: str, confirmed: Device | None) -> None:
        """HardeningError when a device, of which a part is encrypted already, holds what another program made there.

        It reads as nothing at all, or, until its first sectors are encrypted, as the file system that was confirmed.
        """
        if self.holds_something(device):
            try:
                self.confirm_file_system(device, confirmed)
            except HardeningError as error:
                raise HardeningError(
                    f"{error} Another program formatted it since its encryption began: nothing was written."
                ) from error

    def probe(self, device: str) -> dict[str, str]:
        """Return what blkid(8) reads from a device itself: TYPE, UUID, PTTYPE, BLOCK_SIZE, PART_ENTRY_UUID, ..."""
        told = self.run(("blkid", "-p", "-o", "export", device)).output.decode("utf-8", "replace")
        return dict(line.split("=", 1) for line in told.splitlines() if "=" in line)

    def holds_something(self, device: str) -> bool:
        """Whether blkid(8) or wipefs(8) read anything on a device, or cannot tell.

        On several things at once blkid is silent: it ends with 8 on Debian 12 and, as for nothing at all, with 2 on 13.
        An initramfs has no wipefs.
        """
        found = [each for each in self.probe(device) if each != "DEVNAME" and not each.startswith("PART_ENTRY_")]
        wiper = self.run(("wipefs", "--noheadings", "--output", "TYPE", device))
        silent = wiper.status == 127 or (wiper.status == 0 and not wiper.output.strip())
        return bool(found) or not silent or self.run(("blkid", "-p", device)).status not in (0, 2)

    def serials(self, device: str) -> tuple[str, ...]:
        """Return the serial numbers of the disks that a device lies on; none where the machine tells none."""
        told = self.run(("lsblk", "-n", "-s", "-o", "SERIAL", device)).output.decode("utf-8", "replace")
        return tuple(dict.fromkeys(line.strip() for line in told.splitlines() if line.strip()))

    def confirm_serial(self, device: str, confirmed: Device) -> None:
        """HardeningError unless the device lies on the disk that was confirmed, where that has a serial number.

        An initramfs has no lsblk(8) to ask.
        """
        if not confirmed.serial or self.run(("lsblk", "--version")).status == 127:
            return
        found = self.serials(device)
        if confirmed.serial not in found:
            raise OtherDiskError(
                f"{device} lies on a disk with the serial number {', '.join(found) or 'none'}; the one that was"
                f" confirmed has {confirmed.serial}. Nothing was written: connect the disk that was confirmed."
            )

    def signatures(self, device: str) -> tuple[str, ...]:
        """Return what wipefs(8) reads on a device, each once: file systems, members of something, tables."""
        told = self.must(("wipefs", "--noheadings", "--output", "TYPE", device)).decode().split()
        return tuple(sorted(set(told)))

    def confirm_empty(self, device: str, *, but_for: str = "") -> None:
        """HardeningError unless the device holds no signature, no partitions, and nothing has it open.

        A LUKS header with the UUID `but_for` is our own, half made when the power went.
        """
        with self.claimed(device, but_for=but_for):
            pass

    @contextlib.contextmanager
    def claimed(self, device: str, *, but_for: str = "") -> Iterator[int]:
        """Hold an empty device (see `confirm_empty`) so that nobody else formats or mounts it; yield its handle."""
        self._demand_empty(device, but_for)
        try:
            handle = os.open(device, os.O_RDWR | os.O_EXCL)
        except OSError as error:
            raise HardeningError(f"{device} is in use: {error.strerror}. Nothing was written.") from error
        try:
            self._demand_empty(device, but_for)
            yield handle
        finally:
            os.close(handle)

    def write_new_header(self, handle: int, device: str, header: str, *, but_for: str = "") -> None:
        """Write a header that lies in a file to the start of a device that is `claimed`, looked at once more.

        Its first sector comes last: until then the device reads as empty, or as ours by the header's second copy.
        """
        with open(header, "rb") as file:
            content = file.read()
        self._demand_empty(device, but_for)
        for begin, end in ((SECTOR, len(content)), (0, SECTOR)):
            done = begin
            while done < end:
                done += os.pwrite(handle, content[done:end], done)
            os.fsync(handle)

    def _demand_empty(self, device: str, but_for: str) -> None:
        found, signatures = self.probe(device), self.signatures(device)
        ours = bool(but_for) and found.get("TYPE") == "crypto_LUKS" and found.get("UUID") == but_for
        if (ours and signatures == ("crypto_LUKS",)) or not (signatures or self.holds_something(device)):
            return
        held = ", ".join(signatures) or found.get("TYPE") or found.get("PTTYPE") or "something unknown"
        raise HardeningError(
            f"{device} is not empty, it holds: {held}. Nothing was written. If it may go, wipe it yourself"
            " (wipefs) and run the playbook again."
        )

    def uses(self, device: str) -> bool:
        """Whether a block device is mounted, or anything else has it to itself."""
        try:
            os.close(os.open(device, os.O_RDWR | os.O_EXCL))
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            return True
        return False

    # Volumes

    def is_open(self, name: str) -> bool:
        """Whether a volume of that name is open."""
        return os.path.exists(f"/dev/mapper/{name}")

    def open_volume(self, device: str, name: str, key: bytes, *, header: str = "", read_only: bool = False) -> str:
        """Open an encrypted volume (a device, or a file) as /dev/mapper/<name> and return that path."""
        if self.is_open(name):
            self.confirm_volume(name, header or device)
        else:
            options = (*(("--header", header) if header else ()), *(("--readonly",) if read_only else ()))
            self.must((*self.cryptsetup, "open", "--key-file", "-", *options, device, name), stdin=key)
        return f"/dev/mapper/{name}"

    def confirm_volume(self, name: str, header: str) -> None:
        """HardeningError unless the opened volume is the one of this header, and no other that bears the name."""
        wanted = self.must((*self.cryptsetup, "luksUUID", header)).decode().strip().replace("-", "")
        node = os.path.basename(os.path.realpath(f"/dev/mapper/{name}"))
        try:
            with open(f"/sys/class/block/{node}/dm/uuid", encoding="ascii") as file:
                found = file.read().strip()
        except OSError:
            found = ""
        if wanted not in found.split("-"):
            raise HardeningError(
                f"/dev/mapper/{name} is open and is another volume ({found or 'of no known kind'}): close it, or give"
                " the storage another name."
            )

    def close_volume(self, name: str) -> None:
        """Close an opened volume; nothing happens when it is not open."""
        if self.is_open(name):
            self.must((*self.cryptsetup, "close", name))

    def bind(self, header: str, unlock: Mapping[str, Any], key: bytes) -> None:
        """Bind a header to a TPM or to Tang with Clevis (a new keyslot with a token), `key` opening it."""
        pin, config = str(unlock["pin"]), json.dumps(unlock["config"])
        self.must(("clevis", "luks", "bind", "-y", "-d", header, "-k", "-", pin, config), stdin=key)

    # File systems

    def make_file_system(self, device: str, kind: str) -> None:
        """Make a file system on an opened volume, which is new and ours.

        Nothing is forced: over a signature this stops, and so do both programs.
        """
        self.confirm_empty(device)
        options = {"ext4": ("-q", "-m", "0", "-E", "lazy_itable_init=1"), "xfs": ("-q",)}[kind]
        self.must((f"mkfs.{kind}", *options, device))

    def check_file_system(self, device: str, kind: str) -> None:
        """Replay the journal of an unmounted file system and check it; HardeningError when it has errors.

        What a power cut leaves to tidy up (files deleted while they were open) e2fsck tidies and says so by status 1.
        """
        command, accepted = {
            "ext4": (("e2fsck", "-f", "-p", device), (0, 1)),
            "xfs": (("xfs_repair", "-n", device), (0,)),
        }[kind]
        try:
            self.must(command, accepted=accepted)
        except HardeningError as error:
            mends = {"ext4": "e2fsck -f", "xfs": "xfs_repair"}[kind]
            raise HardeningError(
                f"{error} What writes there stays stopped, since a write could make it worse: mend it by hand ({mends}"
                f" {device}), and run the playbook again."
            ) from error

    def file_system_uuid(self, device: str) -> str:
        """Return the UUID of the file system on a device."""
        return self.must(("blkid", "-p", "-s", "UUID", "-o", "value", device)).decode().strip()

    def source_of(self, where: str) -> str:
        """Return the device that is mounted at `where`."""
        return self.must(("findmnt", "-n", "-o", "SOURCE", "--mountpoint", where)).decode().strip()

    def mounted(self, where: str) -> bool:
        """Whether a file system is mounted at `where`."""
        return os.path.ismount(where)

    def shows_volume(self, where: str, name: str) -> bool:
        """Whether what is mounted at `where` is the opened volume of that name."""
        told = self.run(("findmnt", "-n", "-v", "-o", "SOURCE", "--mountpoint", where)).output.decode().split()
        return bool(told) and os.path.realpath(told[-1]) == os.path.realpath(f"/dev/mapper/{name}")

    def mount(self, source: str, where: str, *, read_only: bool = False) -> None:
        """Mount a file system, with the options that the table has for the place; nothing happens when one is there.

        A boot checks what has just been opened (systemd-fsck) and has it alone meanwhile: that is waited for.
        """
        os.makedirs(where, mode=0o700, exist_ok=True)
        if self.mounted(where):
            return
        options = ("ro" if read_only else "rw", *table.options(os.path.join(self.etc, "fstab"), where))
        command, until = ("mount", "-o", ",".join(options), source, where), time.monotonic() + CHECKED_WITHIN
        while b"busy" in self.run(command).errors and time.monotonic() < until:
            time.sleep(1)
        if not self.mounted(where):
            self.must(command)

    def unmount(self, where: str) -> None:
        """Unmount what is mounted at `where`, its writes on the disk; nothing happens when nothing is."""
        if self.mounted(where):
            self.must(("umount", where))

    def put_table(self, plan: Plan) -> None:
        """Give the mount point the encrypted volume's line in the file-system table."""
        if table.put(os.path.join(self.etc, "fstab"), plan):
            self.must(("systemctl", "daemon-reload"))

    def forget_cached(self, path: str) -> None:
        """Let the next reading of a synced file come from the disk."""
        tree.forget_cached(path)

    def immutable(self, folder: str) -> bool:
        """Whether nothing can be made in the folder, as `chattr +i` does."""
        return records.is_immutable(folder)

    def make_immutable(self, folder: str) -> None:
        """Let nothing be made in an empty folder, not by root either, until a volume is mounted over it."""
        records.make_immutable(folder)

    def overwrite_free_space(self, folder: str, reserve: int) -> None:
        """Fill the free space of a file system with zeros but for `reserve` bytes, then give it back."""
        records.fill(os.path.join(folder, ".radiology-hardening-free-space"), reserve)

    # Services

    def stop_writers(self, plan: Plan) -> None:
        """Stop the units that write below the mount point, the last one first; they stay stopped at a boot too."""
        for unit in reversed(plan.services):
            self.must(("systemctl", "stop", unit))
        others = processes.writers(plan.mount_point)
        if others:
            raise HardeningError(f"{', '.join(others)} still writes below {plan.mount_point}: stop it first.")

    def start_writers(self, plan: Plan) -> None:
        """Start the units again."""
        for unit in plan.services:
            self.must(("systemctl", "start", unit))

    def start_later(self, plan: Plan) -> None:
        """Have the mount and the units started, as they are not when the volume was opened later than at the boot."""
        self.must(("systemctl", "--no-block", "start", *self._units(plan)))

    def start_now(self, plan: Plan) -> None:
        """Start the mount and the units, and wait until they are; HardeningError with what systemd says."""
        self.must(("systemctl", "start", *self._units(plan)))

    def is_up(self, plan: Plan) -> bool:
        """Whether the volume is mounted and the units run."""
        if not self.is_open(plan.name) or not self.shows_volume(plan.mount_point, plan.name):
            return False
        return all(self.run(("systemctl", "is-active", "--quiet", unit)).status == 0 for unit in plan.services)

    def _units(self, plan: Plan) -> tuple[str, ...]:
        mount = self.must(("systemd-escape", "--path", "--suffix=mount", plan.mount_point)).decode().strip()
        return (mount, *plan.services)

    def make_initramfs(self) -> None:
        """Make the initramfs of every installed kernel anew."""
        self.must(("update-initramfs", "-u", "-k", "all"))

    def sync_tree(self, path: str) -> None:
        """Bring all of the file system that holds `path` to the disk."""
        self.must(("sync", "--file-system", path))

    def sync_device(self, device: str) -> None:
        """Flush a block device's writes, its disk's write cache included."""
        records.sync(device)
