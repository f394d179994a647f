"""The application: pages and API of one site behind one guard."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import cast
from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from balancer import __version__
from balancer.actions import NotThere, TooLate
from balancer.errors import BalancerError, InputError
from balancer.web import api, forms, metrics, pages
from balancer.web.door import Busy, Door, NotYet
from balancer.web.guarding import PROBLEM, Guard
from balancer.web.identity import Doorkeeper, Forbidden, TooManyTries, Unknown
from balancer.web.looks import STATIC, Looks
from balancer.web.metrics import METRICS_PATH

log = structlog.get_logger()

STATUS_OF: tuple[tuple[type[Exception], int], ...] = (
    (Unknown, 401),
    (Forbidden, 403),
    (TooManyTries, 429),
    (api.NotAsBefore, 412),
    (NotThere, 404),
    (TooLate, 409),
    (InputError, 422),
    (NotYet, 503),
    (Busy, 503),
    (BalancerError, 502),
)
"""What an exception is called in numbers: the first that fits."""

SAID = {
    401: "Show a token: log in, or send it as `Authorization: Bearer ...`.",
    429: "Too many wrong tokens came from there: wait a minute.",
}


def make_app(door: Door, hosts: frozenset[str], is_tls: bool = False) -> ASGIApp:
    """Return the application of a site, which answers to these names."""
    app = FastAPI(
        title="balancer",
        version=__version__,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # that page fetches its scripts from elsewhere
        redoc_url=None,
        generate_unique_id_function=_id_of,
    )
    looks = Looks(door, is_secure=is_tls)
    app.state.doorkeeper = Doorkeeper(door.store, door.settings, door.is_open_to_all)
    app.include_router(api.router(door))
    app.include_router(pages.router(door, looks))
    app.include_router(forms.router(door, looks))
    app.include_router(metrics.router(door))
    app.mount(
        "/static", StaticFiles(directory=STATIC, packages=[("balancer.reporting.pages", "static")]), name="static"
    )
    _answer_failures(app, looks)
    return cast(ASGIApp, Guard(app, hosts, is_tls))


def _id_of(route: APIRoute) -> str:
    return route.name


def _answer_failures(app: FastAPI, looks: Looks) -> None:
    def answer(status: int, request: Request, said: str) -> Response:
        if request.url.path.startswith(("/api/", METRICS_PATH)):
            facts = {"type": "about:blank", "title": said.partition(":")[0][:120], "status": status, "detail": said}
            return JSONResponse(facts, status, headers=_headers(status), media_type=PROBLEM)
        if status == 401 and request.method == "GET" and not request.headers.get("hx-request"):
            return RedirectResponse(f"/login?next={quote(request.url.path)}", 303)
        failure = looks.failure(request, status, said)
        failure.headers.update(_headers(status))
        return failure

    async def expected(request: Request, failed: Exception) -> Response:
        status = next(number for kind, number in STATUS_OF if isinstance(failed, kind))
        return answer(status, request, SAID.get(status) or str(failed))

    async def http(request: Request, failed: Exception) -> Response:
        assert isinstance(failed, HTTPException)
        said = "There is no such page." if failed.status_code == 404 else str(failed.detail)
        given = answer(failed.status_code, request, said)
        given.headers.update(failed.headers or {})
        return given

    async def invalid(request: Request, failed: Exception) -> Response:
        assert isinstance(failed, RequestValidationError)
        said = "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in failed.errors()[:10])
        return answer(422, request, said)

    async def gone(request: Request, failed: Exception) -> Response:
        return answer(400, request, "The rest of the body did not come.")  # which nobody reads any more

    async def unexpected(request: Request, failed: Exception) -> Response:
        log.error("a page failed by a fault of the balancer's own", path=request.url.path, exc_info=failed)
        return answer(500, request, "This is a fault of the balancer's own; its log has the rest.")

    for kind, _ in STATUS_OF:
        app.add_exception_handler(kind, cast(Handler, expected))
    app.add_exception_handler(ClientDisconnect, cast(Handler, gone))
    app.add_exception_handler(HTTPException, cast(Handler, http))
    app.add_exception_handler(RequestValidationError, cast(Handler, invalid))
    app.add_exception_handler(Exception, cast(Handler, unexpected))


Handler = Callable[[Request, Exception], Awaitable[Response]]


def _headers(status: int) -> dict[str, str]:
    if status == 401:
        return {"WWW-Authenticate": 'Bearer realm="balancer"'}
    return {"Retry-After": "60"} if status == 429 else {"Retry-After": "5"} if status == 503 else {}


logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
