"""Commands that act: run, apply."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import structlog
import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from balancer.commands.exits import DONE, ERROR, REFUSED
from balancer.commands.opening import PolicyPath, SitePath, is_embedded, policy_path, the_policy, the_site
from balancer.commands.pages import the_pages
from balancer.commands.screen import err, out
from balancer.commands.thinking import SavePath
from balancer.cycle import look_and_expect, run_cycle
from balancer.domain.plan import Mode, Plan
from balancer.embedded import live_a_day
from balancer.errors import Fault, InputError
from balancer.execution import Result, Runner, RunReport, Verdict
from balancer.formats import read
from balancer.leadership import leading
from balancer.notifying import told_to_people
from balancer.planning import verify
from balancer.planning.anywhere import contradictions_ever
from balancer.planning.conflicts import placed
from balancer.policy import Policy, WatchedPolicy, load
from balancer.policy.places import places_of
from balancer.reporting.text import plan_text
from balancer.saved import save_cycle
from balancer.service import Service
from balancer.settings import load_settings
from balancer.site import Site, limits_of

log = structlog.get_logger()

LONGEST_WAIT_FOR_THE_PAST = timedelta(minutes=10)


def join(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (run, apply):
        app.command()(command)


def run(
    once: Annotated[bool, typer.Option("--once", help="One cycle, then leave; acting is waited for.")] = False,
    mode: Annotated[Mode | None, typer.Option(help="Overrides the policy's mode.")] = None,
    site: SitePath = None,
    policy: PolicyPath = None,
    save: SavePath = None,
) -> int:
    """Watch the cluster and, in mode act, balance it. Without a site file: a day of the embedded simulated site."""
    settings = load_settings()
    if is_embedded(site) and not once:
        kept = settings.embedded_state
        return live_a_day(policy or settings.policy, out, mode=mode, kept=kept, pages=the_pages)
    with the_site(site) as opened:
        watched = WatchedPolicy(policy_path(policy), opened.name, mode)
        _tell_contradictions(policy, opened)
        if once:
            return _run_once(opened, watched.policy, settings.lease_seconds, save)
        service = Service(opened, watched, settings.state, settings.lease_seconds)
        telling = told_to_people(opened, service.board, settings.secrets, settings.state)
        with telling, the_pages(opened, service) as url:
            if url:
                log.info("pages and API are served", url=url)
            service.run()
    return DONE


def _tell_contradictions(path: Path | None, site: Site) -> None:
    """Say at the start which rules contradict each other on any cluster; nothing is switched off because of it."""
    loaded = load(policy_path(path), site.name)
    for conflict in placed(contradictions_ever(loaded.policy, site.clock.now()), places_of(loaded).of):
        log.error(str(conflict), way_out="balancer check says more")


def _run_once(site: Site, policy: Policy, lease_seconds: float, save: Path | None) -> int:
    if policy.at(site.clock.now()).mode is not Mode.ACT:
        return show_cycle(site, policy, save)[0]
    with leading(site, lease_seconds):
        settle_aloud(site, policy)
        code, plan = show_cycle(site, policy, save)
        return code if plan is None else carry_out(site, plan, policy, while_acting=True)


def settle_aloud(site: Site, policy: Policy) -> None:
    """Settle what an earlier run left; what still goes on is waited for, so that the next plan knows how it ended."""
    give_up = site.clock.now() + LONGEST_WAIT_FOR_THE_PAST
    said: set[str] = set()
    while True:
        found = site.settle(policy)
        for settled in found:
            if str(settled) not in said:
                out.print(Text.assemble(("settled ", "yellow"), str(settled)))
                said.add(str(settled))
        if site.clock.now() > give_up or all(settled.verdict is not Verdict.ADOPTED for settled in found):
            return
        site.clock.sleep(limits_of(policy).poll_seconds)


def show_cycle(site: Site, policy: Policy, save: Path | None) -> tuple[int, Plan | None]:
    """Print what this cycle found; the plan comes back when it may be carried out."""
    with err.status("looking and thinking ..."):
        cycle = run_cycle(site, policy)
    if save is not None:
        save_cycle(cycle, policy, save)
    out.print(plan_text(cycle.plan, cycle.seen, out.width))
    for objection in cycle.objections:
        err.print(Text(f"withdrawn, it is not safe, a fault of the balancer's own: {objection}", style="bold red"))
    if cycle.objections:
        return ERROR, None
    return (REFUSED if cycle.plan.refused else DONE), (cycle.plan if cycle.plan.steps else None)


def apply(
    plan: Annotated[Path, typer.Argument(help="A plan as JSON, from `balancer plan --format json`.")],
    site: SitePath = None,
    policy: PolicyPath = None,
) -> int:
    """Carry out a plan that somebody has read, after proving it anew on a fresh look."""
    settings, proposed = load_settings(), read(plan, Plan)
    with the_site(site) as opened, leading(opened, settings.lease_seconds):
        wanted = the_policy(policy, opened.name)
        settle_aloud(opened, wanted)
        now = opened.clock.now()
        if now > proposed.valid_until:
            raise InputError(
                [Fault(str(plan), f"was valid until {proposed.valid_until:%Y-%m-%d %H:%M}", "make it anew")]
            )
        fresh = look_and_expect(opened, wanted.at(now))
        objections = verify(proposed, fresh, wanted, opened.remembered(wanted))
        if objections:
            raise InputError([Fault(str(plan), str(objection)) for objection in objections])
        return carry_out(opened, proposed, wanted)


def carry_out(site: Site, plan: Plan, policy: Policy, while_acting: bool = False) -> int:
    """Carry a plan out before the eyes of a person."""
    if site.why_held:
        err.print(Text(f"nothing but waking is begun: {site.why_held}", style="yellow"))
    runner = site.begin(plan, policy, while_acting)
    _watch(site, runner, limits_of(policy).poll_seconds)
    report = site.finish(runner)
    _say(report)
    return DONE if len(report.done) == len(plan.steps) else ERROR


def _watch(site: Site, runner: Runner, poll_seconds: float) -> None:
    """Advance a runner to its end and show how far it has come: a bar for the plan, and one for each step in flight."""
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[detail]}"), TimeElapsedColumn()
    with Progress(*columns, console=err, transient=True) as bars:
        whole = bars.add_task("plan", total=None, detail="")
        shown: dict[str, TaskID] = {}
        while runner.advance():
            progress = runner.progress()
            bars.update(
                whole, total=progress.steps, completed=progress.ended, detail=f"{progress.ended}/{progress.steps}"
            )
            for item in progress.running:
                if item.step.id not in shown:
                    shown[item.step.id] = bars.add_task(str(item.step), total=1.0, detail="")
                course = item.course
                bars.update(shown[item.step.id], completed=course.share or 0.0, detail=str(course))
            for gone in shown.keys() - {item.step.id for item in progress.running}:
                bars.remove_task(shown.pop(gone))
            bars.refresh()
            site.clock.sleep(poll_seconds)


def _say(report: RunReport) -> None:
    colours = {Result.DONE: "green", Result.SKIPPED: "yellow"}
    for outcome in report.outcomes:
        out.print(Text(str(outcome), style=colours.get(outcome.result, "red")))
    out.print(Text(report.sentence[0].upper() + report.sentence[1:], style="bold"))
    for alarm in report.alarms:
        out.print(Text(f"ALARM: {alarm}", style="bold red"))
