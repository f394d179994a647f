"""A saved cycle (`balancer.cycle/1`): all that is needed to decide it again; what a user attaches to a report."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from balancer.cycle import Cycle, think
from balancer.domain.cluster import Cluster
from balancer.domain.memory import NOTHING_REMEMBERED, Memory
from balancer.domain.plan import Plan
from balancer.domain.value import Value
from balancer.errors import Fault, InputError
from balancer.formats import read, to_json
from balancer.policy import Policy

CYCLE_SCHEMA: Final = "balancer.cycle/1"


class SavedCycle(Value):
    """What was seen, wanted, remembered and planned."""

    schema_: Literal["balancer.cycle/1"] = Field(default=CYCLE_SCHEMA, alias="schema")
    snapshot: Cluster
    policy: Policy
    memory: Memory = NOTHING_REMEMBERED
    plan: Plan


def save_cycle(cycle: Cycle, policy: Policy, path: Path) -> None:
    """Write a cycle down; it holds no secrets, for neither snapshots nor policies do. InputError where it cannot be."""
    try:
        path.write_text(to_json(saved_cycle(cycle, policy)) + "\n", encoding="utf-8")
    except OSError as cause:
        raise InputError([Fault(str(path), f"cannot be written: {cause.strerror}", "name a file to save to")]) from None


def saved_cycle(cycle: Cycle, policy: Policy) -> SavedCycle:
    """Return what is saved of a cycle."""
    in_force = policy.at(cycle.seen.taken_at)
    return SavedCycle(snapshot=cycle.seen, policy=in_force, memory=cycle.memory, plan=cycle.plan)


def replay_cycle(path: Path) -> tuple[Cycle, Policy]:
    """Decide a saved cycle again, under its own policy; with the same versions the plan is the same but for its id."""
    saved = read(path, SavedCycle)
    return think(saved.snapshot, saved.policy, saved.memory), saved.policy
