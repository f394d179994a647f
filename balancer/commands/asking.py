"""What commands that answer questions work on: a cluster as seen, what is remembered of it, and a policy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from balancer.commands.opening import policy_path, the_site
from balancer.commands.screen import err
from balancer.cycle import look_and_expect
from balancer.domain.cluster import Cluster
from balancer.domain.memory import NOTHING_REMEMBERED, Memory
from balancer.domain.plan import Plan
from balancer.errors import Fault, InputError
from balancer.formats import digest_of, read
from balancer.policy import Policy, load
from balancer.policy.places import Places, places_of

SnapshotPath = Annotated[Path | None, typer.Option("--snapshot", help="Plan for this snapshot, with no hypervisor.")]


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True)
class Seen:
    """A cluster as it was seen, what is remembered of it, and the policy in force for it then."""

    cluster: Cluster
    policy: Policy
    places: Places
    memory: Memory = NOTHING_REMEMBERED


def look(snapshot: Path | None, site: Path | None, policy: Path | None) -> Seen:
    """Read a snapshot, or look at the site; and read the policy as it is for that cluster at that moment."""
    if snapshot is not None:
        cluster = read(snapshot, Cluster)
        loaded = load(policy_path(policy), cluster.cluster)
        return Seen(cluster, loaded.policy.at(cluster.taken_at), places_of(loaded))
    with the_site(site) as opened:
        loaded = load(policy_path(policy), opened.name)
        wanted = loaded.policy.at(opened.clock.now())
        seen = look_and_expect(opened, wanted)
        return Seen(seen, wanted, places_of(loaded), opened.remembered(wanted, watching=False))


def warn_of_another_policy(plan: Plan, policy: Policy) -> None:
    """Say so where a plan is looked at under another policy than it was made under."""
    if plan.policy.digest != digest_of(policy):
        words = (
            f"the plan was made under another policy ({plan.policy.name}) than this one ({policy.name}): see --policy"
        )
        err.print(Text(words, style="yellow"))


def known(thing: str, name: str, names: Iterable[str]) -> str:
    """Return a name that is known; raises InputError with the one that was likely meant."""
    listed = list(names)
    if name in listed:
        return name
    near = difflib.get_close_matches(name, listed, n=1, cutoff=0.5)
    shown = ", ".join(listed[:8]) + (" ..." if len(listed) > 8 else "")
    raise InputError([Fault(name, f"is no {thing}", f"did you mean {near[0]}?" if near else f"known: {shown}")])
