# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A workstation below a folder, with accounts, groups and answers of programs."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, Result

HASH = "$y$j9T$abc$def"
PEOPLE = [
    {"login": "a.martin", "name": "Dr Anne Martin", "role": "reader"},
    {"login": "c.moreau", "name": "Claire Moreau", "role": "administrator"},
]
SCOPE = {"people": PEOPLE, "engineer": "engineer", "accounts": [], "lock_seconds": 600}


class Machine(Host):
    """A host below a folder, with accounts, groups and answers."""

    def __init__(self, root: Path, **answers: str) -> None:
        super().__init__(str(root))
        self.answers, self.asked = answers, []
        self.given: list[str] = []
        self.people: dict[str, tuple[str, str]] = {}
        self.groups: dict[str, list[str]] = {"sudo": [], "radiology-people": []}
        self.account("root", "*", number=0)

    def account(self, login, secret=HASH, expires="", number=1000, shell="/bin/bash"):
        known = len(self.people)
        self.people[login] = (
            f"{login}:x:{number + known}:{number + known}::/home/{login}:{shell}",
            f"{login}:{secret}:19000:0:99999:7::{expires}:",
        )
        self._lay_all()

    def join(self, group, *logins):
        self.groups.setdefault(group, []).extend(logins)
        self._lay_all()

    def _lay_all(self):
        self.lay("/etc/passwd", "".join(f"{row}\n" for row, _secret in self.people.values()))
        self.lay("/etc/shadow", "".join(f"{row}\n" for _row, row in self.people.values()))
        listed = enumerate(self.groups.items(), 900)
        self.lay("/etc/group", "".join(f"{name}:x:{number}:{','.join(logins)}\n" for number, (name, logins) in listed))

    def run(self, command, *, stdin=None, **dummy):
        words = " ".join(command)
        self.asked.append(words)
        if stdin is not None:
            self.given.append(stdin)
        return Result(0, next((told for begin, told in self.answers.items() if begin in words), ""), "")

    def lay(self, path, text):
        file = Path(self.path(path))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def write(self, path, content, **dummy):
        self.lay(path, content)


def practice(root: Path) -> Machine:
    """Return a workstation with an engineer, and with the people of the clinic file as its only other accounts."""
    made = Machine(root)
    for login in ("engineer", "a.martin", "c.moreau"):
        made.account(login)
    made.join("radiology-people", "a.martin", "c.moreau")
    made.join("sudo", "engineer", "c.moreau")
    return made
