"""News as it happens, by server-sent events: a cycle has ended, plans are on their way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from balancer.web import answers
from balancer.web.door import Door

SECONDS_BETWEEN = 1.0
SECONDS_OPEN = 600.0  # a browser comes back by itself, and is then asked again who it is
MOST_OPEN = 40
SECONDS_OF_SILENCE = 15.0  # a line that says nothing: proxies close what is silent for long

_open = threading.BoundedSemaphore(MOST_OPEN)


def stream(door: Door, draw_runs: Callable[[list[dict[str, Any]]], str]) -> Response:
    """Tell a browser what is new, as long as it listens; 503 where too many listen."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return _Counted(_news(door, draw_runs), media_type="text/event-stream", headers=headers)


class _Counted(StreamingResponse):
    """News for one of the browsers that may listen.

    Its place is given back here, and not by the news themselves: those are never begun for who has left already.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _open.acquire(blocking=False):
            full = "too many pages are open; this one is not live"
            await PlainTextResponse(full, 503, headers={"Retry-After": "60"})(scope, receive, send)
            return
        try:
            await super().__call__(scope, receive, send)
        finally:
            _open.release()


async def _news(door: Door, draw_runs: Callable[[list[dict[str, Any]]], str]) -> AsyncIterator[str]:
    seen, drawn, silent = door.board.latest, "", 0.0
    yield "retry: 3000\n\n"
    for _ in range(int(SECONDS_OPEN / SECONDS_BETWEEN)):
        if door.closes.is_set():
            return
        silent += SECONDS_BETWEEN
        latest, runs = door.board.latest, draw_runs(answers.runs(door))
        if runs != drawn:
            drawn, silent = runs, 0.0
            yield _event("runs", runs)
        if latest is not seen and latest is not None:
            seen, silent = latest, 0.0
            yield _event("cycle", latest.cycle.sentence)
        if silent >= SECONDS_OF_SILENCE:
            silent = 0.0
            yield ": still here\n\n"
        await asyncio.sleep(SECONDS_BETWEEN)


def _event(name: str, data: str) -> str:
    lines = "".join(f"data: {line}\n" for line in data.splitlines() or [""])
    return f"event: {name}\n{lines}\n"
