"""The command that answers why: explain."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from balancer.commands.asking import Format, SnapshotPath, known, look, warn_of_another_policy
from balancer.commands.exits import DONE
from balancer.commands.opening import PolicyPath, SitePath
from balancer.commands.screen import err, out
from balancer.constraints import KINDS as CONSTRAINTS
from balancer.constraints import Constraint
from balancer.cycle import think
from balancer.domain.explanation import Explanation
from balancer.domain.plan import Plan
from balancer.domain.value import Value
from balancer.errors import Fault, InputError
from balancer.formats import read, to_json
from balancer.objectives import KINDS as OBJECTIVES
from balancer.objectives import Objective
from balancer.planning.explaining import Case, explain_plan, explain_vm
from balancer.planning.explaining_hosts import explain_host
from balancer.reporting.answers import explanation_text
from balancer.reporting.sentences import gap_sentence, plan_sentence

SUBJECTS = ("vm", "host", "plan")


def join(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(explain)


def explain(
    what: Annotated[
        str | None, typer.Argument(help="`vm`, `host` or `plan`, or a kind of constraint or objective; without: kinds.")
    ] = None,
    name: Annotated[str | None, typer.Argument(help="Which guest or host; vm:NAME and host:NAME do as well.")] = None,
    plan: Annotated[Path | None, typer.Option(help="Explain this plan, as JSON; else one is made now.")] = None,
    snapshot: SnapshotPath = None,
    site: SitePath = None,
    policy: PolicyPath = None,
    format: Annotated[Format, typer.Option(help="How to print it.")] = Format.TEXT,
) -> int:
    """Say why a guest moves or stays, why a host is on or asleep, what a plan buys, or what a kind of rule means."""
    if what is None:
        return _say_kinds()
    subject, _, named = what.partition(":")
    if subject not in SUBJECTS:
        if format is Format.JSON:
            way_out = "balancer schema policy prints what a policy may say, as JSON"
            raise InputError([Fault(f"explain {what}", "is told as text alone", way_out)])
        return _say_kind(what)
    wanted = name or named
    if subject != "plan" and not wanted:
        raise InputError([Fault(f"explain {subject}", "names nothing", f"write `balancer explain {subject} NAME`")])
    answer = _answer(subject, wanted, _case(plan, snapshot, site, policy))
    if format is Format.JSON:
        sys.stdout.write(to_json(answer) + "\n")
    else:
        out.print(explanation_text(answer))
    return DONE


def _case(plan: Path | None, snapshot: Path | None, site: Path | None, policy: Path | None) -> Case:
    with err.status("looking and thinking ..."):
        seen = look(snapshot, site, policy)
        made = read(plan, Plan) if plan is not None else think(seen.cluster, seen.policy, seen.memory).plan
    warn_of_another_policy(made, seen.policy)
    return Case(seen.cluster, seen.policy, made, seen.memory, seen.places.of)


def _answer(subject: str, name: str, case: Case) -> Explanation:
    with err.status("thinking ..."):
        if subject == "vm":
            return explain_vm(case, known("guest", name, case.cluster.vm_names))
        if subject == "host":
            return explain_host(case, known("host", name, case.cluster.host_by_name))
        return explain_plan(case, plan_sentence(case.plan), gap_sentence(case.plan.summary))


# -- kinds of rules


def _kinds() -> dict[str, type[Constraint | Objective]]:
    return {**{_kind_of(each): each for each in CONSTRAINTS}, **{_kind_of(each): each for each in OBJECTIVES}}


def _say_kinds() -> int:
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, each in _kinds().items():
        table.add_row(Text(name, style="bold"), inspect.getdoc(inspect.getmodule(each)).splitlines()[0])  # type: ignore[union-attr]
    out.print(table)
    return DONE


def _say_kind(kind: str) -> int:
    if kind not in _kinds():
        listed = ", ".join([*SUBJECTS, *_kinds()])
        raise InputError([Fault(kind, "is no kind of constraint or objective", f"known: {listed}")])
    each = _kinds()[kind]
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
