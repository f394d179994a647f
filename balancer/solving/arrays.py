"""The problem as arrays: what the models and the search see of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from balancer.domain.host import Resource
from balancer.solving.families import Company, Family
from balancer.solving.losses import Loss
from balancer.solving.tables import Tables

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

ROOM = 1e-9  # of a host's usable amount: sums of floats differ by their order


@dataclass(frozen=True, eq=False)
class HostCount:
    """At least, and at most, so many of these hosts are on; soft where `price` is not None, per host."""

    hosts: Ints
    at_least: int
    at_most: int
    price: float | None

    def excess(self, on: Bools) -> int:
        """Return how many hosts too few, or too many, are on."""
        count = int(on[self.hosts].sum())
        return max(0, self.at_least - count, count - self.at_most)


@dataclass(frozen=True, eq=False)
class Arrays:
    """Everything that the models and the search know. U units (guests that move as one), H hosts, R resources.

    fixed:      load that does not move: a host's own, and that of guests that stay
    limit:      hard limit of the load, infinite where there is none
    curve:      cost of a host's load squared
    tables:     costs of loads that follow a table, one for each resource that has any; they come on top
    soft_limit, soft_price: load above which each further unit of it costs, and how much
    place_cost: cost of a unit on a host: of its move there, and of being where it is not wanted
    allowed:    hosts a unit may be moved to; its own among them only where it may be
    held:       units that no search moves by itself (a group that is split)
    must:       1 where a host has to be on, -1 off, 0 either
    stray:      promises that a unit breaks by being where it is
    stuck:      excess of promises about guests that stay; `stuck_cost` where they are wishes
    """

    hosts: tuple[str, ...]
    resources: tuple[Resource, ...]
    units: tuple[tuple[str, ...], ...]
    need: Floats
    home: Ints
    guests: Ints
    mib: Floats
    place_cost: Floats
    allowed: Bools
    held: Bools
    splits: tuple[tuple[int, ...], ...]
    fixed: Floats
    usable: Floats
    limit: Floats
    curve: Floats
    tables: tuple[Tables, ...]
    soft_limit: Floats
    soft_price: Floats
    on_cost: Floats
    on_today: Bools
    may_sleep: Bools
    may_wake: Bools
    must: Ints
    families: tuple[Family, ...]
    companies: tuple[Company, ...]
    losses: tuple[Loss, ...]
    counts: tuple[HostCount, ...]
    stray: Floats
    stuck: float
    stuck_cost: float
    max_guests: float
    max_mib: float

    @cached_property
    def load_today(self) -> Floats:
        """Load of each host and resource as it is now."""
        load = self.fixed.copy()
        np.add.at(load, self.home, self.need)
        return load

    @cached_property
    def homeless_today(self) -> tuple[dict[tuple[int, ...], int], ...]:
        """Guests that would find no place today, for each promise about losses and each loss."""
        return tuple(loss.homeless(self.home, self.on_today, self.load_today) for loss in self.losses)

    @cached_property
    def slack(self) -> Floats:
        """Rounding that is not taken for a fault."""
        return ROOM * np.maximum(self.usable, 1.0)

    @cached_property
    def highest(self) -> Floats:
        """What no load is above: it keeps to its limit, or to what it is today, or all there is comes together."""
        most = np.minimum(self.limit, self.fixed + self.need.sum(axis=0))
        return np.asarray(np.maximum(most, self.load_today) + self.slack, dtype=np.float64)

    @cached_property
    def may_choose(self) -> Bools:
        """Hosts that may be on or off as we like."""
        return self.may_sleep | self.may_wake

    @cached_property
    def has_soft_limits(self) -> bool:
        return bool(self.soft_price.any())

    @property
    def has_budget(self) -> bool:
        return bool(np.isfinite(self.max_guests) or np.isfinite(self.max_mib))

    @cached_property
    def ceiling(self) -> Floats:
        """Limits, and the rounding above them that is not taken for a fault."""
        return self.limit + self.slack

    @cached_property
    def reachable(self) -> Floats:
        """The fullest that hosts can be within their limits: guests come in whole MiB, mostly in whole GiB.

        The models take this for the limit. Where a count of hosts is full to 99.9 %, it tells what can be packed.
        """
        reach = self.limit.copy()
        for resource in range(self.need.shape[1]):
            grain = _grain(self.need[:, resource])
            finite = np.isfinite(reach[:, resource])
            if grain and finite.any():
                fixed = self.fixed[finite, resource]
                steps = np.floor((self.ceiling[finite, resource] - fixed) / grain)
                reach[finite, resource] = np.minimum(reach[finite, resource], fixed + steps * grain)
        return reach

    @cached_property
    def need_squared(self) -> Floats:
        return np.square(self.need)

    @cached_property
    def closed_to(self) -> Bools:
        """Hosts that a unit never goes to by itself."""
        return np.asfortranarray(~self.allowed | self.held[:, None])

    @cached_property
    def idle_need(self) -> Bools:
        """Where a unit needs nothing of a resource: it then fits even where the limit is passed."""
        return np.equal(self.need, 0.0)

    def with_headroom(self, factor: float) -> Arrays:
        """Return the same with limits a little tighter, so that a count of hosts leaves room to pack."""
        losses = tuple(replace(loss, room=loss.room * factor) for loss in self.losses)
        return replace(self, limit=self.limit * factor, losses=losses)


def _grain(needs: Floats) -> int:
    """Return what all needs are whole multiples of; 0 where that is nothing."""
    if not np.equal(needs, np.round(needs)).all():
        return 0
    return int(np.gcd.reduce(needs.astype(np.int64))) if len(needs) else 0


def every(mask: Bools) -> Bools:
    """Say where something holds for all resources (the last axis); numpy is slow on an axis of two."""
    whole = np.ones(mask.shape[:-1], dtype=bool)
    for resource in range(mask.shape[-1]):
        whole &= mask[..., resource]
    return whole
