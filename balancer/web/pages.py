"""The pages: what is published as HTML, and forms that ask what commands can ask."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from balancer import accounting
from balancer.errors import Fault, InputError
from balancer.reporting.left_alone import left_alone
from balancer.reporting.pages.flows import flows
from balancer.reporting.pages.tiles import before_and_after, tile_of, tiles_of
from balancer.reporting.sentences import gap_sentence, plan_sentence
from balancer.store.tokens import Role
from balancer.web import answers, past, views
from balancer.web.access import Fields, fields_of, role
from balancer.web.door import Door
from balancer.web.identity import SESSION_COOKIE, Doorkeeper, Unknown, Visitor, refuse_other_origins
from balancer.web.live import stream
from balancer.web.looks import Looks

Name = Annotated[str, Path(min_length=1, max_length=256)]
Words = Annotated[str, Query(max_length=200)]
Number = Annotated[int, Query(ge=1, le=10**6)]
DAYS_OF_SAVINGS = 30


def router(door: Door, looks: Looks) -> APIRouter:  # noqa: PLR0915 - a list of pages, a paragraph each
    """Return the pages of a site."""
    pages = APIRouter(include_in_schema=False)
    viewer, operator, admin = (Depends(role(door, each)) for each in Role)
    form = Depends(fields_of)

    def page(name: str, request: Request, visitor: Visitor, **values: Any) -> HTMLResponse:
        return looks.page(name, request, visitor, **values)

    # -- coming in

    @pages.get("/login")
    def login(request: Request) -> Response:
        return looks.login(request)

    @pages.post("/login")
    def log_in(request: Request, fields: Fields = form) -> Response:
        keeper: Doorkeeper = request.app.state.doorkeeper
        refuse_other_origins(request)
        until = door.wall_time + timedelta(hours=door.settings.session_hours)
        try:
            cookie = keeper.log_in(fields["token"].strip(), request, door.wall_time, until)
        except Unknown:
            return looks.login(request, "This token is not known here, or it has run out.", 401)
        answer = RedirectResponse(looks.inside(fields["next"]), 303)
        looks.set_cookie(answer, SESSION_COOKIE, cookie, int(door.settings.session_hours * 3600))
        return answer

    @pages.post("/logout")
    def log_out(request: Request, visitor: Visitor = viewer) -> Response:
        if visitor.cookie:
            door.store.tokens.close_session(request.cookies.get(SESSION_COOKIE, ""))
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(SESSION_COOKIE)
        return answer

    # -- what there is

    @pages.get("/")
    def overview(request: Request, visitor: Visitor = viewer) -> Response:
        known = door.published
        return page(
            "overview.html",
            request,
            visitor,
            racks=tiles_of(known.cycle.seen, known.shares),
            totals=views.totals_of(known.cycle.seen),
            plan=known.cycle.plan,
            doubts=known.cycle.seen.doubts,
            runs=answers.runs(door),
            waiting=answers.open_proposal(door),
        )

    @pages.get("/hosts")
    def hosts(request: Request, visitor: Visitor = viewer) -> Response:
        known = door.published
        tiles = [tile_of(known.cycle.seen, host, known.shares.get(host.name, ())) for host in known.cycle.seen.hosts]
        return page("hosts.html", request, visitor, tiles=tiles)

    @pages.get("/hosts/{name:path}/why")
    def why_host(name: Name, request: Request, visitor: Visitor = viewer) -> Response:
        return page("_explanation.html", request, visitor, answer=answers.why_host(door, name))

    @pages.get("/hosts/{name:path}/power-test")
    def before_power_test(name: Name, request: Request, visitor: Visitor = admin) -> Response:
        known = next((each for each in answers.power(door) if each.host == name), None)
        if known is None:
            return looks.failure(request, 404, f"{name} is not in the site file.")
        guests = door.published.cycle.seen.guests_of(name) if door.published.cycle.seen.has_host(name) else ()
        is_under_test = name in door.board.under_test
        return page("power_test.html", request, visitor, host=known, guests=guests, is_under_test=is_under_test)

    @pages.get("/hosts/{name:path}")
    def host(name: Name, request: Request, visitor: Visitor = viewer) -> Response:
        known = door.published
        found = answers.host(door, name)
        return page(
            "host.html",
            request,
            visitor,
            host=found,
            tile=tile_of(known.cycle.seen, found, known.shares.get(name, ())),
            watts=known.cycle.seen.watts_of(found),
            guests=views.page_of(views.find_guests(known, sort="cores", host=name), 1, 200),
            drain=door.store.drains.all().get(name),
            rules=answers.rules_naming_host(door, name),
            entries=door.store.journal.about_host(name),
            kept=door.case.kept(f"host:{name}"),
            is_long=answers.is_long_to_explain(door),
            doubts=[doubt for doubt in known.cycle.seen.doubts if doubt.subject == f"host:{name}"],
        )

    @pages.get("/guests")
    def guests(
        request: Request,
        words: Words = "",
        sort: Annotated[str, Query(max_length=16)] = "name",
        number: Annotated[int, Query(ge=1, le=10**6, alias="page")] = 1,
        visitor: Visitor = viewer,
    ) -> Response:
        found = views.page_of(views.find_guests(door.published, words, sort), number)
        return page("guests.html", request, visitor, found=found, words=words, sort=sort)

    @pages.get("/guests/{name:path}/why")
    def why_guest(name: Name, request: Request, visitor: Visitor = viewer) -> Response:
        return page("_explanation.html", request, visitor, answer=answers.why_guest(door, name))

    @pages.get("/guests/{name:path}")
    def guest(name: Name, request: Request, visitor: Visitor = viewer) -> Response:
        found = answers.guest(door, name)
        return page(
            "guest.html",
            request,
            visitor,
            vm=found,
            row=views.GuestRow.of(found),
            rules=answers.rules_naming_guest(door, name),
            moves=door.store.journal.about_guest(name),
        )

    # -- plans

    @pages.get("/plan")
    def plan(request: Request, visitor: Visitor = viewer) -> Response:
        waiting = answers.open_proposal(door)
        if waiting is not None:
            return RedirectResponse(f"/plans/{quote(waiting.id)}", 303)
        known = door.published
        return _plan_page(request, visitor, known.cycle.plan, None)

    @pages.get("/plans/{plan_id}")
    def one_plan(plan_id: Name, request: Request, visitor: Visitor = viewer) -> Response:
        proposal = answers.proposal(door, plan_id)
        return _plan_page(request, visitor, proposal.plan, proposal)

    def _plan_page(request: Request, visitor: Visitor, plan: Any, proposal: Any) -> Response:
        seen = door.published.cycle.seen
        return page(
            "plan.html",
            request,
            visitor,
            plan=plan,
            proposal=proposal,
            is_open=proposal is not None and proposal.is_open(door.now),
            earlier=door.store.proposals.latest(8),
            sentence=plan_sentence(plan),
            gap=gap_sentence(plan.summary),
            both=before_and_after(plan, seen),
            flows=flows(plan),
            left=left_alone(plan),
        )

    @pages.get("/runs")
    def runs(request: Request, visitor: Visitor = viewer) -> Response:
        return page(
            "runs.html",
            request,
            visitor,
            runs=answers.runs(door),
            entries=door.store.journal.latest(40),
            approved=door.store.proposals.approved(),
            last=[each for each in door.store.proposals.latest(10) if each.outcome],
        )

    @pages.get("/live")
    def live(request: Request, visitor: Visitor = viewer) -> Response:
        return stream(door, lambda runs: looks.fragment("_runs.html", request, visitor, runs=runs))

    # -- power, policy, past

    @pages.get("/power")
    def power(request: Request, visitor: Visitor = viewer) -> Response:
        periods = accounting.savings(door.store, door.now.date(), DAYS_OF_SAVINGS)
        chart = {
            "days": [period.name for period in periods],
            "took": [round(period.energy.kwh, 2) for period in periods],
            "saved": [round(period.energy.saved_kwh, 2) for period in periods],
        }
        return page(
            "power.html",
            request,
            visitor,
            hosts=answers.power(door),
            under_test=door.board.under_test,
            periods=periods,
            saved_kwh=sum(period.energy.saved_kwh for period in periods),
            money=_summed([period.money for period in periods]),
            co2_kg=sum(period.co2_kg for period in periods),
            hours_asleep=sum(period.energy.hours_asleep for period in periods),
            late=sum(period.wakes.late + period.wakes.failed for period in periods),
            in_time=sum(period.wakes.in_time for period in periods),
            chart=json.dumps(chart),
            has_accounts=bool(periods),
        )

    @pages.get("/policy")
    def policy(request: Request, visitor: Visitor = viewer) -> Response:
        return page("policy.html", request, visitor, policy=answers.policy(door))

    @pages.get("/policy/remarks")
    def policy_remarks(request: Request, visitor: Visitor = viewer) -> Response:
        return page("_remarks.html", request, visitor, remarks=answers.policy_remarks(door))

    @pages.post("/policy/try")
    def try_policy(request: Request, visitor: Visitor = operator, fields: Fields = form) -> Response:
        text = fields["policy"].replace("\r\n", "\n")
        tried, faults = None, list[Fault]()
        try:
            tried = answers.try_policy(door, text)
        except InputError as wrong:
            faults = wrong.faults
        in_force = answers.policy(door)
        status = 200 if tried else 422
        return page(
            "policy.html", request, visitor, policy=in_force, text=text, tried=tried, faults=faults, status=status
        )

    @pages.get("/history")
    def history(
        request: Request,
        said: Words = "",
        only_moves: bool = False,
        number: Annotated[int, Query(ge=1, le=10**6, alias="page")] = 1,
        visitor: Visitor = viewer,
    ) -> Response:
        lines = door.store.cycles.latest(views.A_PAGE + 1, (number - 1) * views.A_PAGE, said, only_moves)
        drawn = door.store.cycles.latest(200)[::-1]
        chart = {
            "at": [line.at.isoformat() for line in drawn],
            "imbalance": [round(line.imbalance, 4) for line in drawn],
            "hosts_on": [line.hosts_on for line in drawn],
            "moves": [line.moves for line in drawn],
        }
        return page(
            "history.html",
            request,
            visitor,
            lines=lines[: views.A_PAGE],
            has_more=len(lines) > views.A_PAGE,
            number=number,
            said=said,
            only_moves=only_moves,
            chart=json.dumps(chart),
            has_chart=len(drawn) > 1,
        )

    @pages.get("/history/compare")
    def compare(first: Words, second: Words, request: Request, visitor: Visitor = viewer) -> Response:
        return page("between.html", request, visitor, both=past.between(door, first, second))

    @pages.get("/history/{plan_id}/replay")
    def replay(plan_id: Name, request: Request, visitor: Visitor = viewer) -> Response:
        return page("_replayed.html", request, visitor, replayed=past.replay(door, plan_id))

    @pages.get("/history/{plan_id}")
    def cycle(plan_id: Name, request: Request, visitor: Visitor = viewer) -> Response:
        line, whole = door.store.cycles.of(plan_id), door.chronicle.saved(plan_id)
        if line is None and whole is None:
            return looks.failure(request, 404, f"{plan_id} is no cycle that is known.")
        both = before_and_after(whole.plan, whole.snapshot) if whole else []
        return page("cycle.html", request, visitor, plan_id=plan_id, line=line, whole=whole, both=both)

    @pages.get("/audit")
    def audit(
        request: Request,
        said: Words = "",
        number: Annotated[int, Query(ge=1, le=10**6, alias="page")] = 1,
        visitor: Visitor = viewer,
    ) -> Response:
        lines = door.store.audit.latest(views.A_PAGE + 1, (number - 1) * views.A_PAGE, said)
        has_more = len(lines) > views.A_PAGE
        return page(
            "audit.html", request, visitor, lines=lines[: views.A_PAGE], has_more=has_more, number=number, said=said
        )

    return pages


def _summed(amounts: list[Any]) -> dict[str, float]:
    total: dict[str, float] = {}
    for each in amounts:
        for currency, amount in each.items():
            total[currency] = total.get(currency, 0.0) + amount
    return total
