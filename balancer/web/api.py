"""The JSON API, version 1: what pages show and do, for programs."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from balancer import accounting
from balancer.actions import TooLate
from balancer.domain.plan import Plan
from balancer.errors import Fault
from balancer.reporting.pages.tiles import tile_of
from balancer.reporting.plan_files import FileFormat
from balancer.store.proposals import Proposal
from balancer.store.tokens import Role
from balancer.web import answers, past, views
from balancer.web.access import role
from balancer.web.door import Door
from balancer.web.identity import Visitor

KEYS_REMEMBERED = 1000
Name = Annotated[str, Path(min_length=1, max_length=256)]
Key = Annotated[str | None, Header(alias="Idempotency-Key", max_length=128)]
IfMatch = Annotated[str | None, Header(alias="If-Match", max_length=128)]


class NotAsBefore(Exception):
    """It is not any more what the caller has seen (If-Match)."""


class Sent(BaseModel):
    """What a caller sends; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid")


class Why(Sent):
    why: str = Field(default="", max_length=1000, description="shown to everybody who asks")


class Approval(Why):
    steps: list[Annotated[str, Field(max_length=64)]] = Field(
        default=[], max_length=5000, description="ids of the steps to carry out; none: all"
    )


class Rejection(Sent):
    why: str = Field(min_length=1, max_length=1000, description="shown to everybody who asks")


class Delay(Why):
    minutes: float = Field(default=60.0, gt=0, le=7 * 24 * 60)


class Abort(Why):
    guest: str | None = Field(default=None, max_length=256, description="whose migration to give up; absent: of all")


class Trial(Sent):
    policy: str = Field(max_length=2**20, description="the text of a policy file")


class Replies:
    """Answers by Idempotency-Key: who asks again with the same key gets the same answer, and nothing is done twice."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], tuple[str, Any]] = OrderedDict()
        self._lock = threading.RLock()

    def once(self, visitor: Visitor, key: str | None, what: str, act: Callable[[], Any]) -> Any:
        """Do it, unless it was done under this key; TooLate where the key was used for something else."""
        if key is None:
            return act()
        with self._lock:
            known = self._known.get((visitor.name, key))
            if known is None:
                known = self._known[visitor.name, key] = (what, act())
                while len(self._known) > KEYS_REMEMBERED:
                    self._known.popitem(last=False)
        if known[0] != what:
            raise TooLate([Fault("Idempotency-Key", "was used for another request", "draw a new one for each")])
        return known[1]


def tagged(request: Request, response: Response, value: Any, tag: str | None = None) -> Any:
    """Answer with an ETag, or with 304 where the caller has it already."""
    written = json.dumps(value, default=str, sort_keys=True)
    etag = f'"{tag or hashlib.sha256(written.encode()).hexdigest()[:24]}"'
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers={"ETag": etag})
    response.headers["ETag"] = etag
    return value


def refuse_unless_matching(wanted: str | None, tag: str) -> None:
    if wanted not in {None, "*", f'"{tag}"'}:
        raise NotAsBefore("it has changed since it was read: read it again")


def router(door: Door) -> APIRouter:  # noqa: PLR0915 - a list of answers, a paragraph each
    """Return the API of a site."""
    api = APIRouter(
        prefix="/api/v1",
        responses={code: {"description": "problem+json"} for code in (401, 403, 404, 409, 412, 413, 421, 429, 503)},
    )
    replies = Replies()
    viewer, operator, admin = (Depends(role(door, each)) for each in Role)

    # -- reading

    @api.get("/status", summary="What the balancer thinks and does, in a sentence and a few numbers")
    def status(request: Request, response: Response, _: Visitor = viewer) -> Any:
        return tagged(request, response, answers.status(door))

    @api.get("/snapshot", summary="The cluster as it was last seen (balancer.snapshot/1)")
    def snapshot(request: Request, response: Response, _: Visitor = viewer) -> Any:
        return tagged(request, response, plain(door.published.cycle.seen))

    @api.get("/hosts", summary="All hosts")
    def hosts(request: Request, response: Response, _: Visitor = viewer) -> Any:
        seen = door.published.cycle.seen
        tiles = [tile_of(seen, host, door.published.shares.get(host.name, ())) for host in seen.hosts]
        return tagged(request, response, [asdict(tile) for tile in tiles])

    @api.get("/hosts/{name}", summary="One host")
    def host(name: Name, request: Request, response: Response, _: Visitor = viewer) -> Any:
        return tagged(request, response, plain(answers.host(door, name)))

    @api.get("/hosts/{name}/explanation", summary="Why it is on or asleep (balancer.explanation/1)")
    def explain_host(name: Name, _: Visitor = viewer) -> Any:
        return plain(answers.why_host(door, name))

    @api.get("/hosts/{name}/history", summary="Its load in the last hours")
    def host_history(name: Name, hours: Annotated[float, Query(gt=0, le=24 * 35)] = 24, _: Visitor = viewer) -> Any:
        answers.host(door, name)
        return answers.history(door, "host", name, hours)

    @api.get("/guests", summary="Guests, page by page")
    def guests(
        words: Annotated[str, Query(max_length=200)] = "",
        sort: Annotated[str, Query(max_length=16)] = "name",
        page: Annotated[int, Query(ge=1, le=10**6)] = 1,
        _: Visitor = viewer,
    ) -> Any:
        found = views.page_of(views.find_guests(door.published, words, sort), page)
        return {
            "total": found.total,
            "page": found.number,
            "pages": found.last,
            "guests": list(map(asdict, found.rows)),
        }

    @api.get("/guests/{name}", summary="One guest")
    def guest(name: Name, request: Request, response: Response, _: Visitor = viewer) -> Any:
        return tagged(request, response, plain(answers.guest(door, name)))

    @api.get("/guests/{name}/explanation", summary="Why it is where it is, and where else it could be")
    def explain_guest(name: Name, _: Visitor = viewer) -> Any:
        return plain(answers.why_guest(door, name))

    @api.get("/guests/{name}/history", summary="Its load in the last hours")
    def guest_history(name: Name, hours: Annotated[float, Query(gt=0, le=24 * 35)] = 24, _: Visitor = viewer) -> Any:
        return answers.history(door, "guest", answers.guest(door, name).key, hours)

    @api.get("/plan", summary="The last plan (balancer.plan/1)")
    def plan(request: Request, response: Response, _: Visitor = viewer) -> Any:
        return tagged(request, response, plain(door.published.cycle.plan))

    @api.get("/plans/{plan_id}/file", summary="A plan as a file: html, markdown, csv or json; `last` is the last one")
    def plan_file(plan_id: Name, format: FileFormat = FileFormat.JSON, _: Visitor = viewer) -> Response:
        name, text = answers.plan_as_file(door, plan_id, format)
        named = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(text, media_type=format.media_type, headers=named)

    @api.get("/proposals", summary="Plans that people were asked about, newest first")
    def proposals(_: Visitor = viewer) -> Any:
        return [_proposal(each, with_plan=False) for each in door.store.proposals.latest()]

    @api.get("/proposals/{plan_id}", summary="One of them, with its plan")
    def proposal(plan_id: Name, request: Request, response: Response, _: Visitor = viewer) -> Any:
        found = answers.proposal(door, plan_id)
        return tagged(request, response, _proposal(found), found.tag)

    @api.get("/runs", summary="Plans on their way, step by step")
    def runs(_: Visitor = viewer) -> Any:
        return answers.runs(door)

    @api.get("/events", summary="What happened to steps, after the event of this number")
    def events(after: Annotated[int, Query(ge=0)] = 0, _: Visitor = viewer) -> Any:
        return [asdict(event) for event in door.events.since(after)]

    @api.get("/power", summary="What is known of each host's power")
    def power(_: Visitor = viewer) -> Any:
        return [asdict(each) for each in answers.power(door)]

    @api.get("/savings", summary="What sleeping saved, by day or month")
    def savings(days: Annotated[int, Query(ge=1, le=3660)] = 30, monthly: bool = False, _: Visitor = viewer) -> Any:
        periods = accounting.savings(door.store, door.now.date(), days, monthly)
        return [asdict(period) | {"kwh_saved": period.energy.saved_kwh} for period in periods]

    @api.get("/policy", summary="The policy in force, and what its author should know about it")
    def policy(request: Request, response: Response, _: Visitor = viewer) -> Any:
        known = answers.policy(door)
        return tagged(
            request, response, {"path": known.path, "text": known.text, "in_force": known.effective} | known.facts
        )

    @api.get("/cycles", summary="Cycles of the past, newest first")
    def cycles(
        said: Annotated[str, Query(max_length=200)] = "",
        only_moves: bool = False,
        page: Annotated[int, Query(ge=1, le=10**6)] = 1,
        _: Visitor = viewer,
    ) -> Any:
        skipped = (page - 1) * views.A_PAGE
        return [asdict(line) for line in door.store.cycles.latest(views.A_PAGE, skipped, said, only_moves)]

    @api.get("/cycles/{plan_id}", summary="One cycle whole (balancer.cycle/1), as long as it is kept")
    def cycle(plan_id: Name, _: Visitor = viewer) -> Any:
        return plain(past.saved(door, plan_id))

    @api.get("/audit", summary="Who did what, newest first")
    def audit(
        said: Annotated[str, Query(max_length=200)] = "",
        page: Annotated[int, Query(ge=1, le=10**6)] = 1,
        _: Visitor = viewer,
    ) -> Any:
        return [asdict(line) for line in door.store.audit.latest(views.A_PAGE, (page - 1) * views.A_PAGE, said)]

    # -- thinking

    @api.post("/cycles/{plan_id}/replay", summary="Decide a cycle again, and say whether the plan is the same")
    def replay(plan_id: Name, _: Visitor = viewer) -> Any:
        replayed = past.replay(door, plan_id)
        return {"same": replayed.same, "sentence": replayed.sentence, "plan": plain(replayed.plan)}

    @api.post("/policy/try", summary="Say what a policy would do now; nothing is saved (balancer.comparison/1)")
    def try_policy(trial: Trial, _: Visitor = operator) -> Any:
        tried = answers.try_policy(door, trial.policy)
        return {"warnings": tried.warnings, "comparison": plain(tried.comparison)}

    # -- acting

    @api.post("/proposals/{plan_id}/approve", summary="Let a plan be carried out, or some of its steps")
    def approve(
        plan_id: Name, approval: Approval, key: Key = None, if_match: IfMatch = None, visitor: Visitor = operator
    ) -> Any:
        def act() -> Any:
            refuse_unless_matching(if_match, answers.proposal(door, plan_id).tag)
            with door.thinking():
                known = door.published
                return _proposal(door.asking(visitor).approve(plan_id, known, approval.steps, approval.why), False)

        return replies.once(visitor, key, f"approve {plan_id} {approval!r}", act)

    @api.post("/proposals/{plan_id}/reject", summary="Turn a plan down, with a reason")
    def reject(
        plan_id: Name, rejection: Rejection, key: Key = None, if_match: IfMatch = None, visitor: Visitor = operator
    ) -> Any:
        def act() -> Any:
            refuse_unless_matching(if_match, answers.proposal(door, plan_id).tag)
            return _proposal(door.asking(visitor).reject(plan_id, rejection.why), False)

        return replies.once(visitor, key, f"reject {plan_id} {rejection!r}", act)

    @api.post("/proposals/{plan_id}/postpone", summary="Put a plan off")
    def postpone(
        plan_id: Name, delay: Delay, key: Key = None, if_match: IfMatch = None, visitor: Visitor = operator
    ) -> Any:
        def act() -> Any:
            refuse_unless_matching(if_match, answers.proposal(door, plan_id).tag)
            return _proposal(door.asking(visitor).postpone(plan_id, delay.minutes, delay.why), False)

        return replies.once(visitor, key, f"postpone {plan_id} {delay!r}", act)

    @api.post("/pause", summary="Begin nothing but waking any more")
    def pause(why: Why | None = None, key: Key = None, visitor: Visitor = operator) -> Any:
        reason = why.why if why else ""

        def act() -> Any:
            door.asking(visitor).pause(*filter(None, [reason]))
            return answers.status(door)

        return replies.once(visitor, key, f"pause {reason}", act)

    @api.post("/resume", summary="Go on after a pause, or after too many failures")
    def resume(key: Key = None, visitor: Visitor = operator) -> Any:
        def act() -> Any:
            door.asking(visitor).resume()
            return answers.status(door)

        return replies.once(visitor, key, "resume", act)

    @api.post("/abort", summary="Give migrations up that are under way; their guests stay")
    def abort(wanted: Abort | None = None, key: Key = None, visitor: Visitor = operator) -> Any:
        asked = wanted or Abort()

        def act() -> Any:
            given_up = door.asking(visitor).give_up(asked.guest, *filter(None, [asked.why]))
            return {"to_be_given_up": [str(entry) for entry in given_up]}

        return replies.once(visitor, key, f"abort {asked!r}", act)

    @api.post("/hosts/{name}/drain", summary="Let its guests leave, and no others come")
    def drain(name: Name, why: Why | None = None, key: Key = None, visitor: Visitor = operator) -> Any:
        reason = why.why if why else ""

        def act() -> Any:
            drained, is_new = door.asking(visitor).drain(name, *filter(None, [reason]))
            return asdict(drained) | {"is_new": is_new}

        return replies.once(visitor, key, f"drain {name} {reason}", act)

    @api.post("/hosts/{name}/undrain", summary="Let it take guests again")
    def undrain(name: Name, key: Key = None, visitor: Visitor = operator) -> Any:
        def act() -> Any:
            was_drained, cordon = door.asking(visitor).undrain(name)
            return {"was_drained": was_drained, "still_cordoned": cordon.why if cordon else None}

        return replies.once(visitor, key, f"undrain {name}", act)

    @api.post("/hosts/{name}/wake", summary="Switch it on")
    def wake(name: Name, key: Key = None, visitor: Visitor = operator) -> Any:
        def act() -> Any:
            return {"was_asked": door.asking(visitor).wake(name)}

        return replies.once(visitor, key, f"wake {name}", act)

    @api.post("/hosts/{name}/power-test", summary="Prove its power: shut it down softly, see it go and return")
    def power_test(name: Name, key: Key = None, visitor: Visitor = admin) -> Any:
        def act() -> Any:
            return {"is_new": answers.ask_power_test(door, visitor, name)}

        return replies.once(visitor, key, f"power-test {name}", act)

    return api


def plain(value: Any) -> Any:
    """Return a value of ours as JSON has it."""
    return value.model_dump(mode="json", by_alias=True)


def _proposal(proposal: Proposal, with_plan: bool = True) -> dict[str, Any]:
    plan: Plan = proposal.plan
    facts: dict[str, Any] = {
        "plan_id": proposal.id,
        "at": _moment(proposal.at),
        "valid_until": _moment(plan.valid_until),
        "state": str(proposal.state),
        "who": proposal.who,
        "why": proposal.why,
        "decided_at": _moment(proposal.decided_at),
        "until": _moment(proposal.until),
        "approved_steps": list(proposal.steps),
        "outcome": proposal.outcome,
        "etag": f'"{proposal.tag}"',
    }
    return facts | ({"plan": plain(plan)} if with_plan else {"steps": len(plan.steps)})


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
