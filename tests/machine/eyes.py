# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is run inside a machine to look on: at a job's stages, at its processes, and once at its memory."""

from __future__ import annotations

LOOK = """
import json, os, signal, sys, time
JOB, HELD = sys.argv[1:3]

def tell(word):
    print(word, file=sys.stderr, flush=True)

def stage():
    try:
        with open(f"{JOB}/stage.json") as file:
            return json.load(file)["stage"]
    except (OSError, ValueError):
        return ""

def ended():
    # On-disk format 1.1.3, section 2.1: two copies, size at byte 8, sequence number at 16; the JSON text at 4096.
    copies = []
    with open(f"{JOB}/header", "rb") as file:
        size = int.from_bytes(file.read(16)[8:], "big")
        for start in (0, size):
            file.seek(start)
            held = file.read(size)
            try:
                copies.append((int.from_bytes(held[16:24], "big"), json.loads(held[4096:].split(b"\\0", 1)[0])))
            except ValueError:
                continue
    found = max(copies, key=lambda each: each[0])[1]
    flags = found["config"].get("requirements", {}).get("mandatory", [])
    live = [each for each in found["segments"].values() if "backup" not in str(each.get("flags", []))]
    alone = [each["type"] for each in live] == ["crypt"] and "in-reencryption" not in live[0].get("flags", [])
    return alone and any(flag.startswith("online-reencrypt") for flag in flags)

def send(which):
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{process}/comm") as file:
                if file.read().strip() == HELD:
                    os.kill(int(process), which)
        except OSError:
            continue

def aim():
    try:
        if ended():
            send(signal.SIGSTOP)
            if ended():
                tell("ended")
                return True
            send(signal.SIGCONT)
    except (OSError, ValueError, KeyError):
        pass
    return False

def look(seen):
    for process in filter(str.isdigit, os.listdir("/proc")):
        for kind in ("cmdline", "environ"):
            try:
                with open(f"/proc/{process}/{kind}", "rb") as file:
                    found = file.read()
            except OSError:
                continue
            if found not in seen:
                seen.add(found)
                sys.stdout.buffer.write(found + b"\\n")
                sys.stdout.buffer.flush()

told, seen, looked, armed, aimed = "", set(), 0, False, HELD != "-"
while True:
    now = stage()
    if now != told:
        tell(f"stage {now}")
        told = now
    if not armed and os.path.exists(f"{JOB}/armed"):
        tell("armed")
        armed = True
    near = aimed and now == "switched"
    if near and aim():
        aimed = False
    if time.monotonic() - looked > 1:
        look(seen)
        looked = time.monotonic()
    time.sleep(0.03 if near else 0.3)
"""
"""Tells on its standard error each stage of the job in the folder that is its first argument; on its standard output
writes every command line and environment that it meets, each once. Its second argument is `-`, or the
name of the program to hold (cryptsetup) as soon as the header says that all is encrypted and still asks to go on; then
it says `ended`."""

MEMORY = """
import os, subprocess, sys
wanted = [bytes.fromhex(line) for line in sys.stdin.read().split()]
found = [0] * len(wanted)

def look(path):
    try:
        if os.path.isfile(path) and not os.path.islink(path):
            with open(path, "rb") as file:
                count(file.read())
    except OSError:
        pass

def count(content):
    for number, each in enumerate(wanted):
        found[number] += content.count(each)

for root in ("/run", "/dev/shm", "/tmp"):
    for parent, folders, names in os.walk(root):
        for name in names:
            look(os.path.join(parent, name))
for process in filter(str.isdigit, os.listdir("/proc")):
    look(f"/proc/{process}/cmdline")
    look(f"/proc/{process}/environ")
journal = subprocess.Popen(["journalctl", "--no-pager", "--all", "-o", "cat"], stdout=subprocess.PIPE)
count(journal.communicate()[0])
print(*found)
"""
"""Takes byte strings in hexadecimal on its standard input, and says how often each lies in memory-backed file
systems, process lists and the journal."""
