"""Only what lasts is acted on: since when each wish has been there, and from when on it counts.

acts at = wanted since + hold

A wish is not "move db1 to h3": two equally good plans name different guests, and each would begin to wait anew. It is
"relieve h1" (the plan takes load off it), "2 hosts dispensable", "wake". A load that swings relieves another host each
time, and a wish that one cycle does not have begins anew. Mending a promise is no wish and waits for nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from balancer.domain.cluster import Cluster
from balancer.domain.host import RESOURCES
from balancer.domain.plan import Wanted

WAKING = "wake"
SLEEP = "sleep:"
NOTEWORTHY = 0.005  # of a host: what swings less is noise, no relief


def relief_of(host: str) -> str:
    """Return how the wish to take load off a host is known."""
    return f"relieve:{host}"


def dispensable(count: int) -> str:
    """Return how the wish to have at least so many hosts asleep more is known."""
    return f"{SLEEP}{count}"


def is_about_sleep(wish: str) -> bool:
    return wish.startswith(SLEEP)


def relieved(now: Cluster, later: Cluster) -> tuple[str, ...]:
    """Return the hosts off which load is taken between two states, those that sleep or are emptied left out."""
    stay_on = (host for host in now.hosts if host.is_on and later.host(host.name).is_on and not host.is_being_emptied)
    return tuple(host.name for host in stay_on if _fullest(now, host.name) - _fullest(later, host.name) > NOTEWORTHY)


def _fullest(cluster: Cluster, name: str) -> float:
    host = cluster.host(name)
    return max(cluster.utilisation(host, resource) for resource in RESOURCES)


@dataclass(frozen=True)
class Hold:
    """For how long a wish has to last, and since when each has."""

    since: Mapping[str, datetime]
    now: datetime
    minutes: float
    is_watched: bool = True  # without a watch, what is seen once is taken to last

    def began(self, wish: str) -> datetime:
        """Return since when a wish has been there: earlier cycles know it, or it is new."""
        return self.since.get(wish, self.now)

    def acts_at(self, wish: str) -> datetime:
        return self.began(wish) + timedelta(minutes=self.minutes)

    def has_lasted(self, wish: str) -> bool:
        return not self.is_watched or self.acts_at(wish) <= self.now

    def said(self, wish: str) -> str:
        return f"wanted since {self.began(wish):%H:%M}, acts at {self.acts_at(wish):%H:%M} if it lasts"


def wanted(wishes: Collection[str], since: Mapping[str, datetime], now: datetime) -> tuple[Wanted, ...]:
    """Return what the next cycle has to remember: wishes of before keep their age, all others are forgotten."""
    return tuple(Wanted(what=wish, since=since.get(wish, now)) for wish in dict.fromkeys(wishes))
