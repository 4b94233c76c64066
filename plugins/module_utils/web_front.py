# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The HTTPS front of Orthanc: what its files say. Pure text; nothing here touches the host.

nginx 1.22 (Debian 12) and 1.26 (Debian 13) as a unit of its own, with a user of its own, before
Orthanc on 127.0.0.1:8042. Orthanc decides who may in; the front decides what is asked at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import front_unit, web_roles
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError

UNIT = "orthanc-web.service"
USER = "orthanc-web"
FOLDER = "/etc/orthanc-web"
CONFIGURATION = f"{FOLDER}/nginx.conf"
PEOPLE = f"{FOLDER}/people.map"
LOGINS = f"{FOLDER}/orthanc.map"
"""The header by which the front asks Orthanc for each person; nobody else knows it."""
PROBES = f"{FOLDER}/probes.map"
"""The headers by which this host asks its own front what each role may do."""
SECRET = (PEOPLE, LOGINS, PROBES)
KEY = f"{FOLDER}/server.key"
NEXT_KEY = f"{FOLDER}/next.key"
"""Waits for its certificate, and takes the place of the key together with it."""
REQUEST = f"{FOLDER}/server.csr"
CERTIFICATE = f"{FOLDER}/server.crt"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
ACCOUNT_FILE = "/etc/sysusers.d/orthanc-web.conf"
PORT = 443
LARGEST_UPLOAD = "1g"
"""The largest body of a request unless the site says otherwise."""
JOURNAL = "syslog:server=unix:/run/systemd/journal/dev-log,tag=orthanc_web,nohostname"
"""Where nginx writes its access log to."""
CHECK = front_unit.CHECK
REFUSALS = (
    *(400, 402, 403, 404, 405, 406, 407, *range(410, 418), *range(421, 427), 428, 429, 431, 451),
    *range(500, 512),
)
"""Statuses whose body is the front's own: all that Orthanc and nginx send (RFC 9110; Orthanc, Enumerations.h), but 401.

409 keeps its body, since it says which images STOW-RS did not store (PS3.18 10.5.3), and Orthanc itself sends none with
it. To 408, 418, 444, 494 to 497 and 499 nginx gives a meaning of its own, and nothing of Orthanc's.
"""

PROTOCOLS = ("TLSv1.2", "TLSv1.3")
SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
)
"""The TLS 1.2 suites with forward secrecy and AEAD (ANSSI TLS guide, R6, R10); TLS 1.3 has no others."""
CURVES = ("X25519", "prime256v1", "secp384r1")
"""nginx's default also offers X448 and secp521r1."""

ACCOUNT = front_unit.account("authentication", USER, "HTTPS front of Orthanc")

SERVICE = front_unit.service(
    "authentication", USER, "HTTPS front of Orthanc", memory_mib=512, after=["orthanc.service"], low_port=True
)

ASKED = """\
      if ($request_method !~ ^(GET|HEAD|POST|PUT|DELETE)$) { return 405; }
      if ($role = nobody) { return 401; }
      if ($http_content_encoding !~* ^(identity)?$) { return 415; }
      if ($unclear) { return 400; }
      if ($faked) { return 400; }
      if ($other_site) { return 403; }
      if ($role = stranger) { return 418; }
      if ($forbidden) { return 403; }
"""

PASSED = """\
      proxy_pass http://orthanc;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-HTTP-Method-Override "";
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header Forwarded 'host=$http_host;proto=https';
      proxy_buffers 16 64k;
      proxy_buffer_size 64k;
      proxy_busy_buffers_size 128k;
      proxy_max_temp_file_size 0;
      proxy_read_timeout 600s;
      proxy_intercept_errors on;
"""

TEMPLATE = """\
# Kept by radiology.hardening (role authentication). Passwords are in files of their own, *.map.
user %(user)s;
worker_processes 2;
# A line of a lower level would hold the whole request, and with it the names that people search for.
error_log stderr crit;
events { worker_connections 1024; }

http {
  server_tokens off;
  default_type application/octet-stream;
  log_format front '$remote_addr "$remote_user" $request_method "$uri" $status $bytes_sent $request_time $ssl_protocol';
  # Failures have a level of their own, by which journald counts: a viewer's thousands of requests push none out.
  access_log %(journal)s,severity=warn front if=$failed;
  access_log %(journal)s,severity=info front if=$answered;
  client_body_temp_path /run/orthanc-web/body;
  proxy_temp_path /run/orthanc-web/proxy;
  fastcgi_temp_path /run/orthanc-web/fastcgi;
  uwsgi_temp_path /run/orthanc-web/uwsgi;
  scgi_temp_path /run/orthanc-web/scgi;

  ssl_certificate %(folder)s/server.crt;
  ssl_certificate_key %(folder)s/server.key;
  ssl_protocols %(protocols)s;
  ssl_ciphers %(suites)s;
  ssl_ecdh_curve %(curves)s;
  ssl_session_tickets off;
  ssl_session_cache shared:web:1m;

  client_header_timeout 10s;
  client_body_timeout 30s;
  client_max_body_size %(largest_upload)s;
  keepalive_timeout 65s;
  map_hash_bucket_size 512;
  server_names_hash_bucket_size 128;

  # Who asks, by the whole header: "nobody" gave none, "stranger" gave one that nobody here has.
  map $http_authorization $role {
    default stranger; "" nobody; include %(folder)s/people.map; include %(folder)s/probes.map;
  }
  # Orthanc knows people by passwords of its own, which never change: it would have to start anew for a change.
  map $remote_user $asks_as { default ""; include %(folder)s/orthanc.map; }
  # A guess is a wrong password, whatever it is for: four at once, then one a second. Who is known is never counted.
  # Whoever has one IPv6 address has its whole /64.
  map $remote_addr $source { default $remote_addr; "~^(([0-9a-f]+:){4})" $1; "~^(.*?::)" $1; }
  limit_req_zone $source zone=wrong:1m rate=1r/s;
  limit_req_status 429;
  limit_conn_zone $binary_remote_addr zone=callers:1m;
  limit_conn_status 429;

  # A page of another site must not act in this one's name (Origin, RFC 6454).
  map "$http_origin|https://$http_host" $other_site { default 1; "~^\\|" 0; "~^([^|]+)\\|\\1$" 0; }
  # What each role may ask; what is not named here is for administrators.
%(roles)s  # A failure is a wrong password, or what a role may not ask; not a browser's first request, which has
  # no password yet, and not what this host asks its own front.
  map "$role $status $remote_user" $failed {
    default 0; "~^nobody " 0; "~^(reader|technician|administrator) ... probe " 0; "~^[a-z]+ (401|403|429) " 1;
  }
  map $failed $answered { default 1; 1 0; }
  map "$status|$upstream_http_www_authenticate" $challenge { default ""; "401|" 'Basic realm="Orthanc"'; }

  upstream orthanc {
    server 127.0.0.1:%(orthanc_port)d max_fails=0;
    keepalive 16;
    keepalive_timeout 500ms;
  }

  server {
%(default_listens)s
    server_name "";
    add_header Strict-Transport-Security "max-age=31536000" always;
    location / { return 421; }
  }

  server {
%(listens)s
    server_name %(names)s;
    add_header Strict-Transport-Security "max-age=31536000" always;
    add_header X-Content-Type-Options nosniff always;
    add_header Referrer-Policy no-referrer always;
    error_page 401 %(refusals)s @refused;
    error_page 418 = @guess;
    recursive_error_pages on;
    limit_conn callers 100;

    location / {
%(asked)s
      proxy_set_header Authorization $asks_as;
      proxy_request_buffering off;
%(passed)s    }

    # Who corrects images gets new ones; that the former ones go is for administrators. What it comes to stands in the
    # body, so that is read first, in memory; where it says what it may not, Orthanc is asked as nobody.
    location ~ "%(corrected)s" {
      error_page %(refusals)s @refused;
      error_page 418 = @guess;
      error_page 401 = @unread;
%(asked)s
      client_max_body_size 64k;
      client_body_buffer_size 64k;
      client_body_in_single_buffer on;
      proxy_set_header Authorization $corrects_as;
%(passed)s    }

    location @unread {
      if ($role = nobody) { return 401; }
      return 403;
    }

    # Every wrong password comes by here and is answered alike, so that no path tells more, or faster, than another.
    location @guess {
      limit_req zone=wrong burst=3 nodelay;
      root /nowhere;
      try_files /nothing =401;
    }

    location @refused {
      add_header Strict-Transport-Security "max-age=31536000" always;
      add_header WWW-Authenticate $challenge always;
      default_type text/plain;
      return 200 "$status\\n";
    }
  }
}
"""


def configuration(scope: Mapping[str, Any]) -> str:
    """Return nginx.conf for the role's inputs: addresses, names, largest_upload (nginx size) and orthanc_port."""
    endpoints = [endpoint(address) for address in scope["addresses"]]
    return TEMPLATE % {
        "folder": FOLDER,
        "user": USER,
        "protocols": " ".join(PROTOCOLS),
        "suites": ":".join(SUITES),
        "curves": ":".join(CURVES),
        "largest_upload": largest_upload(scope)[0],
        "orthanc_port": int(scope.get("orthanc_port") or 8042),
        "default_listens": "\n".join(f"    listen {each} ssl default_server;" for each in endpoints),
        "roles": web_roles.maps(),
        "refusals": " ".join(map(str, REFUSALS)),
        "asked": ASKED,
        "passed": PASSED,
        "corrected": web_roles.CORRECTED,
        "journal": JOURNAL,
        "listens": "\n".join(f"    listen {each} ssl;" for each in endpoints),
        "names": " ".join(names(scope)),
    }


def largest_upload(scope: Mapping[str, Any]) -> tuple[str, int]:
    """Return the largest body of a request as nginx writes it, and in bytes; a 0, which means no limit, is refused."""
    told = str(scope.get("largest_upload") or LARGEST_UPLOAD)
    size = re.fullmatch(r"([1-9][0-9]{0,9})([kKmMgG]?)", told)
    if not size:
        raise HardeningError(f"authentication_largest_upload is {told}: write a number above 0, then k, m or g, as 1g.")
    return told, int(size[1]) << {"": 0, "k": 10, "m": 20, "g": 30}[size[2].lower()]


def endpoint(address: str, port: int = PORT) -> str:
    """Write an address and a port as nginx and `ss` do: IPv6 in brackets."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def names(scope: Mapping[str, Any]) -> list[str]:
    """Return every Host name that the front answers to: the declared names and its addresses, without doubles."""
    literal = [f"[{address}]" if ":" in address else address for address in scope["addresses"]]
    return list(dict.fromkeys([*(str(name).lower() for name in scope.get("names", [])), *literal]))


def alternative_names(scope: Mapping[str, Any]) -> list[str]:
    """Return the certificate's subjectAltName entries as OpenSSL's configuration writes them."""
    plain = list(dict.fromkeys(str(name).lower() for name in scope.get("names", [])))
    return [f"DNS:{name}" for name in plain] + [f"IP:{address}" for address in scope["addresses"]]


def people(declared: Sequence[Mapping[str, Any]], passwords: Mapping[str, str]) -> str:
    """Return people.map: each person's Authorization header and role. Secret as the passwords are."""
    return "".join(
        web_roles.line(web_roles.header(str(person["login"]), passwords[person["login"]]), str(person["role"]))
        for person in sorted(declared, key=lambda person: str(person["login"]))
    )


def logins(declared: Sequence[Mapping[str, Any]], passwords: Mapping[str, str]) -> str:
    """Return orthanc.map: each login's Authorization header for Orthanc; `passwords` are those that Orthanc knows.

    A regular expression, since a person may be called `default`, which is a word of nginx's.
    """
    known = sorted(str(person["login"]) for person in declared)
    lines = ((login.replace(".", "[.]"), web_roles.header(login, passwords[login])) for login in known)
    return "".join(f'"~^{login}$" "{header}";\n' for login, header in lines)
