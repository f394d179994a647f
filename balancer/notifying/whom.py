"""Whom and when: who is told of a thing, what waits for the end of quiet hours, and the words of a message."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from balancer.domain.notices import Kind, Notify, Severity, Target
from balancer.domain.units import in_words
from balancer.notifying.ledger import News, Stage
from balancer.policy.windows import Window
from balancer.store.notices import Letter

MOST_LINES = 30  # of a digest
LONGEST_BODY = 300  # characters of one thing in a digest
# Chats call everybody for `@all` or `<!channel>`, and draw links and tags; names of guests are their owners' choice.
_MARKUP = re.compile(r"@|<(?=[!@#&/?a-zA-Z])|\](?=\()")
_NOTHING = "\u2060"  # a word joiner: not seen, and no part of any markup


@dataclass(frozen=True)
class Message:
    """What a target is sent. severity: None where all that it says is over."""

    title: str
    body: str
    severity: Severity | None


def letters(said: Sequence[News], rules: Notify, now: datetime) -> tuple[Letter, ...]:
    """Return what each target is to be told; that a thing is over is told to those who were told of it."""
    return tuple(
        _letter(target, each, now)
        for target in rules.targets
        for each in said
        if target.wants(each.kind, each.severity)
    )


def _letter(target: Target, each: News, now: datetime) -> Letter:
    is_over = each.stage is Stage.OVER
    return Letter(target.name, now, each.kind, each.severity, *_words(each, now), is_over)


def _words(each: News, now: datetime) -> tuple[str, str]:
    if each.stage is not Stage.OVER:
        return each.title, each.body
    lasted = f" It lasted {in_words((now - each.since).total_seconds())}." if each.since else ""
    return f"over: {each.title}", f"This is the case no more.{lasted}"


def is_quiet(target: Target, rules: Notify, now: datetime) -> bool:
    """Whether it is quiet hours for a target now."""
    hours = rules.quiet_hours_of(target)
    if hours is None:
        return False
    # A window lives on moments: where the clock is turned it is as long as any reading of it.
    window = Window.model_validate({"days": hours.days, "from": hours.from_, "to": hours.to})
    return window.holds(now, ZoneInfo(rules.time_zone), holidays=())


def may_go(letter: Letter, target: Target, rules: Notify, now: datetime) -> bool:
    """Whether a letter may be delivered now: what is for information only wakes nobody, whatever its kind."""
    is_urgent = letter.kind in rules.urgent_for(target) and letter.severity is not Severity.INFO
    return is_urgent or not is_quiet(target, rules, now)


def bundles(waiting: Sequence[Letter]) -> tuple[tuple[Letter, ...], ...]:
    """Return what goes together as one message: all of it, but a summary, which is long enough by itself."""
    summaries = [(letter,) for letter in waiting if letter.kind is Kind.DAILY_SUMMARY]
    others = tuple(letter for letter in waiting if letter.kind is not Kind.DAILY_SUMMARY)
    return (*([others] if others else []), *summaries)


def message(waiting: Sequence[Letter], cluster: str, rules: Notify) -> Message:
    """Return one message for all that goes to a target at one moment."""
    link = f"\n\n{rules.link}" if rules.link else ""
    if len(waiting) == 1:
        only = waiting[0]
        title = only.title if only.kind is Kind.DAILY_SUMMARY else f"{cluster}: {only.title}"
        return Message(
            harmless(" ".join(title.split())), harmless(only.body) + link, None if only.is_over else only.severity
        )
    open_ones = [letter.severity for letter in waiting if not letter.is_over]
    severity = max(open_ones, key=lambda each: each.rank, default=None)
    lines = list(_lines(waiting, ZoneInfo(rules.time_zone)))
    more = len(lines) - MOST_LINES
    told = [*lines[:MOST_LINES], f"and {more} more"] if more > 0 else lines
    return Message(harmless(f"{cluster}: {len(waiting)} messages"), harmless("\n".join(told)) + link, severity)


def harmless(words: str) -> str:
    """Return words in which nothing calls anybody, and nothing is a link or a tag, wherever they are shown."""
    return _MARKUP.sub(lambda found: found[0] + _NOTHING, words)


def _lines(waiting: Sequence[Letter], zone: ZoneInfo) -> Iterator[str]:
    """Say it in the order in which it happened; what matters most is not cut off."""
    by_weight = sorted(waiting, key=lambda letter: (-letter.severity.rank, letter.at, letter.id))
    for letter in sorted(by_weight[:MOST_LINES], key=lambda letter: (letter.at, letter.id)):
        yield _line(letter, zone)
    for letter in by_weight[MOST_LINES:]:
        yield _line(letter, zone)


def _line(letter: Letter, zone: ZoneInfo) -> str:
    at, body = letter.at.astimezone(zone), " ".join(letter.body.split())
    short = body if len(body) <= LONGEST_BODY else f"{body[: LONGEST_BODY - 1]}…"
    return f"- {at:%a %H:%M} {letter.title}" + (f": {short}" if short else "")


def summary_is_due(rules: Notify, now: datetime) -> bool:
    """Whether it is late enough in the day for the summary of the day before."""
    return now.astimezone(ZoneInfo(rules.time_zone)).strftime("%H:%M") >= rules.daily_at
