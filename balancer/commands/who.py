"""Who gives a command."""

from __future__ import annotations

import getpass
import socket


def who() -> str:
    """Return the person at this terminal, as the audit names them."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):  # a container's user often has no name
        return f"somebody@{socket.gethostname()}"
