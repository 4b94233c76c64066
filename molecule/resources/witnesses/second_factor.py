# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Be a person with a telephone, and one who comes in over SSH, as OpenSSH's and OATH's own protocols have it.

Usage: second_factor.py enroll LOGIN [WRONG]      at a terminal of the host: read the secret, type the code (or WRONG)
                                                  in; prints {"status", "secret", "recovery"} as JSON
       second_factor.py login ADDRESS LOGIN KEY [CODE]   from elsewhere: by key (`-`: none), and what is asked by CODE;
                                                  prints "in" or "refused"
The code of a secret is oathtool's, of the oath-toolkit.
"""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import time

import paramiko

PROGRAM = "/usr/local/sbin/radiology-second-factor"


def shown(secret: str) -> str:
    """Return what the telephone shows now."""
    command = ["oathtool", "--totp", "--base32", "-"]
    return subprocess.run(command, input=secret, capture_output=True, text=True, check=True).stdout.strip()


def enroll(login: str, wrong: str = "") -> None:
    """Enrol at a terminal as a person does."""
    process, handle = pty.fork()
    if process == 0:
        os.execv(PROGRAM, [PROGRAM, "enroll", login])
    seen, answered = "", 0
    while True:
        try:
            told = os.read(handle, 4096)
        except OSError:
            break
        if not told:
            break
        seen += told.decode("utf-8", "replace")
        if seen.count("shows now: ") > answered:
            answered += 1
            secret = re.findall(r"secret=([A-Z2-7]+)", seen)[0]
            time.sleep(0.3)
            os.write(handle, f"{wrong or shown(secret)}\n".encode())
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    secrets = re.findall(r"secret=([A-Z2-7]+)", seen)
    recovery = re.findall(r"^ {2}(\d{6})\r?$", seen, re.MULTILINE)
    print(json.dumps({"status": status, "secret": secrets[0] if secrets else "", "recovery": recovery}))


def login(address: str, name: str, key: str, code: str = "") -> None:
    """Come in over SSH, or be refused."""
    transport = paramiko.Transport((address, 22))
    try:
        transport.start_client(timeout=60)
        if key != "-":
            left = transport.auth_publickey(name, paramiko.Ed25519Key.from_private_key_file(key))
            if left and code:
                transport.auth_interactive(name, lambda _title, _about, prompts: [code] * len(prompts))
        else:
            transport.auth_interactive(name, lambda _title, _about, prompts: [code] * len(prompts))
        if transport.is_authenticated():
            channel = transport.open_session(timeout=60)
            channel.exec_command("id -un")
            print("in" if channel.makefile().read().decode().strip() == name else "somebody else")
        else:
            print("refused")
    except paramiko.AuthenticationException:
        print("refused")
    finally:
        transport.close()


if __name__ == "__main__":
    {"enroll": enroll, "login": login}[sys.argv[1]](*sys.argv[2:])
