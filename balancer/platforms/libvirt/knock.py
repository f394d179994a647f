"""Whether anybody lives behind a door, asked before libvirt goes in.

libvirt has no deadline for opening a connection: a hypervisor whose kernel takes the call while its libvirtd stands
still holds the caller for ever, since the keepalive begins only when the door is open. So the first word is ours.
"""

from __future__ import annotations

import socket
import ssl
import struct
from urllib.parse import urlsplit

DEFAULT_PORTS = {"tcp": 16509, "tls": 16514}
KNOCK_SECONDS = 4.0

# The first call that each client makes: "which authentication do you want?" (remote_protocol.x: program 0x20008086,
# version 1, procedure 66 AUTH_LIST, a call, serial 0, status ok), its own length in front.
WHICH_AUTHENTICATION = struct.pack(">7I", 28, 0x20008086, 1, 66, 0, 0, 0)


def knock(uri: str, seconds: float = KNOCK_SECONDS) -> None:
    """Raise OSError in words unless a libvirtd answers at this address; other transports than TCP and TLS just pass."""
    parts = urlsplit(uri)
    transport = parts.scheme.partition("+")[2] or ("tls" if parts.hostname else "")
    if transport not in DEFAULT_PORTS or parts.hostname is None:
        return
    with socket.create_connection((parts.hostname, parts.port or DEFAULT_PORTS[transport]), seconds) as door:
        door.settimeout(seconds)
        door.sendall(_first_words_of_tls(parts.hostname) if transport == "tls" else WHICH_AUTHENTICATION)
        try:
            answer = door.recv(4)
        except TimeoutError:
            raise TimeoutError("its libvirtd takes the connection and does not answer") from None
    if not answer:
        raise ConnectionError("its libvirtd hangs up at once")


def _first_words_of_tls(hostname: str) -> bytes:
    """A client hello: that it is answered is all we want to know, so nobody's certificate is looked at."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    said, heard = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(heard, said, server_hostname=hostname).do_handshake()
    except ssl.SSLWantReadError:
        return said.read()
    raise AssertionError("a TLS handshake cannot end before the other side was heard")
