"""Who comes in: by a token, by the session that was opened with one, or by the word of a proxy that is trusted."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from balancer.errors import Fault, InputError
from balancer.settings import WebSettings
from balancer.store import Store
from balancer.store.tokens import Role

SESSION_COOKIE: Final = "balancer_session"
VISIT_COOKIE: Final = "balancer_visit"  # where nobody logs in, it still tells a page of ours from one of others
CSRF_FIELD, CSRF_HEADER = "csrf", "X-CSRF-Token"
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
TRIES, WITHIN_SECONDS = 5, 60.0
ADDRESSES_REMEMBERED = 10_000
TRIES_OF_ALL = 100  # from however many addresses


class Unknown(Exception):
    """Nobody knows who this is; they may log in."""


class Forbidden(Exception):
    """They are known, and may not do this; or it does not come from a page of ours."""


class TooManyTries(Exception):
    """Wrong tokens came from there too often within a minute."""


@dataclass(frozen=True)
class Visitor:
    """Somebody who was let in. cookie: the secret of their session, where a browser sent it by itself."""

    name: str
    role: Role
    cookie: str | None = None

    def may(self, role: Role) -> bool:
        return self.role.includes(role)

    @property
    def csrf(self) -> str:
        """What forms of our own pages carry: only who knows the cookie can know it."""
        return csrf_of(self.cookie) if self.cookie else ""


def csrf_of(cookie: str) -> str:
    return hashlib.sha256(f"csrf {cookie}".encode()).hexdigest()


class Tries:
    """Counts wrong tokens by address, so that nobody can guess at leisure."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._now, self._lock = monotonic, threading.Lock()
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()
        self._of_all: deque[float] = deque(maxlen=TRIES_OF_ALL)

    def refuse_too_many(self, address: str) -> None:
        """Raise TooManyTries where this address, or all together, have failed too often of late."""
        with self._lock:
            since = self._now() - WITHIN_SECONDS
            mine = [at for at in self._failed.get(address, ()) if at > since]
            is_crowd = len(self._of_all) == TRIES_OF_ALL and self._of_all[0] > since
        if len(mine) >= TRIES or is_crowd:
            raise TooManyTries

    def failed(self, address: str) -> None:
        """Remember a wrong token."""
        with self._lock:
            self._of_all.append(self._now())
            self._failed.setdefault(address, deque(maxlen=TRIES)).append(self._now())
            self._failed.move_to_end(address)
            while len(self._failed) > ADDRESSES_REMEMBERED:
                self._failed.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """Forget the wrong tokens of an address."""
        with self._lock:
            self._failed.pop(address, None)


class Doorkeeper:
    """Says who a request comes from."""

    def __init__(self, store: Store, settings: WebSettings, is_open_to_all: bool) -> None:
        self._store, self._settings, self._is_open_to_all = store, settings, is_open_to_all
        self.tries = Tries()
        self.proxies = networks_of(settings.proxy_addresses)
        self.roles = roles_of(settings.proxy_roles)

    def visitor(self, request: HTTPConnection, now: datetime) -> Visitor:
        """Return who it is. Unknown, Forbidden or TooManyTries where nobody is to be let in."""
        if self._is_open_to_all:
            return Visitor("somebody at this machine", Role.ADMIN, request.cookies.get(VISIT_COOKIE))
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._of_token(secret.strip(), request, now)
        if scheme:
            raise Unknown
        if self.proxies and self._settings.proxy_user_header in request.headers:
            return self._of_proxy(request)
        return self._of_session(request.cookies.get(SESSION_COOKIE, ""), now)

    def _of_token(self, secret: str, request: HTTPConnection, now: datetime) -> Visitor:
        address = address_of(request)
        self.tries.refuse_too_many(address)
        token = self._store.tokens.whose(secret, now)
        if token is None:
            self.tries.failed(address)
            raise Unknown
        return Visitor(token.name, token.role)

    def _of_session(self, cookie: str, now: datetime) -> Visitor:
        token = self._store.tokens.of_session(cookie, now) if cookie else None
        if token is None:
            raise Unknown
        return Visitor(token.name, token.role, cookie)

    def _of_proxy(self, request: HTTPConnection) -> Visitor:
        """Believe a listed proxy; from anywhere else its header is a forgery."""
        if not _is_within(address_of(request), self.proxies):
            raise Forbidden(f"{address_of(request)} is no proxy whose word counts (BALANCER_WEB_PROXY_ADDRESSES)")
        name = request.headers[self._settings.proxy_user_header].strip()
        groups = {group.strip() for group in request.headers.get(self._settings.proxy_groups_header, "").split(",")}
        given = [role for group, role in self.roles.items() if group in groups]
        if self._settings.proxy_role != "none":
            given.append(Role(self._settings.proxy_role))
        if not name or not given:
            raise Forbidden("the proxy names nobody who has a role here")
        # The proxy's own cookie logs the person in, so a page of others could use it: forms are tied to one of ours.
        return Visitor(name[:200], max(given, key=list(Role).index), request.cookies.get(VISIT_COOKIE, ""))

    def log_in(self, secret: str, request: HTTPConnection, now: datetime, until: datetime) -> str:
        """Open a session with a token; returns what the cookie is to say."""
        visitor = self._of_token(secret, request, now)
        self.tries.succeeded(address_of(request))
        return self._store.tokens.open_session(visitor.name, now, until)


def refuse_forgeries(request: HTTPConnection, method: str, visitor: Visitor, shown: str) -> None:
    """Refuse what a page of somebody else makes a browser send. A token in a header comes from no browser by itself."""
    if method in SAFE or (visitor.cookie is None and request.headers.get("authorization")):
        return
    refuse_other_origins(request)
    if not visitor.cookie or not hmac.compare_digest(csrf_of(visitor.cookie).encode(), shown.encode()):
        raise Forbidden("this form is not from a page of ours, or from one of before the login: load the page again")


def refuse_other_origins(request: HTTPConnection) -> None:
    """Refuse what browsers themselves say comes from another site."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise Forbidden("it comes from a page of another site")
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise Forbidden("it comes from a page of another site")


def new_visit() -> str:
    return secrets.token_urlsafe(32)


def address_of(request: HTTPConnection) -> str:
    return request.client.host if request.client else ""


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks_of(said: str) -> tuple[Network, ...]:
    """Read addresses and networks; InputError names the one that is none."""
    return tuple(_network(each) for each in _listed(said))


def _network(said: str) -> Network:
    try:
        return ipaddress.ip_network(said)
    except ValueError as wrong:
        raise InputError(
            [Fault("BALANCER_WEB_PROXY_ADDRESSES", f"{said!r}: {wrong}", "10.0.0.5, 10.1.0.0/24")]
        ) from None


def roles_of(said: str) -> dict[str, Role]:
    """Read roles by group; InputError names what is neither."""
    roles = {}
    for each in _listed(said):
        group, _, role = each.partition("=")
        if role not in set(Role):
            known = ", ".join(Role)
            raise InputError(
                [Fault("BALANCER_WEB_PROXY_ROLES", f"{each!r} names no role", f"GROUP=ROLE; roles: {known}")]
            )
        roles[group.strip()] = Role(role)
    return roles


def _listed(said: str) -> Iterable[str]:
    return (each.strip() for each in said.split(",") if each.strip())


def _is_within(address: str, networks: Iterable[Network]) -> bool:
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(known in network for network in networks)
