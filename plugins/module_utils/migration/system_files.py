# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The hook and the script that initramfs-tools(7) takes, so that a boot encrypts the root, and later ones open it.

The root has no line in crypttab: Debian's own script would open it with whatever header it finds, and opening replays
a chunk that was cut, in place and without a flush. So nothing but this script opens it, and only when it is whole.
"""

from __future__ import annotations

import os
import string

from ansible_collections.radiology.hardening.plugins.module_utils.migration import records
from ansible_collections.radiology.hardening.plugins.module_utils.migration.job import Plan
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import TELL_TPM

LIBRARY = "/usr/local/lib/radiology-hardening"
"""Where the units' program lies; the initramfs has it under the same name."""
PROGRAM = "ansible_collections.radiology.hardening.plugins.module_utils.migration.system_boot"
HOOK_PATH = "initramfs-tools/hooks/radiology-system"
SCRIPT_PATH = "initramfs-tools/scripts/local-top/radiology-system"

CLEVIS = (
    "bash", "jose", "clevis", "clevis-decrypt", "clevis-decrypt-tpm2", "tpm2_createprimary", "tpm2_flushcontext",
    "tpm2_load", "tpm2_shutdown", "tpm2_unseal",
)  # fmt: skip
"""Programs that give a key that is bound to the TPM."""

HOOK = string.Template(r"""#!/bin/sh
# Written by radiology.hardening: what opens the root, and, until it is encrypted, what encrypts it.
set -e
if [ "$$1" = prereqs ]; then
    echo
    exit 0
fi
. /usr/share/initramfs-tools/hook-functions

need() {
    found=$$(command -v "$$1") || found=$$1
    [ -e "$$found" ] || { echo "radiology.hardening: $$1 is missing, so the root could not be opened" >&2; exit 1; }
    copy_exec "$$found"
}

for program in blkid cryptsetup e2fsck /lib/cryptsetup/askpass $programs; do
    need "$$program"
done
# Libraries that are looked for only when they are needed: by threads that end, and by the TPM's tools.
for library in $$(find /usr/lib /lib -name 'libgcc_s.so.1' -o -name 'libtss2-tcti-device.so*' 2>/dev/null); do
    copy_exec "$$library"
done
manual_add_modules dm_mod dm_crypt ext4 algif_skcipher tpm_crb tpm_tis
for found in $$(find "$$MODULESDIR"/kernel/arch/*/crypto "$$MODULESDIR/kernel/crypto" -name '*.ko*' 2>/dev/null |
    grep -E '/(aes|aesni|xts|ecb|cryptd|crypto_simd|sha256|glue_helper)[^/]*$$'); do
    found=$${found##*/}
    manual_add_modules "$${found%%.ko*}"
done
if [ -e /boot/$folder/header.final ]; then
    list=$$(mktemp)
    PYTHONPATH=$library PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -S -m $program files >"$$list"
    grep '\.py$$' "$$list" | xargs cp -p --parents --target-directory="$$DESTDIR"
    for path in $$(grep -v '\.py$$' "$$list"); do
        copy_exec "$$path"
    done
    interpreter=$$(head -n 1 "$$list")
    rm "$$list"
    [ -e "$$DESTDIR/usr/bin/python3" ] || ln -s "$$interpreter" "$$DESTDIR/usr/bin/python3"
    mkdir -p "$$DESTDIR/usr/lib/$${interpreter##*/}/lib-dynload"
fi
""")

SCRIPT = string.Template(r"""#!/bin/sh
# Written by radiology.hardening: encrypt the root where that is under way; open it once it is whole.
if [ "$$1" = prereqs ]; then
    echo
    exit 0
fi
place=/radiology-boot
job=$$place/$folder
boot=/dev/disk/by-uuid/$boot

say() {
    echo "radiology.hardening: $$*"
}

reach() {
    waited=0
    until [ -e "$$1" ] || [ "$$waited" -ge 60 ]; do
        sleep 1
        waited=$$((waited + 1))
    done
}

stage() {
    sed -n 's/^ *"stage": "\([a-z]*\)".*/\1/p' "$$job/stage.json"
}

is_whole() {
    case "$$(stage)" in
        $whole) return 0 ;;
    esac
    return 1
}

encrypt() {
    mount -o remount,rw "$$boot" "$$place" || return
    PYTHONPATH=$library PYTHONDONTWRITEBYTECODE=1 PYTHONUTF8=1 /usr/bin/python3 -S -m $program run "$$job"
    mount -o remount,ro "$$boot" "$$place"
}

open_with() {
    cryptsetup open --header "$$job/header" --key-file - $device $name
}

by_token() {
    cryptsetup luksDump "$$job/header" | sed -n 's/^[ \t]*\([0-9]*\): clevis$$/\1/p' | while read -r token; do
        key=$$(cryptsetup token export --token-id "$$token" "$$job/header" | jose fmt -j- -Og jwe -o- |
            jose jwe fmt -i- -c | tr -d '\n' | clevis decrypt)
        $tell_tpm
        [ -z "$$key" ] || printf %s "$$key" | open_with
    done
    [ -e /dev/mapper/$name ]
}

open_root() {
    reach $device
    for attempt in $attempts; do
        by_token && return
        sleep 3
    done
    say "Neither TPM nor person opened the root yet."
    until /lib/cryptsetup/askpass "Recovery key of $name: " | tr a-z A-Z | open_with; do
        say "This key does not open it."
        sleep 1
    done
}

mkdir -p "$$place"
reach "$$boot"
e2fsck -p "$$boot" || say "e2fsck of /boot: status $$?"
if ! mount -t ext4 -o ro "$$boot" "$$place"; then
    say "/boot cannot be mounted, so the root stays shut."
    exit 0
fi
if ! is_whole && [ -e "$$job/armed" ] && [ "$$(stage)" = $ready ]; then
    encrypt
fi
if is_whole && [ ! -e /dev/mapper/$name ]; then
    open_root
fi
umount "$$place"
""")


def texts(plan: Plan, boot: str, folder: str) -> dict[str, str]:
    """Return hook and script of a job by their paths below /etc; `folder` is the job's on the file system `boot`."""
    words = {
        "name": plan.name,
        "device": plan.source.path if plan.source else "",
        "boot": boot,
        "folder": folder,
        "library": LIBRARY,
        "program": PROGRAM,
        "ready": "installed",
        "whole": "encrypted | proven | done",
        "tell_tpm": " ".join(TELL_TPM),
        "attempts": "1 2 3 4 5" if plan.unlock else "",
        "programs": " ".join(CLEVIS) if plan.unlock else "",
    }
    return {path: text.substitute(words) for path, text in ((HOOK_PATH, HOOK), (SCRIPT_PATH, SCRIPT))}


def install(etc: str, plan: Plan, boot: str, folder: str) -> None:
    """Write hook and script; durable when this returns."""
    for path, text in texts(plan, boot, folder).items():
        whole = os.path.join(etc, path)
        os.makedirs(os.path.dirname(whole), mode=0o755, exist_ok=True)
        records.write(whole, text.encode())
        os.chmod(whole, 0o755)  # noqa: S103 - initramfs-tools runs it
