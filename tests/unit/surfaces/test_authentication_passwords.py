# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is read of how new passwords are judged and kept, and what is planned and done about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import account_passwords
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import parted
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, Result

ASKED = "password\trequisite\t\t\tpam_pwquality.so retry=3\n"
TAKEN = "password\t[success=1 default=ignore]\tpam_unix.so obscure use_authtok try_first_pass yescrypt\n"
STOCK = "password\t[success=1 default=ignore]\tpam_unix.so obscure yescrypt\n"
REST = "password\trequisite\t\t\tpam_deny.so\npassword\trequired\t\t\tpam_permit.so\n"
HELD = {
    "checked": True,
    "minlen": 14,
    "dictcheck": True,
    "enforce_for_root": True,
    "overriding": [],
    "hashing": "yescrypt",
}
NONE = {**HELD, "checked": False, "minlen": None, "dictcheck": None, "enforce_for_root": False}
STRONG = ["authentication.passwords.checked", "authentication.passwords.minlen"]


class Pam(Host):
    """A host below a folder, which lacks the packages; pam-auth-update writes the file that it is given."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.becomes, self.commands = ASKED + TAKEN + REST, []
        self.lacking = True

    def run(self, command: Any, **dummy: Any) -> Result:
        self.commands.append(list(command))
        if command[0] == "dpkg-query":
            return Result(0, "" if self.lacking else "cracklib-runtime installed\nlibpam-pwquality installed\n", "")
        if "install" in command:
            self.put(account_passwords.DICTIONARY)
        if "pam-auth-update" in command:
            self.put(account_passwords.PAM_FILE, self.becomes)
        return Result(0, "", "")

    def put(self, path: str, text: str = "") -> None:
        file = Path(self.path(path))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def undone_by(self, name: str, *command: str) -> None:
        self.commands.append(["undo", *command])

    def write(self, path: str, content: Any, **dummy: Any) -> bool:
        self.put(path, content)
        return True


@pytest.fixture(name="host")
def pam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pam:
    for name in ("before_install", "after_install"):
        monkeypatch.setattr(account_passwords.packages.kept, name, lambda host: None)
    host = Pam(str(tmp_path))
    host.put(account_passwords.PAM_FILE, ASKED + TAKEN + REST)
    host.put(account_passwords.FILE, account_passwords.TEXT)
    host.put(account_passwords.DICTIONARY)
    return host


def test_what_the_role_brings_about_is_seen(host: Pam) -> None:
    assert account_passwords.observe(host) == HELD


@pytest.mark.parametrize(
    "lines",
    [
        STOCK + REST,
        TAKEN + ASKED + REST,
        ASKED.replace("password\trequisite", "# password requisite") + TAKEN + REST,
        ASKED.replace("requisite", "optional") + TAKEN + REST,
        ASKED.replace("requisite", "[default=ignore]") + TAKEN + REST,
    ],
)
def test_a_line_that_is_missing_late_or_idle_checks_nothing(host: Pam, lines: str) -> None:
    host.put(account_passwords.PAM_FILE, lines)
    assert account_passwords.observe(host) == NONE


def test_without_a_dictionary_none_is_looked_up(host: Pam) -> None:
    Path(host.path(account_passwords.DICTIONARY)).unlink()
    assert account_passwords.observe(host) == {**HELD, "dictcheck": False}


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("# minlen = 8\nminlen = 20\n", {"minlen": 20}),
        ("minlen=9\n", {"minlen": 9, "overriding": ["/etc/security/pwquality.conf: minlen=9"]}),
        ("dcredit = 2\n", {"minlen": 12, "overriding": ["/etc/security/pwquality.conf: dcredit=2"]}),
        ("dcredit = -1\n", {}),
        (" dictcheck = 0\n", {"dictcheck": False, "overriding": ["/etc/security/pwquality.conf: dictcheck=0"]}),
        (
            "enforcing = 0\n",
            {"minlen": 0, "dictcheck": False, "overriding": ["/etc/security/pwquality.conf: enforcing=0"]},
        ),
    ],
)
def test_the_main_file_counts_before_the_drop_in(host: Pam, text: str, changes: dict[str, Any]) -> None:
    host.put(account_passwords.MAIN, text)
    assert account_passwords.observe(host) == {**HELD, **changes}


def test_arguments_count_before_every_file(host: Pam) -> None:
    host.put(account_passwords.PAM_FILE, ASKED.replace("retry=3", "retry=3 minlen=6") + TAKEN + REST)
    found = account_passwords.observe(host)
    assert (found["minlen"], found["overriding"]) == (6, ["/etc/pam.d/common-password: minlen=6"])


def test_a_drop_in_that_is_read_later_is_seen_and_one_that_is_read_earlier_is_not(host: Pam) -> None:
    host.put(f"{account_passwords.DROP_INS}/50-own.conf", "minlen = 6\n")
    assert account_passwords.observe(host) == HELD
    host.put(f"{account_passwords.DROP_INS}/zzz.conf", "minlen = 6\n")
    assert account_passwords.observe(host)["overriding"] == [f"{account_passwords.DROP_INS}/zzz.conf: minlen=6"]


def test_a_host_that_keeps_it_has_no_plan_and_what_is_laxer_is_left_to_a_person() -> None:
    assert account_passwords.steps(HELD, []) == []
    found = {**HELD, "minlen": 9, "overriding": ["/etc/security/pwquality.conf: minlen=9"]}
    steps, left = parted(account_passwords.steps(found, ["authentication.passwords.minlen"]))
    assert (steps, len(left)) == ([], 1)
    assert "counts before its file: /etc/security/pwquality.conf: minlen=9. Take that out" in left[0].does
    steps, left = parted(account_passwords.steps({**found, **NONE, "overriding": found["overriding"]}, STRONG))
    assert ([step.does for step in steps], len(left)) == ([account_passwords.ENABLED], 1)


def test_the_packages_are_installed_after_what_undoes_it_is_kept(host: Pam) -> None:
    host.put(account_passwords.PAM_FILE, STOCK + REST)
    Path(host.path(account_passwords.DICTIONARY)).unlink()
    (step,) = account_passwords.steps(account_passwords.observe(host), STRONG)
    assert step.does == "Refuse new passwords of fewer than 14 characters, or of a dictionary (pam_pwquality)"
    step.do(host)
    told = [" ".join(command) for command in host.commands]
    undo = next(number for number, line in enumerate(told) if line.startswith("undo"))
    install = next(number for number, line in enumerate(told) if "cracklib-runtime libpam-pwquality" in line)
    assert told[undo].endswith("pam-auth-update --disable pwquality")
    assert undo < install
    assert account_passwords.observe(host) == HELD


def test_a_host_that_has_the_packages_installs_none_and_has_its_dictionary_made(host: Pam) -> None:
    host.lacking = False
    Path(host.path(account_passwords.DICTIONARY)).unlink()
    (step,) = account_passwords.steps(account_passwords.observe(host), ["authentication.passwords.dictcheck"])
    step.do(host)
    assert [command[0] for command in host.commands] == ["dpkg-query", "update-cracklib"]


def test_a_file_that_pam_auth_update_leaves_alone_is_named(host: Pam) -> None:
    host.put(account_passwords.PAM_FILE, STOCK + REST)
    host.becomes = STOCK + REST
    (step,) = account_passwords.steps(NONE, STRONG)
    with pytest.raises(HardeningError, match="changed by hand"):
        step.do(host)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (STOCK.replace("yescrypt", "md5"), "md5"),
        (STOCK.replace(" yescrypt", ""), "DES"),
        (TAKEN.replace("yescrypt", "sha512 rounds=65536 # as ever"), "sha512"),
        (TAKEN.replace("try_first_pass yescrypt", "sha256 try_first_pass"), "sha256"),
    ],
)
def test_how_passwords_are_kept_is_seen_and_mended_in_the_one_word(host: Pam, line: str, word: str) -> None:
    host.put(account_passwords.PAM_FILE, ASKED + line + REST)
    found = account_passwords.observe(host)
    assert found == {**HELD, "hashing": word}
    (step,) = account_passwords.steps(found, ["authentication.passwords.hashing"])
    assert step.does == f"Keep new passwords by yescrypt instead of {word} (pam_unix)"
    step.do(host)
    assert account_passwords.observe(host) == HELD
    text = host.text(account_passwords.PAM_FILE) or ""
    assert text.startswith(ASKED)
    assert text.endswith(REST)
    assert text.count("yescrypt") == 1
    assert ("# as ever" in text) == ("# as ever" in line)


def test_where_pam_takes_no_password_nothing_is_known_of_how_it_is_kept(host: Pam) -> None:
    host.put(account_passwords.PAM_FILE, REST)
    assert account_passwords.observe(host)["hashing"] is None
