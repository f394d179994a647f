"""No repeats: each thing is told once, until it changes or has been over for a while; that it is over is told once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from balancer.domain.notices import Kind, Notify, Severity
from balancer.notifying.matters import Matter
from balancer.store.notices import Key, Told

PATIENT = (Kind.DOUBTS, Kind.CYCLE_FAILS)


class Stage(StrEnum):
    """What is new about it."""

    NEW = "new"
    CHANGED = "changed"
    OVER = "over"


@dataclass(frozen=True)
class News:
    """One thing to tell. Of what is over only its title is known."""

    stage: Stage
    kind: Kind
    severity: Severity
    title: str
    body: str = ""
    since: datetime | None = None


def news(
    known: Mapping[Key, Told], found: Sequence[Matter], unseen: Collection[Kind], now: datetime, rules: Notify
) -> tuple[Mapping[Key, Told], tuple[News, ...]]:
    """Return what is known from now on, and what is to be told of it."""
    later: dict[Key, Told] = {}
    said: list[News] = []
    for matter in found:
        row, fresh = _present(known.get(matter.key), matter, now, rules)
        later[matter.key] = row
        said += fresh
    for key in known.keys() - later.keys():
        kept, fresh = _absent(known[key], key[0] in unseen, now, rules)
        said += fresh
        if kept is not None:
            later[key] = kept
    return later, tuple(said)


def _present(row: Told | None, matter: Matter, now: datetime, rules: Notify) -> tuple[Told, list[News]]:
    row = row or Told(
        matter.kind, matter.subject, matter.severity, matter.likeness, matter.title, since=now, ends=matter.ends
    )
    row = replace(row, over_since=None)
    stage = _stage(row, matter, now, rules)
    if stage is None:
        return row, []
    row = replace(row, severity=matter.severity, likeness=matter.likeness, title=matter.title, told_at=now)
    told = News(stage, matter.kind, matter.severity, matter.title, matter.body, row.since)
    return row, [told]


def _stage(row: Told, matter: Matter, now: datetime, rules: Notify) -> Stage | None:
    """Say why it is told now; None where it is not."""
    if row.told_at is None:
        patience = timedelta(minutes=rules.after_minutes if matter.kind in PATIENT else 0)
        return Stage.NEW if now - row.since >= patience else None
    if matter.severity.rank > row.severity.rank:
        return Stage.CHANGED
    has_changed = matter.likeness != row.likeness
    return Stage.CHANGED if has_changed and now - row.told_at >= timedelta(minutes=rules.again_minutes) else None


def _absent(row: Told, is_unseen: bool, now: datetime, rules: Notify) -> tuple[Told | None, list[News]]:
    if is_unseen:
        return row, []
    if row.told_at is None:
        return None, []
    over_since = row.over_since or now
    if now - over_since < timedelta(minutes=rules.over_minutes if row.ends else rules.again_minutes):
        return replace(row, over_since=over_since), []
    told = News(Stage.OVER, row.kind, row.severity, row.title, since=row.since)
    return None, [told] if row.ends else []
