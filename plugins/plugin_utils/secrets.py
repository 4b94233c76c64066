# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A clinic's secrets: one file, encrypted as a whole with Ansible Vault, on the controller.

`<clinic.directory>/vault.yml` holds a YAML mapping, for instance

    authority_passphrase: ...
    passwords: {alice.martin: ..., bruno.petit: ...}

Read and edit it with `ansible-vault view` and `ansible-vault edit`. What is missing is made
once and saved at once; nothing here is ever printed.
"""

from __future__ import annotations

import itertools
import json
import os
import secrets
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import yaml
from ansible.errors import AnsibleError
from ansible.module_utils.common.yaml import yaml_load
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import clinic_folder

FILE = "vault.yml"
"""The one secrets file of a clinic, in its folder."""

ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789"
"""Letters and digits that no reader takes for another (no I, O, l, o, 0, 1).

No `:` (it ends the login in HTTP Basic, RFC 7617) and no `$` (Orthanc replaces `${NAME}` in its configuration).
"""

LENGTH = 24
"""Characters of a generated password: 24 of 56 give 139 bits."""

HEADER = b"$ANSIBLE_VAULT;"
"""How a file begins that Ansible Vault has encrypted as a whole."""

HOW = "give the vault's password with --vault-password-file or ANSIBLE_VAULT_PASSWORD_FILE"


STEPS = 4
"""Neighbours in a password that may be neighbours in the alphabet too, as `ab` or `Ba`.

cracklib, which pam_pwquality asks, refuses as "too simplistic/systematic" what has more than 3 and 9 % of its length,
in small letters (FascistLook, cracklib 2.9.6): more than 5 of 24.
"""


def password() -> str:
    """Return a new password: 24 characters, 139 bits, from the operating system's generator, and none systematic."""
    while True:
        made = "".join(secrets.choice(ALPHABET) for _place in range(LENGTH))
        if steps(made) <= STEPS:
            return made


def steps(text: str) -> int:
    """Return how often a character follows its neighbour of the alphabet, capital or not."""
    codes = [ord(each) for each in text.lower()]
    return sum(abs(first - second) == 1 for first, second in itertools.pairwise(codes))


class Secrets:
    """The secrets file of one clinic.

    Several hosts of a clinic are hardened at the same time by several processes: each change is
    made under a lock of the clinic's folder, on the newest version of the file.
    """

    def __init__(self, directory: str, vault: Any, *, check_mode: bool = False) -> None:
        """Take the clinic's folder and the run's vault (an ansible.parsing.vault.VaultLib with its secrets).

        In check mode nothing is saved: what is missing is made for this object alone and named in `made`.
        """
        self.directory = str(directory)
        self.path = os.path.join(self.directory, FILE)
        self.made: list[str] = []
        """Dotted names of the secrets that were made (in check mode: would be made)."""
        self._vault = vault
        self._check_mode = check_mode
        self._only_here: dict[str, Any] = {}
        self._cipher: bytes | None = None
        self._plain: dict[str, Any] = {}

    def get(self, *name: str) -> Any:
        """Return the secret below these names ("passwords", "alice"); None when there is none."""
        kept = _find(self._read(), name)
        return _find(self._only_here, name) if kept is None else kept

    def ensure(self, name: str | tuple[str, ...], factory: Callable[[], str] = password) -> str:
        """Return a secret; when there is none, make it with `factory` and save it first."""
        path = (name,) if isinstance(name, str) else tuple(name)
        found = self.get(*path)
        if found is not None:
            return _text(found, path, self.path)
        if self._check_mode:
            made = factory()
            _put(self._only_here, path, made)
        else:
            with clinic_folder.locked(self.directory, "the clinic's secrets", 0o700):
                values = self._read()
                other = _find(values, path)
                if other is not None:
                    return _text(other, path, self.path)
                made = factory()
                _put(values, path, made)
                self._save(values)
        self.made.append(".".join(path))
        return made

    def lacking(self, *names: tuple[str, ...]) -> list[str]:
        """Return the dotted names of secrets that a run would make; HardeningError where it could not read or save."""
        values = self._read()
        found = {name: _find(values, name) for name in names}
        missing = [name for name, secret in found.items() if secret is None]
        if missing:
            self._demand_password("write")
        for name, secret in found.items():
            if secret is not None:
                _text(secret, name, self.path)
        return [".".join(name) for name in missing]

    def _read(self) -> dict[str, Any]:
        """Return a copy of the mapping that the file holds now; empty when there is no file."""
        try:
            with open(self.path, "rb") as file:
                cipher = file.read()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise HardeningError(f"{self.path} cannot be read: {error.strerror}.") from error
        if cipher != self._cipher:
            self._plain = self._decrypt(cipher)
            self._cipher = cipher
        copy: dict[str, Any] = json.loads(json.dumps(self._plain))
        return copy

    def _decrypt(self, cipher: bytes) -> dict[str, Any]:
        if not cipher.startswith(HEADER):
            raise HardeningError(
                f"{self.path} is not encrypted: encrypt it with `ansible-vault encrypt` before anything reads it."
            )
        self._demand_password("read")
        try:
            plain = self._vault.decrypt(cipher)
        except AnsibleError as error:
            raise HardeningError(f"{self.path} does not open with this password: {HOW}.") from error
        try:
            values = yaml_load(plain)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = f", line {mark.line + 1}" if mark is not None else ""
            raise HardeningError(f"{self.path}{line}: not YAML; mend it with `ansible-vault edit`.") from None
        if values is None:
            return {}
        if not isinstance(values, dict):
            raise HardeningError(
                f"{self.path} holds no mapping of names to secrets; mend it with `ansible-vault edit`."
            )
        return values

    def _demand_password(self, to: str) -> None:
        if not self._vault.secrets:
            raise HardeningError(f"{self.path} keeps this clinic's secrets, encrypted; to {to} it, {HOW}.")

    def _save(self, values: Mapping[str, Any]) -> None:
        """Replace the file atomically, 0600, encrypted; the file is never on disk in clear."""
        self._demand_password("write")
        native = json.loads(json.dumps(values))
        cipher: bytes = self._vault.encrypt(yaml.safe_dump(native, allow_unicode=True))
        temporary = ""
        try:
            handle, temporary = tempfile.mkstemp(dir=self.directory, prefix=".vault-", suffix=".tmp")
            with os.fdopen(handle, "wb") as file:
                file.write(cipher)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path)
        except OSError as error:
            if temporary and os.path.exists(temporary):
                os.unlink(temporary)
            raise HardeningError(f"{self.path} cannot be written: {error.strerror}.") from error
        self._cipher, self._plain = cipher, native


def _find(values: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    found: Any = values
    for part in path:
        if not isinstance(found, Mapping):
            return None
        found = found.get(part)
    return found


def _put(values: dict[str, Any], path: tuple[str, ...], secret: str) -> None:
    for part in path[:-1]:
        below = values.get(part)
        if not isinstance(below, dict):
            below = values[part] = {}
        values = below
    values[path[-1]] = secret


def _text(found: Any, path: tuple[str, ...], file: str) -> str:
    if not isinstance(found, str) or not found:
        raise HardeningError(f"{file}: {'.'.join(path)} is not text; put it in quotes with `ansible-vault edit`.")
    return found
