# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Log in at a terminal of the host as a person does, by login(1) and PAM, and tell how it ended.

Usage: logins.py lockout         five wrong passwords lock an account of its own, until the time of the lock is up
       logins.py person LOGIN    the first password, in FIRST, lets in once it is changed, for one that is strong
Run as root. The last line is `N logins as they should be`; the exit status is 1 where one is not.
"""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

SECONDS = 120
"""For which an answer is waited for; login(1) lets three pass after a wrong password."""
IN, REFUSED, LOCKED, CHANGE = "is in", "is refused", "is refused unasked, as locked", "has to change the password"
SILENT = "hears nothing"
AUTH = Path("/etc/pam.d/common-auth")
ACCOUNT = "lab-login"
RIGHT = "Right-for-once-17"
WEAK, STRONG = "Kd4-sB8x", "four winters by the harbour"
SHORT = 20
"""Seconds of a lock for the time of this test; the role's are asked for first."""


class Terminal:
    """A terminal at which login(1) asks for the password of an account."""

    def __init__(self, login: str) -> None:
        """Open it."""
        self.process, self.handle = pty.fork()
        if self.process == 0:
            os.environ.update(TERM="dumb", LC_ALL="C.UTF-8")
            os.execvp("login", ["login", login])
        self.seen = ""

    def until(self, *patterns: str) -> int:
        """Return which pattern comes next, -1 for none in time; login(1) hangs up once before it asks."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            for number, pattern in enumerate(patterns):
                if found := re.search(pattern, self.seen):
                    self.seen = self.seen[found.end() :]
                    return number
            if select.select([self.handle], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.handle, 4096).decode("utf-8", "replace")
                except OSError:
                    time.sleep(0.1)
        return -1

    def say(self, words: str) -> None:
        """Type a line."""
        time.sleep(0.2)
        os.write(self.handle, f"{words}\n".encode())

    def end(self) -> None:
        """Close it."""
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)
        os.close(self.handle)


def enter(login: str, password: str, *new: str) -> str:
    """Log in and say how it ended; `new` are passwords to choose where it has to be changed, one after the other."""
    terminal = Terminal(login)
    try:
        asked = terminal.until("assword: ", "locked due to 5 failed logins")
        if asked != 0:
            return LOCKED if asked == 1 else SILENT
        terminal.say(password)
        ends = ("incorrect", r"urrent password: ", r"[$] $")
        ended = terminal.until(*ends)
        if ended == 1 and new:
            terminal.say(password)
            for chosen in new:
                terminal.until("New password: ")
                terminal.say(chosen)
                if terminal.until("BAD PASSWORD", "Retype new password: ") == 1:
                    terminal.say(chosen)
            ended = terminal.until(*ends)
        if ended == 2:
            terminal.say('echo "in-as-$(id -un)"')
            return IN if terminal.until(f"in-as-{re.escape(login)}\\s") == 0 else SILENT
        return {0: REFUSED, 1: CHANGE}.get(ended, SILENT)
    finally:
        terminal.end()


def run(*command: str, stdin: str = "") -> None:
    """Run a command that has to succeed."""
    subprocess.run(command, input=stdin, text=True, check=True, capture_output=True)


def check(what: str, found: str, due: str) -> bool:
    """Tell one login."""
    print(f"{'as it should be' if found == due else 'WRONG'}: {what}: {found}", flush=True)
    return found == due


def guess(times: int) -> list[bool]:
    """Give wrong passwords in a row."""
    wrong = [f"Wrong-{count}" for count in range(1, times + 1)]
    return [check(f"the password {password}", enter(ACCOUNT, password), REFUSED) for password in wrong]


def lockout() -> list[bool]:
    """Guess, be refused, wait, and come in."""
    before = AUTH.read_text(encoding="utf-8")
    run("useradd", "--create-home", "--shell", "/bin/bash", ACCOUNT)
    try:
        run("chpasswd", stdin=f"{ACCOUNT}:{RIGHT}\n")
        found = [check("the right password", enter(ACCOUNT, RIGHT), IN)]
        found += guess(4)
        found.append(check("the right password after four wrong ones", enter(ACCOUNT, RIGHT), IN))
        found += guess(5)
        found.append(check("the right password after five wrong ones", enter(ACCOUNT, RIGHT), LOCKED))
        assert "unlock_time=900" in before
        AUTH.write_text(before.replace("unlock_time=900", f"unlock_time={SHORT}"), encoding="utf-8")
        time.sleep(SHORT + 2)
        found.append(check("the right password when the time of the lock is up", enter(ACCOUNT, RIGHT), IN))
        return found
    finally:
        AUTH.write_text(before, encoding="utf-8")
        subprocess.run(["faillock", "--user", ACCOUNT, "--reset"], check=False)
        subprocess.run(["userdel", "--force", "--remove", ACCOUNT], check=False, capture_output=True)


def person(login: str) -> list[bool]:
    """Come in by the first password, which has to be changed, for a strong one."""
    first = os.environ["FIRST"]
    return [
        check("a wrong password", enter(login, "Wrong-1"), REFUSED),
        check("the first password, which is not changed", enter(login, first), CHANGE),
        check("the first password, a weak one and a strong one", enter(login, first, WEAK, STRONG), IN),
        check("the first password when it was changed", enter(login, first), REFUSED),
        check("the chosen password", enter(login, STRONG), IN),
    ]


if __name__ == "__main__":
    done = lockout() if sys.argv[1] == "lockout" else person(sys.argv[2])
    print(f"{done.count(True)} logins as they should be")
    sys.exit(0 if all(done) else 1)
