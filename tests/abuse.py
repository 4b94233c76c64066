# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Let a device of each practice do harm to a hardened server, on Debian 12 and 13.

Usage: abuse.py [--short]. The scanner leaves idle as many associations as it gets, and the workstation's echo is answered
at once. The workstation opens more connections than the web front has places for and says nothing in them, and from
another address the front answers at once. Programs of the server that are neither the front nor Orthanc call loopback addresses, and are refused. Then more
than 500 kinds of malformed PDUs, made from a seed, come through the front and straight to Orthanc's port at once, with
--short a hundred of them: Orthanc neither stops nor takes more than BOUND of memory for them. A technician sends bombs,
which unpack to more than Orthanc may have, over the web, and the scanner one over DICOM: each is refused, at no more than
BOUND of memory either. Then so many unpack at once that Orthanc has no memory left, and the scanner's images are stored.
The last line is `N checks: N held; N malformed PDUs sent`.
"""

from __future__ import annotations

import concurrent.futures
import functools
import os
import re
import signal
import sys
import time

import rotation
from practices import AE_TITLES, PREFIXES
from rotation import CLINICS, HOSTS, RESOURCES, Rotation
from story import Practice

NAME = os.environ.get("RADIOLOGY_LAB", "abuse")
PROGRAM = (RESOURCES / "devices" / "abuser.py").read_text(encoding="utf-8")
WEB_PORT = 443
SEED = "20261126"
SHORT, FEWEST = 100, 500
"""Kinds of malformed PDUs: how many the short form sends each way, and the fewest that the whole has."""
AT_ONCE = 1.0
"""Seconds within which an echo, its two TLS handshakes included, or a page comes; or twice what it takes by itself."""
MOST = 3
"""Associations that a device gets."""
CROWDING, PLACES = 2500, 200
"""Connections that a workstation opens to the web front, which has room for some 2,000, and how many it gets."""
BOUND = 64
"""MiB by which the malformed PDUs may raise the peak of Orthanc's memory; a careless server took 454 for 170 of them."""
PROCESS = (
    "systemctl show -p MainPID --value orthanc dicom-front; systemctl show -p NRestarts --value orthanc dicom-front"
)
FORGET_PEAK = "echo 5 >/proc/$(systemctl show -p MainPID --value orthanc)/clear_refs"
PEAK = "sed -n 's/^VmHWM:[^0-9]*//p' /proc/$(systemctl show -p MainPID --value orthanc)/status"
CALL = "runuser -u {user} -- timeout 5 bash -c '</dev/tcp/{address}' 2>/dev/null && echo in || echo out"
PERSON = "c.moreau"
"""A technician."""
BOMBS = {"gzip": "415", "zip": "500", "deflated": "400", "announced": "500", "stow-zip": "400", "stow-deflated": "400"}
"""Kind of a bomb to the answer."""
MEMORY = 512
"""MiB that Orthanc may have in the trial of bombs: a lab has no room for what a server has."""
CROWD, EACH = 12, 100
"""Bombs that unpack at once, and MiB that each takes: together more than Orthanc may have, each alone less."""
POST = (
    "cat >/root/asked; for number in $(seq {times}); do curl -sk -K /root/asked -o /dev/null -w '%{{http_code}} ' "
    "-H 'Content-Type: {kind}' {more} --data-binary @{file} https://{address}{path} & done; wait; rm /root/asked"
)
SENT = re.compile(r"(\d+) kinds sent, (\d+) without a connection")


class Abuse(Rotation):
    """The lab with its two practices, in each of which the scanner does harm."""

    def said(self, practice: Practice, kind: str, verb: str, *more: str) -> list[str]:
        """Return the arguments with which a device does something to the server's front, or as it."""
        title = f"{PREFIXES[practice.clinic]}_{kind.upper()}1"
        return [verb, "--aet", title, "--called", AE_TITLES[practice.clinic], *more]

    def idle(self, practice: Practice) -> tuple[str, float, float]:
        """Leave associations idle by both addresses; how many were held, how long another's echo took, and before."""
        servers = [word for family in (4, 6) for word in ("--server", practice.address("pacs", family))]
        echo = self.said(practice, "ws", "echo", *servers)
        alone = practice.run("ws", "abuser.py", *echo)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            held = pool.submit(
                practice.run, "ct", "abuser.py", *self.said(practice, "ct", "idle", *servers, "--seconds", "12")
            )
            time.sleep(4)
            took = practice.run("ws", "abuser.py", *echo)
            return held.result().splitlines()[-1], float(took), float(alone)

    def behind(self, practice: Practice, *more: str) -> str:
        """Let the front's account send malformed PDUs straight to Orthanc's port, as if it were the scanner."""
        loopback = f"127.{practice.address('ct').partition('.')[2]}"
        given = ["--server", "127.0.0.1", "--port", "4242", "--source", loopback, "--pair", "/etc/dicom-front/link"]
        given += ["--authority", "/etc/orthanc/tls/orthanc.crt", *more]
        command = [
            "runuser",
            "-u",
            "dicom-front",
            "--",
            "python3",
            "-",
            *self.said(practice, "ct", "malformed", *given),
        ]
        return self.lab.execute(f"pacs-{practice.number}", *command, stdin=PROGRAM, check=False).stdout

    def in_front(self, practice: Practice, *more: str) -> str:
        """Let the scanner send malformed PDUs through the front."""
        given = self.said(practice, "ct", "malformed", "--server", practice.address("pacs"), *more)
        return practice.run("ct", "abuser.py", *given, check=False)

    def hold(self) -> None:
        """Check what idle associations do to others."""
        for practice, (held, took, alone) in zip(self.practices, self.each(self.idle), strict=True):
            self.check(f"{practice.clinic}: a device gets {held}", holds=held == f"{MOST} held of 12")
            self.check(
                f"{practice.clinic}: another's echo takes {took} s meanwhile, {alone} s before",
                holds=took < max(AT_ONCE, 2 * alone),
            )

    def crowd(self, practice: Practice) -> tuple[str, str, str]:
        """Open connections by IPv4 that say nothing; how many were held, what IPv6 was answered by when, and before."""
        server, port = practice.address("pacs"), str(WEB_PORT)
        given = self.said(practice, "ws", "silent", "--server", server, "--port", port)
        given += ["--connections", str(CROWDING), "--seconds", "8"]
        line = (
            f"curl -sk -m 10 -o /dev/null -w '%{{http_code}} %{{time_total}}' https://[{practice.address('pacs', 6)}]/"
        )
        ask = ("sh", "-c", line)
        alone = self.lab.execute(f"ws-{practice.number}", *ask, check=False).stdout
        with concurrent.futures.ThreadPoolExecutor() as pool:
            held = pool.submit(practice.run, "ws", "abuser.py", *given)
            time.sleep(4)
            answer = self.lab.execute(f"ws-{practice.number}", *ask, check=False).stdout
            return held.result().splitlines()[-1], answer, alone

    def crowding(self) -> None:
        """Check what connections that say nothing do to others."""
        for practice, (held, answer, before) in zip(self.practices, self.each(self.crowd), strict=True):
            self.check(f"{practice.clinic}: an address gets {held}", holds=held == f"{PLACES} held of {CROWDING}")
            (status, took), (_same, alone) = answer.split(), before.split()
            prompt = status == "401" and float(took) < max(AT_ONCE, 2 * float(alone))
            told = f"another address is answered {status} in {took} s, in {alone} s before"
            self.check(f"{practice.clinic}: {told}", holds=prompt)

    def call(self) -> None:
        """Check who on the server may call Orthanc's port and the devices' addresses."""
        for practice in self.practices:
            device = f"127.{practice.address('ws').partition('.')[2]}/11112"
            for user, address, due in (
                ("nobody", "127.0.0.1/4242", "out"),
                ("root", "127.0.0.1/4242", "out"),
                ("orthanc-web", f"{practice.address('pacs')}/4242", "out"),
                ("dicom-front", "127.0.0.1/4242", "in"),
                ("nobody", device, "out"),
                ("root", device, "out"),
                ("orthanc", device, "in"),
            ):
                line = CALL.format(user=user, address=address)
                answer = self.lab.execute(f"pacs-{practice.number}", "sh", "-c", line).stdout.strip()
                self.check(f"{practice.clinic}: {user} at {address}: {answer}", holds=answer == due)

    def spoil(self, kinds: int) -> int:
        """Send malformed PDUs both ways at once, look at Orthanc afterwards, and return how many were sent."""
        self.ask(FORGET_PEAK)
        before, peaks = self.ask(PROCESS), self.ask(PEAK)
        more = ["--seed", SEED, "--kinds", str(kinds)]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            ways = [
                pool.submit(way, practice, *more) for practice in self.practices for way in (self.in_front, self.behind)
            ]
            told = [SENT.search(way.result()) for way in ways]
        sent, unsent = (sum(int(each[column]) for each in told if each) for column in (1, 2))
        least = kinds or FEWEST
        self.check(f"{sent} malformed PDUs are sent", holds=all(told) and sent >= least * len(ways))
        self.check(f"{unsent} found no connection", holds=unsent == 0)
        self.check("no front and no Orthanc was restarted", holds=self.ask(PROCESS) == before)
        self.risen(peaks, "for them")
        self.alive("after them")
        stored = self.each(lambda practice: practice.device("ct", "store", "/root/studies", tls=True, check=False))
        self.check(f"images are stored after them: {', '.join(stored)}", holds=stored == ["6 images stored"] * 2)
        return sent

    def risen(self, peaks: list[str], why: str) -> None:
        """Check by how much the peak of Orthanc's memory rose."""
        for practice, then, now in zip(self.practices, peaks, self.ask(PEAK), strict=True):
            grown = (int(now.split()[0]) - int(then.split()[0])) // 1024
            self.check(f"{practice.clinic}: Orthanc's peak of memory rose by {grown} MiB {why}", holds=grown <= BOUND)

    def play(self, name: str, *more: str) -> str:
        """Run a playbook, with a bound on Orthanc's memory that a lab has room for."""
        return super().play(name, *more, "-e", f"orthanc_memory_maximum_mib={MEMORY}")

    def bomb(self) -> None:
        """Send bombs of every kind one after another, then a crowd of them while the scanner stores."""
        for kind in ("ws", "ct"):
            self.each(lambda practice, kind=kind: self.make(practice, kind, "bombs", MEMORY))
        self.each(lambda practice: self.make(practice, "ws", "crowd", EACH))
        passwords = self.each(lambda practice: self.secrets(practice)["passwords"][PERSON])
        post = functools.partial(self.post, dict(zip(CLINICS, passwords, strict=True)))
        self.ask(FORGET_PEAK)
        before, peaks = self.ask(PROCESS), self.ask(PEAK)
        for kind, due in BOMBS.items():
            answers = self.each(lambda practice, kind=kind: post(practice, f"bombs/{kind}"))
            self.check(f"a bomb, {kind}, is answered {' and '.join(answers)}", holds=answers == [due] * 2)
        answers = self.each(self.store_bomb)
        self.check(f"a bomb by C-STORE has {' and '.join(answers)}", holds=answers == ["no answer"] * 2)
        self.risen(peaks, "for bombs")
        with concurrent.futures.ThreadPoolExecutor() as pool:
            crowds = [pool.submit(post, practice, "crowd/zip", CROWD) for practice in self.practices]
            stored = self.each(lambda practice: practice.device("ct", "store", "/root/studies", tls=True, check=False))
        for practice, crowd in zip(self.practices, crowds, strict=True):
            answers = crowd.result().split()
            told = f"{answers.count('200')} unpacked, {answers.count('500')} refused"
            refused = "500" in answers and set(answers) <= {"200", "500"} and len(answers) == CROWD
            self.check(f"{practice.clinic}: of {CROWD} bombs at once {told}", holds=refused)
        self.check(f"meanwhile images are stored: {', '.join(stored)}", holds=stored == ["6 images stored"] * 2)
        self.check("no bomb had a front or Orthanc restarted", holds=self.ask(PROCESS) == before)

    @staticmethod
    def make(practice: Practice, kind: str, folder: str, mib: int) -> str:
        """Have a device make bombs that unpack to so many MiB."""
        return practice.run(kind, "bomber.py", "make", f"/root/{folder}", "--mib", str(mib))

    def post(self, passwords: dict[str, str], practice: Practice, file: str, times: int = 1) -> str:
        """Let a technician at the workstation post a bomb, so often at once, and return the answers."""
        stow = "/stow-" in file
        line = POST.format(
            times=times,
            kind='multipart/related; type="application/dicom"; boundary=bomb' if stow else "application/dicom",
            more="-H 'Content-Encoding: gzip'" if file.endswith("/gzip") else "",
            file=f"/root/{file}",
            address=practice.address("pacs"),
            path="/dicom-web/studies" if stow else "/instances",
        )
        given = f'user = "{PERSON}:{passwords[practice.clinic]}"\n'
        return self.lab.execute(f"ws-{practice.number}", "sh", "-c", line, stdin=given, check=False).stdout.strip()

    def store_bomb(self, practice: Practice) -> str:
        """Let the scanner send a deflated bomb, and return the status that it is answered."""
        given = ["--server", practice.address("pacs"), "--aet", f"{PREFIXES[practice.clinic]}_CT1"]
        given += ["--called", AE_TITLES[practice.clinic]]
        return practice.run("ct", "bomber.py", "store", "/root/bombs/deflated", *given, check=False)


def main(arguments: list[str]) -> int:
    """Build the lab, do harm, and tell the tally."""
    lab = rotation.Lab(NAME, HOSTS)
    inventory = lab.state / "inventory"
    lab.up(inventory)
    try:
        trial = Abuse(lab, inventory)
        trial.prepare(1)
        trial.hold()
        trial.crowding()
        trial.call()
        sent = trial.spoil(SHORT if "--short" in arguments else 0)
        trial.bomb()
    finally:
        lab.down()
    print(f"{len(trial.held)} checks: {trial.held.count(True)} held; {sent} malformed PDUs sent")
    return 0 if all(trial.held) else 1


if __name__ == "__main__":
    rotation.NAME = NAME
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: nothing stays behind
    sys.exit(main(sys.argv[1:]))
