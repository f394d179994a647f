"""What stands before every page: limits on what is sent, names it answers to, headers that tie browsers down."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES: Final = 2**20  # of a body; a policy is the largest thing that anybody sends
SECONDS_FOR_A_BODY = 15.0
PROBLEM: Final = "application/problem+json"

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with `no-referrer` browsers hide from us, too, where a form comes from
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class TooLarge(HTTPException):
    """More was sent than anybody needs to."""

    def __init__(self) -> None:
        super().__init__(413, f"a body may have {MOST_BYTES} bytes", {"Connection": "close"})


class TooSlow(HTTPException):
    """What was announced did not come."""

    def __init__(self) -> None:
        super().__init__(408, "the rest of the body did not come", {"Connection": "close"})


class Guard:
    """Refuses foreign names, large bodies and slow ones, and adds the headers that every answer carries."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str], is_tls: bool):
        self._app, self._hosts, self._is_tls = app, hosts, is_tls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        guarded = self._with_headers(scope, send)
        if _name_of(headers.get("host", "")) not in self._hosts:
            # A page of others whose name was made to point at this machine would otherwise speak for its visitor.
            await _problem(421, "this is not the name of this server: see BALANCER_WEB_HOSTS")(scope, receive, guarded)
            return
        announced = headers.get("content-length", "0")
        if not announced.isdigit() or int(announced) > MOST_BYTES:
            await _problem(413, f"a body may have {MOST_BYTES} bytes")(scope, receive, guarded)
            return
        await self._answered(scope, receive, guarded)

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def watched(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, _Bounded(receive, SECONDS_FOR_A_BODY), watched)
        except Exception:
            if not has_begun:  # what was answered was logged by who answered it
                raise

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        is_asset = scope["path"].startswith("/static/")

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "max-age=3600" if is_asset else "no-store")
                if self._is_tls:
                    headers.setdefault("Strict-Transport-Security", "max-age=31536000")
            await send(message)

        return sending


class _Bounded:
    """Receives a body that is neither too large nor too slow."""

    def __init__(self, receive: Receive, seconds: float) -> None:
        self._receive, self._seconds = receive, seconds
        self._bytes, self._is_read = 0, False

    async def __call__(self) -> Message:
        if self._is_read:
            return await self._receive()  # waits for the end of the connection, as long as that takes
        try:
            message = await asyncio.wait_for(self._receive(), self._seconds)
        except TimeoutError:
            raise TooSlow() from None
        self._bytes += len(message.get("body", b""))
        if self._bytes > MOST_BYTES:
            raise TooLarge()
        self._is_read = not message.get("more_body", False)
        return message


def _name_of(host: str) -> str:
    """Return the name of a Host header without its port."""
    name = host.rpartition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
    return name.lower()


def _problem(status: int, detail: str) -> JSONResponse:
    facts = {"type": "about:blank", "title": detail.partition(":")[0], "status": status, "detail": detail}
    return JSONResponse(facts, status, headers={"Connection": "close"}, media_type=PROBLEM)
