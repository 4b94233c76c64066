# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The program and the units that carry a job through reboots, and open the volume at every boot after it."""

from __future__ import annotations

import os
from types import ModuleType

from ansible_collections.radiology.hardening.plugins.module_utils import errors
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import (
    cli,
    copying,
    engine,
    escrow,
    in_place,
    inspection,
    interlocks,
    job,
    luks,
    machine,
    manifest,
    moving,
    new_volume,
    online,
    processes,
    records,
    retirement,
    strategy,
    system,
    system_boot,
    system_files,
    table,
    tree,
    unlock,
)

LIBRARY = "/usr/local/lib/radiology-hardening"
"""Holds the program as a tree of packages, the very files that the collection has."""
UNITS = "/etc/systemd/system"
PROGRAM: tuple[ModuleType, ...] = (
    errors, cli, copying, engine, escrow, in_place, inspection, interlocks, job, luks, machine, manifest, moving,
    new_volume, online, processes, records, retirement, strategy, system,
    system_boot, system_files, table, tree, unlock,
)  # fmt: skip
_COMMAND = f"/usr/bin/env PYTHONPATH={LIBRARY} PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m {cli.__name__}"

ENCRYPT = f"""# Written by radiology.hardening
[Unit]
Description=Encrypt the storage %i
RequiresMountsFor={job.FOLDER}/%i
ConditionPathExists={job.FOLDER}/%i/armed
Wants=network-online.target
After=network-online.target

[Service]
Type=exec
ExecStart={_COMMAND} run %i
KillSignal=SIGINT
TimeoutStopSec=180
Restart=on-failure
RestartSec=30
RestartPreventExitStatus=3
LimitCORE=0

[Install]
WantedBy=multi-user.target
"""
UNLOCK = f"""# Written by radiology.hardening
[Unit]
Description=Unlock the storage %i
RequiresMountsFor={job.FOLDER}/%i
ConditionPathExists={job.FOLDER}/%i/plan.json
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={_COMMAND} unlock %i
TimeoutStartSec=180
Restart=on-failure
RestartSec=60
RestartPreventExitStatus=4
LimitCORE=0
"""
RETIRE = f"""# Written by radiology.hardening
[Unit]
Description=Wipe what the storage %i was copied from
RequiresMountsFor={job.FOLDER}/%i

[Service]
Type=exec
ExecStart={_COMMAND} retire %i
LimitCORE=0
"""
UNIT_FILES = {
    "radiology-encrypt-storage@.service": ENCRYPT,
    "radiology-unlock@.service": UNLOCK,
    "radiology-retire-storage@.service": RETIRE,
}


def drop_in(name: str, mount_point: str) -> str:
    """Return what keeps a service from starting while its storage is held, or not mounted."""
    return (
        "# Written by radiology.hardening\n[Unit]\n"
        f"RequiresMountsFor={mount_point}\nConditionPathExists=!{job.FOLDER}/{name}/hold\n"
    )


def install(plan: job.Plan) -> None:
    """Write the program, the units and the services' drop-ins; durable when this returns."""
    for module in PROGRAM:
        _put(os.path.join(LIBRARY, *module.__name__.split(".")) + ".py", source(module))
    for name, text in UNIT_FILES.items():
        _put(os.path.join(UNITS, name), text.encode())
    for service in plan.services:
        path = os.path.join(UNITS, f"{service}.d", f"zz-radiology-storage-{plan.name}.conf")
        _put(path, drop_in(plan.name, plan.mount_point).encode())


def source(module: ModuleType) -> bytes:
    """Return a module's source, from a folder or from the archive that Ansible sent; its own loader gives bytes."""
    loader = module.__spec__.loader if module.__spec__ else None
    text = loader.get_source(module.__name__) if loader is not None and hasattr(loader, "get_source") else None
    if not isinstance(text, (str, bytes)):
        raise HardeningError(f"The source of {module.__name__} cannot be read.")
    return text.encode() if isinstance(text, str) else text


def _put(path: str, content: bytes) -> None:
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    try:
        with open(path, "rb") as file:
            if file.read() == content:
                return
    except FileNotFoundError:
        pass
    records.write(path, content)
    os.chmod(path, 0o644)
