# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
name: signed
author: radiology.hardening authors (@radiology-hardening)
short_description: What a clinic's authority signed and took back
version_added: 0.1.0
description:
  - Reads what lies in a clinic's folder on the controller, where all of it is public, and changes nothing.
  - The audit gives it to the observers of the roles dicom_tls and authentication, which alone cannot know what a host
    should refuse, nor whose certificates it should show.
options:
  _terms:
    description: The clinic's folder, then its devices as the inventory plugin yields them in C(clinic_devices).
    required: true
    type: list
    elements: raw
"""

EXAMPLES = """
- name: Show which certificates are revoked, or will be by the next run
  ansible.builtin.debug:
    msg: "{{ lookup('radiology.hardening.signed', clinic.directory, clinic_devices).revoked }}"
"""

RETURN = """
_raw:
  description: >-
    One dictionary; C(revoked) lists serial numbers in hexadecimal, C(keys) the SHA-256 of public keys by name,
    C(certificates) the SHA-1 of certificates by name, C(authorities) the SHA-256 of the certificates of the clinic's
    authorities, two while one follows the other for C(days_of_change) whole days, C(trusted) those certificates in PEM.
  type: list
  elements: dict
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.radiology.hardening.plugins.module_utils import certificates
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import (
    authority,
    authority_change,
    device_certificates,
    revocation,
)


class LookupModule(LookupBase):
    """Read a clinic's folder."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        """Return what was signed and taken back."""
        directory, devices = terms
        try:
            authority.demand_cryptography()
            trusted = authority.authorities(str(directory))
            signed = {
                "revoked": revocation.serials(str(directory), devices),
                "keys": device_certificates.keys(str(directory)),
                "certificates": device_certificates.fingerprints(str(directory)),
                "authorities": [certificates.digest(text) for text in trusted],
                "trusted": trusted,
                "days_of_change": authority_change.days(str(directory)),
            }
            return [signed]
        except HardeningError as error:
            raise AnsibleLookupError(str(error)) from None
