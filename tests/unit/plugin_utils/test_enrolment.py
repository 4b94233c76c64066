# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import shlex
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest
from ansible_collections.radiology.hardening.plugins.action import enroll
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import enrolment, known_hosts

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE7xKNgBUc5v3mhUYHHJ9YdVDYhf7eKtZ0JpUgKRF1bG"


def make(folder: Path) -> Path:
    path = folder / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "an engineer", "-f", str(path)], check=True)
    return path


def test_a_fingerprint_is_the_one_that_ssh_keygen_prints(tmp_path: Path) -> None:
    path = make(tmp_path)
    said = subprocess.run(["ssh-keygen", "-lf", str(path)], check=True, capture_output=True, text=True).stdout
    known = {1: " ".join(path.with_suffix(".pub").read_text(encoding="ascii").split()[:2])}
    assert enroll._fingerprint("", known) == said.split()[1]
    assert enrolment.FINGERPRINT.fullmatch(said.split()[1])


def test_who_can_sign_for_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    path = make(tmp_path)
    public = enrolment.read_public_key(f"{path}.pub")
    assert public.endswith(" an engineer")
    assert enrolment.can_sign(public, str(path))
    assert not enrolment.can_sign(KEY, str(path)), "the key of another pair"
    assert not enrolment.can_sign(public, str(tmp_path / "none"))


@pytest.mark.parametrize(
    "content",
    ["", "hello", KEY + "\n" + KEY, "ssh-ed25519 not-base64!", "ssh-ed25519 AAA", "command=x " + KEY, "\udc80"],
)
def test_what_is_no_public_key_is_refused_by_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "id.pub"
    path.write_text(content, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(HardeningError, match=r"^public_key: .*id.pub .*; accepted: the .pub file of a key\.$"):
        enrolment.read_public_key(str(path))
    with pytest.raises(HardeningError, match="No such file"):
        enrolment.read_public_key(str(tmp_path / "none.pub"))


@pytest.mark.parametrize("given", ["", "MD5:00:11", "SHA256:short", "SHA256:" + "!" * 43])
def test_a_fingerprint_is_demanded_in_its_form(given: str) -> None:
    with pytest.raises(HardeningError, match="accepted: SHA256: and 43 characters"):
        enroll._fingerprint(given, {})


def test_the_way_to_a_machine() -> None:
    said = "-o ServerAliveInterval=15 -o ProxyCommand='ssh -W %h:%p box' -o UserKnownHostsFile=x"
    assert enroll._proxy("pacs", said) == "ssh -W %h:%p box"
    assert enroll._proxy("pacs", "-oProxyCommand=nc") == "nc"
    assert enroll._proxy("pacs", "") == ""
    for other in ("-J box", "-o ProxyJump=box", "-oProxyJump=box"):
        with pytest.raises(HardeningError, match="through no ProxyJump; accepted: ProxyCommand"):
            enroll._proxy("pacs", other)
    with pytest.raises(HardeningError, match="cannot be read"):
        enroll._proxy("pacs", "-o 'x")
    assert enrolment.Machine("pacs", "10.0.0.1", 22, "a").known_as == "10.0.0.1"
    assert enrolment.Machine("pacs", "fd00::1", 2222, "a").known_as == "[fd00::1]:2222"


def test_a_machine_is_pinned_once_and_by_one_key(tmp_path: Path) -> None:
    folder = tmp_path / "rue lumière"
    assert known_hosts.argument(str(folder)) == ""
    known_hosts.pin(str(folder), "10.0.0.1", KEY)
    known_hosts.pin(str(folder), "10.0.0.1", KEY)
    known_hosts.pin(str(folder), "[10.0.0.1]:2222", "ssh-rsa AAAA")
    assert (folder / "known_hosts").read_text(encoding="ascii") == f"10.0.0.1 {KEY}\n[10.0.0.1]:2222 ssh-rsa AAAA\n"
    with pytest.raises(HardeningError, match=r"known_hosts:1: 10\.0\.0\.1 is known by another host key"):
        known_hosts.pin(str(folder), "10.0.0.1", "ssh-ed25519 BBBB")
    option, value = shlex.split(known_hosts.argument(str(folder)))
    asked = ["ssh", "-G", "-o", "UserKnownHostsFile=/dev/null", "10.0.0.1"]
    asked[2:4] = [option, value]
    said = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    (line,) = (line for line in said.splitlines() if line.startswith("userknownhostsfile"))
    assert line.split(" ", 1)[1].startswith(str(folder / "known_hosts"))
    assert line.endswith("/.ssh/known_hosts")


def test_a_line_without_its_end_is_not_run_into_the_next(tmp_path: Path) -> None:
    (tmp_path / "known_hosts").write_text(f"10.0.0.9,pacs {KEY}", encoding="ascii")
    known_hosts.pin(str(tmp_path), "10.0.0.1", KEY)
    assert known_hosts.pinned(str(tmp_path), "pacs") == {1: KEY}
    assert known_hosts.pinned(str(tmp_path), "10.0.0.1") == {2: KEY}


class Penal:
    """A socket server in the place of sshd, which ends the first connections at once, as it does to who is penalised."""

    def __init__(self, refusals: int) -> None:
        self.came = 0
        self.refusals = refusals
        self.key = paramiko.RSAKey.generate(2048)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                line, _peer = self.listener.accept()
            except OSError:
                return
            self.came += 1
            if self.came <= self.refusals:
                line.close()
                continue
            transport = paramiko.Transport(line)
            transport.add_server_key(self.key)
            transport.start_server(server=paramiko.ServerInterface())


@pytest.fixture(name="contact")
def of_one_machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(enrolment, "PAUSE", 0)
    monkeypatch.setattr(enrolment, "KEY_TYPES", ("rsa-sha2-512",))
    server = Penal(request.param)
    machine = enrolment.Machine("pacs", "127.0.0.1", server.port, "engineer")
    yield enrolment.Contact(machine, enrolment.fingerprint_of(server.key.asbytes())), server
    server.listener.close()


@pytest.mark.parametrize("contact", [0, 3], indirect=True)
def test_a_machine_that_refuses_for_a_moment_is_asked_again(contact: Any) -> None:
    asked, server = contact
    assert asked.recognise().startswith("ssh-rsa ")
    assert server.came == server.refusals + 1


@pytest.mark.parametrize("contact", [10**9], indirect=True)
def test_one_that_goes_on_is_told(contact: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enrolment, "PENALTY_SECONDS", 0.2)
    asked, server = contact
    with pytest.raises(enrolment.SilentError, match=r"pacs .* does not speak SSH with us: "):
        asked.recognise()
    assert server.came > 1


def test_one_that_takes_no_connection_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("it waits"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    machine = enrolment.Machine("pacs", "127.0.0.1", port, "engineer")
    with pytest.raises(enrolment.AbsentError, match="Connection refused"):
        enrolment.Contact(machine, "SHA256:x").recognise()
