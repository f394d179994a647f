"""Commands about policies: show."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from balancer.commands.exits import DONE
from balancer.commands.opening import PolicyPath, policy_path
from balancer.errors import Fault, InputError
from balancer.policy import load
from balancer.policy.showing import effective_yaml

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Look at policies."""


@app.command()
def show(
    policy: PolicyPath = None,
    cluster: Annotated[str | None, typer.Option(help="As it is for this cluster (`clusters:` in the file).")] = None,
    at: Annotated[str | None, typer.Option(help="As it is then, e.g. 2026-12-24T22:00+01:00; default: now.")] = None,
) -> int:
    """Print the policy in force as YAML: what is extended, scheduled or left out is filled in, with its origin."""
    loaded = load(policy_path(policy), cluster)
    sys.stdout.write(effective_yaml(loaded, moment_of(at)))
    return DONE


def moment_of(said: str | None) -> datetime:
    """Read a moment from the command line; one without a time zone is UTC."""
    if said is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        raise InputError([Fault("--at", f"{said!r} is no moment", "write 2026-12-24T22:00+01:00")]) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
