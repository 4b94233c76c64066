# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Watch all that crosses a practice's LAN while every device works, one of which cannot speak TLS, and end its day.

Usage: lan.py [CLINIC ...], of the lab's clinics; by default both, which are of Debian 12 and 13. A workstation whose
viewer speaks no TLS queries, retrieves by C-MOVE and stores by its tunnel, a scanner stores over TLS, an ultrasound
machine stores and retrieves in clear by its declaration. A capture of the whole LAN finds DICOM in clear, and names of
patients, on the ultrasound's two links alone; nothing of the workstation answers a visitor's laptop or the internet.
The ultrasound's AE title is refused from another's tunnel and address, another's AE title by its port, and its port is
silent to everybody else. Then the last day is over: the firewall shuts the port by itself, the audit names device and
day, one run takes the port away, and the audit goes on naming it until somebody renews the declaration. Then the workstation
is switched off, and what was seen of it last stands for it (away.py).
The last line is `N checks: N held`.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Sequence
from typing import Any

import away
import rotation
import scanned
import wiretap
from inventory import DAYS, until
from practices import AE_TITLES, PREFIXES
from rotation import CLINICS, RESOURCES, ROOT, Rotation
from story import FRONT, LOOPBACK, Practice
from topology import TOPOLOGY

NAME = os.environ.get("RADIOLOGY_LAB", "lan")
KINDS = ("pacs", "ws", "ct", "us", "laptop", "box")
"""Hosts of each practice; the attacker stands on the internet."""
DOOR, OWN = 11104, 11112
"""The server's port for the ultrasound, and the one on which ultrasound and workstation are sent images."""
LOW = 104
"""The port that the oldest devices call, whatever they are told; it takes a privilege to listen there."""
TUNNEL = 4242
"""Where the viewer finds the server, on loopback."""
STUDIES, IMAGES = 2, 12
"""Of the scanner and of the ultrasound each, and half as many of the workstation."""
LAST, FEW = 12000, 200
"""The last TCP ports of a scan, and of one that shows that it would find something."""
SILENT = 124
"""The status of timeout(1): neither taken nor refused."""
DEVICE = "/etc/dicom-device"
IDENTITY = tuple(f"{DEVICE}/{name}" for name in ("device.crt", "device.key", "ca.crt"))
TALLY = re.compile(r"changed=(\d+) ")
HARDENED = ("orthanc", "dicom_tls", "authentication", "firewall")
UNDECLARED = ("firewall.wan_exposure", "firewall.dicom_sources", "firewall.ipv6_parity", "firewall.persistent")
"""Promises that a rule breaks which the clinic file does not give any more."""
OVER = "dicom_tls.cleartext_unexpired"
SAID = "us was declared in clear until {day} by Dr Anne Martin, and its port 11104 is {state}"
LOGGED = "journalctl -t dicom_front -o cat --no-pager | grep -c '^{address} in clear to 11104 device=us '"
PAST = r"""sed -E 's/(meta time >= )"[0-9-]+ /\1"2020-01-01 /' /etc/radiology-firewall/ruleset.nft | nft -f -"""
"""The rules as they are when the day is over: the clock of this machine is everybody's."""
UNLOADED, LOADED = "nft delete table inet radiology", "systemctl restart radiology-firewall"
LISTENS = r"ss -Hltn | grep -cE ':11104 |\.40:11112 '; true"
TLS, CLEAR = ["tls"], ["dicom"]


class Lan(Rotation):
    """The lab with its practices, each with an ultrasound machine that speaks in clear."""

    def converge(self, *roles: str, targets: str = "orthanc_servers") -> str:
        """Harden by some roles, and return what was printed."""
        os.environ |= {"RADIOLOGY_ROLE": ",".join(roles), "RADIOLOGY_TARGETS": targets}
        done = self.attempt("ansible-playbook", "-i", str(self.inventory), str(RESOURCES / "converge.yml"))
        if done.returncode:
            sys.exit(done.stdout[-6000:] + done.stderr[-2000:])
        return done.stdout + done.stderr

    def begin(self) -> None:
        """Make images of each device, harden, and let the scanner bear its certificate."""
        for kind, studies in (("ct", STUDIES), ("us", STUDIES), ("ws", STUDIES // 2)):
            self.each(
                lambda each, k=kind, n=studies: each.run(k, "studies.py", "/root/studies", each.clinic + k, str(n))
            )
        self.each(lambda practice: practice.hand_in_requests(self.folder(practice), ("ct",)))
        for place, *found in self.each(lambda each: self.seen(each, FEW)):
            self.check(f"{place}: before, ports of the workstation answer: {found}", holds=all(map(all, found)))
        self.converge("firewall", "workstation", targets="workstations:!declared_only")
        self.converge(*HARDENED)
        self.fetch(("ct",))

    def seen(self, practice: Practice, last: int) -> tuple[str, list[list[int]], list[list[int]]]:
        """Return the practice, and the workstation's open ports up to the last, from the laptop and from the internet.

        By IPv4 the box shows the internet another host in its place, if any.
        """
        addresses = [practice.address("ws", family) for family in (4, 6)]
        from_laptop = practice.run("laptop", "open_ports.py", "1", str(last), *addresses)
        from_internet = practice.run("attacker", "open_ports.py", "1", str(last), addresses[1])
        return practice.clinic, *(list(json.loads(told).values()) for told in (from_laptop, from_internet))

    def strangers(self) -> None:
        """Nothing of the workstation answers who is not declared."""
        for place, *found in self.each(lambda each: self.seen(each, LAST)):
            self.check(
                f"{place}: nothing of the workstation answers laptop, internet: {found}", holds=not any(map(any, found))
            )

    def both(self, what: str, found: list[Any], due: Any) -> None:
        """Check that something is so in all practices."""
        wanted = [due] * len(self.practices)
        self.check(f"{what}: {found}" if found != wanted else what, holds=found == wanted)

    def us(self, verb: str, *more: str, port: int = DOOR) -> list[str]:
        """Let each ultrasound do something in clear, and return what it said."""
        return self.each(lambda each: each.device("us", verb, *more, tls=False, port=port, check=False))

    def knock(self, kind: str, port: int = DOOR) -> list[int]:
        """Return how a device's attempt to connect to the server ended: 0, 1 or SILENT."""

        def do(practice: Practice) -> int:
            line = f"timeout 3 bash -c '</dev/tcp/{practice.address('pacs')}/{port}' 2>/dev/null"
            return self.lab.execute(f"{kind}-{practice.number}", "bash", "-c", line, check=False).returncode

        return self.each(do)

    def associate(self, kind: str, title: str, port: int = DOOR, *identity: str) -> list[str]:
        """Let a device ask for an association by an AE title, and return how it ended."""
        program = (RESOURCES / "witnesses" / "associate.py").read_text(encoding="utf-8")

        def do(practice: Practice) -> str:
            calling = title if title == "NOBODY" else f"{PREFIXES[practice.clinic]}_{title}"
            words = (
                "python3",
                "-",
                LOOPBACK if port == TUNNEL else practice.address("pacs"),
                str(port),
                calling,
                AE_TITLES[practice.clinic],
                *identity,
            )
            done = self.lab.execute(f"{kind}-{practice.number}", *words, stdin=program, check=False)
            return (done.stdout.split() or [done.stderr[-200:]])[0]

        return self.each(do)

    def work(self) -> None:
        """Let all devices work while all that crosses the LAN is captured, and look at who spoke what to whom."""
        names = self.each(lambda each: sorted({name for kind in ("ct", "us", "ws") for name in each.patients(kind)}))
        worked: dict[str, list[tuple[str, str, str]]] = {}

        def watch(practice: Practice) -> dict[str, Any]:
            words = names[self.practices.index(practice)]

            def work() -> None:
                worked[practice.clinic] = self.use(practice)

            return wiretap.on_network(self.lab, f"lan{practice.number}", words, work)

        for practice, words, seen in zip(self.practices, names, self.each(watch), strict=True):
            for what, said, due in worked[practice.clinic]:
                self.check(f"{practice.clinic}: {what}: {said}", holds=said == due)
            self.look(practice, words, seen)

    @staticmethod
    def use(practice: Practice) -> list[tuple[str, str, str]]:
        """Let all devices of a practice work, and return what each did, what it said, and what it has to say."""

        def us(verb: str, *more: str) -> str:
            return practice.device("us", verb, *more, tls=False, port=DOOR, check=False)

        def viewer(verb: str, *more: str) -> str:
            return practice.viewer(verb, *more, check=False)

        of_ws, in_all = IMAGES // 2, 2 * IMAGES + IMAGES // 2
        stored = practice.device("ct", "store", "/root/studies", tls=True, check=False)
        return [
            ("the scanner stores over TLS", stored, f"{IMAGES} images stored"),
            ("the ultrasound stores in clear", us("store", "/root/studies"), f"{IMAGES} images stored"),
            ("the viewer stores by its tunnel", viewer("store", "/root/studies"), f"{of_ws} images stored"),
            ("... queries", viewer("query"), f"{in_all // 6} studies, {in_all // 3} series"),
            ("... and retrieves by C-MOVE", viewer("retrieve"), f"{in_all} images retrieved"),
            ("the ultrasound retrieves in clear", us("retrieve"), f"{in_all} images retrieved"),
        ]

    def look(self, practice: Practice, names: list[str], seen: dict[str, Any]) -> None:
        """Check a capture of the LAN: DICOM in clear, and names, on the declared link alone."""
        ct, us, ws, pacs = (practice.address(kind) for kind in ("ct", "us", "ws", "pacs"))
        missed = f"{seen['holes']} of {seen['bytes']} bytes missed"
        self.check(f"{practice.clinic}: {missed}", holds=not seen["holes"] and seen["bytes"] > 5 * IMAGES * 2**15)
        spoken = {link: speaks for link, (speaks, _words) in seen["links"].items()}
        due = {f"{ct} {pacs}:{FRONT}": TLS, f"{ws} {pacs}:{FRONT}": TLS, f"{pacs} {ws}:{OWN}": TLS}
        due |= {f"{us} {pacs}:{DOOR}": CLEAR, f"{pacs} {us}:{OWN}": CLEAR}
        self.check(f"{practice.clinic}: what is spoken on the LAN: {spoken}", holds=spoken == due)
        told = {link: words for link, (_speaks, words) in seen["links"].items() if words}
        on_links = dict.fromkeys((link for link, speaks in due.items() if speaks == CLEAR), names)
        self.check(f"{practice.clinic}: all {len(names)} names, on the links of us: {told}", holds=told == on_links)
        logged = LOGGED.replace("{address}", us)
        count = self.lab.execute(f"pacs-{practice.number}", "sh", "-c", logged, check=False).stdout.strip()
        self.check(f"{practice.clinic}: the front's journal tells of {count} sessions of us", holds=int(count) > 2)

    def identities(self) -> None:
        """Address, port and AE title belong together, by firewall and front, and by the front alone."""
        self.both("us is let in by its port", self.associate("us", "US1"), "accepted")
        for title in ("CT1", "WS1", "NOBODY"):
            refused = [each != "accepted" for each in self.associate("us", title)]
            self.both(f"{title} is refused by the port of us", refused, True)
        refused = [each != "accepted" for each in self.associate("ct", "US1", FRONT, *IDENTITY)]
        self.both("US1 is refused in the tunnel of ct", refused, True)
        refused = [each != "accepted" for each in self.associate("ws", "US1", TUNNEL)]
        self.both("US1 is refused in the tunnel of ws", refused, True)
        self.both("ws is let in by its own tunnel", self.associate("ws", "WS1", TUNNEL), "accepted")
        self.both("ct is let in by its own tunnel", self.associate("ct", "CT1", FRONT, *IDENTITY), "accepted")
        for kind, port in (("ct", DOOR), ("ws", DOOR), ("us", FRONT)):
            self.both(f"port {port} is silent to {kind}", self.knock(kind, port), SILENT)
        self.ask(UNLOADED)
        for title in ("US1", "CT1"):
            self.both(
                f"without the firewall, the front refuses {title} from ct", self.associate("ct", title), "refused"
            )
        self.both("... and lets us in", self.associate("us", "US1"), "accepted")
        self.ask(LOADED)

    def last_day(self) -> None:
        """The day is over before anybody comes: the firewall shuts the port by itself."""
        self.both("the port takes us", self.knock("us"), 0)
        self.ask(PAST)
        self.both("when the day is over, the port is silent to us without a run", self.knock("us"), SILENT)
        self.both("... while ct is let in", self.associate("ct", "CT1", FRONT, *IDENTITY), "accepted")
        self.ask(LOADED)

    def clinics(self) -> list[str]:
        """Return the clinics' names."""
        return [practice.clinic for practice in self.practices]

    def declare(self, days: int, port: int = DOOR) -> str:
        """Write into each clinic file on which day the declaration ends, and for which port; return that day."""
        for clinic in self.clinics():
            path = self.inventory / f"{clinic}.yml"
            text = until(path.read_text(encoding="utf-8"), days)
            path.write_text(text.replace(f"cleartext: {{port: {DOOR}", f"cleartext: {{port: {port}"), encoding="utf-8")
        return re.findall(r'cleartext: .*"([0-9-]+)"', path.read_text(encoding="utf-8"))[0]

    def audit(self, *places: str) -> list[dict[str, Any]]:
        """Audit from inside and from these places, and return the reports."""
        folder = self.inventory.parent / "reports"
        limit = ":".join(("orthanc_servers", "localhost", *places))
        playbook, given = str(ROOT / "playbooks" / "audit.yml"), f"report_directory={folder}"
        self.attempt("ansible-playbook", "-i", str(self.inventory), playbook, "-l", limit, "-e", given)
        return [json.loads((folder / clinic / "report.json").read_text(encoding="utf-8")) for clinic in self.clinics()]

    def tell(self, day: str) -> None:
        """The report tells the link and who answers for it; beside it nothing answers in clear."""
        for report in self.audit("ct-probe.*", "us-probe.*"):
            clinic = report["clinic"]["name"]
            (link,) = report["cleartext"]
            about = (link["device"], link["owner"], link["expires"], link["state"])
            self.check(
                f"{clinic}: the report tells of {link}", holds=about == ("us", "Dr Anne Martin", day, "in force")
            )
            self.check(f"{clinic}: us-probe sees it", holds=f"us-probe.{clinic} at " in link["said"])
            self.check(f"{clinic}: ct-probe does not", holds="ct-probe" not in link["said"])
            (ports,) = [each for each in report["findings"] if each["control"] == "dicom_tls.cleartext_ports"]
            points = {item["seen_from"] for item in ports["evidence"] if item["verdict"] == "pass"}
            self.check(
                f"{clinic}: seen from {sorted(points)}", holds={f"us-probe.{clinic}", f"ct-probe.{clinic}"} < points
            )
            broken = self.broken(report)
            self.check(f"{clinic}: broken, in {len(report['findings'])} findings: {broken}", holds=not broken)

    @staticmethod
    def broken(report: dict[str, Any]) -> dict[str, list[Any]]:
        """Return the promises of the roles that hardened which do not hold on any host, and what was seen of them.

        Not every vantage point of the clinic is in this lab.
        """
        wrong: dict[str, list[Any]] = {}
        for each in report["findings"]:
            if each["control"].startswith(tuple(f"{role}." for role in HARDENED)):
                found = [item["observed"] for item in each["evidence"] if item["verdict"] in ("fail", "error")]
                wrong.setdefault(each["control"], []).extend(found)
        return {name: observed for name, observed in wrong.items() if observed}

    def expire(self) -> None:
        """The day is over: the audit names it, a run shuts the port, the audit goes on, and a renewal opens it."""
        day = self.declare(-1)
        self.named(day, "open", *UNDECLARED)
        self.converge("dicom_tls", "firewall")
        self.both("nobody listens for us any more", [said.strip() for said in self.ask(LISTENS)], "0")
        self.both("the port is silent to us", self.knock("us"), SILENT)
        self.both("... while ct is let in", self.associate("ct", "CT1", FRONT, *IDENTITY), "accepted")
        self.named(day, "shut")
        told = self.converge("dicom_tls", "firewall")
        self.check("a second run changes nothing, and says what is left", holds=set(TALLY.findall(told)) == {"0"})
        self.check("... by name and day", holds=SAID.format(day=day, state="shut") in " ".join(told.split()))
        self.declare(DAYS, LOW)
        self.converge("dicom_tls", "firewall")
        self.both(f"renewed, for port {LOW}, us is let in again", self.us("echo", port=LOW), "alive")
        self.both("... and by its former port no more", self.knock("us"), SILENT)
        self.both("... while ct is let in", self.associate("ct", "CT1", FRONT, *IDENTITY), "accepted")
        self.check("a second run changes nothing", holds=set(TALLY.findall(self.converge("dicom_tls"))) == {"0"})

    def named(self, day: str, state: str, *follow: str) -> None:
        """Check that the audit fails by name and day, and that no promise is broken beside it and those that follow."""
        for report in self.audit():
            clinic = report["clinic"]["name"]
            broken = self.broken(report)
            said = [sentence for observed in broken.pop(OVER, []) for sentence in observed]
            due = SAID.format(day=day, state=state)
            self.check(f"{clinic}: the audit says {said}", holds=len(said) == 1 and said[0].startswith(due))
            self.check(f"{clinic}: no other promise is broken but {broken}", holds=set(broken) == set(follow))


def main(clinics: Sequence[str]) -> int:
    """Build the lab, let the devices work, end the declaration, and tell the tally."""
    unknown = set(clinics) - set(CLINICS)
    if unknown:
        print(f"There is no clinic {', '.join(sorted(unknown))}; accepted: {', '.join(CLINICS)}.")
        return 2
    numbers = [TOPOLOGY.clinics[clinic] for clinic in clinics]
    lab = rotation.Lab(NAME, ("attacker", *(f"{kind}-{number}" for number in numbers for kind in KINDS)))
    inventory = lab.state / "inventory"
    lab.up(inventory, tunnel=True)
    for clinic in clinics:
        scanned.lay(inventory / f"{clinic}.yml")  # the stranger of this lab is none of the audit's vantage points
    try:
        trial = Lan(lab, inventory, clinics)
        trial.begin()
        trial.work()
        trial.strangers()
        trial.identities()
        trial.last_day()
        trial.tell(trial.declare(DAYS))
        trial.expire()
        away.trial(trial)
    finally:
        lab.down()
    held = trial.held
    print(f"{len(held)} checks: {held.count(True)} held")
    return 0 if all(held) else 1


if __name__ == "__main__":
    rotation.NAME = NAME
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: nothing stays behind
    sys.exit(main(sys.argv[1:] or CLINICS))
