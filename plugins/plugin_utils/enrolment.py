# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""First contact with a machine: known by the host key that was read on site, then a key takes the password's place.

The order is that of what may go wrong. Nobody's password is sent before the host key was compared, and the password
login is not closed before a connection of its own has shown that the key lets in.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import dataclasses
import hashlib
import logging
import os
import re
import shlex
import socket
import time
from collections.abc import Iterator

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError

try:
    import paramiko
except ImportError:
    HAS_PARAMIKO = False
else:
    HAS_PARAMIKO = True

SECONDS = 20
"""How long a machine may take for an answer."""
RELOAD_SECONDS = 10
"""How long sshd may take to read its files anew."""
SILENT_SECONDS = 60
"""How long sshd may be silent meanwhile."""
BANNER_SECONDS = 3
"""How long to wait then for its first line: a connection that comes just when it starts anew hangs."""
PENALTY_SECONDS = 40
"""How long sshd is asked again where it ends a connection at once: after failed logins and broken-off connections it
refuses an address for 15 s and more (PerSourcePenalties, OpenSSH 9.8)."""
PAUSE = 0.5
"""Seconds between two looks."""
KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512")
"""Host keys that Debian's sshd has, each asked for by itself: any of the three may have been read on site."""
FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
"""As ssh-keygen -l prints it."""
PUBLIC_KEY = re.compile(r"(ssh-(?:ed25519|rsa)|ecdsa-sha2-nistp\d+|sk-[a-z0-9@.-]+) ([A-Za-z0-9+/]+=*)(?: .*)?")

DROP_IN = "/etc/ssh/sshd_config.d/00-radiology-enrolled.conf"
INSTALL = """set -eu; umask 077; cd; mkdir -p .ssh; touch .ssh/authorized_keys; read -r kind key comment
grep -qF "$kind $key" .ssh/authorized_keys && exit 0
new=$(mktemp .ssh/authorized_keys.XXXXXX); cat .ssh/authorized_keys >"$new"
[ -z "$(tail -c 1 "$new")" ] || echo >>"$new"
printf '%s\\n' "$kind $key${comment:+ $comment}" >>"$new"; sync "$new"; mv "$new" .ssh/authorized_keys"""
"""Takes the public key from standard input; a full disk leaves the former file."""
CLOSE = f"""set -eu; umask 022; new={DROP_IN}.new
printf '%s\\n' '# Written by radiology.hardening.enroll: people come in by key.' 'PasswordAuthentication no' \
'KbdInteractiveAuthentication no' >$new; mv $new {DROP_IN}
/usr/sbin/sshd -t || {{ rm {DROP_IN}; exit 1; }}
systemctl reload ssh"""


class SilentError(HardeningError):
    """A machine that does not speak SSH, and why."""


class AbsentError(SilentError):
    """One that does not even take a connection."""


@dataclasses.dataclass(frozen=True)
class Machine:
    """Where a machine answers; `proxy` is the ProxyCommand of ssh_config(5) that leads there, or nothing."""

    name: str
    address: str
    port: int
    user: str
    proxy: str = ""

    @property
    def known_as(self) -> str:
        """Return the machine as known_hosts writes it (sshd(8))."""
        return self.address if self.port == 22 else f"[{self.address}]:{self.port}"

    def __str__(self) -> str:
        """Say it in words."""
        return f"{self.name} ({self.known_as})"


class Contact:
    """Conversations with one machine, each over a connection whose host key has the fingerprint."""

    def __init__(self, machine: Machine, fingerprint: str) -> None:
        """Take a fingerprint as ssh-keygen -l prints it."""
        if not HAS_PARAMIKO:
            raise HardeningError("The controller needs the Python package paramiko; install it beside ansible-core.")
        self.machine = machine
        self.fingerprint = fingerprint
        self.key_type = ""
        self.banner_seconds = SECONDS
        logging.getLogger("paramiko").setLevel(logging.CRITICAL)

    def recognise(self) -> str:
        """Return the machine's host key as known_hosts has it; HardeningError where none has the fingerprint."""
        shown = {}
        for key_type in KEY_TYPES:
            with self._open(key_type) as transport:
                if transport is None:
                    continue
                key = transport.get_remote_server_key()
                shown[key_type] = fingerprint_of(key.asbytes())
                if shown[key_type] == self.fingerprint:
                    self.key_type = key_type
                    return f"{key.get_name()} {key.get_base64()}"
        told = ", ".join(f"{print_} ({key_type})" for key_type, print_ in shown.items()) or "none that is asked for"
        raise HardeningError(
            f"{self.machine} is not the machine whose fingerprint was read: it shows {told}, and {self.fingerprint} "
            "was read. No password was sent. Read the fingerprint again on the machine itself, with ssh-keygen -lf "
            "/etc/ssh/ssh_host_ed25519_key.pub; where it stays another, something answers in the machine's place."
        )

    def lets_in(self, public_key: str, private_key: str) -> bool:
        """Tell whether the machine lets the user in by the key, which the SSH agent or the file holds."""
        return any(self._tries(key) for key in _holders(public_key, private_key))

    def takes_passwords(self) -> bool:
        """Tell whether the machine offers the user to try passwords."""
        with self._known() as transport:
            try:
                transport.auth_none(self.machine.user)
            except paramiko.BadAuthenticationType as refusal:
                return bool({"password", "keyboard-interactive"} & set(refusal.allowed_types))
            except paramiko.AuthenticationException:
                return False
            return True

    @contextlib.contextmanager
    def by_password(self, password: str) -> Iterator[Session]:
        """Come in by password."""
        with self._known() as transport:
            try:
                transport.auth_password(self.machine.user, password)
            except paramiko.AuthenticationException:
                raise HardeningError(
                    f"{self.machine} does not let {self.machine.user} in by this password, and nothing was changed."
                ) from None
            yield Session(transport, self.machine, password)

    @contextlib.contextmanager
    def by_key(self, public_key: str, private_key: str, password: str) -> Iterator[Session]:
        """Come in by the key that lets in; `password` is for sudo."""
        for key in _holders(public_key, private_key):
            with self._known() as transport:
                with contextlib.suppress(paramiko.AuthenticationException):
                    transport.auth_publickey(self.machine.user, key)
                if transport.is_authenticated():
                    yield Session(transport, self.machine, password)
                    return
        raise HardeningError(f"{self.machine} lets {self.machine.user} in by this key no more.")

    def _tries(self, key: paramiko.PKey) -> bool:
        with self._known() as transport:
            with contextlib.suppress(paramiko.AuthenticationException):
                transport.auth_publickey(self.machine.user, key)
            return transport.is_authenticated()

    @contextlib.contextmanager
    def _known(self) -> Iterator[paramiko.Transport]:
        """Open a connection and see again that its host key has the fingerprint."""
        with self._open(self.key_type) as transport:
            if transport is None or fingerprint_of(transport.get_remote_server_key().asbytes()) != self.fingerprint:
                raise HardeningError(f"{self.machine} shows another host key than a moment ago; nothing more was sent.")
            yield transport

    @contextlib.contextmanager
    def _open(self, key_type: str) -> Iterator[paramiko.Transport | None]:
        """Open a connection and exchange keys; None where the machine has no host key of the type."""
        until = time.monotonic() + PENALTY_SECONDS
        while True:
            try:
                transport = self._started(key_type)
                break
            except SilentError as error:
                if isinstance(error, AbsentError) or time.monotonic() > until:
                    raise
                time.sleep(PAUSE)
        try:
            yield transport
        finally:
            if transport is not None:
                transport.close()

    def _started(self, key_type: str) -> paramiko.Transport | None:
        """Return a connection whose keys are exchanged; AbsentError without one, SilentError where it just ends."""
        try:
            transport = paramiko.Transport(self._line())
        except (paramiko.SSHException, OSError) as error:
            raise AbsentError(f"{self.machine} does not speak SSH with us: {error}.") from error
        transport.banner_timeout = self.banner_seconds
        transport.get_security_options().key_types = (key_type,)
        try:
            transport.start_client(timeout=SECONDS)
        except paramiko.ssh_exception.IncompatiblePeer:
            transport.close()
            return None
        except (paramiko.SSHException, OSError, EOFError) as error:
            transport.close()
            raise SilentError(f"{self.machine} does not speak SSH with us: {error or 'no answer'}.") from error
        return transport

    def _line(self) -> socket.socket | paramiko.ProxyCommand:
        if self.machine.proxy:
            command = self.machine.proxy.replace("%h", self.machine.address).replace("%p", str(self.machine.port))
            return paramiko.ProxyCommand(command)
        return socket.create_connection((self.machine.address, self.machine.port), timeout=SECONDS)


class Session:
    """What one authenticated connection does."""

    def __init__(self, transport: paramiko.Transport, machine: Machine, password: str) -> None:
        """Take the password for sudo; it goes nowhere but into sudo's standard input."""
        self.transport, self.machine, self.password = transport, machine, password

    def install(self, public_key: str) -> None:
        """Add a public key to those of the user, once."""
        status, said = self._run(f"sh -c {shlex.quote(INSTALL)}", f"{public_key}\n")
        if status:
            raise HardeningError(f"{self.machine}: the key of {self.machine.user} cannot be installed: {said}.")

    def close_passwords(self) -> None:
        """Have sshd take no passwords."""
        script = f"sh -c {shlex.quote(CLOSE)}"
        if self.machine.user == "root":
            status, said = self._run(script)
        elif self._run("sudo -n true")[0] == 0:
            status, said = self._run(f"sudo -n {script}")
        else:
            status, said = self._run(f"sudo -k -S -p '' {script}", f"{self.password}\n")
        if status:
            raise HardeningError(
                f"{self.machine} lets {self.machine.user} in by key now, but its password login stays open: {said}."
            )

    def _run(self, command: str, stdin: str = "") -> tuple[int, str]:
        """Run a command; return its exit status and the last line of what it said."""
        with self.transport.open_session(timeout=SECONDS) as channel:
            channel.settimeout(SECONDS)
            channel.set_combine_stderr(True)
            channel.exec_command(command)
            channel.sendall(stdin.encode())
            channel.shutdown_write()
            said = channel.makefile("r").read()
            text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
            lines = [line for line in text.splitlines() if line.strip()]
            return channel.recv_exit_status(), (lines[-1].strip().rstrip(".") if lines else "it does not say why")


def wait_until_closed(contact: Contact) -> None:
    """Wait until sshd has read its files anew; HardeningError where it goes on to take passwords."""
    contact.banner_seconds = BANNER_SECONDS
    silent_until, open_until = time.monotonic() + SILENT_SECONDS, 0.0
    while True:
        try:
            if not contact.takes_passwords():
                return
        except SilentError:
            if time.monotonic() > silent_until:
                raise
        else:
            open_until = open_until or time.monotonic() + RELOAD_SECONDS
            if time.monotonic() > open_until:
                raise HardeningError(
                    f"{contact.machine} lets {contact.machine.user} in by key now, but takes passwords as well: some "
                    f"other setting of sshd wins over {DROP_IN}. The playbook harden names it, and closes it."
                )
        time.sleep(PAUSE)


def fingerprint_of(key: bytes) -> str:
    """Return the fingerprint of a public key (the blob of RFC 4253 section 6.6) as ssh-keygen -l prints it."""
    return f"SHA256:{base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip('=')}"


def read_public_key(path: str) -> str:
    """Return the one line of a public key's file; HardeningError where it holds anything else."""
    full = os.path.expanduser(path)
    try:
        with open(full, encoding="utf-8") as file:
            lines = [line.strip() for line in file if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise HardeningError(f"public_key: {full} cannot be read: {why}; accepted: the .pub file of a key.") from error
    if len(lines) != 1 or not PUBLIC_KEY.fullmatch(lines[0]) or not _is_base64(lines[0].split()[1]):
        raise HardeningError(f"public_key: {full} is no public key of OpenSSH; accepted: the .pub file of a key.")
    return lines[0]


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except binascii.Error:
        return False


def can_sign(public_key: str, private_key: str) -> bool:
    """Tell whether anything here can sign for a public key."""
    return bool(_holders(public_key, private_key))


def _holders(public_key: str, private_key: str) -> list[paramiko.PKey]:
    """Return what can sign for a public key: the SSH agent, and the file without .pub where it has no passphrase."""
    blob = base64.b64decode(public_key.split()[1])
    found: list[paramiko.PKey] = [key for key in paramiko.Agent().get_keys() if key.asbytes() == blob]
    with contextlib.suppress(OSError, paramiko.SSHException, ValueError, TypeError):
        key = paramiko.PKey.from_path(os.path.expanduser(private_key))
        found += [key] if key.asbytes() == blob else []
    return found
