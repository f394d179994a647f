"""Lets requests through to those who may make them."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qsl

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from balancer.store.tokens import Role
from balancer.web.door import Door
from balancer.web.identity import CSRF_FIELD, CSRF_HEADER, SAFE, Doorkeeper, Forbidden, Visitor, refuse_forgeries

MOST_FIELDS = 6000  # a step of a plan is one
FORM = "application/x-www-form-urlencoded"


class Fields:
    """What a form says; a field that is not there is empty."""

    def __init__(self, written: str) -> None:
        self._pairs = parse_qsl(written, keep_blank_values=True, max_num_fields=MOST_FIELDS)

    def __getitem__(self, name: str) -> str:
        return next((value for key, value in self._pairs if key == name), "")

    def all(self, name: str) -> list[str]:
        return [value for key, value in self._pairs if key == name]


async def fields_of(request: Request) -> Fields:
    """Read a form."""
    if not request.headers.get("content-type", "").startswith(FORM):
        return Fields("")
    try:
        return Fields((await request.body()).decode())
    except ValueError:  # no UTF-8, or more fields than any form of ours has
        return Fields("")


def role(door: Door, wanted: Role) -> Callable[[Request], object]:
    """Return what lets through who has a role: Unknown and Forbidden turn away everybody else."""

    async def visitor(request: Request) -> Visitor:
        keeper: Doorkeeper = request.app.state.doorkeeper
        found = await run_in_threadpool(keeper.visitor, request, door.wall_time)
        if request.method not in SAFE:
            shown = request.headers.get(CSRF_HEADER) or (await fields_of(request))[CSRF_FIELD]
            refuse_forgeries(request, request.method, found, shown)
        if not found.may(wanted):
            raise Forbidden(f"{found.name} is {found.role}, and this wants {wanted}")
        return found

    return visitor
