"""A plan as an administrator likes to read it in a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, MEMORY, Host, Resource
from balancer.domain.outcome import outcome
from balancer.domain.plan import Action, Plan, Step
from balancer.domain.units import count_of, in_words, memory_in_words
from balancer.reporting.answers import conflict_text
from balancer.reporting.heat import colour_of
from balancer.reporting.left_alone import left_alone, unmet_sentence
from balancer.reporting.sentences import gap_sentence, plan_sentence

WIDE = 100  # columns from which there is room for longer bars
_EIGHTHS = " ▏▎▍▌▋▊▉"
MOST_NAMES = 6  # of the subjects that are listed for one reason; the JSON has them all


def plan_text(plan: Plan, cluster: Cluster, columns: int = WIDE) -> RenderableType:
    """Return a plan as text: a sentence, hosts before and after, steps with their reasons, what was left alone."""
    later = outcome(plan, cluster)
    parts: list[RenderableType] = [_head(plan), Text(), _hosts(cluster, later, 10 if columns >= WIDE else 6)]
    if plan.steps:
        parts += [Text(), _steps(plan)]
    parts += [*_kept(plan), *_unmet(plan)]
    return Group(*parts)


def _head(plan: Plan) -> RenderableType:
    where = f"{plan.cluster}, seen {plan.taken_at:%Y-%m-%d %H:%M:%S %Z}; policy {plan.policy.name} ({plan.mode})"
    sentence = Text(plan_sentence(plan), style="bold red" if plan.refused else "bold")
    lines = [sentence, Text(where, style="dim")]
    lines.append(Text(f"distance to the best: {gap_sentence(plan.summary)}", style="dim"))
    return Group(*lines, *_pace(plan))


def _pace(plan: Plan) -> list[RenderableType]:
    """Say how far the times that are foretold can be believed, once there is a past to tell it from."""
    if not (plan.moves and plan.summary.past_migrations):
        return []
    said = f"times: from {count_of(plan.summary.past_migrations, 'past migration')}"
    return [Text(f"{said}; the last were off by {plan.summary.past_error:.0%} (median)", style="dim")]


def _hosts(now: Cluster, later: Cluster, cells: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("host", no_wrap=True)
    for title in ("CPU now", "CPU then", "memory now", "memory then"):
        table.add_column(title, no_wrap=True)
    table.add_column("guests", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for host in now.hosts:
        then = later.host(host.name)
        table.add_row(
            host.name,
            _bar(now, host, CPU, cells),
            _bar(later, then, CPU, cells),
            _bar(now, host, MEMORY, cells),
            _bar(later, then, MEMORY, cells),
            _guests(now, later, host.name),
            _fate(host, then),
        )
    return table


def _bar(cluster: Cluster, host: Host, resource: Resource, cells: int) -> Text:
    if not host.is_on:
        return Text("asleep".ljust(cells + 5), style="blue dim")
    share = cluster.utilisation(host, resource)
    filled = min(share, 1.0) * cells
    whole = int(filled)
    part = _EIGHTHS[int((filled - whole) * 8)] if whole < cells else ""
    bar = ("█" * whole + part).ljust(cells)
    return Text.assemble((bar, colour_of(share)), f" {share:4.0%}")


def _guests(now: Cluster, later: Cluster, name: str) -> str:
    before, after = len(now.active_on(name)), len(later.active_on(name))
    return str(before) if before == after else f"{before} → {after}"


def _fate(before: Host, after: Host) -> Text:
    if before.is_on and not after.is_on:
        return Text("sleeps", style="blue")
    if not before.is_on and after.is_on:
        return Text("wakes", style="green")
    return Text("" if before.state == "up" else before.state, style="yellow")


def _steps(plan: Plan) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", style="dim", no_wrap=True)
    table.add_column("wave", justify="right", style="dim", no_wrap=True)
    table.add_column("step", no_wrap=True)
    table.add_column("because", overflow="fold")
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("memory", justify="right", no_wrap=True)
    for step in plan.steps:
        table.add_row(
            step.id,
            str(step.wave),
            _what(step),
            "; ".join(filter(None, (step.because, step.why_so))),
            in_words(step.seconds) if step.seconds else "",
            memory_in_words(step.memory_mib) if step.is_move else "",
        )
    return table


def _what(step: Step) -> Text:
    if step.is_move:
        said = step.options.in_words(step.kind or "live")
        kind = f" ({said})" if said else ""
        return Text.assemble(("move ", "dim"), (f"{step.vm} ", "bold"), f"{step.source} → {step.target}{kind}")
    return Text.assemble((_VERBS[step.action] + " ", "dim"), (step.host or "", "bold"))


_VERBS = {
    Action.POWER_ON: "switch on",
    Action.WAIT_READY: "wait for",
    Action.CORDON: "cordon",
    Action.UNCORDON: "uncordon",
    Action.POWER_OFF: "switch off",
}


def _kept(plan: Plan) -> list[RenderableType]:
    lines = [
        Text.assemble((f"{left.because.sentence}: ", "italic"), left.listed(MOST_NAMES)) for left in left_alone(plan)
    ]
    title = [Text("\nleft as they are", style="dim")] if lines else []
    return [*title, *(Padding(line, (0, 0, 0, 2)) for line in lines)]


def _unmet(plan: Plan) -> list[RenderableType]:
    if not plan.unmet:
        return []
    lines: list[RenderableType] = [Text(unmet_sentence(unmet), style="red") for unmet in plan.unmet]
    lines += [conflict_text(conflict) for conflict in plan.conflicts]
    return [Text("\npromises that cannot be kept", style="bold red"), *(Padding(line, (0, 0, 0, 2)) for line in lines)]
