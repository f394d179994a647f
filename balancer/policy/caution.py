"""What is done after failures, and when the balancer is told to stop."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from balancer.domain.value import Amount, Value
from balancer.policy.pace import AtLeastOne


class OnStop(StrEnum):
    """What becomes of running migrations when the service is told to stop."""

    FINISH = "finish"
    ABORT = "abort"


class StopAfter(Value):
    """How many failures stop the balancer."""

    failures: AtLeastOne = Field(
        default=5, description="moves, shutdowns and wake-ups that failed, or whose end was not seen", examples=[5]
    )
    within_minutes: Amount = Field(
        default=60.0, description="counted within this time; for as long nothing is begun then", examples=[60]
    )


class ShunAfter(Value):
    """How many failures keep guests from being brought to a host."""

    failures: AtLeastOne = Field(default=3, description="moves to the same host that failed", examples=[3])
    within_minutes: Amount = Field(default=60.0, description="counted within this time", examples=[60])
    for_minutes: Amount = Field(default=60.0, description="no guest is brought there for this long", examples=[60])


class Caution(Value):
    """What is done after failures, and when the balancer is told to stop. Waking is never held up by it."""

    stop_after_failures: StopAfter = Field(
        default=StopAfter(),
        description="so many failures stop everything but waking, until the time is over or `balancer resume`",
        examples=[{"failures": 5, "within_minutes": 60}],
    )
    shun_target_after: ShunAfter = Field(
        default=ShunAfter(),
        description="so many failed moves to one host keep guests from being brought there for a while",
        examples=[{"failures": 3, "within_minutes": 60, "for_minutes": 60}],
    )
    back_off_minutes: Amount = Field(
        default=30.0,
        description="a guest whose move failed is not tried towards the same host for this long; each failure in a row "
        "doubles it, at most 6 times",
        examples=[30],
    )
    never_here_minutes: Amount = Field(
        default=1440.0,
        description="the same, at least, after a failure that time does not mend: no such CPU, disk or network there",
        examples=[1440],
    )
    moved_by_others_minutes: Amount = Field(
        default=60.0,
        description="a guest that somebody else moved is left there for this long, unless a promise needs it moved",
        examples=[60],
    )
    on_stop: OnStop = Field(
        default=OnStop.FINISH,
        description="finish | abort: what becomes of running migrations when the service is told to stop",
        examples=["abort"],
    )
    stop_within_minutes: Amount = Field(
        default=10.0,
        description="for how long their end is waited for then; what still runs is left to the hypervisors and settled "
        "by the next start",
        examples=[10],
    )
