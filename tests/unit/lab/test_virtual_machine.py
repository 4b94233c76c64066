# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The virtual machine's parts that need no boot: its disks, its keys, its processes, QEMU's words, the image's recipe."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

RESOURCES = Path(__file__).resolve().parents[3] / "molecule" / "resources"


@pytest.fixture(autouse=True)
def resources(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the lab's modules be imported, as its commands import them."""
    monkeypatch.setattr(sys, "path", [str(RESOURCES), *sys.path])


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a machine that was made from an image of two MiB, and is removed afterwards."""
    import virtual_guest
    import virtual_image

    folder = tmp_path / "image"
    folder.mkdir()
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(folder / "system.qcow2"), "2M"], check=True)
    monkeypatch.setattr(virtual_guest, "MACHINES", tmp_path / "machines")
    monkeypatch.setattr(virtual_guest, "image", lambda release: virtual_image.Image(release, folder))
    with virtual_guest.VirtualMachine("unit", "trixie") as made:
        made.create(data_mib=16, spare_mib=8, system_mib=4)
        yield made


@pytest.mark.parametrize("name", ["", "Demo", "../x", "a b", "-x", "a_b"])
def test_a_name_that_would_not_do_is_refused(name: str) -> None:
    from virtual_machine import VirtualMachine

    with pytest.raises(SystemExit, match="none can be called"):
        VirtualMachine(name)


def test_an_unknown_release_is_refused_with_those_accepted() -> None:
    from virtual_image import image

    with pytest.raises(SystemExit, match="no Debian sarge; accepted: bookworm, trixie"):
        image("sarge")


def test_the_recipe_tells_the_releases_apart_and_bakes_no_host_key() -> None:
    from virtual_image import recipe

    assert "systemd-cryptsetup" in recipe("trixie")[3]
    assert "systemd-cryptsetup" not in recipe("bookworm")[3]
    for release in ("bookworm", "trixie"):
        hooks = recipe(release)
        removed = hooks.index("--customize-hook=rm -f $1/etc/ssh/ssh_host_*")
        installs = [number for number, hook in enumerate(hooks) if "apt-get install" in hook]
        assert installs
        assert max(installs) < removed


def test_a_file_of_the_image_may_hold_quotes_and_dollars(tmp_path: Path) -> None:
    from virtual_image import _written

    text = 'it\'s $HOME \\n "x" %s\n'
    subprocess.run(["sh", "-c", _written("/etc/a/b", text), "sh", str(tmp_path)], check=True)
    assert (tmp_path / "etc" / "a" / "b").read_text() == text


def test_the_data_disk_holds_one_partition_with_a_sound_file_system(machine: Any, tmp_path: Path) -> None:
    from virtual_disk import SBIN

    raw = machine.folder / machine.disks["data"].file
    assert raw.stat().st_size == 16 << 20
    listed = subprocess.run(["sfdisk", "-d", str(raw)], capture_output=True, text=True, check=True, env=SBIN).stdout
    assert next(line for line in listed.splitlines() if 'name="images"' in line).startswith(
        f"{raw}1 : start=        2048"
    )
    inside = tmp_path / "partition"
    inside.write_bytes(raw.read_bytes()[1 << 20 : 15 << 20])
    checked = subprocess.run(["e2fsck", "-fn", str(inside)], check=False, capture_output=True, text=True, env=SBIN)
    assert checked.returncode == 0, checked.stdout
    told = subprocess.run(["dumpe2fs", "-h", str(inside)], capture_output=True, text=True, check=True, env=SBIN).stdout
    assert "Block size:               4096" in told
    assert not any((machine.folder / machine.disks["spare"].file).read_bytes())


def test_the_system_disk_is_never_smaller_than_its_image(machine: Any) -> None:
    from virtual_disk import lay_system, size

    system = machine.folder / "system.qcow2"
    assert size(system) == 4 << 20
    lay_system(machine.folder, Path(machine.known["image"]) / "system.qcow2", 1)
    assert size(system) == 2 << 20


def test_serial_numbers_fit_and_differ_between_machines_and_disks() -> None:
    from virtual_disk import serial

    made = [serial(name, role) for name in ("a", "b" * 40) for role in ("system", "data", "spare")]
    assert len(set(made)) == 6
    assert max(map(len, made)) <= 20  # what a virtio disk can tell


def test_the_first_boot_gets_keys_that_nobody_else_has(machine: Any) -> None:
    with tarfile.open(machine.folder / "seed.tar") as packed:
        entries = {entry.name: entry for entry in packed}
        public = packed.extractfile("etc/ssh/ssh_host_ed25519_key.pub").read().decode()  # type: ignore[union-attr]
        allowed = packed.extractfile("home/engineer/.ssh/authorized_keys").read().decode()  # type: ignore[union-attr]
    assert entries["etc/ssh/ssh_host_ed25519_key"].mode == 0o600
    assert entries["home/engineer/.ssh/authorized_keys"].uid == 1000
    assert allowed == (machine.folder / "id.pub").read_text()
    assert (machine.folder / "known_hosts").read_text() == f"[127.0.0.1]:{machine.known['port']} {public}"
    assert machine.folder.stat().st_mode & 0o077 == 0
    machine.create(data_mib=0, spare_mib=0)
    assert (machine.folder / "id.pub").read_text() != allowed
    assert list(machine.disks) == ["system"]


def test_a_machine_is_found_again_by_its_name(machine: Any, tmp_path: Path) -> None:
    import virtual_guest

    again = virtual_guest.VirtualMachine("unit")
    assert again.known == machine.known
    again.write_inventory(tmp_path / "inventory", "pacs.practice")
    hosts = yaml.safe_load((tmp_path / "inventory" / "virtual.yml").read_text())["all"]["hosts"]
    assert hosts["pacs.practice"]["ansible_port"] == machine.known["port"]
    assert "StrictHostKeyChecking=yes" in hosts["pacs.practice"]["ansible_ssh_common_args"]


def test_the_tpm_is_changed_kept_and_put_back(machine: Any) -> None:
    state = machine.folder / "tpm" / "tpm2-00.permall"
    state.write_bytes(b"first")
    machine.keep_tpm()
    machine.new_tpm()
    assert not state.exists()
    machine.restore_tpm()
    assert state.read_bytes() == b"first"


def test_qemu_is_given_the_disks_in_order_and_the_loopback_only(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import virtual_qemu
    from virtual_image import Image

    monkeypatch.setattr(virtual_qemu, "accelerator", lambda _kernel: "tcg")
    source = Image("trixie", Path(machine.known["image"]))

    def words(also: str = "") -> list[str]:
        disks = list(machine.disks.values())
        ports = {2222: 22, 2223: 4242}
        return virtual_qemu.command(machine.folder, source, disks, ports=ports, memory_mib=512, cpus=1, also=also)

    drives = [word.split(",")[0] for word in words() if word.startswith("file=")]
    assert drives == ["file=system.qcow2", "file=data.raw", "file=spare.raw"]
    assert "user,id=net,hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=tcp:127.0.0.1:2223-:4242" in words()
    assert words("quiet lab.mark=1")[words().index("-append") + 1].endswith("lab.mark=1")
    assert str(source.initrd) in words()
    (machine.folder / "initrd").touch()
    assert str(machine.folder / "initrd") in words()


def test_only_the_machine_s_own_processes_are_found_and_killed(tmp_path: Path) -> None:
    from virtual_process import found, kill, spawn

    mine, other = tmp_path / "mine", tmp_path / "mine-too"
    mine.mkdir()
    other.mkdir()
    listen = "TCP4-LISTEN:0,bind=127.0.0.1"
    started = spawn(mine, "log", "socat", listen, "EXEC:true")
    stranger = spawn(other, "log", "socat", listen, "EXEC:true")
    visitor = subprocess.Popen(["sleep", "60"], cwd=mine)
    try:
        assert found(mine) == [started.pid]
        assert found(mine, "qemu-system-") == []
        assert os.getsid(started.pid) != os.getsid(0)  # a Ctrl-C at the terminal does not reach it
        (mine / "log").unlink()
        kill(mine)
        assert started.wait(5) == -9
        assert stranger.poll() is None
        assert visitor.poll() is None
    finally:
        for process in (stranger, visitor):
            process.kill()
            process.wait()


def test_waiting_in_vain_says_for_what() -> None:
    from virtual_process import MachineError, wait

    with pytest.raises(MachineError, match="in vain for the moon"):
        wait(lambda: False, 0.05, "the moon", every=0.01)
    assert wait(lambda: True, 1, "nothing") < 1


def test_a_start_that_is_interrupted_leaves_nothing(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import virtual_guest
    import virtual_machine

    def interrupted(_machine: Any, _also: str = "") -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(virtual_guest.VirtualMachine, "start", interrupted)
    monkeypatch.setattr(sys, "argv", ["virtual_machine.py", "up", "--name", "other", "--release", "trixie"])
    given = virtual_machine.arguments()
    with pytest.raises(KeyboardInterrupt):
        virtual_machine.up(given)
    assert [folder.name for folder in machine.folder.parent.iterdir()] == ["unit"]


@pytest.mark.parametrize("words", ["ssh --name other -- true", "tang --name other stop", "power-cut --name other"])
def test_a_machine_that_is_not_there_is_said(machine: Any, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    import virtual_machine

    monkeypatch.setattr(sys, "argv", ["virtual_machine.py", *words.split()])
    with pytest.raises(SystemExit, match="other: there is none; `up` makes it"):
        virtual_machine.obey(virtual_machine.arguments())
    assert machine.folder.is_dir()
