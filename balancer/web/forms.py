"""Forms: what people ask through pages, the same that commands ask."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import RedirectResponse, Response

from balancer.errors import Fault, InputError
from balancer.store.tokens import Role
from balancer.web import answers
from balancer.web.access import Fields, fields_of, role
from balancer.web.door import Door
from balancer.web.identity import Visitor
from balancer.web.looks import Looks

Name = Annotated[str, Path(min_length=1, max_length=256)]


def router(door: Door, looks: Looks) -> APIRouter:
    """Return what the forms of the pages lead to."""
    forms = APIRouter(include_in_schema=False)
    _, operator, admin = (Depends(role(door, each)) for each in Role)
    form = Depends(fields_of)

    @forms.post("/plans/{plan_id}/{answer}")
    def decide(
        plan_id: Name, answer: str, request: Request, visitor: Visitor = operator, fields: Fields = form
    ) -> Response:
        asking, why = door.asking(visitor), fields["why"].strip()[:1000]
        if answer == "approve":
            steps = fields.all("step")
            if fields["some"] and not steps:
                raise InputError([_fault("no step was chosen", "tick those that are to be carried out")])
            with door.thinking():
                asking.approve(plan_id, door.published, steps, why)
            return RedirectResponse("/runs", 303)
        if answer == "reject":
            asking.reject(plan_id, why)
        elif answer == "postpone":
            asking.postpone(plan_id, _minutes(fields["minutes"]), why)
        else:
            return looks.failure(request, 404, "There is no such page.")
        return RedirectResponse(f"/plans/{quote(plan_id)}", 303)

    @forms.post("/pause")
    def pause(visitor: Visitor = operator, fields: Fields = form) -> Response:
        door.asking(visitor).pause(*_why(fields))
        return RedirectResponse("/", 303)

    @forms.post("/resume")
    def resume(visitor: Visitor = operator) -> Response:
        door.asking(visitor).resume()
        return RedirectResponse("/", 303)

    @forms.post("/abort")
    def abort(visitor: Visitor = operator, fields: Fields = form) -> Response:
        door.asking(visitor).give_up(fields["guest"] or None, *_why(fields))
        return RedirectResponse("/runs", 303)

    @forms.post("/drain")
    def drain(visitor: Visitor = operator, fields: Fields = form) -> Response:
        door.asking(visitor).drain(fields["host"], *_why(fields))
        return RedirectResponse(f"/hosts/{quote(fields['host'], safe='')}", 303)

    @forms.post("/undrain")
    def undrain(visitor: Visitor = operator, fields: Fields = form) -> Response:
        door.asking(visitor).undrain(fields["host"])
        return RedirectResponse(f"/hosts/{quote(fields['host'], safe='')}", 303)

    @forms.post("/wake")
    def wake(visitor: Visitor = operator, fields: Fields = form) -> Response:
        door.asking(visitor).wake(fields["host"])
        return RedirectResponse("/power", 303)

    @forms.post("/power-test")
    def power_test(visitor: Visitor = admin, fields: Fields = form) -> Response:
        if not fields["sure"]:
            raise InputError([_fault("the shutdown was not confirmed", "tick that it may be shut down now")])
        answers.ask_power_test(door, visitor, fields["host"])
        return RedirectResponse("/power", 303)

    return forms


def _why(fields: Fields) -> list[str]:
    why = fields["why"].strip()[:1000]
    return [why] if why else []


def _minutes(said: str) -> float:
    try:
        minutes = float(said)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes <= 7 * 24 * 60:
        raise InputError([_fault(f"{said!r} is no number of minutes up to a week", "write 60")])
    return minutes


def _fault(what: str, instead: str) -> Fault:
    return Fault("the form", what, instead)
