"""Why a certificate was refused: libvirt itself says only that it was."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

TLS_PORT = 16514
SECONDS = 4.0


def what_is_wrong_with_its_certificate(uri: str) -> str:
    """Look at the certificate of the libvirtd at this address with other eyes; empty where they see nothing wrong."""
    parts = urlsplit(uri)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(_authority(parts.query))
        with (
            socket.create_connection((parts.hostname or "", parts.port or TLS_PORT), SECONDS) as door,
            context.wrap_socket(door, server_hostname=parts.hostname),
        ):
            return ""
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except OSError:
        return ""


def _authority(query: str) -> Path:
    """Return whom libvirt trusts when it opens such a URI."""
    (directory,) = parse_qs(query).get("pkipath", [""])[:1]
    return Path(directory, "cacert.pem") if directory else Path("/etc/pki/CA/cacert.pem")
