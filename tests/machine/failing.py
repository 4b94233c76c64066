# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The runbook's section on a disk that fails while it is encrypted, line by line, with one that cannot be read."""

from __future__ import annotations

import re
import subprocess
from typing import Any

from clinic import STORAGE
from trial import JOB, Trial

UNIT = "radiology-encrypt-storage@studies"
BACKUP = "/dev/shm/backup"
EXTENTS = f"find {STORAGE} -type f -size +400k -exec filefrag -b512 -v {{}} +"
FILE = re.compile(r"^File size of (\S+) is .*?^ +0: +0\.\. *\d+: +(\d+)\.\.", re.MULTILINE | re.DOTALL)
"""A file, and the sector of its file system where its first extent begins, as filefrag(8) prints them."""
PARTITION = 2048
"""The sector where the partition begins."""


class FailingDisk(Trial):
    """One machine whose disk fails: its content goes to another disk, one image from the backup, one is lost."""

    def room(self, mib: int) -> dict[str, int]:
        """Return the sizes of the machine's disks: the spare one is what the failing one is copied to."""
        data = super().room(mib)["data_mib"]
        return {"data_mib": data, "spare_mib": data}

    def storage(self) -> dict[str, Any]:
        """Return what the clinic file says of the storage."""
        return super().storage() | {"strategy": "in_place"}

    def play(self) -> None:
        """Let the disk fail in the middle, and do what the runbook says."""
        self.machine.run(["sync"])
        found = FILE.findall(self.machine.run(EXTENTS).stdout)
        worn = sorted(found, key=lambda each: int(each[1]))[-2:]
        relative = worn[0][0].removeprefix(f"{STORAGE}/")
        backup = self.machine.run(f"tar -C {STORAGE} -c --format=posix --numeric-owner {relative} | base64").stdout
        run = self.begin()
        self.machine.wear_out("data", [PARTITION + int(sector) + 64 for dummy, sector in worn])
        self.start()
        self.wait_until(lambda: self.status() == "3", self.patience, "the disk's error")
        assert run.wait(timeout=900), "the playbook did not fail with the job"
        said = self.clinic.said("encrypt_storage")
        assert "stopped at stopped" in said, said[-2000:]
        self.say(f"the job stopped at its disk's error: {self.sentence()}")
        self.copy()
        said = self.clinic.refused("encrypt_storage")
        assert "-e confirm=" in said and self.machine.disks["spare"].serial in said, said[-2000:]
        serial = f"confirm={self.machine.disks['spare'].serial}"
        said = self.clinic.refused("encrypt_storage", serial)
        assert "-e accept_different=2" in said, said[-2000:]
        named = self.machine.run(["cat", f"{JOB}/different"]).stdout
        assert all(path in named for path, dummy in worn) and len(named.splitlines()) == 2, named
        self.say("it named the two images that the disk could not read")
        self.machine.run(f"mkdir {BACKUP} && base64 -d | tar -x -p --numeric-owner -C {BACKUP}", stdin=backup)
        restore = f"rsync -aAX --inplace --checksum {BACKUP}/{relative} /mnt/{relative}"
        self.machine.run(f"mount /dev/mapper/studies /mnt && {restore} && umount /mnt && rm -r {BACKUP}")
        said = self.clinic.refused("encrypt_storage")
        assert "-e accept_different=1" in said, said[-2000:]
        self.clinic.must("encrypt_storage", "accept_different=1")
        assert "1 of them not as they were" in self.clinic.said("encrypt_storage")
        self.machine.run("find /root/job -type f -exec shred -u {} +")
        self.lost = 1

    def begin(self) -> subprocess.Popen[str]:
        """Run the playbook until the encryption has begun, cut the power, and return the playbook, which looks on."""
        key = f"escrow_private_key={self.clinic.folder}/escrow/clinic.key"
        run = self.clinic.play("encrypt_storage", f"confirm={self.machine.disks['data'].serial}", key)
        self.wait_until(lambda: self.reached("stopped") or run.poll() is not None, self.patience, "the encryption")
        assert run.poll() is None, self.clinic.said("encrypt_storage")[-3000:]
        self.wait_in("stopped", 5)
        self.cut_once(1)
        return run

    def copy(self) -> None:
        """Keep the job's folder, copy the failing disk, and take it out."""
        old, new = (self.machine.disks[role].device for role in ("data", "spare"))
        self.machine.run(f"systemctl disable --now {UNIT} && cp -a {JOB} /root/job")
        install = "apt-get install -y --no-download gddrescue"
        self.machine.run(f"{install} && cd /root && ddrescue -f {old} {new} rescue.map", seconds=3600)
        self.machine.shut_down(600)
        self.machine.take_out("data")
        self.start()

    def status(self) -> str:
        """Return how the job's unit ended."""
        return self.machine.run(["systemctl", "show", "-P", "ExecMainStatus", UNIT], check=False).stdout.strip()

    def sentence(self) -> str:
        """Return the last sentence of the job."""
        return self.machine.run(["cat", "/run/radiology-hardening/studies.progress.json"]).stdout.strip()
