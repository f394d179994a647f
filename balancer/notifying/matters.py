"""What is worth telling of what is the case: values in, values out."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from balancer.domain.cluster import Doubt
from balancer.domain.notices import Kind, Severity
from balancer.domain.units import count_of
from balancer.execution import Outcome, Result, RunReport
from balancer.reporting.sentences import plan_sentence
from balancer.store.halts import Halt, HaltKind
from balancer.store.journal import EntryState, JournalEntry
from balancer.store.marks import HostMarks
from balancer.store.proposals import Proposal, ProposalState, likeness

MOST_LINES = 20  # of one message
AN_HOUR = timedelta(hours=1)
BY_LOOKING = (Kind.DOUBTS, Kind.GUEST_CLASH, Kind.HOST_DOES_NOT_WAKE, Kind.HOST_SET_ASIDE)


@dataclass(frozen=True)
class Summary:
    """A day's summary: which day, and the message."""

    day: str
    title: str
    body: str


@dataclass(frozen=True)
class Facts:
    """What is the case, as far as it was looked at.

    looked_at: when the last cycle looked, None before the first; up: hosts whose hypervisor answered then
    trouble: why the last cycle failed; refused: what is wrong with a policy file that was changed
    ended: the plans that ended since the last time; open: the steps whose end is not written
    """

    now: datetime
    looked_at: datetime | None = None
    doubts: tuple[Doubt, ...] = ()
    up: Collection[str] = ()
    trouble: str = ""
    refused: tuple[str, ...] = ()
    halts: tuple[Halt, ...] = ()
    marks: Mapping[str, HostMarks] = field(default_factory=dict)
    proposals: tuple[Proposal, ...] = ()
    open: tuple[JournalEntry, ...] = ()
    ended: tuple[RunReport, ...] = ()
    summary: Summary | None = None

    @property
    def unseen(self) -> Collection[Kind]:
        """Of what nobody can say yet whether it is the case: a start ends no doubts."""
        if self.looked_at is not None:
            return ()
        return BY_LOOKING if self.trouble else (*BY_LOOKING, Kind.CYCLE_FAILS)


@dataclass(frozen=True)
class Matter:
    """One thing that is the case.

    subject: what it is about: with the kind it says whether two are the same
    likeness: another one means that it has changed; numbers that tick do not belong there
    ends: whether people want to know when it is over; a thing that happened has no end
    """

    kind: Kind
    subject: str
    severity: Severity
    title: str
    body: str
    likeness: str = ""
    ends: bool = True

    @property
    def key(self) -> tuple[Kind, str]:
        return self.kind, self.subject


def matters(facts: Facts) -> tuple[Matter, ...]:
    """Return all that is worth telling, what matters most first."""
    found = (
        *_hosts(facts),
        *_breaker(facts),
        *_trouble(facts),
        *_of_plans(facts),
        *_doubts(facts),
        *_waiting_plan(facts),
        *_summary(facts),
    )
    return tuple({matter.key: matter for matter in reversed(found)}.values())[::-1]


def _hosts(facts: Facts) -> Iterator[Matter]:
    for host, marks in sorted(facts.marks.items()):
        if marks.quarantine is None:
            continue
        subject, since = f"host:{host}", marks.quarantine.since
        body = f"{host} {marks.quarantine.why}.\nGo and look, then: balancer power test {host}"
        # One that came without its pools was still silent when the last cycle looked.
        has_been_seen = facts.looked_at is not None and facts.looked_at > since
        if marks.is_lost or (has_been_seen and host not in facts.up):
            title = f"{host} does not wake"
            yield Matter(Kind.HOST_DOES_NOT_WAKE, subject, Severity.CRITICAL, title, body, since.isoformat())
        elif has_been_seen:
            title = f"{host} is out of the power scheme"
            yield Matter(Kind.HOST_SET_ASIDE, subject, Severity.WARNING, title, body, since.isoformat())


def _breaker(facts: Facts) -> Iterator[Matter]:
    for halt in facts.halts:
        if halt.kind is HaltKind.FAILURES:
            title = "too many failures: nothing but waking is begun"
            since = halt.since.isoformat()
            yield Matter(Kind.BREAKER_OPEN, "cluster", Severity.CRITICAL, title, f"{_capital(str(halt))}.", since)


def _trouble(facts: Facts) -> Iterator[Matter]:
    if facts.trouble:
        body = f"{_capital(facts.trouble)}.\nIts log says more."
        yield Matter(Kind.CYCLE_FAILS, "cluster", Severity.CRITICAL, "cycles fail", body)
    if facts.refused:
        body = "\n".join(["The policy of before stays in force.", *_short(facts.refused), "balancer check POLICY"])
        title, faults = "a changed policy file is refused", "\n".join(facts.refused)
        yield Matter(Kind.POLICY_REFUSED, "policy", Severity.WARNING, title, body, faults)


def _doubts(facts: Facts) -> Iterator[Matter]:
    guests: list[Doubt] = []
    for doubt in facts.doubts:
        is_guest = doubt.subject.startswith("vm:")
        if is_guest and doubt.kind == "clash":
            title = f"{_name(doubt)} is found more than once"
            body = f"{_capital(doubt.detail or 'it may run twice')}. It is frozen; look at once."
            yield Matter(Kind.GUEST_CLASH, doubt.subject, Severity.CRITICAL, title, body)
            continue
        if is_guest:
            guests.append(doubt)
            continue
        what = doubt.kind.replace("_", " ")
        title = f"{_name(doubt)} is in doubt: {what}"
        body = f"{_capital(doubt.detail or what)}. It is frozen, and no host is put to sleep."
        yield Matter(Kind.DOUBTS, f"{doubt.subject} {doubt.kind}", Severity.WARNING, title, body)
    if guests:
        # Together: where a server of metrics is gone there are thousands, and one message each would say less.
        names = sorted({_name(doubt) for doubt in guests})
        lines = _short([f"{_name(doubt)}: {doubt.detail or doubt.kind}" for doubt in guests])
        body = "\n".join(["They are frozen, and no host is put to sleep.", *lines])
        title = f"{count_of(len(names), 'guest')} in doubt"
        yield Matter(Kind.DOUBTS, "guests", Severity.WARNING, title, body, likeness=_digest_of(names))
    for entry in facts.open:
        if entry.state is EntryState.UNKNOWN:
            title, body = (
                f"nobody knows how it ended: {entry.step}",
                f"{entry}: {entry.detail}\nWhat it touches is frozen.",
            )
            yield Matter(Kind.DOUBTS, f"step:{entry.id}", Severity.CRITICAL, title, body)


def _name(doubt: Doubt) -> str:
    return doubt.subject.partition(":")[2]


def _digest_of(names: Collection[str]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def _waiting_plan(facts: Facts) -> Iterator[Matter]:
    waiting = [each for each in facts.proposals if each.state is ProposalState.WAITING and each.is_open(facts.now)]
    if waiting:
        plan = max(waiting, key=lambda each: each.at).plan
        title = f"a plan of {count_of(len(plan.steps), 'step')} waits for a person"
        until = f"It is valid until {plan.valid_until:%Y-%m-%d %H:%M %Z}; a newer one takes its place."
        body = "\n".join([plan_sentence(plan), *_short([str(step) for step in plan.steps]), until])
        yield Matter(Kind.PLAN_WAITING, "cluster", Severity.WARNING, title, body, likeness(plan))


def _of_plans(facts: Facts) -> Iterator[Matter]:
    for report in facts.ended:
        yield from _of_ended(report, facts.marks)
    for each in facts.proposals:
        is_new = each.decided_at is not None and facts.now - each.decided_at < AN_HOUR
        if each.state is ProposalState.REFUSED and is_new:
            title, body = "an approved plan is not carried out", f"{_capital(each.outcome)}. {each.who} approved it."
            yield Matter(Kind.PLAN_FAILED, f"plan:{each.id}", Severity.WARNING, title, body, ends=False)


def _of_ended(report: RunReport, marks: Mapping[str, HostMarks]) -> Iterator[Matter]:
    told = [each for each in report.outcomes if not _is_told_of_its_host(each, marks)]
    wrong = [each for each in told if each.alarm or each.result in {Result.FAILED, Result.UNKNOWN}]
    # What has an alarm comes first: it names the matter, so that it hides behind no failure that was told before.
    wrong.sort(key=lambda each: not each.alarm)
    refused = [each for each in told if each.result is Result.REFUSED]
    sentence, subject = f"{_capital(report.sentence)}.", f"plan:{report.plan_id}"
    if wrong:
        severity = Severity.CRITICAL if any(each.alarm for each in wrong) else Severity.WARNING
        body = "\n".join([sentence, *_short(list(map(str, (*wrong, *refused))))])
        yield Matter(Kind.PLAN_FAILED, str(wrong[0].step), severity, "a plan failed", body, ends=False)
    elif refused:
        body = "\n".join([sentence, *_short(list(map(str, refused))), "The next cycle plans anew."])
        title = "a plan was given up: the cluster was not as it had been"
        yield Matter(Kind.PLAN_FAILED, str(refused[0].step), Severity.INFO, title, body, ends=False)
    elif report.done and len(told) == len(report.outcomes):
        in_part = "" if len(report.done) == report.steps else " in part"
        body = "\n".join([sentence, *_short([str(each) for each in report.done])])
        yield Matter(Kind.PLAN_DONE, subject, Severity.INFO, f"a plan was carried out{in_part}", body, ends=False)


def _is_told_of_its_host(outcome: Outcome, marks: Mapping[str, HostMarks]) -> bool:
    """Whether a host that did not come is told of by itself; that its plan failed says nothing more."""
    host = marks.get(outcome.step.host or "")
    is_set_aside = host is not None and host.quarantine is not None
    return outcome.step.is_waking and outcome.result is Result.FAILED and is_set_aside


def _summary(facts: Facts) -> Iterator[Matter]:
    if (said := facts.summary) is not None:
        yield Matter(Kind.DAILY_SUMMARY, said.day, Severity.INFO, said.title, said.body, ends=False)


def _short(lines: Collection[str]) -> list[str]:
    listed = [f"- {line}" for line in lines]
    more = len(listed) - MOST_LINES
    return [*listed[:MOST_LINES], f"- and {more} more"] if more > 0 else listed


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:].rstrip(".")
