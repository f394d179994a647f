"""Wake-on-LAN: a packet that a sleeping network card knows as its own."""

from __future__ import annotations

import socket

from balancer.errors import PowerError

DISCARD_PORT = 9  # where nobody listens; the card looks at the frame, not at the port
TIMES = 3  # it travels by UDP and nobody confirms it


def send_magic_packet(host: str, mac: str, broadcast: str, port: int = DISCARD_PORT) -> None:
    """Send six bytes 255 and the card's address sixteen times (AMD, Magic Packet Technology, 1995)."""
    packet = b"\xff" * 6 + bytes.fromhex(mac.replace(":", "").replace("-", "")) * 16
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            for _ in range(TIMES):
                line.sendto(packet, (broadcast, port))
    except OSError as failed:
        cause = f"the packet to {broadcast} could not be sent ({(failed.strerror or str(failed)).lower()})"
        raise PowerError(host, "waking it over the LAN", cause, "correct `broadcast:` in the site file") from failed
