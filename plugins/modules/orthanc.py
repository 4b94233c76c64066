#!/usr/bin/python
# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
module: orthanc
author: radiology.hardening authors (@radiology-hardening)
short_description: Keep Orthanc configured, confined and running
version_added: 0.1.0
description:
  - Holds the settings that the controls want in one file of its own, which carries the meaning of all the package's
    files; confines the service by systemd; restarts it when it is older than its configuration, and proves the start
    by asking the server. A configuration that does not start is taken back.
  - Closes the account, the folders and the logs of the server, which goes on running meanwhile.
  - What may be in use is left as it is and named in RV(deliberate), such as a plugin that is not declared, or another
    server that takes images in clear. In check mode it counts as a change.
extends_documentation_fragment:
  - radiology.hardening.surface
"""

EXAMPLES = """
- name: Keep Orthanc configured, confined and running
  radiology.hardening.orthanc:
    scope: "{{ lookup('radiology.hardening.scope', 'orthanc') }}"
    wanted: "{{ lookup('radiology.hardening.wanted', 'orthanc') }}"
"""

RETURN = """
plan:
  description: What was changed, or would be, one sentence a step.
  type: list
  elements: str
  returned: success
deliberate:
  description: What only a person may bring about, one sentence an act.
  type: list
  elements: str
  returned: where there is any
"""
