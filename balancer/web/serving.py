"""Serves pages and API from a thread of its own, beside the loop: what fails here stops nothing there."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from balancer.errors import Fault, InputError
from balancer.settings import WebSettings
from balancer.web.app import make_app
from balancer.web.door import Door

log = structlog.get_logger()

MOST_CONNECTIONS = 256
SECONDS_FOR_HEADERS = 10.0
SECONDS_TO_STOP = 5.0
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True)
class Address:
    """Where pages are listened for."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def in_a_url(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address_of(settings: WebSettings) -> Address:
    """Read where to listen. InputError says what is wrong with it."""
    host, _, port = settings.listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        place = "BALANCER_WEB_LISTEN"
        raise InputError([Fault(place, f"{settings.listen!r} is no address:port", "127.0.0.1:8230, or off")])
    return Address(host.strip("[]"), int(port))


def refuse_what_is_unsafe(settings: WebSettings, address: Address, is_open_to_all: bool) -> None:
    """Refuse to serve so that anybody on the network could act, or could read tokens on their way."""
    if is_open_to_all and not address.is_loopback:
        what = f"pages without a login on {address.in_a_url}, which is no loopback address"
        raise InputError([Fault("BALANCER_WEB_AUTH", what, "tokens, and `balancer token add`")])
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        raise InputError([Fault("BALANCER_WEB_TLS_KEY", "certificate and key come together", "name both")])
    if not (address.is_loopback or settings.tls_certificate or settings.behind_tls):
        what = f"tokens would go over the network in the clear to {address.in_a_url}"
        way_out = "name certificate and key, or say BALANCER_WEB_BEHIND_TLS=true where a proxy speaks TLS"
        raise InputError([Fault("BALANCER_WEB_TLS_CERTIFICATE", what, way_out)])


def names_of(settings: WebSettings, address: Address) -> frozenset[str]:
    """Return the names in whose name browsers may ask."""
    named = {name.strip().lower() for name in settings.hosts.split(",") if name.strip()}
    own = {f"[{address.host}]" if ":" in address.host else address.host.lower()}
    return LOOPBACK_NAMES | named | own


@contextmanager
def serving(door: Door, address: Address) -> Iterator[str]:
    """Serve a site for as long as the block runs; yields the URL. OSError where the address is taken."""
    settings = door.settings
    refuse_what_is_unsafe(settings, address, door.is_open_to_all)
    is_tls = bool(settings.tls_certificate) or settings.behind_tls
    listening = _listen(address)
    port = listening.getsockname()[1]
    config = uvicorn.Config(
        make_app(door, names_of(settings, address), is_tls),
        http=_Patient,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # who is asked by whom decides who is let in: no header may change that
        ws="none",
        lifespan="off",
        timeout_keep_alive=20,
        timeout_graceful_shutdown=3,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )
    server = _Server(config)
    thread = threading.Thread(target=_serve, args=(server, listening), name="web", daemon=True)
    thread.start()
    try:
        scheme = "https" if settings.tls_certificate else "http"
        yield f"{scheme}://{Address(address.host, port).in_a_url}"
    finally:
        door.closes.set()
        server.should_exit = True
        thread.join(SECONDS_TO_STOP)
        listening.close()


def _listen(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address.host, address.port))
        listening.listen(128)
    except OSError:
        listening.close()
        raise
    return listening


def _serve(server: uvicorn.Server, listening: socket.socket) -> None:
    try:
        server.run(sockets=[listening])
    except Exception:
        log.exception("the pages are served no longer, by a fault of the balancer's own; it balances on")


class _Server(uvicorn.Server):
    """A server in a thread: signals are the service's."""

    def capture_signals(self) -> Any:
        return _nothing()


@contextmanager
def _nothing() -> Iterator[None]:
    yield


class _Patient(H11Protocol):
    """Hangs up on who connects and says nothing; where the house is full, on who has said nothing for longest."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._silent_since = asyncio.get_running_loop().time()
        if len(self.connections) > MOST_CONNECTIONS:
            # The newcomer may be a person; who is slow on purpose has not said a whole request for long.
            others = [each for each in self.connections if isinstance(each, _Patient) and each._may_be_left]
            min(others, key=lambda each: each._silent_since).transport.close()
        self._hang_up_on_silence(False)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._silent_since = asyncio.get_running_loop().time()

    @property
    def _may_be_left(self) -> bool:
        waits_for_us = self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body
        return not waits_for_us and not self.transport.is_closing()

    def _hang_up_on_silence(self, was_silent: bool) -> None:
        """Close a connection on which no whole request has come from one look to the next."""
        if self.transport.is_closing():
            return
        between = self.cycle is not None and self.cycle.response_complete and self.timeout_keep_alive_task is not None
        is_silent = (self.cycle is None or self.cycle.response_complete) and not between
        if is_silent and was_silent:
            self.transport.close()
            return
        asyncio.get_running_loop().call_later(SECONDS_FOR_HEADERS / 2, self._hang_up_on_silence, is_silent)
