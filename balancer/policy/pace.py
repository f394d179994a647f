"""How fast the balancer may work: what it may spend, and what keeps guests from going back and forth."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from balancer.domain.value import Amount, Count, Flag, Value

AtLeastOne = Annotated[int, Field(strict=True, ge=1)]


class PerHour(Value):
    """What may be moved within any hour."""

    moves: Count | None = Field(default=None, description="guests moved within any 60 minutes", examples=[90])
    gib: Amount | None = Field(
        default=None, description="GiB of guest memory moved within any 60 minutes", examples=[1500]
    )


class PerHost(Value):
    """What one host may be burdened with in one cycle."""

    moves: Count | None = Field(
        default=None, description="moves in one cycle that come to or leave the same host", examples=[12]
    )


class BetweenSites(Value):
    """What may cross the line between two sites (hosts whose label `site` differs) in one cycle."""

    moves: Count | None = Field(default=None, description="moves in one cycle between the same two sites", examples=[4])
    gib: Amount | None = Field(default=None, description="GiB in one cycle between the same two sites", examples=[64])


class Emergency(Value):
    """What may be spent beyond the budget of the cycle and of the hour while a hard promise is broken."""

    moves: Count = Field(
        default=0, description="moves on top, in each cycle that finds a hard promise broken", examples=[10]
    )
    gib: Amount = Field(
        default=0.0, description="GiB on top, in each cycle that finds a hard promise broken", examples=[100]
    )


class Budget(Value):
    """What may be spent on moves; what is absent is not limited. Waking a host costs nothing of it."""

    moves: Count | None = Field(default=None, description="guests moved in one cycle", examples=[30])
    gib: Amount | None = Field(default=None, description="GiB of guest memory moved in one cycle", examples=[500])
    concurrent: AtLeastOne = Field(
        default=8, description="migrations at the same time in the whole cluster", examples=[8]
    )
    concurrent_per_host: AtLeastOne = Field(
        default=2, description="migrations at the same time to and from one host", examples=[2]
    )
    concurrent_between_sites: AtLeastOne = Field(
        default=2, description="migrations at the same time between the same two sites", examples=[2]
    )
    per_hour: PerHour = Field(
        default=PerHour(), description="what may be moved within any hour", examples=[{"moves": 90, "gib": 1500}]
    )
    per_host: PerHost = Field(
        default=PerHost(), description="what one host may be burdened with in one cycle", examples=[{"moves": 12}]
    )
    between_sites: BetweenSites = Field(
        default=BetweenSites(),
        description="what may cross the line between two sites in one cycle",
        examples=[{"moves": 4, "gib": 64}],
    )
    emergency: Emergency = Field(
        default=Emergency(),
        description="what may be spent on top while a hard promise is broken",
        examples=[{"moves": 10, "gib": 100}],
    )


class Stability(Value):
    """What keeps guests from going back and forth. Mending a broken promise and waking for it are never held."""

    minimum_gain: Amount = Field(
        default=0.001, description="a plan has to lower J by more than this, or mend a promise"
    )
    minimum_gain_per_move: Amount = Field(
        default=0.0, description="a move that only evens loads has to lower J by more than this, its own cost counted"
    )
    # Proxmox acts on the third round in which it wants the same; with a look every 5 minutes that is 10 minutes.
    hold_minutes: Amount = Field(
        default=10.0, description="a host has to be in want of relief for this long before guests move to even loads"
    )
    # vSphere's power management looks back 5 minutes before it wakes a host and 40 before it puts one to sleep.
    sleep_after_minutes: Amount = Field(
        default=40.0, description="as many hosts have to be dispensable for this long before they are put to sleep"
    )
    cooldown_minutes: Amount = Field(
        default=15.0,
        description="a guest that was moved stays put for this long; each failure in a row doubles it, at most 6 times",
    )
    host_cooldown_minutes: Amount = Field(
        default=30.0,
        description="a host that woke is not put to sleep for this long, and one that fell asleep is woken only to "
        "keep a promise; each failure in a row doubles it, at most 6 times",
    )
    mending_overrides_cooldown: Flag = Field(
        default=True,
        description="a guest that was moved a short while ago may be moved again to mend a hard promise; "
        "after a failure it never is",
    )
    payback_minutes: Amount = Field(
        default=60.0,
        description="switching a host off has to save what its shutdown, its boot and its guests' moves cost within "
        "this time; asked where its watts are known",
    )
    no_return_minutes: Amount = Field(
        default=60.0,
        description="a move that is undone was for nothing: no guest goes back within this time to the host that it "
        "left, unless a promise needs it",
    )
