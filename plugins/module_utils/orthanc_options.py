# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The top-level keys that each version of Orthanc knows; it ignores every other one in silence.

Read from what `Orthanc --config=FILE` writes (1.10.1 and 1.12.7) and from the release notes.
"""

from __future__ import annotations

import difflib
import re
from typing import Any

_SINCE_1_10_1 = """
    AcceptedTransferSyntaxes AuthenticationEnabled BuiltinDecoderTranscoderOrder CaseSensitivePN CheckRevisions
    ConcurrentJobs DatabaseServerIdentifier DefaultEncoding DefaultPrivateCreator DeflatedTransferSyntaxAccepted
    DeidentifyLogs DeidentifyLogsDicomVersion DicomAet DicomAlwaysAllowEcho DicomAlwaysAllowFind
    DicomAlwaysAllowFindWorklist DicomAlwaysAllowGet DicomAlwaysAllowMove DicomAlwaysAllowStore
    DicomAssociationCloseDelay DicomCheckCalledAet DicomCheckModalityHost DicomEchoChecksFind
    DicomLossyTranscodingQuality DicomModalities DicomModalitiesInDatabase DicomPort DicomScpTimeout
    DicomScuPreferredTransferSyntax DicomScuTimeout DicomServerEnabled DicomThreadsCount DicomTlsCertificate
    DicomTlsEnabled DicomTlsPrivateKey DicomTlsRemoteCertificateRequired DicomTlsTrustedCertificates Dictionary
    ExecuteLuaEnabled ExternalDictionaries H265TransferSyntaxAccepted HttpCompressionEnabled HttpDescribeErrors
    HttpPort HttpProxy HttpRequestTimeout HttpServerEnabled HttpThreadsCount HttpTimeout HttpVerbose
    HttpsCACertificates HttpsVerifyPeers IndexDirectory IngestTranscoding IngestTranscodingOfCompressed
    IngestTranscodingOfUncompressed JobsHistorySize Jpeg2000TransferSyntaxAccepted JpegLSTransferSyntaxAccepted
    JpegLosslessTransferSyntaxAccepted JpegTransferSyntaxAccepted JpipTransferSyntaxAccepted KeepAlive
    LimitFindInstances LimitFindResults LoadPrivateDictionary Locale LogExportedResources LuaScripts MallocArenaMax
    MaximumPatientCount MaximumPduLength MaximumStorageCacheSize MaximumStorageSize MediaArchiveSize MetricsEnabled
    Mpeg2TransferSyntaxAccepted Mpeg4TransferSyntaxAccepted Name OrthancExplorerEnabled OrthancPeers
    OrthancPeersInDatabase OverwriteInstances Pkcs11 Plugins QueryRetrieveSize RegisteredUsers RemoteAccessAllowed
    RestApiWriteToFileSystemEnabled RleTransferSyntaxAccepted SaveJobs SslCertificate SslCiphersAccepted SslEnabled
    SslMinimumProtocolVersion SslTrustedClientCertificates SslVerifyPeers StableAge StorageAccessOnFind
    StorageCommitmentReportsSize StorageCompression StorageDirectory StoreDicom StoreMD5ForAttachments
    StrictAetComparison SyncStorageArea SynchronousCMove SynchronousZipStream TcpNoDelay TemporaryDirectory
    TranscodeDicomProtocol UnknownSopClassAccepted UserContentType UserMetadata WebDavDeleteAllowed WebDavEnabled
    WebDavUploadAllowed ZipLoaderThreads
"""
SINCE_1_10_1 = frozenset(_SINCE_1_10_1.split())

_OF_PLUGINS = """
    AdvancedStorage Authorization AwsS3Storage AzureBlobStorage DelayedDeletion DicomWeb Gdcm GoogleCloudPlatform
    GoogleCloudStorage Housekeeper IndexConnectionsCount MongoDB MultitenantDicom MySQL Neuroimaging Odbc OHIF
    OrthancExplorer2 PostgreSQL Python PythonScript PythonVerbose ServeFolders StoneWebViewer Tcia Transfers VolView
    WebViewer WholeSlideImaging Worklists WSI
"""
OF_PLUGINS = frozenset(_OF_PLUGINS.split())
"""Sections that plugins read; the server passes them on unread. One that stores images finds none without its own."""

LATER = {
    "AcceptedSopClasses": "1.12.6",
    "DicomDefaultRetrieveMethod": "1.12.6",
    "DicomTlsCiphersAccepted": "1.12.4",
    "DicomTlsMinimumProtocolVersion": "1.12.4",
    "ExtraMainDicomTags": "1.11.0",
    "HttpBindAddresses": "1.12.10",
    "JobsEngineThreadsCount": "1.11.3",
    "KeepAliveTimeout": "1.11.3",
    "LuaHeartBeatPeriod": "1.11.0",
    "MaximumConcurrentDcmtkTranscoders": "1.11.1",
    "MaximumFileSizeInArchiveMB": "1.12.11",
    "MaximumRequestBodySizeMB": "1.12.11",
    "MaximumStorageMode": "1.11.2",
    "ReadOnly": "1.12.5",
    "RejectedSopClasses": "1.12.6",
    "Warnings": "1.11.0",
}
"""Key to the first version that knows it."""

DEFAULTS: dict[str, Any] = {
    "AuthenticationEnabled": False,
    "DeidentifyLogs": True,
    "DicomAet": "ORTHANC",
    "DicomAlwaysAllowEcho": True,
    "DicomAlwaysAllowFind": False,
    "DicomAlwaysAllowFindWorklist": False,
    "DicomAlwaysAllowGet": False,
    "DicomAlwaysAllowMove": False,
    "DicomAlwaysAllowStore": True,
    "DicomCheckCalledAet": False,
    "DicomCheckModalityHost": False,
    "DicomModalities": {},
    "DicomModalitiesInDatabase": False,
    "DicomPort": 4242,
    "DicomTlsEnabled": False,
    "DicomTlsRemoteCertificateRequired": True,
    "ExecuteLuaEnabled": False,
    "HttpDescribeErrors": True,
    "HttpPort": 8042,
    "HttpsCACertificates": "",
    "HttpsVerifyPeers": True,
    "LimitFindInstances": 0,
    "LimitFindResults": 0,
    "MaximumPatientCount": 0,
    "MaximumStorageSize": 0,
    "OrthancPeersInDatabase": False,
    "OverwriteInstances": False,
    "RemoteAccessAllowed": False,
    "RestApiWriteToFileSystemEnabled": False,
    "SslEnabled": False,
    "StrictAetComparison": False,
    "WebDavEnabled": True,
}
"""What 1.10.1 to 1.12.7 take where the key is absent."""


PROVEN = {"1.10.1": "12", "1.12.7": "13"}
"""Version whose settings were measured -> the Debian release that has it. Others are audited, not configured."""


def number(version: str) -> tuple[int, ...]:
    """Return a version as figures that compare: "1.12.7+dfsg-4" gives (1, 12, 7)."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def known(version: str) -> frozenset[str]:
    """Return the keys that this version knows, the plugins' sections included."""
    later = {key for key, since in LATER.items() if number(since) <= number(version)}
    return SINCE_1_10_1 | OF_PLUGINS | later


def nearest(key: str, version: str) -> str:
    """Return the known key that is spelt most alike, or nothing."""
    lower = {word.lower(): word for word in known(version)}
    found = difflib.get_close_matches(key.lower(), lower, 1, 0.6)
    return lower[found[0]] if found else ""
