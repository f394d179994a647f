"""Commands about hosts in maintenance: drain, undrain, list."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from balancer.actions import Asking
from balancer.commands.acting import carry_out, settle_aloud, show_cycle
from balancer.commands.exits import DONE, REFUSED, THERE_IS_A_PLAN
from balancer.commands.opening import PolicyPath, SitePath, the_policy, the_site
from balancer.commands.screen import err, out
from balancer.commands.who import who
from balancer.cycle import look_and_expect, think
from balancer.domain.cluster import Cluster
from balancer.domain.host import HostState
from balancer.domain.plan import Because, Kept, Mode, Plan
from balancer.domain.units import count_of
from balancer.leadership import leading
from balancer.policy import Policy
from balancer.remembering import empty_words
from balancer.reporting.text import plan_text
from balancer.settings import load_settings
from balancer.site import Site

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

PASSES_BY_ITSELF = {
    Because.BUDGET_SPENT,
    Because.COOLING_DOWN,
    Because.IN_FLIGHT,
    Because.NO_SAFE_ORDER,
    Because.FROZEN,
}
"""Reasons that a later cycle finds gone; for every other one somebody has to do something."""


@dataclass(frozen=True)
class Standing:
    """How far a drained host is: who leaves it by the plan, who stays and why."""

    host: str
    seen: Cluster
    plan: Plan
    leaving: tuple[str, ...]
    staying: tuple[Kept, ...]

    @property
    def is_off(self) -> bool:
        return not self.seen.host(self.host).is_on

    @property
    def is_silent(self) -> bool:
        return self.seen.host(self.host).state is HostState.UNREACHABLE

    @property
    def is_empty(self) -> bool:
        return not self.is_silent and not self.seen.guests_of(self.host)

    @property
    def stuck(self) -> tuple[Kept, ...]:
        return tuple(kept for kept in self.staying if kept.because not in PASSES_BY_ITSELF)

    @property
    def exit_code(self) -> int:
        if self.is_silent or self.stuck:
            return REFUSED
        return DONE if self.is_empty or self.is_off else THERE_IS_A_PLAN


@app.command()
def drain(
    host: Annotated[str, typer.Argument(help="The host to empty, and to keep empty until it is undrained.")],
    why: Annotated[str, typer.Option(help="What it is for; shown to everybody who asks.")] = "maintenance",
    wait: Annotated[bool, typer.Option("--wait", help="Until it is empty, or what remains cannot leave.")] = False,
    mode: Annotated[Mode | None, typer.Option(help="Overrides the policy's mode; act: carry it out now.")] = None,
    site: SitePath = None,
    policy: PolicyPath = None,
) -> int:
    """Let no guest onto a host any more, and let those on it leave, cycle by cycle, by all rules.

    Exit code 0: it is empty; 2: guests have yet to leave; 3: what remains cannot leave, or the host does not answer.
    """
    with the_site(site) as opened:
        rules = _policy(opened, policy, mode)
        _ask(opened, host, why)
        if _acts(opened, rules) and not _somebody_else_acts(opened):
            standing = _carry_out(opened, rules, host, wait)
        else:
            standing = _standing(opened, rules, host)
            if not (standing.is_empty or standing.is_silent or standing.is_off):
                out.print(plan_text(standing.plan, standing.seen, out.width))
            standing = _watch(opened, rules, standing) if wait else standing
        _say(standing, rules.at(opened.clock.now()))
    return standing.exit_code


def _policy(site: Site, path: Path | None, mode: Mode | None = None) -> Policy:
    """Return the policy of a site, its schedule with it: waiting may outlast a window."""
    policy = the_policy(path, site.name)
    return policy if mode is None else policy.in_mode(mode)


def _acts(site: Site, policy: Policy) -> bool:
    return policy.at(site.clock.now()).mode is Mode.ACT


def _ask(site: Site, host: str, why: str) -> None:
    drained, is_new = Asking(site, who()).drain(host, why)
    if is_new:
        out.print(f"{host} is drained: it takes no guests, until `balancer host undrain {host}`")
    else:
        out.print(f"{host} is drained already, since {drained.since:%Y-%m-%d %H:%M} by {drained.who}: {drained.why}")


def _somebody_else_acts(site: Site) -> bool:
    holder = None if site.is_private else site.acting.store.lease.holder(site.clock.now())
    if holder is not None:
        out.print(f"the balancer that acts here ({holder.owner}) carries it out in its next cycle")
    return holder is not None


def _standing(site: Site, policy: Policy, host: str) -> Standing:
    """Look and think under the policy in force now, and say how far a host is."""
    policy = policy.at(site.clock.now())
    with err.status("looking and thinking ..."):
        seen = look_and_expect(site, policy)
        site.note_drains(seen)
        plan = think(seen, policy, site.remembered(policy)).plan
    return _standing_in(seen, plan, host)


def _standing_in(seen: Cluster, plan: Plan, host: str) -> Standing:
    here = [vm.name for vm in seen.guests_of(host)] if seen.has_host(host) else []
    leaving = tuple(step.move.vm for step in plan.moves if step.source == host)
    staying = tuple(kept for name in here if name not in leaving for kept in plan.kept if kept.subject == f"vm:{name}")
    return Standing(host, seen, plan, leaving, staying)


def _carry_out(site: Site, policy: Policy, host: str, wait: bool) -> Standing:
    """Act as `run --once` does; with `wait` again and again, until nobody is left who can leave."""
    with leading(site, load_settings().lease_seconds):
        while True:
            settle_aloud(site, policy)
            _, plan = show_cycle(site, policy, None)
            if plan is not None and _acts(site, policy):
                carry_out(site, plan, policy, while_acting=True)
            standing = _standing(site, policy, host)
            if not wait or standing.exit_code != THERE_IS_A_PLAN:
                return standing
            if not (standing.leaving and _acts(site, policy)):
                site.clock.sleep(policy.interval_seconds)


def _watch(site: Site, policy: Policy, standing: Standing) -> Standing:
    """Wait for those who carry it out."""
    while standing.exit_code == THERE_IS_A_PLAN:
        with err.status(f"{count_of(len(standing.seen.guests_of(standing.host)), 'guest')} on {standing.host} ..."):
            site.clock.sleep(min(policy.interval_seconds, 15.0))
        standing = _standing(site, policy, standing.host)
    return standing


def _say(standing: Standing, policy: Policy) -> None:
    host, seen = standing.host, standing.seen
    if standing.is_silent:
        doubt = seen.doubts_about(f"host:{host}")
        out.print(Text(f"{host} does not answer ({doubt}): what runs on it can leave only once it does", style="red"))
    elif standing.is_off:
        out.print(
            f"{host} is off and stays so: the balancer does not wake it; for your work: balancer power wake {host}"
        )
    elif standing.is_empty:
        out.print(Text(empty_words(host), style="green"))
    for kept in standing.staying:
        out.print(Text.assemble(f"{kept.subject.partition(':')[2]} stays on {host}: ", (_reason(kept), "yellow")))
    if standing.leaving and policy.mode is not Mode.ACT:
        names = ", ".join(standing.leaving)
        out.print(f"{names} can leave; the policy's mode is {policy.mode}: balancer host drain {host} --mode act")


def _reason(kept: Kept) -> str:
    return kept.because.sentence + (f" ({kept.detail})" if kept.detail else "")


@app.command()
def undrain(
    host: Annotated[str, typer.Argument(help="The host that is to take guests again.")], site: SitePath = None
) -> int:
    """Let a drained host take guests again. A cordon that was set by other means stays."""
    with the_site(site) as opened:
        was_drained, cordon = Asking(opened, who()).undrain(host)
    if not was_drained:
        out.print(f"{host} was not drained")
        return DONE
    if cordon is None:
        out.print(f"{host} takes guests again")
    else:
        out.print(f"{host} is drained no longer, and stays cordoned by the {cordon.by}: {cordon.why}")
    return DONE


@app.command("list")
def list_drained(site: SitePath = None, policy: PolicyPath = None) -> int:
    """List the drained hosts: since when, by whom, and what remains on them and why."""
    with the_site(site) as opened:
        rules = _policy(opened, policy)
        drains = opened.acting.store.drains.all()
        if not drains:
            out.print("no host is drained")
            return DONE
        first = _standing(opened, rules, next(iter(drains)))
        drains = opened.acting.store.drains.all()
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("host", "state", "since", "by", "why", "what remains"):
        table.add_column(title, overflow="fold")
    for drained in drains.values():
        since = f"{drained.since:%Y-%m-%d %H:%M}"
        state, remains = _state_and_rest(first.seen, first.plan, drained.host)
        table.add_row(drained.host, state, since, drained.who, drained.why, remains)
    out.print(table)
    return DONE


def _state_and_rest(seen: Cluster, plan: Plan, host: str) -> tuple[str, str]:
    if not seen.has_host(host):
        return "gone", f"no hypervisor knows it any more; balancer host undrain {host}"
    standing = _standing_in(seen, plan, host)
    said = [f"{kept.subject.partition(':')[2]}: {_reason(kept)}" for kept in standing.staying]
    said += [f"{name}: can leave" for name in standing.leaving]
    if standing.is_silent:
        said.append("it does not answer")
    return seen.host(host).state, "; ".join(said) or "nothing, you may work on it"
