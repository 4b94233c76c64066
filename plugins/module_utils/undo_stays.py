# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the undo of each surface does not bring back, in the words that the playbook prints."""

from __future__ import annotations

STAYS = {
    "orthanc": "The package stays installed.",
    "dicom_tls": (
        "Packages and the account dicom-front stay; the keys made here go, the next hardening makes others. Devices "
        "stay cut off for as long as the firewall closes every other door: undo the firewall too."
    ),
    "authentication": (
        "Packages, the account orthanc-web, the group radiology-ssh and the secrets of second factors stay; the key of "
        "the front goes, and the next hardening makes another."
    ),
    "firewall": "The package stays installed.",
    "remote_access": (
        "Packages stay installed; the tunnel's key goes, and the next hardening makes another, which every device of "
        "WireGuard then has to be given."
    ),
    "system": (
        "Packages and updates stay installed, and what the journal has removed for its age is gone. With "
        "unattended-upgrades and without our file, Debian's own settings say whether it installs anything."
    ),
    "workstation": (
        "Packages and the account dicom-tunnel stay; the tunnels' key goes, and the next hardening makes another. "
        "Accounts that were made for people are closed, those that were closed stay so, and homes stay. "
        "Services that were stopped run again and answer whoever calls. Sessions that have begun keep their limits."
    ),
    "modality_box": (
        "Packages and the account dicom-tunnel stay; the tunnels' key goes, and the next hardening makes another. The "
        "modality reaches no server meanwhile, since the firewall lets it out of its room by the box alone."
    ),
    "reading_laptop": (
        "Packages stay installed; the laptop's key goes, and the next hardening makes another, which the gateway lets "
        "in once it was hardened too. The laptop then calls whoever has the archive's address where it is."
    ),
    "disk_encryption": (
        "Disks that were encrypted stay so, and keys that were replaced stay replaced; what swap and the temporary "
        "folder held is gone. /tmp is on the disk again from the next start on."
    ),
}
"""Surface -> what its undo does not bring back."""
