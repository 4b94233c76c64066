# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lose a modality in each practice, and say so in the clinic file: one run, and its key opens no door from anywhere.

On Debian 12 and 13, while the workstation stores one image a second. A thief holds the modality's key and stands at the
workstation's address, which the firewall admits: what refuses him is the list of revoked certificates. Then a new
modality takes the place of the lost one. The last line is `N checks: N held; N images stored, N lost`.
"""

from __future__ import annotations

import concurrent.futures
import os
import re
import signal
import sys
import time

import rotation
from practices import AE_TITLES, PREFIXES
from rotation import CLINICS, HOSTS, PROCESSES, STUDIES, TOLD, Rotation
from story import Practice

NAME = os.environ.get("RADIOLOGY_LAB", "revocation")
KNOCK = (
    "(sleep 2) | openssl s_client -connect {address}:2762 -cert /root/stolen.crt -key /root/stolen.key -tls1_2 "
    ">/dev/null 2>&1; true"
)
REFUSALS = "journalctl -t dicom_front -o cat --no-pager | grep -c 'CN=ct.* FAILED:certificate revoked '"
ENDED = re.compile(r"cut off after [1-9]\d* echoes")
TALLY = re.compile(r"changed=(\d+) ")


class Revocation(Rotation):
    """The lab with its two practices, of which each loses its modality."""

    def say(self, *, lost: bool) -> None:
        """Write into each clinic file whether the modality is lost."""
        for clinic in CLINICS:
            path = self.inventory / f"{clinic}.yml"
            text = path.read_text(encoding="utf-8").replace("  ct:\n    lost: true\n", "  ct:\n")
            path.write_text(text.replace("\n  ct:\n", "\n  ct:\n    lost: true\n") if lost else text, encoding="utf-8")

    def knock(self) -> list[int]:
        """Let the thief try the front, and return how often each front has refused a revoked certificate."""
        for practice in self.practices:
            line = KNOCK.replace("{address}", practice.address("pacs"))
            self.lab.execute(f"ws-{practice.number}", "sh", "-c", line)
        return [int(said) for said in self.ask(REFUSALS)]

    def steal(self) -> None:
        """Carry the modality's key and certificate to the workstation's place."""
        for practice in self.practices:
            for file in ("crt", "key"):
                text = self.lab.execute(f"ct-{practice.number}", "cat", f"/etc/dicom-device/device.{file}").stdout
                self.lab.execute(f"ws-{practice.number}", "sh", "-c", f"cat >/root/stolen.{file}", stdin=text)

    def answers(self, kind: str) -> list[bool]:
        """Tell whether a device is let in, in each practice."""
        return [said == "alive" for said in self.each(lambda each: each.device(kind, "echo", tls=True, check=False))]

    def linger(self, practice: Practice) -> str:
        """Let the modality ask for echoes in one association until it is answered no more."""
        given = ["linger", "--aet", f"{PREFIXES[practice.clinic]}_CT1", "--called", AE_TITLES[practice.clinic]]
        return practice.run("ct", "abuser.py", *given, "--server", practice.address("pacs"), "--seconds", "600")

    def lose(self) -> None:
        """Lose the modality in one run, and look at what changed."""
        self.check("the modality is let in before it is lost", holds=all(self.answers("ct")))
        self.check("nothing is refused as revoked before", holds=self.knock() == [0, 0])
        before = self.ask(PROCESSES)
        self.say(lost=True)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            open_ones = [pool.submit(self.linger, practice) for practice in self.practices]
            time.sleep(5)
            self.play("harden")
            told = [each.result() for each in open_ones]
        self.check(f"its open association ends: {', '.join(told)}", holds=all(ENDED.fullmatch(each) for each in told))
        self.check("the lost modality is let in no more", holds=not any(self.answers("ct")))
        self.check("its key opens no door from another's address", holds=min(self.knock()) > 0)
        self.check("the workstation is let in", holds=all(self.answers("ws")))
        self.check("no front and no Orthanc was restarted", holds=self.ask(PROCESSES) == before)
        signed = [self.folder(practice) / "certificates" / "ct.crt" for practice in self.practices]
        self.check("its request is not signed again", holds=not any(path.exists() for path in signed))
        self.check("a second run changes nothing", holds=set(TALLY.findall(self.play("harden"))) == {"0"})

    def replace(self) -> None:
        """Put a new modality into the place of the lost one."""
        for practice in self.practices:
            self.lab.execute(f"ct-{practice.number}", "rm", "/etc/dicom-device/device.key")
        self.each(lambda practice: practice.hand_in_requests(self.folder(practice), ("ct",)))
        self.say(lost=False)
        self.play("harden")
        self.fetch()
        refused = self.knock()
        self.check("a new modality is let in", holds=all(self.answers("ct")))
        self.check(
            "the lost one's key is refused for good",
            holds=[now > then for now, then in zip(self.knock(), refused, strict=True)] == [True, True],
        )


def main() -> int:
    """Build the lab, let the workstations store, lose the modalities, and tell the tally."""
    lab = rotation.Lab(NAME, HOSTS)
    inventory = lab.state / "inventory"
    lab.up(inventory)
    try:
        trial = Revocation(lab, inventory)
        trial.prepare()
        trial.steal()
        trial.each(lambda practice: practice.run("ws", "studies.py", "/root/studies", practice.clinic, str(STUDIES)))
        with concurrent.futures.ThreadPoolExecutor() as pool:
            waiting = [
                pool.submit(practice.device, "ws", "trickle", "/root/studies", tls=True) for practice in trial.practices
            ]
            time.sleep(5)
            try:
                trial.lose()
                trial.replace()
            finally:
                trial.each(lambda practice: lab.execute(f"ws-{practice.number}", "touch", "/root/studies/stop"))
            told = [TOLD.fullmatch(each.result()) for each in waiting]
    finally:
        lab.down()
    tallies = [(int(each[1]), int(each[2])) for each in told if each]
    trial.check("workstations stored all along", holds=len(tallies) == len(CLINICS) and min(tallies)[0] > 20)
    stored, lost = sum(each[0] for each in tallies), sum(each[1] for each in tallies)
    print(f"{len(trial.held)} checks: {trial.held.count(True)} held; {stored} images stored, {lost} lost")
    return 0 if all(trial.held) and not lost else 1


if __name__ == "__main__":
    rotation.NAME = NAME
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: nothing stays behind
    sys.exit(main())
