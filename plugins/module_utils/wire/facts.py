# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the probe can tell of a host from one vantage point."""

from __future__ import annotations

FACTS: dict[str, str] = {
    "wire.reachable": "bool: there is a way from here to the host; without one nothing else but present is told",
    "wire.present": "bool: a device answered or refused at a port, by ICMP or by ARP; else it is closed or away",
    "wire.errors": "list of str: what could not be measured, and why; the facts concerned are left out",
    "wire.ports.looked_at": "list of str: the host's addresses to which there is a way from here",
    "wire.ports.no_way": "list of str: the others, of which this machine or a router said that there is none",
    "wire.ports.tried": "str: the TCP ports that were tried there, as 22-23, 80",
    "wire.ports.open": "list of str: address:port that take a TCP connection",
    "wire.ports.undeclared": "list of str: address:port that take a connection, undeclared for this place",
    "wire.ports.udp": "list of str: address:port service, of those that answer a stranger over UDP",
    "wire.dicom.cleartext_ports": "list of str: address:port that answer an A-ASSOCIATE-RQ in clear with a DICOM PDU, "
    "those apart that are declared in clear for this place",
    "wire.dicom.cleartext_association": "str: accepted, rejected, or refused where no port answers DICOM in clear, "
    "those apart that are declared in clear for this place",
    "wire.dicom.cleartext_declared": "list of str: address:port that answer DICOM in clear and are declared so for the "
    "device in whose place this is",
    "wire.dicom.tls_ports": "list of str: address:port that speak TLS and are DICOM's by their number or their answer",
    "wire.dicom.tls_versions": "list of str: versions that DICOM ports speak, at OpenSSL security level 0",
    "wire.dicom.tls_suites": "list of str: suites that DICOM ports accept, by OpenSSL's names",
    "wire.dicom.weak_suites": "list of str: accepted suites without forward secrecy or authenticated encryption",
    "wire.dicom.certificates_ending": "list of str: address:port of DICOM ports whose certificate has fewer than 30 "
    "days left by this machine's clock, with its last day",
    "wire.dicom.client_certificate": "str: demanded, not_demanded, unreachable where no such port answers, or not_due "
    "where none answers and none may",
    "wire.dicom.unknown_ae_title": "str: refused or accepted, for a calling AE title made up at random",
    "wire.dicom.readable_studies": "int: studies that a stranger can list by C-FIND or REST",
    "wire.dicom.readable_series": "int: series that a stranger can list by C-FIND or REST",
    "wire.http.cleartext_ports": "list of str: address:port that answer HTTP in clear, a redirect to HTTPS apart",
    "wire.http.unauthenticated_paths": "list of str: address:port/path that give 2xx without credentials",
    "wire.http.default_credentials": "str: refused, accepted, or unreachable where no port speaks HTTP",
    "wire.http.foreign_names": "list of str: address:port that answer HTTP under a Host name that is not theirs",
    "wire.http.foreign_origins": "list of str: address:port that take an order of a page of another site (Origin)",
    "wire.web.tls_versions": "list of str: versions of TLS on the ports that speak HTTPS",
    "wire.web.weak_suites": "list of str: suites of HTTPS without forward secrecy or authenticated encryption",
    "wire.web.certificates_ending": "list of str: address:port of HTTPS whose certificate has fewer than 30 days left "
    "by this machine's clock, with its last day",
    "wire.box.mappings": "list of str: ports of the internet box of this network that lead to the host",
    "wire.box.opens_ports": "list of str: ways by which any machine here may have the internet box open a port",
    "wire.box.unread": "list of str: why a box that opens ports could not be asked which it has opened",
    "wire.device.dicom": "list of str: ports of a device that answer a stranger in DICOM, or are DICOM's and open",
    "wire.device.web": "list of str: ports of a device that answer HTTP in clear, or anything on a viewer's web port",
    "wire.device.remote_control": "list of str: ports by which a device is controlled from afar, and what answers",
    "wire.device.file_shares": "list of str: ports by which a device shares files, and what answers",
    "wire.ssh.ports": "list of str: address:port that send an SSH banner",
    "wire.ssh.password_offered": "list of str: address:port that offer SSH by password or keyboard-interactive",
}
