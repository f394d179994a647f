"""The libvirt library: found late, so that all else works without it, and kept quiet and awake once it is found."""

from __future__ import annotations

import os
import threading
from contextlib import nullcontext
from typing import Any

from balancer.errors import MissingExtra
from balancer.platforms.libvirt.certificates import what_is_wrong_with_its_certificate
from balancer.platforms.libvirt.ssh import OPENING_SECONDS, asking_nobody, in_time, is_ssh

Connection = Any
Domain = Any
LibvirtError = Any
"""Values of libvirt's own classes. The library is imported at run time only, so their types cannot be written here."""

KEEPALIVE_SECONDS = 5
KEEPALIVE_COUNT = 3
"""A hypervisor that says nothing for 5 * (3 + 1) s is taken for dead, and its connection broken."""

_starting = threading.Lock()
_loop: threading.Thread | None = None


def library() -> Any:
    """Return the module `libvirt`, its event loop running."""
    # Beside raising an error it would log warnings to stderr, in the midst of what our commands say.
    os.environ.setdefault("LIBVIRT_DEBUG", "error")
    try:
        import libvirt
    except ImportError as missing:
        raise MissingExtra("the libvirt platform", "libvirt") from missing
    _start_event_loop(libvirt)
    return libvirt


def _start_event_loop(libvirt: Any) -> None:
    """Once a process and before its first connection: a connection opened earlier would never send a keepalive."""
    global _loop  # noqa: PLW0603  the library has one event loop a process
    with _starting:
        if _loop is not None:
            return
        libvirt.registerErrorHandler(_say_nothing, None)
        libvirt.virEventRegisterDefaultImpl()
        _loop = threading.Thread(target=_run_events, args=(libvirt,), name="libvirt events", daemon=True)
        _loop.start()


def _run_events(libvirt: Any) -> None:
    while True:
        libvirt.virEventRunDefaultImpl()


def _say_nothing(_context: object, _error: object) -> None:
    """Each error is raised as well; libvirt's own habit is to print it to stderr besides."""


def open_connection(uri: str) -> Connection:
    """Open a connection that notices when the other end dies. Raises libvirt's own error, or OSError in words."""
    libvirt = library()
    connection = _open(uri)
    try:
        connection.setKeepAlive(KEEPALIVE_SECONDS, KEEPALIVE_COUNT)
    except libvirt.libvirtError as unsupported:
        # A driver inside our own process (test:///) has no wire that could break.
        if unsupported.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:
            close_quietly(connection)
            raise
    return connection


def _open(uri: str) -> Connection:
    libvirt = library()
    try:
        with in_time(OPENING_SECONDS) if is_ssh(uri) else nullcontext():
            return libvirt.open(asking_nobody(uri))
    except libvirt.libvirtError as error:
        wrong = what_is_wrong_with_its_certificate(uri) if "verify peer's certificate" in str(error) else ""
        if not wrong:
            raise
        raise ConnectionError(f"its certificate is refused: {wrong}") from error


def is_alive(connection: Connection) -> bool:
    """Whether a connection can still be used, as far as this end knows."""
    try:
        return bool(connection.isAlive() == 1)
    except library().libvirtError:
        return False


def close_quietly(connection: Connection) -> None:
    """Let go of a connection that may be dead already."""
    try:
        connection.close()
    except library().libvirtError:
        return
