"""Whether a host shows signs of life on the network, for hosts whose power nobody can be asked about."""

from __future__ import annotations

import socket
import time

KNOCKS = 3
SECONDS_A_KNOCK = 2.0


def shows_life(where: str) -> bool:
    """Knock at `host:port`; a refusal is a sign of life as good as an answer."""
    host, _, port = where.rpartition(":")
    for knock in range(KNOCKS):
        if _answers(host.strip("[]"), int(port)):
            return True
        if knock < KNOCKS - 1:
            time.sleep(SECONDS_A_KNOCK / KNOCKS)
    return False


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), SECONDS_A_KNOCK):
            return True
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
