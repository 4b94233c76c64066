# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the IKEv2 client of a device at home is set to, in a file for each: it holds no secret."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import home_ipsec, home_tunnel

ENDING = ".ipsec.txt"
ANY = {4: "0.0.0.0", 6: "::"}  # noqa: S104 (what a client asks its address with)

TEXT = """\
For the IKEv2 client of %(device)s, of %(person)s.

Once, on that device (its private key never leaves it):
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=%(name)s \\
    -keyout %(device)s.key -out %(device)s.csr
  Hand in %(device)s.csr, as remote_access/%(device)s.csr beside the clinic file, and have harden run. Only its key
  counts; the authority gives the name. Take remote_access/%(device)s.crt back to the device, with authority/ca.crt.
  Where a system imports keys as PKCS #12:
  openssl pkcs12 -export -inkey %(device)s.key -in %(device)s.crt -certfile ca.crt -out %(device)s.p12

Server            %(endpoint)s
Remote identity   %(endpoint)s
Local identity    %(name)s
Authentication    the certificate of this device; no user name, no password
IKE               version 2, AES-256-GCM, PRF SHA-384, group ECP-384 (20)
ESP               AES-256-GCM, group ECP-384 (20)
Traffic           %(reached)s alone, and nothing else by the tunnel
The server is then called as in the practice: %(called)s

Windows, in PowerShell as administrator, with key and certificate in the computer's store:
  Add-VpnConnection -Name Practice -ServerAddress %(endpoint)s -TunnelType Ikev2 `
    -AuthenticationMethod MachineCertificate -EncryptionLevel Maximum -SplitTunneling -AllUserConnection
  Set-VpnConnectionIPsecConfiguration -ConnectionName Practice -AllUserConnection -Force `
    -EncryptionMethod AES256 -IntegrityCheckMethod SHA384 -DHGroup ECP384 `
    -CipherTransformConstants GCMAES256 -AuthenticationTransformConstants GCMAES256 -PfsGroup ECP384
%(routes)s

Debian, in /etc/swanctl/conf.d/practice.conf, the key in private, %(device)s.crt in x509, ca.crt in x509ca:
connections {
  practice {
    version = 2
    remote_addrs = %(endpoint)s
    vips = %(vips)s
    proposals = aes256gcm16-prfsha384-ecp384
    send_cert = always
    local {
      auth = pubkey
      certs = %(device)s.crt
    }
    remote {
      auth = pubkey
      id = %(endpoint)s
    }
    children {
      practice {
        remote_ts = %(reached)s
        esp_proposals = aes256gcm16-ecp384
        start_action = start
      }
    }
  }
}
"""


def files(scope: Mapping[str, Any]) -> dict[str, str]:
    """Return name and text of each device's file; `scope` is that of the role remote_access."""
    tunnel = scope["tunnel"]
    people = {person["login"]: person["name"] for person in scope.get("people") or []}
    return {
        f"{peer['name']}{ENDING}": _device(peer, people.get(peer["person"], peer["person"]), tunnel)
        for peer in tunnel["named"]
    }


def _device(peer: Mapping[str, Any], person: str, tunnel: Mapping[str, Any]) -> str:
    reached = sorted(str(ipaddress.ip_network(text)) for text in peer["reached"])
    routes = (
        f"  Add-VpnConnectionRoute -ConnectionName Practice -DestinationPrefix {each} -AllUserConnection"
        for each in reached
    )
    asked = sorted({ANY[ipaddress.ip_address(text).version] for text in peer["addresses"]})
    text = TEXT % {
        "device": peer["name"],
        "person": person,
        "name": home_ipsec.common_name(peer["name"]),
        "endpoint": tunnel["endpoint"],
        "reached": ", ".join(reached),
        "called": home_tunnel.pages(peer, tunnel),
        "routes": "\n".join(routes),
        "vips": ", ".join(asked),
    }
    return text.encode("ascii", "replace").decode("ascii")
