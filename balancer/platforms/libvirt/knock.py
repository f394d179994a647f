"""Whether anybody lives behind a door, asked before libvirt goes in.

libvirt has no deadline for opening a connection: a hypervisor whose kernel takes the call while its libvirtd stands
still holds the caller for ever, since the keepalive begins only when the door is open. So the first word is ours.
"""

from __future__ import annotations

import socket
import ssl
import struct
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, urlsplit

DEFAULT_PORTS = {"tcp": 16509, "tls": 16514}
DEFAULT_SOCKETS = (Path("/run/libvirt/virtqemud-sock"), Path("/run/libvirt/libvirt-sock"))
KNOCK_SECONDS = 4.0

# The first call that each client makes: "which authentication do you want?" (remote_protocol.x: program 0x20008086,
# version 1, procedure 66 AUTH_LIST, a call, serial 0, status ok), its own length in front.
WHICH_AUTHENTICATION = struct.pack(">7I", 28, 0x20008086, 1, 66, 0, 0, 0)


def knock(uri: str, seconds: float = KNOCK_SECONDS) -> None:
    """Raise OSError in words unless a libvirtd answers at this address. Who comes by SSH just passes: ssh has a
    configuration of its own, by which the address may be another."""
    parts = urlsplit(uri)
    transport = parts.scheme.partition("+")[2] or ("tls" if parts.hostname else "unix")
    door = _door(parts, transport, seconds)
    if door is None:
        return
    with door:
        door.sendall(_first_words_of_tls(str(parts.hostname)) if transport == "tls" else WHICH_AUTHENTICATION)
        try:
            answer = door.recv(4)
        except TimeoutError:
            raise TimeoutError("its libvirtd takes the connection and does not answer") from None
    if not answer:
        raise ConnectionError("its libvirtd hangs up at once")


def _door(parts: SplitResult, transport: str, seconds: float) -> socket.socket | None:
    """Open a line to where libvirt would go; None where only libvirt knows."""
    if transport in DEFAULT_PORTS and parts.hostname is not None:
        return socket.create_connection((parts.hostname, parts.port or DEFAULT_PORTS[transport]), seconds)
    path = _socket_path(parts) if transport == "unix" else None
    if path is None:
        return None
    door = socket.socket(socket.AF_UNIX)
    door.settimeout(seconds)
    try:
        door.connect(str(path))
    except OSError:
        door.close()
        raise
    return door


def _socket_path(parts: SplitResult) -> Path | None:
    """Return the socket that the URI names, or else the system's own where there is one."""
    (named,) = parse_qs(parts.query).get("socket", [""])[:1]
    if named:
        return Path(named)
    system = parts.scheme.startswith("qemu") and parts.path == "/system"
    return next((path for path in DEFAULT_SOCKETS if path.exists()), None) if system else None


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
