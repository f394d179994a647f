"""The policy (`balancer.policy/1`): one frozen section a topic, each default written here and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from functools import reduce
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import InitErrorDetails

from balancer.constraints import Constraint, Headroom, Listed, Reach
from balancer.constraints.asked import Ask, asked, remarks_on_asks
from balancer.domain.cluster import Cluster
from balancer.domain.plan import Mode
from balancer.domain.shapes import Cost, Shape
from balancer.domain.tariff import Tariff
from balancer.domain.value import Amount, Count, Flag, Name, Share, Value
from balancer.domain.violation import Violation
from balancer.objectives import EvenLoad, FewMoves, LeastPower, LittleWait, Objective
from balancer.policy.caution import Caution
from balancer.policy.dial import Aggressiveness, dialled, sets
from balancer.policy.migration import MigrationRules
from balancer.policy.pace import Budget, Stability
from balancer.policy.parts import deep, part_of
from balancer.policy.prices import payback_minutes, weighed
from balancer.policy.windows import Date, Window, Zone, misplaced_when, unknown_windows

POLICY_SCHEMA: Final = "balancer.policy/1"


class Objectives(Value):
    """The wishes and their weights; a wish that is absent weighs nothing."""

    even_load: EvenLoad = Field(
        default=EvenLoad(), description="load hosts evenly", examples=[{"weight": 1.0, "cpu": 1.0, "memory": 1.0}]
    )
    least_power: LeastPower = Field(
        default=LeastPower(), description="keep few hosts on, the hungriest first to go", examples=[{"weight": 0.3}]
    )
    little_wait: LittleWait = Field(
        default=LittleWait(), description="let guests wait little for a core", examples=[{"weight": 1.0}]
    )
    few_moves: FewMoves = Field(default=FewMoves(), description="move little", examples=[{"weight": 0.02}])

    @property
    def wishes(self) -> tuple[Objective, ...]:
        return self.even_load, self.least_power, self.little_wait, self.few_moves

    def lower(self, now: Cluster) -> Iterable[Cost]:
        """Say all wishes in the solver's cost shapes."""
        return [cost for wish in self.wishes for cost in wish.lower(now)]

    def score(self, now: Cluster, later: Cluster) -> float:
        """Return J: what `later` costs when it is reached from `now`."""
        return sum(wish.score(now, later) for wish in self.wishes)


WISHES = Objectives(even_load=EvenLoad(weight=1.0), least_power=LeastPower(weight=0.3), few_moves=FewMoves(weight=0.02))
"""What is wished for where a policy names no objectives."""


TESTED_WITHIN = 0.8  # of `trust_days`: a window that is missed then costs no host its trust


class PowerTests(Value):
    """When hosts are tested by themselves, one at a time: emptied, switched off softly, switched on, taken back."""

    during: Name = Field(description="the window of the policy in which a test may begin and end", examples=["night"])
    every_days: Annotated[float, Field(gt=0)] = Field(
        default=30.0,
        description="a host is tested where its proven wake is older than this, or than four fifths of `trust_days`",
        examples=[30],
    )


class PowerRules(Value):
    """When hosts may be switched off and on."""

    trust_days: Amount = Field(default=90.0, description="for how long a proven wake is trusted")
    wake: tuple[Name, ...] = Field(default=(), description="hosts that may be woken though others put them to sleep")
    accept_shut_off_guests: Flag = Field(
        default=False, description="a host may sleep though guests that are shut off are defined on it"
    )
    cycles_per_day: Count | None = Field(
        default=4, description="so often at most one host is put to sleep within 24 hours; null: no limit"
    )
    hard_off: Flag = Field(default=False, description="cut the power when a soft shutdown does not end in time")
    test: PowerTests | None = Field(
        default=None,
        description="test by itself, in a window, that hosts wake; absent: a person does, by `balancer power test`",
        examples=[{"during": "night", "every_days": 30}],
    )

    @property
    def tested_after_days(self) -> float:
        """How old a proven wake may become before a host is tested by itself."""
        most = TESTED_WITHIN * self.trust_days
        return most if self.test is None else min(self.test.every_days, most)


def _as_share(said: object) -> object:
    """Read `0.1%` as a share."""
    percent = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", said) if isinstance(said, str) else None
    return float(percent[1]) / 100 if percent else said


Risk = Annotated[
    float, BeforeValidator(_as_share, json_schema_input_type=float | str), Field(strict=True, gt=0, le=0.2)
]
"""A share of the time, as a number or in percent: 0.001 or 0.1%."""


class DemandRules(Value):
    """What a guest is expected to need: by itself, a quantile of a window; or with all guests of a host, at a risk."""

    window_minutes: Amount = Field(default=30.0, description="how far back readings count", examples=[30])
    quantile: Share = Field(
        default=0.95, description="this share of the readings was lower than what is expected", examples=[0.95]
    )
    risk: Risk | None = Field(
        default=None,
        description="at most this share of the time may the guests of a host need more than headroom leaves them: "
        "needs are forecast, and their uncertainties add up as they do, not as if all came at once; absent: each guest "
        "counts by itself, with its quantile",
        examples=["0.1%"],
    )
    horizon_minutes: Amount = Field(
        default=60.0,
        description="with a risk: how far ahead a placement has to hold; the greatest need of the next 5 and 15 "
        "minutes, 1 and 8 hours up to this counts",
        examples=[60],
    )


class Effort(Value):
    """How hard to look for a better placement; work is bounded, not time, so that plans can be made again."""

    iterations: Count = Field(default=200_000, description="steps of the search")
    nodes: Count = Field(default=2_000, description="nodes of the exact model")


class Freeze(StrEnum):
    """What is not begun for the time being; what runs may end, and waking is always allowed."""

    NONE = "none"
    MOVES = "moves"
    POWER = "power"
    ALL = "all"


class Sections(Value):
    """What may also stand under `clusters:` and in a `schedule:`."""

    mode: Mode = Field(
        default=Mode.RECOMMEND,
        description="recommend: only says | confirm: a plan waits for a person | act: acts",
        examples=["act"],
    )
    freeze: Freeze = Field(
        default=Freeze.NONE,
        description="none | moves: no guest is moved | power: no host is put to sleep | all: neither; what runs may "
        "end, and waking is always allowed. While no guest may move (moves, all) load alone wakes no host: an empty "
        "one would help no guest that runs; promises that it helps by itself (`reserve`, `keep_on`) wake it. Most "
        "useful in a `schedule`",
        examples=["all"],
    )
    aggressiveness: Aggressiveness | None = Field(
        default=None,
        description="1: only what promises demand ... 5: any gain; sets what the file leaves open, see the table; "
        "absent: the defaults, which are those of 3",
        examples=[2],
    )
    headroom: Headroom = Field(
        default=Headroom(),
        description="a part of each host that stays free",
        examples=[{"cpu": 0.90, "memory": 0.95}],
    )
    objectives: Objectives = Field(
        default=WISHES,
        description="the wishes and their weights; a wish that is absent weighs nothing",
        examples=[{"even_load": {"weight": 1.0}, "few_moves": {"weight": 0.02}}],
    )
    believe_guests: tuple[Ask, ...] = Field(
        default=(Ask.MOVABLE,),
        description="what guests may ask for in their own metadata: movable, apart, together, only_on, prefer",
        examples=[["movable", "apart"]],
    )
    budget: Budget = Field(
        default=Budget(),
        description="what one cycle may spend; what is absent is not limited",
        examples=[{"moves": 30, "gib": 500, "concurrent_per_host": 2}],
    )
    power: PowerRules = Field(
        default=PowerRules(), description="when hosts may be switched off and on", examples=[{"trust_days": 90}]
    )
    energy: Tariff = Field(
        default=Tariff(),
        description="what a kWh costs, in money and CO2: for the accounts of what was saved and, where a `schedule` "
        "says another price for a window, for how much a watt weighs then",
        examples=[{"price_per_kwh": 0.28, "currency": "EUR", "co2_g_per_kwh": 350}],
    )
    demand: DemandRules = Field(
        default=DemandRules(),
        description="what a guest is expected to need: a quantile of what it used within a window, never less than now",
        examples=[{"window_minutes": 30, "quantile": 0.95}],
    )
    stability: Stability = Field(
        default=Stability(),
        description="what keeps guests from going back and forth",
        examples=[{"minimum_gain": 0.001, "cooldown_minutes": 15}],
    )
    effort: Effort = Field(
        default=Effort(), description="how hard to look for a better placement", examples=[{"iterations": 200000}]
    )
    migration: MigrationRules = Field(
        default=MigrationRules(), description="how migrations are carried out", examples=[{"deadline_minutes": 20}]
    )
    caution: Caution = Field(
        default=Caution(),
        description="what is done after failures, and when the balancer is told to stop",
        examples=[{"stop_after_failures": {"failures": 5, "within_minutes": 60}, "on_stop": "finish"}],
    )
    max_doubts: Share = Field(
        default=0.20, description="doubts on more than this share of the hosts stop all moves", examples=[0.2]
    )
    interval_seconds: Annotated[float, Field(strict=True, ge=1)] = Field(
        default=300.0, description="from one look at the cluster to the next", examples=[300]
    )
    watch_seconds: Annotated[float, Field(strict=True, ge=0)] = Field(
        default=20.0,
        description="so often it is glanced at how busy hosts are, between two looks, while the balancer acts: a surge "
        "begins the next look at once; 0: never",
        examples=[20],
    )
    plan_valid_minutes: Amount = Field(
        default=30.0, description="a plan that a person approves later than this is made anew", examples=[30]
    )
    seed: Count = Field(default=1, description="equal seeds give equal plans", examples=[1])

    def written(self) -> dict[str, Any]:
        """Return the sections as they were written: neither defaults nor what the dial has set."""
        return self.model_dump(include=set(Sections.model_fields), exclude_unset=True, by_alias=True)


if TYPE_CHECKING:

    class Part(Sections):
        """Sections of a policy of which each may be absent."""
else:
    Part = part_of(Sections, "Part", "Sections of a policy; each may be absent.")


class Scheduled(Value):
    """Sections that replace the policy's while a window is open; what is not named stays as it is."""

    during: Name = Field(description="a window of the policy", examples=["night"])
    set: Part = Field(description="sections of the policy that hold then", examples=[{"freeze": "all"}])


class Policy(Sections):
    """What an administrator wants of a cluster."""

    schema_: Literal["balancer.policy/1"] = Field(
        default=POLICY_SCHEMA, alias="schema", description="which format this is", examples=[POLICY_SCHEMA]
    )
    name: Name = Field(default="default", description="how plans and reports call it", examples=["production"])
    constraints: tuple[Listed, ...] = Field(
        default=(),
        description="promises; each says its `kind`",
        examples=[[{"kind": "apart", "name": "db-apart", "vms": ["db1", "db2"]}]],
    )
    time_zone: Zone = Field(
        default="UTC",
        description="of the windows that name none, and of the weekdays and hours that forecasts go by: an IANA name",
        examples=["Europe/Rome"],
    )
    holidays: tuple[Date, ...] = Field(
        default=(),
        description="dates, or month and day of each year, for windows on `holidays` and `workdays`",
        examples=[["2026-04-06", "12-25"]],
    )
    windows: dict[str, Window] = Field(
        default={},
        description="stretches of time by name, for `schedule` and for the `when` of constraints",
        examples=[{"night": {"days": ["mon-fri"], "from": "22:00", "to": "06:00"}}],
    )
    schedule: tuple[Scheduled, ...] = Field(
        default=(),
        description="what holds while a window is open; where windows overlap, the later entry wins",
        examples=[[{"during": "night", "set": {"freeze": "all"}}]],
    )

    @classmethod
    def _unknown_keys(cls, data: Any) -> list[InitErrorDetails]:
        """Windows that are named and not there are told together with all other faults."""
        return [*super()._unknown_keys(data), *unknown_windows(data), *misplaced_when(data)]

    @model_validator(mode="after")
    def _turn_the_dial(self) -> Self:
        # In place, before anybody has seen the value: `model_fields_set` keeps saying what the file wrote itself.
        self.__dict__.update(dialled(self, self.aggressiveness))
        return self

    def at(self, moment: datetime) -> Policy:
        """Return the policy in force at a moment: schedule applied, and only the promises that count then."""
        if not self.schedule and all(promise.when is None for promise in self.constraints):
            return self

        def is_open(window: str) -> bool:
            return self.is_open(window, moment)

        holding = [entry.set.written() for entry in self.schedule if is_open(entry.during)]
        counting = tuple(each for each in self.constraints if each.when is None or each.when.is_in_force(is_open))
        in_force = self._with(holding).model_copy(update={"constraints": counting, "schedule": ()})
        return self._at_its_price(in_force, moment)

    @property
    def prices_by_time(self) -> bool:
        """Whether the schedule says when a kWh costs what."""
        return any(entry.set.energy is not None for entry in self.schedule)

    def cost_at(self, moment: datetime) -> float:
        """What a kWh costs at a moment, its CO2 in it at the price that the policy gives it."""
        said = [entry.set.written().get("energy", {}) for entry in self.schedule if self.is_open(entry.during, moment)]
        return Tariff.model_validate(reduce(deep, said, self.energy.model_dump())).cost_per_kwh

    def _at_its_price(self, in_force: Policy, moment: datetime) -> Policy:
        """Let a watt weigh by what it costs, and a power cycle pay by what it costs and saves."""
        wishes, usual = in_force.objectives, self.energy.cost_per_kwh
        if not (self.prices_by_time and usual > 0 and wishes.least_power.by_price):
            return in_force
        factor = weighed(self.cost_at, usual, moment, in_force.demand.horizon_minutes)
        power = wishes.least_power.model_copy(update={"weight": wishes.least_power.weight * factor})
        within = payback_minutes(self.cost_at, moment, in_force.stability.payback_minutes)
        sections = {
            "objectives": wishes.model_copy(update={"least_power": power}),
            "stability": in_force.stability.model_copy(update={"payback_minutes": within}),
        }
        return in_force.model_copy(update=sections)

    def _with(self, parts: list[dict[str, Any]]) -> Policy:
        if not parts:
            return self
        written = reduce(deep, parts, self.written())
        if "objectives" in written and "objectives" not in self.model_fields_set:
            # Naming one wish for the night does not take the day's other wishes away.
            level = written.get("aggressiveness")
            usual = {
                wish: {"weight": getattr(WISHES, wish).weight}
                for wish in WISHES.model_fields_set
                if not sets(level, f"objectives.{wish}.weight")
            }
            written["objectives"] = deep(usual, written["objectives"])
        fields = {name: getattr(self, name) for name in self.model_fields_set - Sections.model_fields.keys()}
        return Policy.model_validate({**fields, **written})

    def is_open(self, window: str, moment: datetime) -> bool:
        """Whether a window of this policy is open at a moment."""
        return window in self.windows and self.windows[window].holds(moment, self.zone, self.holidays)

    @property
    def zone(self) -> ZoneInfo:
        """The time zone that windows and forecasts go by."""
        return ZoneInfo(self.time_zone)

    def windows_open(self, moment: datetime) -> tuple[str, ...]:
        """Return the windows that are open at a moment, in the order of the file."""
        return tuple(name for name in self.windows if self.is_open(name, moment))

    def in_mode(self, mode: Mode) -> Policy:
        """Return the policy in another mode, whatever its schedule says about modes."""
        schedule = tuple(
            entry.model_copy(update={"set": entry.set.model_copy(update={"mode": mode})}) for entry in self.schedule
        )
        return self.model_copy(update={"mode": mode, "schedule": schedule})

    @property
    def moves_are_frozen(self) -> bool:
        return self.freeze in {Freeze.MOVES, Freeze.ALL}

    @property
    def power_is_frozen(self) -> bool:
        return self.freeze in {Freeze.POWER, Freeze.ALL}

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
