# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A real Tang server on the lab's side of a virtual machine: Debian's tangd, on the lab machine's loopback only."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import subprocess
from pathlib import Path

from virtual_process import MachineError, found, kill, spawn, wait

FROM_GUEST = "10.0.2.2"
"""The lab machine's loopback, as QEMU's user network shows it to the guest."""

MEMBERS = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n"), "OKP": ("crv", "kty", "x")}
"""The members of a key that its thumbprint is made of: RFC 7638, section 3.2, and RFC 8037, section 2."""


def thumbprint(key: dict[str, str]) -> str:
    """Return the SHA-256 thumbprint of a JSON web key, as Clevis takes it for `thp` (RFC 7638)."""
    named = {member: key[member] for member in MEMBERS[key["kty"]]}
    canonical = json.dumps(named, sort_keys=True, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=").decode("ascii")


class Tang:
    """The Tang server of one machine; its keys and its address stay the same when it stops and starts."""

    def __init__(self, folder: Path, port: int) -> None:
        """Take the machine's folder, and a TCP port of the loopback."""
        self.folder = folder
        self.port = port
        self.keys = folder / "tang"

    @property
    def url(self) -> str:
        """Return the address that the guest uses."""
        return f"http://{FROM_GUEST}:{self.port}"

    @property
    def running(self) -> bool:
        """Tell whether it serves."""
        return bool(found(self.folder, "socat"))

    def start(self) -> None:
        """Serve; makes the keys the first time. Raises MachineError when the port is taken or not served."""
        if not self.keys.is_dir():
            self.keys.mkdir(mode=0o700)
            subprocess.run(["/usr/libexec/tangd-keygen", str(self.keys)], check=True, capture_output=True)
        if self.running:
            return
        if answers(self.port):
            raise MachineError(f"port {self.port} of the loopback, where Tang has to answer, is someone else's")
        listen = f"TCP4-LISTEN:{self.port},bind=127.0.0.1,reuseaddr,fork"
        spawn(self.folder, "tang.log", "socat", listen, "EXEC:/usr/libexec/tangd tang")
        wait(
            lambda: self.running and answers(self.port), 10, f"Tang on port {self.port}; see {self.folder / 'tang.log'}"
        )

    def stop(self) -> None:
        """Stop serving: connections are refused from now on."""
        kill(self.folder, "socat")
        kill(self.folder, "tangd")

    def thumbprint(self) -> str:
        """Return the thumbprint of the key that signs its advertisement."""
        for file in sorted(self.keys.glob("*.jwk")):
            key = json.loads(file.read_text(encoding="utf-8"))
            if "verify" in key.get("key_ops", []):
                return thumbprint(key)
        raise FileNotFoundError(f"no signing key in {self.keys}: start Tang first")

    def pin(self) -> str:
        """Return the settings for Clevis' pin `tang`."""
        return json.dumps({"url": self.url, "thp": self.thumbprint()})


def answers(port: int) -> bool:
    """Tell whether something takes connections on a port of the loopback."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2):
            return True
    except OSError:
        return False


def free_port() -> int:
    """Return a TCP port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
