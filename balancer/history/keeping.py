"""How long readings are kept.

Samples become buckets of five minutes, buckets become hours, and the oldest go when the room is used up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
import sqlalchemy as sa

from balancer.history import tables
from balancer.history.inventory import prune
from balancer.history.pages import bucket_of_buckets, bucket_of_samples, pack, unpack

BUCKET_SECONDS = 300
HOUR_SECONDS = 3600
DAY_SECONDS = 86_400
SAMPLE = 0

Merge = Callable[[Sequence[pd.DataFrame]], pd.DataFrame]


@dataclass(frozen=True)
class Keeping:
    """How long, and how much at most."""

    bucket_days: float = 35
    event_days: float = 400
    max_bytes: int = 4 * 1024**3  # ten thousand guests for 35 days take some 2 GiB


def bucket_end(at: float, seconds: int) -> float:
    """Return the end of the bucket that a moment falls in; a bucket includes its end."""
    return -(-at // seconds) * seconds


def tidy(connection: sa.Connection, now: float, keeping: Keeping) -> None:
    """Merge what is complete and old enough, and drop what there is no room for."""
    merge(connection, SAMPLE, BUCKET_SECONDS, bucket_end(now, BUCKET_SECONDS) - BUCKET_SECONDS, bucket_of_samples)
    old = now - keeping.bucket_days * DAY_SECONDS
    merge(connection, BUCKET_SECONDS, HOUR_SECONDS, bucket_end(old, HOUR_SECONDS) - HOUR_SECONDS, bucket_of_buckets)
    connection.execute(sa.delete(tables.events).where(tables.events.c.at <= now - keeping.event_days * DAY_SECONDS))
    _make_room(connection, keeping.max_bytes)


def merge(connection: sa.Connection, small: int, large: int, until: float, how: Merge) -> None:
    """Merge all pages of one length that end by `until` into pages of the next length."""
    page = tables.pages.c
    ripe = sa.and_(page.seconds == small, page.ends_at <= until)
    found = connection.execute(sa.select(page.id, page.of, page.ends_at).where(ripe)).all()
    groups: dict[tuple[str, float], list[int]] = {}
    for row in found:
        groups.setdefault((row.of, bucket_end(row.ends_at, large)), []).append(row.id)
    for (of, ends_at), ids in groups.items():
        chosen = page.id.in_(ids)
        packed = connection.execute(sa.select(page.readings).where(chosen)).scalars()
        merged = pack(how([unpack(readings) for readings in packed]))
        connection.execute(sa.delete(tables.pages).where(chosen))
        connection.execute(
            sa.insert(tables.pages), {"of": of, "seconds": large, "ends_at": ends_at, "readings": merged}
        )


def _make_room(connection: sa.Connection, max_bytes: int) -> None:
    while tables.used_bytes(connection) > max_bytes:
        oldest = sa.select(tables.pages.c.id).order_by(tables.pages.c.ends_at).limit(10)
        if connection.execute(sa.delete(tables.pages).where(tables.pages.c.id.in_(oldest))).rowcount == 0:
            return
        kept_since = connection.execute(sa.select(sa.func.min(tables.pages.c.ends_at))).scalar()
        if kept_since is not None:
            prune(connection, kept_since)
