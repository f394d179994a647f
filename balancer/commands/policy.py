"""Commands about policies: show, diff, tune."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from balancer.commands.asking import Format, SnapshotPath, look
from balancer.commands.exits import DONE, THERE_IS_A_PLAN
from balancer.commands.opening import PolicyPath, SitePath, policy_path
from balancer.commands.screen import err, out
from balancer.commands.tuning import tune
from balancer.cycle import think
from balancer.errors import Fault, InputError
from balancer.formats import to_json
from balancer.planning.comparing import compare
from balancer.policy import load
from balancer.policy.showing import effective_yaml
from balancer.reporting.comparison import comparison_text
from balancer.reporting.sentences import plan_sentence

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Look at policies, and tune them."""


@app.command()
def show(
    policy: PolicyPath = None,
    cluster: Annotated[str | None, typer.Option(help="As it is for this cluster (`clusters:` in the file).")] = None,
    at: Annotated[str | None, typer.Option(help="As it is then, e.g. 2026-12-24T22:00+01:00; default: now.")] = None,
) -> int:
    """Print the policy in force as YAML: what is extended, scheduled or left out is filled in, with its origin."""
    loaded = load(policy_path(policy), cluster)
    if cluster is not None and cluster not in loaded.clusters:
        listed = f"it speaks of {', '.join(loaded.clusters)}" if loaded.clusters else "it speaks of none"
        err.print(Text(f"the policy says nothing of its own for cluster {cluster} ({listed})", style="yellow"))
    sys.stdout.write(effective_yaml(loaded, moment_of(at)))
    return DONE


@app.command()
def diff(
    first: Annotated[Path, typer.Argument(help="A policy file.")],
    second: Annotated[Path, typer.Argument(help="Another one.")],
    snapshot: SnapshotPath = None,
    site: SitePath = None,
    format: Annotated[Format, typer.Option(help="How to print it.")] = Format.TEXT,
) -> int:
    """Say what two policies would do with the same cluster, side by side. Exit code 0: the same, 2: not the same."""
    files = (first, second)
    with err.status("looking and thinking ..."):
        seen = look(snapshot, site, first)
        other = load(policy_path(second), seen.cluster.cluster).policy.at(seen.cluster.taken_at)
        policies = (seen.policy, other)
        plans = tuple(think(seen.cluster, policy, seen.memory).plan for policy in policies)
        both = compare(seen.cluster, policies, (plans[0], plans[1]))
    sides = [
        side.model_copy(update={"file": str(file), "sentence": plan_sentence(plan)})
        for side, file, plan in zip((both.first, both.second), files, plans, strict=True)
    ]
    both = both.model_copy(update={"first": sides[0], "second": sides[1]})
    if format is Format.JSON:
        sys.stdout.write(to_json(both) + "\n")
    else:
        out.print(comparison_text(both))
    return DONE if both.same_plan else THERE_IS_A_PLAN


def moment_of(said: str | None) -> datetime:
    """Read a moment from the command line; one without a time zone is UTC."""
    if said is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        raise InputError([Fault("--at", f"{said!r} is no moment", "write 2026-12-24T22:00+01:00")]) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


app.command()(tune)
