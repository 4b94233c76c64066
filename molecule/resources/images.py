# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lab's images: Debian from Debian's packages, cached by a hash of this recipe."""

from __future__ import annotations

import concurrent.futures
import hashlib
import sys
import tempfile
import time
from pathlib import Path

import machine

PACKAGES = (
    "ca-certificates",
    "curl",
    "dbus",
    "dcmtk",
    "iproute2",
    "netcat-openbsd",
    "nftables",
    "openssh-server",
    "openssl",
    "orthanc",
    "orthanc-dicomweb",
    "procps",
    "python3",
    "python3-apt",
    "python3-cryptography",
    "python3-numpy",
    "python3-paramiko",
    "sudo",
    "systemd",
    "systemd-sysv",
)

LATER = (
    "avahi-daemon charon-systemd cracklib-runtime dbus-user-session dconf-cli dconf-gsettings-backend "
    "gsettings-desktop-schemas ifupdown libcharon-extra-plugins libglib2.0-bin libnginx-mod-stream logrotate "
    "libpam-oath libpam-pwquality libstrongswan-standard-plugins miniupnpd-nftables network-manager nfs-kernel-server "
    "nginx-light oathtool qrencode rpcbind samba smbclient strongswan-swanctl stunnel4 systemd-resolved "
    "systemd-timesyncd udev unattended-upgrades wireguard-go wireguard-tools"
)
"""Packages that roles, boxes or the sabotage install: downloaded into the image, since its hosts reach no mirror."""

INSTEAD = "chrony"
"""What takes the place of one of LATER on a host that a witness looks at."""

FROM_PYPI = ("pydicom", "pynetdicom")
"""What Debian 12 does not package: pure Python, in the versions that requirements.lock pins."""

PYTHON = {"bookworm": "3.11", "trixie": "3.13"}

IDLE = ("integritysetup", "rc-local", "run", "system-update", "veritysetup")
"""Generators of systemd that find nothing to do in the lab; each reading of the units would start all of them."""

IDLE_IN_CONTAINERS = ("getty", "gpt-auto", "hibernate-resume")
"""Those that find nothing where there is neither a console nor a disk."""


def _without(*generators: str) -> str:
    """Return the command that keeps systemd from starting some of its generators (systemd.generator(7))."""
    folder = "$1/etc/systemd/system-generators"
    links = (f"ln -s /dev/null {folder}/systemd-{name}-generator" for name in generators)
    return " && ".join((f"mkdir -p {folder}", *links))


CUSTOMIZE = (
    # Hosts are alike until they start: one set of SSH host keys is baked in, one account, nothing else runs.
    "chroot $1 sh -c 'apt-get install -y --download-only --no-install-recommends {later}'",
    f"chroot $1 apt-get install -y --download-only --no-install-recommends {INSTEAD}",
    "chroot $1 useradd --create-home --shell /bin/bash engineer",
    "chroot $1 install -d -m 700 -o engineer -g engineer /home/engineer/.ssh",
    "echo 'engineer ALL=(ALL) NOPASSWD: ALL' >$1/etc/sudoers.d/engineer",
    "chmod 440 $1/etc/sudoers.d/engineer",
    "chroot $1 systemctl disable orthanc.service",
    "chroot $1 systemctl mask systemd-networkd-wait-online.service getty.target console-getty.service",
    _without(*IDLE),
    "rm -f $1/etc/machine-id && touch $1/etc/machine-id",
)

OF_CONTAINERS = (_without(*IDLE_IN_CONTAINERS),)
"""What images of containers have, and those of machines have not."""


def hooks(release: str) -> list[str]:
    """Return the commands that finish an image."""
    lock = (Path(__file__).resolve().parents[2] / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pinned = " ".join(line for line in lock if line.partition("==")[0] in FROM_PYPI)
    folder = f"$1/usr/local/lib/python{PYTHON[release]}/dist-packages"
    pip = f"{sys.executable} -m pip install --quiet --no-deps --no-compile --target {folder} {pinned}"
    return [hook.format(later=LATER) for hook in CUSTOMIZE] + [pip]


def tag(release: str) -> str:
    """Return the image's name; it changes with the recipe."""
    recipe = "\n".join([release, *PACKAGES, *hooks(release), *OF_CONTAINERS]).replace(sys.executable, "python")
    return f"localhost/radiology-lab-{release}:{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


def build(release: str) -> None:
    """Make the image of a release, unless it is there."""
    name = tag(release)
    if machine.podman("image", "exists", name, check=False).returncode == 0:
        return
    began = time.monotonic()
    print(f"lab: building the image of Debian {release} (about a minute)", flush=True)
    with tempfile.TemporaryDirectory(dir=machine.cache()) as folder:
        archive = Path(folder) / "image.tar"
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
        command += ["--skip=cleanup/apt/lists,cleanup/apt/cache", '--aptopt=Acquire::Languages "none"']
        command += [f"--customize-hook={hook}" for hook in (*hooks(release), *OF_CONTAINERS)]
        machine.root(*command, release, str(archive))
        machine.podman("import", "--quiet", str(archive), name)
    print(f"lab: image of Debian {release} made in {time.monotonic() - began:.0f} s", flush=True)


def exists_everywhere(releases: list[str]) -> None:
    """Make all images that are missing, side by side; another lab that wants them waits for them."""
    with machine.alone(), concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(build, releases))
