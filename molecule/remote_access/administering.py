# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Witness who administers from outside: by key and one-time code, by a recovery code, and by nothing less."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from witnessing import Check

PERSON, OTHER = "c.moreau", "engineer"
KEY = "/root/administering"
Shell = Callable[..., subprocess.CompletedProcess[str]]
PROGRAM = Path(__file__).resolve().parents[1] / "resources" / "witnesses" / "second_factor.py"


class Administering:
    """Comes in from a tablet to the server, each told by the function that runs a command there."""

    def __init__(self, on: Shell, addresses: tuple[str, str]) -> None:
        """Take the function, and the addresses of the server, IPv4 and IPv6."""
        self.on, self.addresses = on, addresses
        self.program = PROGRAM.read_text(encoding="utf-8")

    def checks(self) -> Iterator[Check]:
        """Come in by too little, by enough, and by what counted once."""
        self._keys()
        yield "by key alone, before anybody is enrolled", self.login(PERSON), "refused"
        yield "by key and a code of nobody's", self.login(PERSON, "123456"), "refused"
        quiet = self.on("pacs", "/usr/local/sbin/radiology-second-factor", "enroll", PERSON)
        yield "the secret is shown to no pipe", (quiet.returncode, "secret=" in quiet.stdout), (1, False)
        yield "a code that is wrong enrols nobody", self.enroll("000000")["recovery"], []
        given = self.enroll()
        yield "an administrator enrols at a terminal", (given["status"], len(given["recovery"])), (0, 8)
        yield "by key alone", self.login(PERSON), "refused"
        yield "by the code alone", self.login(PERSON, self.shown(str(given["secret"])), key="-"), "refused"
        code = self.shown(str(given["secret"]))
        yield "by key and code", self.login(PERSON, code), "in"
        yield "by the same code again", self.login(PERSON, code), "refused"
        first, second, third, *_more = given["recovery"]
        self.on("pacs", "bash", "-c", "touch /etc/radiology-second-factor/users.oath.{lock,new}")
        yield "by no code, when a power cut left a lock", self.login(PERSON, first), "refused"
        self.on("pacs", "systemd-tmpfiles", "--remove", "--boot")
        yield "without the telephone, by a recovery code", self.login(PERSON, first, address=1), "in"
        yield "by the same again", self.login(PERSON, first), "refused"
        yield "by the next", self.login(PERSON, second), "in"
        yield "another account by its key", self.login(OTHER), "refused"
        yield "... and by a code of the administrator's", self.login(OTHER, third), "refused"
        again = self.enroll()
        yield "the former codes, when another telephone is enrolled", self.login(PERSON, third), "refused"
        yield "the new ones", self.login(PERSON, str(again["recovery"][0])), "in"
        yield "five wrong ones", [self.login(PERSON, f"00000{count}") for count in range(5)], ["refused"] * 5
        yield "the right one after these", self.login(PERSON, str(again["recovery"][1])), "refused"
        self.on("pacs", "faillock", "--user", PERSON, "--reset")
        yield "... and when the lock is lifted", self.login(PERSON, str(again["recovery"][1])), "in"
        gone = self.on("pacs", "/usr/local/sbin/radiology-second-factor", "remove", PERSON).returncode
        yield "taken out", (gone, self.login(PERSON, str(again["recovery"][2]))), (0, "refused")

    def _keys(self) -> None:
        """Give the tablet a key, which opens two accounts of the server."""
        self.on("tablet", "bash", "-c", f"test -e {KEY} || ssh-keygen -q -t ed25519 -N '' -f {KEY}")
        public = self.on("tablet", "cat", f"{KEY}.pub").stdout
        lines = (
            f"id {PERSON} || useradd --create-home --shell /bin/bash {PERSON}",
            f"gpasswd --add {PERSON} radiology-ssh",
            f"for who in {PERSON} {OTHER}",
            'do home=$(getent passwd "$who" | cut -d: -f6)',
            'install -d -m 700 -o "$who" -g "$who" "$home/.ssh"',
            'cat /root/tablet.pub >>"$home/.ssh/authorized_keys"',
            'chown "$who:" "$home/.ssh/authorized_keys"',
            "done",
        )
        self.on("pacs", "bash", "-c", "cat >/root/tablet.pub", stdin=public)
        self.on("pacs", "bash", "-c", "\n".join(lines))

    def login(self, name: str, *code: str, key: str = KEY, address: int = 0) -> str:
        """Come in from the tablet; what was seen."""
        words = ("python3", "-", "login", self.addresses[address], name, key, *code)
        seen = self.on("tablet", *words, stdin=self.program).stdout.strip()
        if not seen:  # OpenSSH from 9.8 on hears nobody for a while who failed often (PerSourcePenalties)
            self.on("pacs", "systemctl", "restart", "ssh")
            seen = self.on("tablet", *words, stdin=self.program).stdout.strip()
        return seen

    def enroll(self, *wrong: str) -> dict[str, int | str | list[str]]:
        """Enrol the person on the server."""
        self.on("pacs", "bash", "-c", "cat >/root/second_factor.py", stdin=self.program)
        done = self.on("pacs", "python3", "/root/second_factor.py", "enroll", PERSON, *wrong)
        loaded: dict[str, int | str | list[str]] = json.loads(done.stdout)
        return loaded

    def shown(self, secret: str) -> str:
        """Return what the telephone shows now."""
        return self.on("pacs", "oathtool", "--totp", "--base32", "-", stdin=secret).stdout.strip()
