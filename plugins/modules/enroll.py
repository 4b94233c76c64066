#!/usr/bin/python
# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
module: enroll
author: radiology.hardening authors (@radiology-hardening)
short_description: Come to a machine for the first time, and leave it with a key in the password's place
version_added: 0.1.0
description:
  - Runs on the controller and speaks SSH itself, over paramiko; Ansible's own connection is not used before the machine
    is known.
  - Compares the machine's host key with the fingerprint that was read on the machine itself, before anything is sent,
    and keeps the host key in C(known_hosts) in the clinic's folder, where the inventory plugin has ssh look first.
  - Installs the engineer's public key by password, shows over another connection that the key lets in, and only then
    has sshd take passwords no more, by a drop-in of its own (C(00-radiology-enrolled.conf)). Open
    sessions stay open.
  - One machine at a time. A second run changes nothing, and needs neither fingerprint nor password.
options:
  fingerprint:
    description: >-
      What C(ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub) prints on the machine itself, from V(SHA256:) on; that of
      its ECDSA or RSA key does as well. Not needed where the clinic knows the machine already.
    type: str
    default: ""
  public_key:
    description: The engineer's public key. The SSH agent, or the file without C(.pub), signs for it.
    type: path
    default: ~/.ssh/id_ed25519.pub
  password:
    description: Of the account that the clinic file names; for its first login, and for its sudo.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: The host key is compared; nothing is kept and nobody logs in by password.
requirements:
  - paramiko on the controller
"""

EXAMPLES = """
- name: Enrol the server that was installed today
  radiology.hardening.enroll:
    fingerprint: SHA256:6eKzJ3mD5t0m1oYH6Cq1b0yq7cD8zq0kU3v0V1m2bQw
    public_key: ~/.ssh/id_ed25519.pub
    password: "{{ password }}"
"""

RETURN = """
done:
  description: What was done, or in check mode would be, a sentence each.
  type: list
  elements: str
  returned: success
fingerprint:
  description: Of the host key that the machine showed.
  type: str
  returned: success
"""
