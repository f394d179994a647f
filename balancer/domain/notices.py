"""Whom the balancer tells what, and when: sections of the site file. Where messages go is a secret, by reference."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from balancer.domain.value import Amount, Flag, Name, SecretRef, Value


class Kind(StrEnum):
    """What is told."""

    PLAN_WAITING = "plan_waiting"
    PLAN_DONE = "plan_done"
    PLAN_FAILED = "plan_failed"
    DOUBTS = "doubts"
    CYCLE_FAILS = "cycle_fails"
    HOST_DOES_NOT_WAKE = "host_does_not_wake"
    HOST_SET_ASIDE = "host_set_aside"
    BREAKER_OPEN = "breaker_open"
    GUEST_CLASH = "guest_clash"
    POLICY_REFUSED = "policy_refused"
    DAILY_SUMMARY = "daily_summary"


class Severity(StrEnum):
    """How much it matters."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


URGENT: Final = (
    Kind.BREAKER_OPEN,
    Kind.GUEST_CLASH,
    Kind.HOST_DOES_NOT_WAKE,
    Kind.PLAN_FAILED,
    Kind.CYCLE_FAILS,
)

_WEEKDAY = "(mon|tue|wed|thu|fri|sat|sun)"
Weekdays = Annotated[str, StringConstraints(pattern=rf"^{_WEEKDAY}(-{_WEEKDAY})?$")]
ClockTime = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


def _a_time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise ValueError(f"is {name!r}, not a time zone; write an IANA name such as Europe/Rome") from None
    return name


TimeZone = Annotated[str, AfterValidator(_a_time_zone)]


class QuietHours(Value):
    """When what can wait is held back; a stretch that passes midnight belongs to the day on which it begins."""

    from_: ClockTime = Field(alias="from", description="local time", examples=["22:00"])
    to: ClockTime = Field(description="local time, on the next day where it is not later than `from`")
    days: Annotated[tuple[Weekdays, ...], Field(min_length=1)] | None = Field(
        default=None, description="on which it begins: mon ... sun, fri-sun; absent: each day"
    )


class Target(Value):
    """One place that messages go to: a mail address, a chat, a web hook."""

    name: Name
    secret_ref: SecretRef = Field(description="of its Apprise URL: file:NAME in the secrets directory, or env:NAME")
    kinds: Annotated[tuple[Kind, ...], Field(min_length=1)] | None = Field(
        default=None, description="what it is told; absent: all but daily_summary"
    )
    least: Severity = Field(default=Severity.INFO, description="info | warning | critical: nothing below that")
    quiet: QuietHours | Literal[False] | None = Field(
        default=None, description="its own quiet hours; false: none; absent: those of all"
    )
    urgent: tuple[Kind, ...] | None = Field(
        default=None, description="what does not wait for the end of quiet hours; absent: as for all"
    )

    def wants(self, kind: Kind, severity: Severity) -> bool:
        """Whether it is told of this at all. A summary is asked for by name, and no severity keeps it away."""
        if kind is Kind.DAILY_SUMMARY:
            return self.kinds is not None and kind in self.kinds
        return severity.rank >= self.least.rank and (self.kinds is None or kind in self.kinds)


class Notify(Value):
    """Who is told, what, and when."""

    targets: Annotated[tuple[Target, ...], Field(min_length=1)]
    time_zone: TimeZone = Field(default="UTC", description="of quiet hours and of times in messages")
    quiet: QuietHours | None = Field(default=None, description="for targets that have no quiet hours of their own")
    urgent: tuple[Kind, ...] = Field(default=URGENT, description="what does not wait for the end of quiet hours")
    daily_at: ClockTime = Field(default="07:00", description="local time of the summary of the day before")
    link: str = Field(default="", description="where people look, at the end of each message: the dashboard's URL")
    after_minutes: Amount = Field(
        default=5.0, description="doubts, and cycles that fail, are told when they have lasted for so long"
    )
    again_minutes: Amount = Field(
        default=60.0, description="what has changed is told again, and a plan that fails as before, after so long"
    )
    over_minutes: Amount = Field(default=10.0, description="what is over for so long is told to be over")

    @field_validator("targets")
    @classmethod
    def _each_once(cls, targets: tuple[Target, ...]) -> tuple[Target, ...]:
        names = [target.name for target in targets]
        if twins := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"has target names twice: {', '.join(twins)}")
        return targets

    def quiet_hours_of(self, target: Target) -> QuietHours | None:
        return self.quiet if target.quiet is None else target.quiet or None

    def urgent_for(self, target: Target) -> tuple[Kind, ...]:
        return self.urgent if target.urgent is None else target.urgent

    @property
    def wants_summary(self) -> bool:
        return any(target.wants(Kind.DAILY_SUMMARY, Severity.INFO) for target in self.targets)


class Matcher(Value):
    """Which alerts are about a host: by one of their labels."""

    label: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
    value: str = Field(default="{host}(:[0-9]+)?", description="{host} stands for the host's name")
    regex: Flag = Field(default=True, description="`value` is a regular expression for the whole of the label")

    @field_validator("value")
    @classmethod
    def _not_empty(cls, value: str) -> str:
        if not value:
            raise ValueError("matches alerts without that label: write e.g. {host}(:[0-9]+)?")
        return value


class Alertmanager(Value):
    """A Prometheus Alertmanager that has a silence for each host that sleeps."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^@]+$")] = Field(
        description="without /api; a password does not belong here"
    )
    user: str | None = Field(default=None, description="with one, the secret is its password; else a bearer token")
    secret_ref: SecretRef | None = None
    ca_file: str | None = Field(default=None, description="whose certificates to trust")
    matchers: Annotated[tuple[Matcher, ...], Field(min_length=1)] = Field(
        default=(Matcher(label="instance"),), description="an alert that all of these match is about the host"
    )
    silence_minutes: Annotated[float, Field(strict=True, ge=10, le=1440)] = Field(
        default=120.0, description="how long a silence lasts that nobody renews any more: ours may have died"
    )
    linger_minutes: Annotated[float, Field(strict=True, ge=0, le=120)] = Field(
        default=5.0, description="for so long it stays when a host is back: its exporters have to be seen first"
    )
    deadline_seconds: Annotated[float, Field(strict=True, ge=1, le=60)] = 10.0

    @field_validator("matchers")
    @classmethod
    def _about_one_host(cls, matchers: tuple[Matcher, ...]) -> tuple[Matcher, ...]:
        if not any("{host}" in matcher.value for matcher in matchers):
            raise ValueError("would silence alerts of every host: one of them needs {host} in its value")
        return matchers

    @model_validator(mode="after")
    def _has_a_secret_for_its_user(self) -> Self:
        if self.user is not None and self.secret_ref is None:
            raise ValueError("has a `user` and no `secret_ref` for the password")
        return self
