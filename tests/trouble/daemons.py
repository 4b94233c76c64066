# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rulesets and configurations of sshd that must not stay, put in place of what the roles would apply.

Those of `bad_rulesets.yml` and `bad_sshd.yml`: each is refused by the daemon's own checker, or shuts the engineer out
until the host's timed undo puts the former state back. The former state is what the daemons themselves and the files
say. Nothing is confirmed, and the undo comes after some seconds in place of 45.
"""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Iterator
from pathlib import Path

import machine
import network
import yaml
from case import SENTENCE, Case, Verdict, prepare, said
from place import ROOT, Place
from witness import Look, Witness

COLLECTIONS = "/opt/trouble"
PLUGINS = f"{COLLECTIONS}/ansible_collections/radiology/hardening"
SECONDS = 8
"""Until the undo; an engineer whose packets are dropped notices after 5."""
WORKS = {
    "firewall": "/etc/radiology-firewall/ruleset.nft",
    "sshd": "/etc/ssh/sshd_config.d/00-radiology-hardening.conf",
}
HARDENED = Look(("TLS",), ("HTTPS",))
UNDO = {"firewall": "firewall", "sshd": "ssh"}
STATE = """
nft -t list ruleset | sed -E 's/packets [0-9]+ bytes [0-9]+//'
sshd -T
sha256sum /etc/ssh/sshd_config /etc/ssh/sshd_config.d/* /etc/radiology-firewall/* /etc/systemd/system/radiology-firewall.service
systemctl is-active ssh radiology-firewall
ss -Hltn 'sport = :22 or sport = :2222' | awk '{ print $4 }' | sort
"""
"""Without counts, and without what the kernel keeps in sets: who is connected to the web front just now."""


@dataclasses.dataclass(frozen=True)
class Bad:
    """What is applied in place of the role's text, and whether its checker has to refuse it."""

    name: str
    daemon: str
    change: dict[str, str]
    refused: bool
    shuts_out: bool

    def text(self, works: str) -> str:
        """Return the text, made from the one that works; `more` is said of all connections."""
        if "text" in self.change:
            return self.change["text"]
        if "more" in self.change:
            common, match, rest = works.partition("Match ")  # what follows is said of the tunnel's connections alone
            return common + self.change["more"] + "\n" + match + rest
        changed = re.sub(self.change["from"], self.change["to"], works, count=0 if self.change.get("all") else 1)
        if changed == works:
            raise SystemExit(f"{self.name} changes nothing: {self.change['from']} is not in the text")
        return changed


def known() -> list[Bad]:
    """Return all of them."""
    found = []
    for daemon, file in (("firewall", "bad_rulesets.yml"), ("sshd", "bad_sshd.yml")):
        listed = yaml.safe_load(Path(__file__).with_name(file).read_text(encoding="utf-8"))
        for group, entries in listed.items():
            found += [
                Bad(f"{daemon}-{name}", daemon, change, group == "refused", group == "shuts_out")
                for name, change in entries.items()
            ]
    return found


def walk(place: Place, only: str) -> Iterator[Verdict]:
    """Let a hardened server meet those whose name is chosen; after the last one, a run has nothing to change."""
    chosen = [bad for bad in known() if re.search(only, bad.name)]
    if not chosen:
        return
    prepare(Case("the bad configurations", lambda place, chance: place.harden(), on_hardened=True), place)
    place.on("mkdir", "-p", PLUGINS)
    container = network.namespace(place.lab.name, place.host)
    machine.podman("cp", f"{ROOT}/plugins", f"{container}:{PLUGINS}/plugins")
    witness, former = Witness(place), place.shell(STATE, check=False)
    for bad in chosen:
        try:
            yield _meet(bad, place, witness, former)
        except (Exception, SystemExit) as error:
            yield Verdict(bad.name, place.release, unsaid=f"the test itself broke off: {error!r}")
    run = place.harden().end()
    after = Verdict("after-bad-configurations", place.release, told=said(run))
    after.converged = run.status == 0 and run.changed == 0
    yield after


def _meet(bad: Bad, place: Place, witness: Witness, former: str) -> Verdict:
    verdict = Verdict(bad.name, place.release)
    began = time.monotonic()
    works = place.on("cat", WORKS[bad.daemon])
    program = Path(__file__).with_name("on_host.py").read_text(encoding="utf-8")
    place.on("sh", "-c", "cat >/root/on_host.py", stdin=program)
    command = ("python3", "/root/on_host.py", COLLECTIONS, bad.daemon, str(SECONDS))
    verdict.told = place.on(*command, stdin=bad.text(works)).strip()
    verdict.unsaid = _unsaid(bad, verdict.told)
    if bad.shuts_out and not verdict.unsaid and place.engineer():
        verdict.unsaid = "the engineer was not shut out at all, so that this shows nothing"
    _settle(place, bad, applied=not verdict.told.startswith("refused: "))
    verdict.lost = not place.engineer()
    verdict.converged = place.shell(STATE, check=False) == former
    if not bad.refused:
        verdict.down = witness.look().falls_short_of(HARDENED)
    verdict.seconds = time.monotonic() - began
    return verdict


def _unsaid(bad: Bad, told: str) -> str:
    if bad.refused:
        clear = told.startswith("refused: ") and SENTENCE.match(told)
        return "" if clear else "it is not refused in one clear sentence"
    return "" if told == "applied" else "it is not applied"


def _settle(place: Place, bad: Bad, *, applied: bool) -> None:
    """Wait until the host's undo has ended; where nothing was applied, spare the time."""
    deadline = time.monotonic() + SECONDS + 20
    folder = f"/var/lib/radiology-hardening/{UNDO[bad.daemon]}-undo"
    if not applied:
        place.shell(f"systemctl disable --now radiology-{UNDO[bad.daemon]}-undo.timer; rm -rf {folder}", check=False)
    while time.monotonic() < deadline and place.on("sh", "-c", f"test ! -e {folder} || echo waits", check=False):
        time.sleep(0.3)
