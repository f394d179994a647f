"""A plan (`balancer.plan/1`): ranked steps with a reason each, what was left alone and why, what could not be kept."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from balancer.domain.conflict import Conflict
from balancer.domain.migration import PLAIN, MigrationKind, MigrationOptions
from balancer.domain.placement import Move
from balancer.domain.units import gib
from balancer.domain.value import Amount, Count, Flag, Moment, Name, Value
from balancer.domain.violation import Unit

PLAN_SCHEMA: Final = "balancer.plan/1"


class Mode(StrEnum):
    """How far the balancer may go."""

    RECOMMEND = "recommend"
    CONFIRM = "confirm"
    ACT = "act"


class Action(StrEnum):
    """What a step does."""

    MOVE = "move"
    POWER_ON = "power_on"
    WAIT_READY = "wait_ready"
    CORDON = "cordon"
    UNCORDON = "uncordon"
    POWER_OFF = "power_off"


class Because(StrEnum):
    """Why a guest or a host was left alone; the sentence is what people read."""

    IMMOVABLE = "immovable"
    IN_DOUBT = "in_doubt"
    IN_FLIGHT = "in_flight"
    NO_ROOM_ELSEWHERE = "no_room_elsewhere"
    NO_HOST_ALLOWED = "no_host_allowed"
    GAIN_TOO_SMALL = "gain_too_small"
    BUDGET_SPENT = "budget_spent"
    NO_SAFE_ORDER = "no_safe_order"
    NO_WAY_THERE = "no_way_there"
    COOLING_DOWN = "cooling_down"
    CARRIES_GUESTS = "carries_guests"
    CARRIES_IMMOVABLE = "carries_immovable"
    MAY_NOT_SLEEP = "may_not_sleep"
    WAKE_NOT_PROVEN = "wake_not_proven"
    NOT_LASTING_YET = "not_lasting_yet"
    KEPT_FOR_MAINTENANCE = "kept_for_maintenance"
    NEEDED_FOR_HEADROOM = "needed_for_headroom"
    NEEDED_SOON = "needed_soon"
    SAVES_TOO_LITTLE = "saves_too_little"
    NOT_PUT_TO_SLEEP_BY_US = "not_put_to_sleep_by_us"
    DEFINES_SHUT_OFF_GUESTS = "defines_shut_off_guests"
    DOUBTS_ELSEWHERE = "doubts_elsewhere"
    SLEPT_OFTEN_ENOUGH = "slept_often_enough"
    FROZEN = "frozen"
    # Why a guest is not taken to a host, and what taking it there would do.
    FORBIDDEN = "forbidden"
    CANNOT_RUN_THERE = "cannot_run_there"
    NO_ROOM_THERE = "no_room_there"
    TAKES_NO_GUESTS = "takes_no_guests"
    ASLEEP = "asleep"
    WOULD_GAIN = "would_gain"
    WOULD_COST = "would_cost"
    WELL_PLACED = "well_placed"
    IS_MOVED = "is_moved"
    TOO_MANY_DOUBTS = "too_many_doubts"
    SEARCH_ENDED = "search_ended"
    # Why a host is on, or off.
    NEEDED_FOR_PROMISE = "needed_for_promise"
    NOTHING_SAVED = "nothing_saved"
    IS_PUT_TO_SLEEP = "is_put_to_sleep"
    IS_WOKEN = "is_woken"
    NOT_NEEDED = "not_needed"
    SOLVER_STOPPED = "solver_stopped"
    DID_NOT_RETURN = "did_not_return"
    TEST_WAITS = "test_waits"

    @property
    def sentence(self) -> str:
        return _SENTENCES[self]


_SENTENCES: dict[Because, str] = {
    Because.IMMOVABLE: "may not be moved",
    Because.IN_DOUBT: "what was seen of it cannot be believed",
    Because.IN_FLIGHT: "is being moved already",
    Because.NO_ROOM_ELSEWHERE: "no other host has room for it",
    Because.NO_HOST_ALLOWED: "no other host is allowed to carry it",
    Because.GAIN_TOO_SMALL: "moving it would gain too little",
    Because.BUDGET_SPENT: "the budget is spent",
    Because.NO_SAFE_ORDER: "no order of moves gets it there safely",
    Because.NO_WAY_THERE: "no kind of migration that the policy permits gets it there",
    Because.COOLING_DOWN: "was touched a short while ago",
    Because.CARRIES_GUESTS: "carries guests that have no better place",
    Because.CARRIES_IMMOVABLE: "carries guests that may not be moved",
    Because.MAY_NOT_SLEEP: "the site file does not say `may_sleep: true`",
    Because.WAKE_NOT_PROVEN: "that it wakes is not proven",
    Because.NOT_LASTING_YET: "what is wanted has not been wanted for long enough",
    Because.KEPT_FOR_MAINTENANCE: "is kept for maintenance",
    Because.NEEDED_FOR_HEADROOM: "without it the others would be over their headroom",
    Because.NEEDED_SOON: "would be needed again before its power cycle has paid",
    Because.SAVES_TOO_LITTLE: "switching it off saves less than it costs",
    Because.NOT_PUT_TO_SLEEP_BY_US: "is off, though not by the balancer; balancer power wake --all wakes it",
    Because.DEFINES_SHUT_OFF_GUESTS: "defines guests that are shut off and could not start meanwhile",
    Because.DOUBTS_ELSEWHERE: "nothing is put to sleep while anything is in doubt",
    Because.SLEPT_OFTEN_ENOUGH: "each power cycle wears it, and it had enough of them today",
    Because.FROZEN: "the policy freezes it for the time being",
    Because.FORBIDDEN: "a promise forbids it",
    Because.CANNOT_RUN_THERE: "it cannot run there",
    Because.NO_ROOM_THERE: "there is no room",
    Because.TAKES_NO_GUESTS: "takes no guests now",
    Because.ASLEEP: "is asleep",
    Because.WOULD_GAIN: "would be better",
    Because.WOULD_COST: "would be no better",
    Because.WELL_PLACED: "no other place that it may go to is better",
    Because.IS_MOVED: "the plan moves it",
    Because.TOO_MANY_DOUBTS: "too much is in doubt to move anything",
    Because.SEARCH_ENDED: "the search ended before it looked there; more effort may find it",
    Because.NEEDED_FOR_PROMISE: "a promise needs it on",
    Because.NOTHING_SAVED: "the policy gives least_power no weight, so sleep saves nothing",
    Because.IS_PUT_TO_SLEEP: "the plan puts it to sleep",
    Because.IS_WOKEN: "the plan wakes it",
    Because.NOT_NEEDED: "is asleep, and its room is not needed",
    Because.SOLVER_STOPPED: "the best plan found so far: thinking about it was cut short",
    Because.DID_NOT_RETURN: "its room is not counted on until somebody has looked",
    Because.TEST_WAITS: "its power test is due and waits",
}


class Kept(Value):
    """Something that was left as it is, and why."""

    subject: str
    because: Because
    detail: str = ""


class Wanted(Value):
    """Something that a cycle wished for, and since when each cycle has; what lasts is acted on."""

    what: Name
    since: Moment


class Unmet(Value):
    """A promise that the plan cannot keep, and why."""

    promise: str
    subject: str
    why: str
    unit: Unit = Field(default=Unit.GUESTS, description="what the excess is counted in; a share is of what is usable")
    excess_before: Amount | None = Field(default=None, description="how far it is broken today; 0: it is not")
    excess_after: Amount | None = Field(default=None, description="how far it is broken when the plan has been done")
    conflict: Conflict | None = Field(
        default=None, description="the rules that it cannot hold together with, where no placement keeps them all"
    )

    @property
    def extent(self) -> str:
        """Say how far it is broken: `off by 2 guests, now by 3 guests`; empty where the plan does not say."""
        if self.excess_before is None or self.excess_after is None:
            return ""
        after, before = self.unit.said(self.excess_after), self.unit.said(self.excess_before)
        return f"off by {after}" + (", as now" if after == before else f", now by {before}")


class Step(Value):
    """One thing to do. `depends_on` rules execution; `wave` is a coarser schedule, just as legal."""

    id: Name
    rank: Count = 0
    wave: Count = 1
    depends_on: tuple[str, ...] = ()
    action: Action
    vm: str | None = None
    vm_id: str | None = None
    source: str | None = None
    target: str | None = None
    kind: MigrationKind | None = None
    options: MigrationOptions = PLAIN
    why_so: str = Field(default="", description="why it is moved in this way; empty for a plain live migration")
    host: str | None = None
    how: Literal["soft", "hard"] | None = None
    test: Flag = Field(default=False, description="of a power test: what goes off returns, whatever happens meanwhile")
    seconds: Amount = 0.0
    downtime_ms: Amount = 0.0
    memory_mib: Amount = 0.0
    copied_mib: Amount = Field(default=0.0, description="expected to go over the line: memory, rounds of it, disks")
    modelled_mib: Amount = Field(default=0.0, description="the same by the model alone, without what the past taught")
    link_mib_per_s: Amount = Field(default=0.0, description="what the line between the two is taken to carry")
    because: str = ""

    @model_validator(mode="after")
    def _says_what_it_touches(self) -> Self:
        if self.action is Action.MOVE:
            if not (self.vm and self.source and self.target):
                raise ValueError("a move names vm, source and target")
        elif not self.host:
            raise ValueError(f"{self.action} names a host")
        return self

    @property
    def move(self) -> Move:
        """The move that this step is; only for `action: move`."""
        assert self.vm and self.source and self.target
        return Move(self.vm, self.source, self.target)

    @property
    def is_move(self) -> bool:
        return self.action is Action.MOVE

    @property
    def is_waking(self) -> bool:
        """Whether it serves to wake a host, which no doubt and no other plan holds up."""
        return self.action in {Action.POWER_ON, Action.WAIT_READY, Action.UNCORDON}

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that the step touches."""
        return tuple(name for name in (self.source, self.target, self.host) if name)

    def __str__(self) -> str:
        if self.is_move:
            return f"move {self.vm} from {self.source} to {self.target}"
        return f"{self.action.replace('_', ' ')} {self.host}"


class Imbalance(Value):
    """Population standard deviation of used / usable over the hosts that are on."""

    cpu: Amount = 0.0
    memory: Amount = 0.0


class Summary(Value):
    """What the plan buys and costs. `gap` is norm_gap: 0 perfect, 1 no better than staying put."""

    moves: Count = 0
    gib_to_move: Amount = 0.0
    seconds_to_run: Amount = 0.0
    seconds_at_least: Amount = 0.0
    hosts_on_before: Count = 0
    hosts_on_after: Count = 0
    hosts_to_sleep: tuple[str, ...] = ()
    hosts_to_wake: tuple[str, ...] = ()
    hosts_to_test: tuple[str, ...] = Field(default=(), description="switched off and on to prove that they wake")
    imbalance_before: Imbalance = Imbalance()
    imbalance_after: Imbalance = Imbalance()
    watts_before: Amount = 0.0
    watts_after: Amount = 0.0
    objective_before: float = 0.0
    objective_after: float = 0.0
    objective_bound: float | None = None
    past_migrations: Count = Field(default=0, description="of this cluster that the times are foretold from")
    past_error: Amount = Field(default=0.0, description="median error of the times foretold for the last of them")
    gap: float | None = None
    proved_optimal: bool = False


class PolicyMark(Value):
    """Which policy a plan was made under."""

    name: str
    digest: str


class Plan(Value):
    """What to do, in which order, and why (`balancer.plan/1`)."""

    schema_: Literal["balancer.plan/1"] = Field(default=PLAN_SCHEMA, alias="schema")
    id: Name
    cluster: str = ""
    taken_at: Moment
    made_at: Moment
    valid_until: Moment
    snapshot_digest: str
    policy: PolicyMark
    mode: Mode = Mode.RECOMMEND
    seed: int = 0
    versions: dict[str, str] = {}
    summary: Summary = Summary()
    steps: tuple[Step, ...] = ()
    kept: tuple[Kept, ...] = ()
    unmet: tuple[Unmet, ...] = ()
    wanted: tuple[Wanted, ...] = Field(default=(), description="wishes, and since when; the next cycle remembers them")
    refused: Annotated[str, Field(description="why nothing but waking may be done now (doubts); empty otherwise")] = ""

    @property
    def moves(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.is_move)

    @property
    def is_empty(self) -> bool:
        return not self.steps

    @property
    def conflicts(self) -> tuple[Conflict, ...]:
        """The conflicts behind what it leaves broken, each once."""
        return tuple(dict.fromkeys(each.conflict for each in self.unmet if each.conflict is not None))

    def wake_ups(self) -> Plan:
        """Return the part of the plan that wakes hosts: it depends on nothing else, and may overtake a long plan."""
        steps = tuple(step for step in self.steps if step.is_waking and not step.test)
        summary = self.summary.model_copy(update={"moves": 0, "hosts_to_sleep": (), "hosts_to_test": ()})
        return self.model_copy(update={"id": f"{self.id}-wake", "steps": steps, "summary": summary})

    def part(self, chosen: Collection[str]) -> Plan:
        """Return the plan with these steps alone; what one of them depended on besides has to be proven anew."""
        steps = tuple(
            step.model_copy(update={"depends_on": tuple(need for need in step.depends_on if need in chosen)})
            for step in self.steps
            if step.id in chosen
        )
        asleep = {step.host for step in steps if step.action is Action.POWER_OFF}
        awake = {step.host for step in steps if step.action is Action.POWER_ON}
        tested = {step.host for step in steps if step.test}
        moves = [step for step in steps if step.is_move]
        summary = self.summary.model_copy(
            update={
                "moves": len(moves),
                "gib_to_move": gib(sum(step.memory_mib for step in moves)),
                "hosts_to_sleep": tuple(host for host in self.summary.hosts_to_sleep if host in asleep),
                "hosts_to_wake": tuple(host for host in self.summary.hosts_to_wake if host in awake),
                "hosts_to_test": tuple(host for host in self.summary.hosts_to_test if host in tested),
            }
        )
        return self.model_copy(update={"steps": steps, "summary": summary})

    def step(self, step_id: str) -> Step:
        """Return a step by its id; KeyError where there is none."""
        return {step.id: step for step in self.steps}[step_id]
