# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Come to a server of each practice for the first time, on Debian 12 and 13, by the password of an account with sudo.

Another fingerprint than the one read on site, a wrong password and a key that nobody here can sign for change nothing.
Then the server is enrolled, once: ssh itself, told nothing but the inventory, knows it and comes in by key, and no
password is taken any more. A server that was installed anew, with other host keys, is refused by ssh and by the playbook.
The last line is `N checks: N held`.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys

import rotation
import yaml
from rotation import CLINICS, Rotation
from story import Practice

NAME = os.environ.get("RADIOLOGY_LAB", "enroll")
HOSTS = ("pacs-1", "pacs-2")
USER = "newcomer"
SUDO = {1: "ALL", 2: "NOPASSWD: ALL"}
"""Number of a practice -> what sudo asks of the account there."""
SETTLE = f"""set -eu
useradd --create-home --shell /bin/bash {USER}
read -r password; echo "{USER}:$password" | chpasswd
echo '{USER} ALL=(ALL) '"$1" >/etc/sudoers.d/{USER}
printf '%s\\n' 'PasswordAuthentication yes' 'KbdInteractiveAuthentication yes' >/etc/ssh/sshd_config.d/50-site.conf
systemctl reload ssh
"""
READ = "ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub | cut -d' ' -f2"
LOGINS = "journalctl --sync; journalctl -u ssh -o cat --no-pager | grep -cE 'password|{user}' || true"
ANEW = "rm /etc/ssh/ssh_host_*; ssh-keygen -qA; systemctl restart ssh"
DROP_IN = "cat /etc/ssh/sshd_config.d/00-radiology-enrolled.conf /home/{user}/.ssh/authorized_keys 2>/dev/null || true"


class Enrolment(Rotation):
    """The lab's two servers, as they are on the day on which the engineer comes for the first time."""

    def prepare(self, studies: int = 0) -> None:
        """Give each server its account with a password, and have the inventory name it, and no host key."""
        self.home = self.inventory.parent / "engineer"
        self.home.mkdir(mode=0o700)
        for name in ("id", "other"):
            command = [
                "ssh-keygen",
                "-q",
                "-t",
                "ed25519",
                "-N",
                "",
                "-C",
                f"engineer {name}",
                "-f",
                str(self.home / name),
            ]
            subprocess.run(command, check=True)
        shutil.copy(self.home / "other.pub", self.home / "nobodys.pub")
        self.password = secrets.token_urlsafe(16)
        self.each(
            lambda each: self.lab.execute(
                f"pacs-{each.number}", "sh", "-c", SETTLE, "sh", SUDO[each.number], stdin=f"{self.password}\n"
            )
        )
        reached = yaml.safe_load((self.inventory / "lab.yml").read_text(encoding="utf-8"))
        for number in SUDO:
            for variables in reached["all"]["children"][f"lab_{number}"]["hosts"].values():
                way = str(variables["ansible_ssh_common_args"])
                variables["ansible_ssh_common_args"] = way[way.index("-o ProxyCommand") :]
                variables["ansible_ssh_private_key_file"] = str(self.home / "id")
                variables["ansible_user"] = USER
        (self.inventory / "lab.yml").write_text(yaml.safe_dump(reached, width=1000), encoding="utf-8")
        for practice in self.practices:
            shutil.rmtree(self.folder(practice))  # nobody has looked at it from the internet yet either

    def enroll(self, practice: Practice, *more: str, password: str | None = None, key: str = "id") -> tuple[bool, str]:
        """Run the playbook on one server; return whether it succeeded, and what it printed."""
        secret = self.home / f"password-{practice.number}.json"
        secret.write_text(json.dumps({"password": self.password if password is None else password}), encoding="utf-8")
        playbook = str(rotation.ROOT / "playbooks" / "enroll.yml")
        limit = ["--limit", f"pacs.{practice.clinic}", "-e", f"@{secret}", "-e", f"public_key={self.home / key}.pub"]
        done = self.attempt("ansible-playbook", "-i", str(self.inventory), playbook, *limit, *more)
        return done.returncode == 0, done.stdout + done.stderr

    def read(self, practice: Practice, kind: str = "ed25519") -> str:
        """Read a fingerprint on the server itself."""
        return self.shell(practice, READ.format(kind=kind))

    def shell(self, practice: Practice, line: str) -> str:
        """Run a shell line on the server as root."""
        return self.lab.execute(f"pacs-{practice.number}", "sh", "-c", line).stdout.strip()

    def forget(self, practice: Practice) -> None:
        """Remove the clinic's folder, which holds nothing but the host key and what tells what the folder is."""
        for name in ("known_hosts", "README"):
            (self.folder(practice) / name).unlink()
        self.folder(practice).rmdir()

    def untouched(self, practice: Practice) -> bool:
        """Tell whether neither the server nor the clinic's folder has anything of an enrolment."""
        kept = self.folder(practice) / "known_hosts"
        return not kept.exists() and not self.shell(practice, DROP_IN.format(user=USER))

    def refused(self) -> None:
        """Try what has to be refused."""
        for practice in self.practices:
            known = f"fingerprint={self.read(practice)}"
            strange = f"SHA256:{base64.b64encode(secrets.token_bytes(32)).decode().rstrip('=')}"
            before = self.shell(practice, LOGINS.format(user=USER))
            went, said = self.enroll(practice, "-e", f"fingerprint={strange}")
            told = strange in said and self.read(practice) in said and "No password was sent" in said
            self.check(f"{practice.clinic}: another fingerprint is refused with both of them", holds=told and not went)
            quiet = self.shell(practice, LOGINS.format(user=USER)) == before
            self.check(f"{practice.clinic}: and nobody tried to log in", holds=quiet)
            for what, more, sentence in (
                ("no fingerprint", [], "fingerprint is missing; accepted: SHA256: and 43 characters"),
                ("one that is none", ["-e", "fingerprint=MD5:ab:cd"], "fingerprint is MD5:ab:cd; accepted: SHA256:"),
            ):
                went, said = self.enroll(practice, *more)
                self.check(f"{practice.clinic}: {what} is refused", holds=not went and sentence in said)
            went, said = self.enroll(practice, "-e", known, key="nobodys")
            unsigned = not went and "can sign for it" in said
            self.check(f"{practice.clinic}: a key that nobody here holds is refused", holds=unsigned)
            self.forget(practice)
            went, said = self.enroll(practice, "-e", known, "--check")
            planned = went and said.count(f"pacs.{practice.clinic} (") == 3
            self.check(f"{practice.clinic}: check mode tells three things", holds=planned)
            self.check(f"{practice.clinic}: and nothing was changed", holds=self.untouched(practice))
            went, said = self.enroll(practice, "-e", known, password="not this one")
            wrong = not went and "does not let newcomer in by this password" in said
            self.check(f"{practice.clinic}: a wrong password is told", holds=wrong)
            closed = self.shell(practice, DROP_IN.format(user=USER))
            self.check(f"{practice.clinic}: and changes nothing on the server", holds=not closed)

    def enrolled(self) -> None:
        """Enrol each, by whichever of its fingerprints was read, and see what ssh makes of it."""
        for practice, kind in zip(self.practices, ("ed25519", "rsa"), strict=True):
            self.forget(practice)
            went, said = self.enroll(practice, "-e", f"fingerprint={self.read(practice, kind)}")
            self.check(f"{practice.clinic}: the server is enrolled by its {kind} key", holds=went)
            self.check(f"{practice.clinic}: the password is shown nowhere", holds=self.password not in said)
            host = f"pacs.{practice.clinic}"
            self.check(f"{practice.clinic}: Ansible comes in, told nothing else", holds=self.comes_in(host))
            self.check(f"{practice.clinic}: sshd offers keys alone", holds=self.offered(practice) == ["publickey"])
            went, said = self.enroll(practice, password="")
            again = went and "is enrolled already" in said and "changed=0" in said
            self.check(f"{practice.clinic}: a second run changes nothing, and needs no password", holds=again)
            other = self.home / "other"
            went, said = self.enroll(practice, key="other", password="")
            self.check(f"{practice.clinic}: another key needs the password", holds=not went and other.exists())

    def comes_in(self, host: str) -> bool:
        """Tell whether Ansible comes in by a connection of its own."""
        alone = "-o ControlMaster=no -o ControlPath=none"
        asked = ["-m", "ansible.builtin.ping", "-e", json.dumps({"ansible_ssh_args": alone})]
        return self.attempt("ansible", "-i", str(self.inventory), host, *asked).returncode == 0

    def offered(self, practice: Practice) -> list[str]:
        """Ask by ssh, on the server itself, what sshd takes."""
        options = (
            "-o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o PubkeyAuthentication=no"
        )
        said = self.shell(practice, f"ssh -v {options} {USER}@127.0.0.1 true 2>&1 || true")
        lines = [line for line in said.splitlines() if "Authentications that can continue:" in line]
        return lines[-1].partition("continue: ")[2].split(",") if lines else []

    def anew(self) -> None:
        """Install each server anew, so to speak."""
        self.each(lambda practice: self.shell(practice, ANEW))
        for practice in self.practices:
            host = f"pacs.{practice.clinic}"
            pinged = self.attempt("ansible", "-i", str(self.inventory), host, "-m", "ansible.builtin.ping")
            self.check(
                f"{practice.clinic}: with other host keys Ansible comes in no more", holds=pinged.returncode != 0
            )
            went, said = self.enroll(practice, "-e", f"fingerprint={self.read(practice)}")
            line = f"{self.folder(practice) / 'known_hosts'}:1: "
            told = line in said.replace("\n", "") and "is known by another host key" in " ".join(said.split())
            self.check(f"{practice.clinic}: the playbook names the line to be removed", holds=not went and told)
            self.forget(practice)
            went, _said = self.enroll(practice, "-e", f"fingerprint={self.read(practice)}", password="")
            self.check(f"{practice.clinic}: without it the key that lies there lets in", holds=went)


def main() -> int:
    """Build the lab, enrol, and tell the tally."""
    lab = rotation.Lab(NAME, HOSTS)
    inventory = lab.state / "inventory"
    lab.up(inventory)
    try:
        trial = Enrolment(lab, inventory)
        trial.prepare()
        trial.refused()
        trial.enrolled()
        trial.anew()
    finally:
        lab.down()
    print(f"{len(trial.held)} checks: {trial.held.count(True)} held")
    return 0 if all(trial.held) and len(trial.practices) == len(CLINICS) else 1


if __name__ == "__main__":
    rotation.NAME = NAME
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: nothing stays behind
    sys.exit(main())
