"""`python -I wire.py TEXT` listens on the lab's switch and says for each of its ports what went over it, once a line.

    hv2 12345678 3        bytes that were heard on the port, and how often TEXT was among them

It ends when its standard input does. What a migration sends is memory, so the console's words are in it unless it is
encrypted or compressed.
"""

from __future__ import annotations

import select
import socket
import sys
from collections import Counter

EVERY_PROTOCOL = 3
A_PACKET = 1 << 17  # hosts of the lab hand each other segments far larger than a wire would take


def listen(text: bytes) -> tuple[Counter[str], Counter[str]]:
    heard, found = Counter[str](), Counter[str]()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERY_PROTOCOL)) as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 26)
        while True:
            ready, _, _ = select.select([wire, sys.stdin], [], [])
            if sys.stdin in ready:
                return heard, found
            packet, (port, *_) = wire.recvfrom(A_PACKET)
            heard[port] += len(packet)
            found[port] += packet.count(text)


if __name__ == "__main__":
    heard, found = listen(sys.argv[1].encode())
    print("\n".join(f"{port} {heard[port]} {found[port]}" for port in heard))
