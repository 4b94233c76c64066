# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an account lays where we look for a file of its own ends nothing."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import ssh_daemon
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host


@pytest.mark.parametrize("kind", ["a pipe", "a socket", "a folder", "a link to itself", "a link to nothing"])
def test_what_is_no_file_counts_as_none(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home/anna/.ssh"
    home.mkdir(parents=True)
    keys = home / "authorized_keys"
    if kind == "a pipe":
        os.mkfifo(keys)
    elif kind == "a socket":
        monkeypatch.chdir(home)  # a socket's name has 107 bytes at most
        socket.socket(socket.AF_UNIX).bind(keys.name)
    elif kind == "a folder":
        keys.mkdir()
    else:
        keys.symlink_to(keys.name if kind == "a link to itself" else "none")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("anna:x:1000:1000::/home/anna:/bin/bash\n")
    host = Host(str(tmp_path))
    assert host.read("/home/anna/.ssh/authorized_keys") is None
    assert (host.stat("/home/anna/.ssh/authorized_keys") is None) is kind.startswith("a link")
    assert ssh_daemon._authorized_keys(host, ".ssh/authorized_keys") == {}
    if kind.startswith("a link"):
        host.remove("/home/anna/.ssh/authorized_keys")
        assert not keys.is_symlink()
