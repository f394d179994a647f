"""Commands that think and touch nothing: plan, verify, schema."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from balancer.commands.asking import SnapshotPath, look, warn_of_another_policy
from balancer.commands.exits import DONE, ERROR, REFUSED, THERE_IS_A_PLAN
from balancer.commands.opening import PolicyPath, SitePath, the_policy, the_site, the_site_file
from balancer.commands.screen import err, out
from balancer.cycle import Cycle, look_and_expect, think
from balancer.domain.cluster import Cluster
from balancer.domain.comparison import Comparison
from balancer.domain.explanation import Explanation
from balancer.domain.plan import Plan
from balancer.domain.rehearsal_file import RehearsalFile
from balancer.domain.rehearsed import Rehearsed
from balancer.domain.site_file import SiteFile
from balancer.domain.tuned import Tuned
from balancer.domain.value import Value
from balancer.formats import json_schema, read
from balancer.planning import verify as verify_plan
from balancer.planning.conflicts import with_places
from balancer.policy import Policy
from balancer.policy.document import PolicyDocument
from balancer.policy.places import NOWHERE, Places
from balancer.reporting.plan_files import FileFormat, plan_file
from balancer.reporting.playbook import Terms, plan_playbook
from balancer.reporting.text import plan_text
from balancer.saved import replay_cycle, save_cycle
from balancer.site import limits_of

SavePath = Annotated[Path | None, typer.Option("--save", help="Write snapshot, policy, memory and plan to this file.")]


class PlanFormat(StrEnum):
    TEXT = "text"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"
    HTML = "html"
    ANSIBLE = "ansible"


class Kind(StrEnum):
    SNAPSHOT = "snapshot"
    PLAN = "plan"
    POLICY = "policy"
    SITE = "site"
    EXPLANATION = "explanation"
    COMPARISON = "comparison"
    REHEARSAL = "rehearsal"
    REHEARSED = "rehearsed"
    TUNED = "tuned"


_SCHEMAS: dict[Kind, type[Value]] = {
    Kind.SNAPSHOT: Cluster,
    Kind.PLAN: Plan,
    Kind.POLICY: PolicyDocument,
    Kind.SITE: SiteFile,
    Kind.EXPLANATION: Explanation,
    Kind.COMPARISON: Comparison,
    Kind.REHEARSAL: RehearsalFile,
    Kind.REHEARSED: Rehearsed,
    Kind.TUNED: Tuned,
}


def join(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (plan, verify, schema):
        app.command()(command)


def plan(
    snapshot: SnapshotPath = None,
    site: SitePath = None,
    policy: PolicyPath = None,
    format: Annotated[PlanFormat, typer.Option(help="How to print it.")] = PlanFormat.TEXT,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Leave with 0 also when there is a plan.")] = False,
    save: SavePath = None,
    replay: Annotated[Path | None, typer.Option(help="Decide this saved cycle again.")] = None,
) -> int:
    """Say what would be done, and why; nothing is touched. Exit code 0: nothing to do, 2: a plan, 3: refused."""
    if replay is not None and (snapshot or site or policy):
        raise typer.BadParameter("a saved cycle brings its own snapshot and policy", param_hint="--replay")
    ways = the_site_file(site, "a playbook needs the hosts' connection URIs") if format is PlanFormat.ANSIBLE else None
    with err.status("looking and thinking ..."):
        cycle, wanted, places = (*replay_cycle(replay), NOWHERE) if replay else _cycle(snapshot, site, policy)
    made = with_places(cycle.plan, places.of)
    if save is not None:
        save_cycle(cycle, wanted, save)
    if format is PlanFormat.TEXT:
        out.print(plan_text(made, cycle.seen, out.width))
    elif ways is not None:
        # What is read can be laid aside, what is run cannot: an unsafe plan becomes no playbook.
        sys.stdout.write("" if cycle.objections else plan_playbook(made, cycle.seen, _terms(ways, wanted)))
    else:
        sys.stdout.write(plan_file(made, cycle.seen, FileFormat(format)))
    for objection in cycle.objections:
        err.print(Text(f"this plan is not safe, a fault of the balancer's own: {objection}", style="bold red"))
    return _exit_code(cycle, exit_zero)


def _terms(ways: SiteFile, policy: Policy) -> Terms:
    limits = limits_of(policy)
    return Terms(
        hosts={host.name: host for host in ways.hosts},
        deadline_of=limits.deadline_of_migration,
        concurrent=limits.concurrent,
        concurrent_between_sites=limits.concurrent_between_sites,
        bandwidth_mib_per_s=limits.bandwidth_mib_per_s,
        wake_deadline_seconds=ways.wake_deadline_seconds,
    )


def _cycle(snapshot: Path | None, site: Path | None, policy: Path | None) -> tuple[Cycle, Policy, Places]:
    seen = look(snapshot, site, policy)
    return think(seen.cluster, seen.policy, seen.memory), seen.policy, seen.places


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
    warn_of_another_policy(proposed, wanted)
    objections = verify_plan(proposed, seen, wanted)
    for objection in objections:
        out.print(Text(str(objection), style="red"))
    if not objections:
        out.print(f"each state that the plan allows keeps every promise ({len(proposed.steps)} steps)")
    return ERROR if objections else DONE


def schema(kind: Annotated[Kind, typer.Argument(help="Which format.")]) -> int:
    """Print the JSON Schema of a file format, for editors and other tools."""
    sys.stdout.write(json.dumps(json_schema(_SCHEMAS[kind]), indent=2) + "\n")
    return DONE
