# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The TLS front of Orthanc's DICOM port: what its files say. Pure text; nothing here touches the host.

nginx's stream module as a unit of its own. A device is known by its certificate and its address together, and Orthanc
meets it at the one loopback address that stands for it: so certificate, address and AE title are bound to each other,
which Orthanc alone cannot do. Orthanc calls a device at the same loopback address, and the front checks the name in
the device's certificate. A connection that says nothing stops nobody. A device that cannot speak TLS is let in where
the clinic file declares a port for it alone (dicom_cleartext).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import dicom_cleartext, front_unit

UNIT = "dicom-front.service"
USER = "dicom-front"
FOLDER = "/etc/dicom-front"
CONFIGURATION = f"{FOLDER}/nginx.conf"
KEY = f"{FOLDER}/server.key"
NEXT_KEY = f"{FOLDER}/next.key"
"""Waits for its certificate, and takes the place of the key together with it."""
REQUEST = f"{FOLDER}/server.csr"
CERTIFICATE = f"{FOLDER}/server.crt"
AUTHORITY = f"{FOLDER}/ca.crt"
ANOTHERS = (
    f"{AUTHORITY} of this server holds an authority that the clinic's folder does not know ({{known}}): another would "
    "shut all its devices out. Bring the folder with authority/, certificates/ and vault.yml back from its backup; or, "
    f"to begin anew and give each device a new certificate, remove {AUTHORITY} here."
)
REVOKED = f"{FOLDER}/revoked.crl"
"""What the authority takes back: a certificate that it lists is refused in the handshake."""
LINK_KEY = f"{FOLDER}/link.key"
LINK_CERTIFICATE = f"{FOLDER}/link.crt"
ORTHANC_FOLDER = "/etc/orthanc/tls"
ORTHANC_KEY = f"{ORTHANC_FOLDER}/orthanc.key"
ORTHANC_CERTIFICATE = f"{ORTHANC_FOLDER}/orthanc.crt"
ORTHANC_TRUST = f"{ORTHANC_FOLDER}/front.crt"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
ACCOUNT_FILE = "/etc/sysusers.d/dicom-front.conf"
PORT = 2762
"""dicom-tls, registered for DICOM over TLS (PS3.15 B.1)."""
CHECK = front_unit.CHECK
MOST = 3
"""Connections that one device may hold at once."""
WORKER_CONNECTIONS = 2048

ACCOUNT = front_unit.account("dicom_tls", USER, "TLS front of Orthanc's DICOM port")

LOW = 1024
"""The first TCP port that takes no privilege to listen on."""

TEMPLATE = """\
# Kept by radiology.hardening (role dicom_tls).
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
worker_processes 2;
error_log stderr warn;
events { worker_connections %(workers)d; }

stream {
  # A device: its certificate and its address, and the loopback address at which Orthanc meets it.
  map_hash_bucket_size 256;
  map "$ssl_client_fingerprint $remote_addr" $device {
    default "";
%(devices)s
  }
  map $device $target { default 127.0.0.1:%(orthanc_port)d; "" unix:/run/dicom-front/nowhere.sock; }

  log_format front '$remote_addr "$ssl_client_s_dn" $ssl_client_fingerprint $ssl_client_verify device=$device '
                   '$ssl_protocol $bytes_received $bytes_sent $session_time $status $ssl_client_v_remain';
  access_log syslog:server=unix:/run/systemd/journal/dev-log,tag=dicom_front,nohostname front;
  # A device counts once, by whichever of its addresses it comes. Orthanc has a thread for each connection that all of
  # them may hold together, and one to spare: idle associations of a device delay no other.
  map $remote_addr $machine {
    default $remote_addr;
%(machines)s
  }
  limit_conn_zone $machine zone=machines:1m;

  ssl_certificate %(folder)s/server.crt;
  ssl_certificate_key %(folder)s/server.key;
  ssl_client_certificate %(folder)s/ca.crt;
  ssl_verify_client %(verify)s;
  ssl_verify_depth 1;
  ssl_crl %(folder)s/revoked.crl;
  ssl_protocols %(protocols)s;
  ssl_ciphers %(suites)s;
  ssl_ecdh_curve X25519:prime256v1:secp384r1;
  ssl_session_tickets off;
  ssl_handshake_timeout 5s;
  proxy_connect_timeout 5s;
  tcp_nodelay on;

  # Devices call Orthanc. Behind the front Orthanc still demands TLS, of the front alone.
  server {
%(listens)s
    limit_conn machines %(most)d;
    proxy_timeout 600s;
    proxy_bind $device;
    proxy_pass $target;
    proxy_ssl on;
    proxy_ssl_protocols TLSv1.3;
    proxy_ssl_certificate %(folder)s/link.crt;
    proxy_ssl_certificate_key %(folder)s/link.key;
    proxy_ssl_trusted_certificate %(orthanc_certificate)s;
    proxy_ssl_verify on;
    proxy_ssl_name orthanc;
  }
%(outgoing)s%(cleartext)s}
"""

OUTGOING = """
  # Orthanc calls %(name)s.
  server {
    listen %(loopback)s:%(port)d;
    proxy_timeout 600s;
    proxy_pass %(target)s;
    proxy_ssl on;
    proxy_ssl_protocols TLSv1.2 TLSv1.3;
    proxy_ssl_ciphers %(suites)s;
    proxy_ssl_certificate %(folder)s/server.crt;
    proxy_ssl_certificate_key %(folder)s/server.key;
    proxy_ssl_trusted_certificate %(folder)s/ca.crt;
    proxy_ssl_crl %(folder)s/revoked.crl;
    proxy_ssl_verify on;
    proxy_ssl_name %(name)s;
  }
"""


def endpoint(address: str, port: int = PORT) -> str:
    """Write an address and a port as nginx does: IPv6 in brackets."""
    return dicom_cleartext.endpoint(address, port)


def service(devices: Sequence[Mapping[str, Any]]) -> str:
    """Return the front's unit; a device that calls a low port in clear has the front listen below 1024."""
    low = any(int(device["cleartext"]["port"]) < LOW for device in dicom_cleartext.admitted(devices))
    return front_unit.service("dicom_tls", USER, "TLS front of Orthanc's DICOM port", memory_mib=256, low_port=low)


def admitted(devices: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the devices that speak TLS and are not lost; no other is let in by the TLS port."""
    return [device for device in devices if device.get("tls") and not device.get("lost")]


def entries(devices: Sequence[Mapping[str, Any]], fingerprints: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the lines that bind each device's certificates and addresses to its loopback address."""
    return [
        f'    "{fingerprint} {address}" {device["loopback"]}; # {device["name"]}'
        for device in admitted(devices)
        for fingerprint in fingerprints.get(device["name"], [])
        for address in (device["address"], device.get("address6"))
        if address
    ]


def machines(devices: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines that tell a device by each of its addresses."""
    return [
        f'    "{address}" {device["name"]};'
        for device in (*admitted(devices), *dicom_cleartext.admitted(devices))
        for address in dicom_cleartext.addresses(device)
    ]


def threads(devices: Sequence[Mapping[str, Any]]) -> int:
    """Return how many associations Orthanc has to serve at once, so that none waits for the idle ones of others.

    Devices that are lost count too: Orthanc is not restarted for them.
    """
    return MOST * len(devices) + 1


def configuration(
    scope: Mapping[str, Any],
    fingerprints: Mapping[str, Sequence[str]],
    *,
    protocols: Sequence[str],
    suites: Sequence[str],
) -> str:
    """Return nginx.conf for the role's inputs and the devices' certificates (name to the SHA-1 of each)."""
    common = {"folder": FOLDER, "suites": ":".join(suites)}
    outgoing = [
        OUTGOING % {**common, **device, "target": endpoint(str(device["address"]), int(device["port"]))}
        for device in admitted(scope["devices"])
        if device.get("port")
    ]
    shared = {**common, "most": MOST, "orthanc_port": 4242, "orthanc_certificate": ORTHANC_CERTIFICATE}
    return TEMPLATE % {
        **shared,
        "machines": "\n".join(machines(scope["devices"])),
        "workers": WORKER_CONNECTIONS,
        "devices": "\n".join(entries(scope["devices"], fingerprints)),
        "verify": "on",
        "protocols": " ".join(protocols),
        "listens": "\n".join(f"    listen {endpoint(address)} ssl;" for address in scope["addresses"]),
        "outgoing": "".join(outgoing),
        "cleartext": dicom_cleartext.servers(scope, shared),
    }


def plain_names(scope: Mapping[str, Any]) -> list[str]:
    """Return the name and the addresses that the certificate bears, and no other."""
    return [str(scope["name"]), *map(str, scope["addresses"])]


def names(scope: Mapping[str, Any]) -> list[str]:
    """Return the certificate's subjectAltName entries as OpenSSL's configuration writes them."""
    name, *addresses = plain_names(scope)
    return [f"DNS:{name}", *(f"IP:{address}" for address in addresses)]
