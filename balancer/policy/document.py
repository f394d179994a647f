"""A policy file as it is written: a policy, what it extends, and what it says for single clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from balancer.constraints import Listed
from balancer.domain.value import Name
from balancer.policy.model import Policy, Scheduled, Sections
from balancer.policy.parts import part_of
from balancer.policy.windows import Date, Window, Zone

if TYPE_CHECKING:

    class Overrides(Sections):
        """What one cluster is to have otherwise."""
else:
    Overrides = part_of(Sections, "Overrides", "What one cluster is to have otherwise; each key may be absent.")


class ForCluster(Overrides):
    """What holds for one cluster alone; laid over the rest of the file as a file is over the one it extends."""

    name: Name = Field(default="", description="how plans and reports call it", examples=["production"])
    constraints: tuple[Listed, ...] = Field(
        default=(),
        description="promises besides the others; one of the same name replaces",
        examples=[[{"kind": "stay", "name": "pinned", "match": {"pinned": "yes"}}]],
    )
    remove: tuple[Name, ...] = Field(
        default=(), description="names of constraints that do not count here", examples=[["db-apart"]]
    )
    time_zone: Zone = Field(default="", description="of the windows that name none", examples=["Europe/Rome"])
    holidays: tuple[Date, ...] = Field(default=(), description="instead of the others", examples=[["12-25"]])
    windows: dict[str, Window] = Field(
        default={},
        description="windows besides the others; one of the same name is joined key by key",
        examples=[{"night": {"from": "22:00", "to": "06:00"}}],
    )
    schedule: tuple[Scheduled, ...] = Field(
        default=(), description="entries after the others", examples=[[{"during": "night", "set": {"freeze": "all"}}]]
    )


class PolicyDocument(Policy):
    """A policy file: what an administrator wants of one cluster or several."""

    extends: Name | None = Field(
        default=None,
        description="the policy that this one is laid over: a path relative to this file, or a ready policy by name",
        examples=["balanced"],
    )
    remove: tuple[Name, ...] = Field(
        default=(), description="names of inherited constraints to leave out", examples=[["db-apart"]]
    )
    clusters: dict[str, ForCluster] = Field(
        default={},
        description="what single clusters are to have otherwise, by their names",
        examples=[{"lab": {"mode": "act", "aggressiveness": 5}}],
    )
