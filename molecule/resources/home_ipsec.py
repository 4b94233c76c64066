# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A device that reads from home by strongSwan's IKEv2 client, set by the file that the role wrote for it."""

from __future__ import annotations

from typing import Any

from home import INSTALL, Device

STRONGSWAN = "charon-systemd libcharon-extra-plugins libstrongswan-standard-plugins strongswan-swanctl"
USER_SPACE = "charon { plugins { kernel-libipsec { load = yes } } }"
"""The lab's kernel has no ESP: its devices carry it in user space too."""
PATIENCE = "60"
"""Seconds that a device waits for its tunnel; who is refused is told so at once."""
ALONE = "flock /run/swanctl-set"
"""Before what changes the one strongSwan of a device, which reads from two practices."""


class IpsecDevice(Device):
    """One device, with a key and a connection to each practice that it reads from."""

    @property
    def connection(self) -> str:
        """The name of its connection."""
        return f"practice-{self.practice.number}"

    def hand_in(self) -> str:
        """Let it make its key, which stays there, and put its request beside the clinic file; return the request."""
        self.shell(INSTALL % STRONGSWAN)
        self.shell(f"echo '{USER_SPACE}' >/etc/strongswan.d/lab.conf")
        key = f"/etc/swanctl/private/{self.interface}.key"
        request = self.shell(
            f"umask 077; openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=anybody "
            f"-keyout {key} 2>/dev/null"
        )
        folder = self.directory / "remote_access"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.name}.csr").write_text(f"{request}\n", encoding="ascii")
        return request

    def up(self) -> int:
        """Set it by the file that the role wrote for it, and by what the authority signed; 0 when its tunnel is up."""
        folder = self.directory / "remote_access"
        told = (folder / f"{self.name}.ipsec.txt").read_text(encoding="ascii")
        conf = told[told.index("connections {") :].replace("practice {", f"{self.connection} {{")
        conf = conf.replace(f"{self.name}.crt", f"{self.interface}.crt").replace("start_action = start", "")
        certificate = (folder / f"{self.name}.crt").read_text(encoding="ascii")
        authority = (self.directory / "authority" / "ca.crt").read_text(encoding="ascii")
        self.shell(f"cat >/etc/swanctl/conf.d/{self.connection}.conf", stdin=conf)
        self.shell(f"cat >/etc/swanctl/x509/{self.interface}.crt", stdin=certificate)
        self.shell(f"tee {self.authority} >/etc/swanctl/x509ca/{self.connection}.crt", stdin=authority)
        self.shell(f"{ALONE} sh -c 'test -e /sys/class/net/ipsec0 || systemctl restart strongswan'")
        return self.switch("up")

    def switch(self, way: str) -> int:
        """Bring its tunnel `up` or `down`; 0 when that went well."""
        self.shell(f"{ALONE} swanctl --load-all --noprompt")
        verb, patience = (("--initiate", "--child"), PATIENCE) if way == "up" else (("--terminate", "--ike"), "10")
        return self.on("swanctl", *verb, self.connection, "--timeout", patience).returncode

    def why_not(self) -> str:
        """Try to bring its tunnel up, and return what the gateway says."""
        return str(self.on("swanctl", "--initiate", "--child", self.connection, "--timeout", PATIENCE).stdout)


def devices(places: dict[str, tuple[str, str]], *where: Any) -> dict[str, IpsecDevice]:
    """Return each device by its name in the clinic file; `places`: the host of the lab that plays it, its person."""
    return {name: IpsecDevice(*where, name, *known) for name, known in places.items()}
