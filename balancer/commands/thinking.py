"""Commands that think and touch nothing: plan, verify, check, schema, explain."""

from __future__ import annotations

import inspect
import json
import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from balancer.commands.exits import DONE, ERROR, REFUSED, THERE_IS_A_PLAN
from balancer.commands.opening import PolicyPath, SitePath, the_policy, the_site
from balancer.commands.screen import err, out
from balancer.constraints import KINDS as CONSTRAINTS
from balancer.constraints import Constraint
from balancer.cycle import Cycle, look_and_expect, think
from balancer.domain.cluster import Cluster
from balancer.domain.memory import NOTHING_REMEMBERED
from balancer.domain.plan import Plan
from balancer.domain.site_file import SiteFile
from balancer.domain.value import Value
from balancer.errors import Fault, InputError
from balancer.formats import json_schema, read, to_json
from balancer.objectives import KINDS as OBJECTIVES
from balancer.objectives import Objective
from balancer.planning import verify as verify_plan
from balancer.policy import Policy, load
from balancer.policy.document import PolicyDocument
from balancer.policy.notes import notes
from balancer.reporting.text import plan_text
from balancer.saved import replay_cycle, save_cycle

SnapshotPath = Annotated[Path | None, typer.Option("--snapshot", help="Plan for this snapshot, with no hypervisor.")]

SavePath = Annotated[Path | None, typer.Option("--save", help="Write snapshot, policy, memory and plan to this file.")]


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"


class Kind(StrEnum):
    SNAPSHOT = "snapshot"
    PLAN = "plan"
    POLICY = "policy"
    SITE = "site"


_SCHEMAS: dict[Kind, type[Value]] = {
    Kind.SNAPSHOT: Cluster,
    Kind.PLAN: Plan,
    Kind.POLICY: PolicyDocument,
    Kind.SITE: SiteFile,
}


def join(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (plan, verify, check, schema, explain):
        app.command()(command)


def plan(
    snapshot: SnapshotPath = None,
    site: SitePath = None,
    policy: PolicyPath = None,
    format: Annotated[Format, typer.Option(help="How to print it.")] = Format.TEXT,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Leave with 0 also when there is a plan.")] = False,
    save: SavePath = None,
    replay: Annotated[Path | None, typer.Option(help="Decide this saved cycle again.")] = None,
) -> int:
    """Say what would be done, and why; nothing is touched. Exit code 0: nothing to do, 2: a plan, 3: refused."""
    with err.status("looking and thinking ..."):
        cycle, wanted = replay_cycle(replay) if replay else _cycle(snapshot, site, policy)
    if save is not None:
        save_cycle(cycle, wanted, save)
    if format is Format.JSON:
        sys.stdout.write(to_json(cycle.plan) + "\n")
    else:
        out.print(plan_text(cycle.plan, cycle.seen, out.width))
    for objection in cycle.objections:
        err.print(Text(f"this plan is not safe, a fault of the balancer's own: {objection}", style="bold red"))
    return _exit_code(cycle, exit_zero)


def _cycle(snapshot: Path | None, site: Path | None, policy: Path | None) -> tuple[Cycle, Policy]:
    if snapshot is not None:
        seen = read(snapshot, Cluster)
        wanted = the_policy(policy, seen.cluster).at(seen.taken_at)
        return think(seen, wanted, NOTHING_REMEMBERED), wanted
    with the_site(site) as opened:
        wanted = the_policy(policy, opened.name).at(opened.clock.now())
        return think(look_and_expect(opened, wanted), wanted, opened.remembered(wanted, watching=False)), wanted


def _exit_code(cycle: Cycle, exit_zero: bool) -> int:
    if cycle.objections:
        return ERROR
    if cycle.plan.refused:
        return REFUSED
    return THERE_IS_A_PLAN if cycle.plan.steps and not exit_zero else DONE


def verify(
    plan: Annotated[Path, typer.Option(help="The plan, as JSON.")],
    snapshot: SnapshotPath = None,
    site: SitePath = None,
    policy: PolicyPath = None,
) -> int:
    """Prove a plan safe at each step, or say where it is not (exit code 1)."""
    proposed = read(plan, Plan)
    if snapshot is not None:
        seen = read(snapshot, Cluster)
        wanted = the_policy(policy, seen.cluster)
    else:
        with the_site(site) as opened:
            wanted = the_policy(policy, opened.name)
            seen = look_and_expect(opened, wanted.at(opened.clock.now()))
    objections = verify_plan(proposed, seen, wanted)
    for objection in objections:
        out.print(Text(str(objection), style="red"))
    if not objections:
        out.print(f"each state that the plan allows keeps every promise ({len(proposed.steps)} steps)")
    return ERROR if objections else DONE


def check(policy: Annotated[Path, typer.Argument(help="The policy file.")], snapshot: SnapshotPath = None) -> int:
    """Check a policy file; with a snapshot also against the cluster. Every fault is named with its line."""
    seen = read(snapshot, Cluster) if snapshot else None
    loaded = load(policy, seen.cluster if seen else None)
    wanted = loaded.policy
    remarks = notes(loaded, seen.taken_at if seen else datetime.now(UTC))
    for remark in [*remarks, *(wanted.remarks(seen) if seen else ())]:
        out.print(Text.assemble(("warning ", "yellow"), remark))
    promises = len(wanted.promises)
    out.print(f"{policy}: a good policy, {promises} promise{'' if promises == 1 else 's'}, mode {wanted.mode}")
    return DONE


def schema(kind: Annotated[Kind, typer.Argument(help="Which format.")]) -> int:
    """Print the JSON Schema of a file format, for editors and other tools."""
    sys.stdout.write(json.dumps(json_schema(_SCHEMAS[kind]), indent=2) + "\n")
    return DONE


def explain(kind: Annotated[str | None, typer.Argument(help="A constraint or objective; without: all.")] = None) -> int:
    """Say what a kind of constraint or objective promises, by which formula, with an example that works."""
    known: dict[str, type[Constraint | Objective]] = {
        **{_kind_of(each): each for each in CONSTRAINTS},
        **{_kind_of(each): each for each in OBJECTIVES},
    }
    if kind is None:
        table = Table(box=None, pad_edge=False, show_header=False)
        for name, each in known.items():
            table.add_row(Text(name, style="bold"), inspect.getdoc(inspect.getmodule(each)).splitlines()[0])  # type: ignore[union-attr]
        out.print(table)
        return DONE
    if kind not in known:
        raise InputError([Fault(kind, "is no kind of constraint or objective", f"known: {', '.join(known)}")])
    each = known[kind]
    out.print(Text(kind, style="bold"))
    out.print(inspect.getdoc(inspect.getmodule(each)) or "", markup=False)
    if not each.example:
        return DONE
    out.print(Text.assemble(("\nexample  ", "dim"), each.example))
    for name, field in each.model_fields.items():
        if field.description:
            out.print(Text.assemble((f"{name}  ", "bold"), field.description))
    return DONE


def _kind_of(each: type[Value]) -> str:
    kind = getattr(each, "kind", None)
    return kind if isinstance(kind, str) else str(each.model_fields["kind"].annotation.__args__[0])  # type: ignore[union-attr]
