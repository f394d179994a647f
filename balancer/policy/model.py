"""The policy (`balancer.policy/1`): one frozen section a topic, each default written here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final, Literal

from pydantic import Field

from balancer.constraints import Constraint, Headroom, Listed, Reach
from balancer.constraints.asked import Ask, asked, remarks_on_asks
from balancer.domain.cluster import Cluster
from balancer.domain.plan import Mode
from balancer.domain.shapes import Cost, Shape
from balancer.domain.value import Amount, Count, Flag, Name, Share, Value
from balancer.domain.violation import Violation
from balancer.objectives import EvenLoad, FewMoves, LeastPower

POLICY_SCHEMA: Final = "balancer.policy/1"
AtLeastOne = Annotated[int, Field(strict=True, ge=1)]


class Objectives(Value):
    """The wishes and their weights; a wish that is absent weighs nothing."""

    even_load: EvenLoad = EvenLoad()
    least_power: LeastPower = LeastPower()
    few_moves: FewMoves = FewMoves()

    def lower(self, now: Cluster) -> Iterable[Cost]:
        """Say all wishes in the solver's cost shapes."""
        return [cost for wish in (self.even_load, self.least_power, self.few_moves) for cost in wish.lower(now)]

    def score(self, now: Cluster, later: Cluster) -> float:
        """Return J: what `later` costs when it is reached from `now`."""
        return sum(wish.score(now, later) for wish in (self.even_load, self.least_power, self.few_moves))


class Budget(Value):
    """What one cycle may spend; what is absent is not limited."""

    moves: Count | None = None
    gib: Amount | None = None
    concurrent_per_host: AtLeastOne = 2


class PowerRules(Value):
    """When hosts may be switched off and on."""

    trust_days: Amount = Field(default=90.0, description="for how long a proven wake is trusted")
    wake: tuple[Name, ...] = Field(default=(), description="hosts that may be woken though others put them to sleep")
    accept_shut_off_guests: Flag = Field(
        default=False, description="a host may sleep though guests that are shut off are defined on it"
    )
    hard_off: Flag = Field(default=False, description="cut the power when a soft shutdown does not end in time")


class DemandRules(Value):
    """What a guest is expected to need: a quantile of what it used within a window, never less than now."""

    window_minutes: Amount = 30.0
    quantile: Share = 0.95


class Stability(Value):
    """What keeps guests from going back and forth."""

    minimum_gain: Amount = Field(
        default=0.001, description="a plan has to lower J by more than this, or mend a promise"
    )
    cooldown_minutes: Amount = Field(default=15.0, description="a guest that was moved stays put for this long")


class Effort(Value):
    """How hard to look for a better placement; work is bounded, not time, so that plans can be made again."""

    iterations: Count = Field(default=200_000, description="steps of the search")
    nodes: Count = Field(default=2_000, description="nodes of the exact model")


class MigrationRules(Value):
    """How migrations are carried out."""

    deadline_minutes: Amount | None = Field(
        default=None, description="absent: five times what was predicted, at least 2"
    )
    bandwidth_mib_per_s: Amount | None = None
    concurrent: AtLeastOne = Field(default=8, description="migrations at the same time in the whole cluster")


class Policy(Value):
    """What an administrator wants of a cluster."""

    schema_: Literal["balancer.policy/1"] = Field(default=POLICY_SCHEMA, alias="schema")
    name: Name = "default"
    mode: Mode = Mode.RECOMMEND
    headroom: Headroom = Headroom()
    objectives: Objectives = Objectives(
        even_load=EvenLoad(weight=1.0), least_power=LeastPower(weight=0.3), few_moves=FewMoves(weight=0.02)
    )
    constraints: tuple[Listed, ...] = ()
    believe_guests: tuple[Ask, ...] = Field(
        default=(Ask.MOVABLE,),
        description="what guests may ask for in their own metadata: movable, apart, together, only_on, prefer",
    )
    budget: Budget = Budget()
    power: PowerRules = PowerRules()
    demand: DemandRules = DemandRules()
    stability: Stability = Stability()
    effort: Effort = Effort()
    migration: MigrationRules = MigrationRules()
    max_doubts: Share = Field(default=0.20, description="doubts on more than this share of the hosts stop all moves")
    interval_seconds: Annotated[float, Field(strict=True, ge=1)] = 300.0
    plan_valid_minutes: Amount = 30.0
    seed: Count = 1

    @property
    def promises(self) -> tuple[Constraint, ...]:
        """Headroom, reach and all listed constraints."""
        return (self.headroom, Reach(), *self.constraints)

    def promises_on(self, cluster: Cluster) -> tuple[Constraint, ...]:
        """All promises that count on a cluster: those of the policy, and what its guests ask for and are believed."""
        return (*self.promises, *asked(cluster, self.believe_guests))

    def shapes(self, cluster: Cluster) -> tuple[Shape, ...]:
        """Say all promises in the solver's shapes."""
        return tuple(shape for promise in self.promises_on(cluster) for shape in promise.lower(cluster))

    def violations(self, cluster: Cluster, in_transit: bool = False) -> list[Violation]:
        """Return where a cluster breaks the promises, as their checkers see it.

        in_transit: guests are on their way, so promises that speak of guests at rest are left out
        """
        counted = [promise for promise in self.promises_on(cluster) if not (in_transit and promise.at_rest)]
        return [violation for promise in counted for violation in promise.violations(cluster)]

    def score(self, now: Cluster, later: Cluster) -> float:
        """Return J: what `later` costs when it is reached from `now`, wishes that stand among the constraints too."""
        return self.objectives.score(now, later) + sum(promise.cost(now, later) for promise in self.promises_on(now))

    def remarks(self, cluster: Cluster) -> list[str]:
        """Return what is suspicious about the policy on this cluster."""
        said = [f"{promise.promise}: {remark}" for promise in self.promises for remark in promise.remarks(cluster)]
        return said + list(remarks_on_asks(cluster, self.believe_guests))
