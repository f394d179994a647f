"""The watch between two looks: it begins the next one early where hosts surge, not by chance and not all the time.

An early look that finds nothing to do doubles the time until the next one is allowed, up to an hour; one that finds
something makes it a minute again. So load that comes and goes does not begin a look each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from balancer.domain.cluster import Cluster
from balancer.policy import Policy
from balancer.stability.surge import Outlook, outlook

SECONDS_UNTIL_A_SECOND_GLANCE: Final = 5.0  # a single reading may be a spike, or a fault
LEAST_PAUSE: Final = timedelta(seconds=60)  # from one early look to the next
LONGEST_PAUSE: Final = timedelta(hours=1)


@dataclass(frozen=True)
class Lookout:
    """What the last look expects, and what the last glance said of it.

    suspects: it showed a surge, and a second one has to, in a moment
    surge:    the second one did: what surges, in words
    """

    outlook: Outlook | None = None
    suspects: bool = False
    surge: str = ""
    looks_early: bool = False
    pause: timedelta = LEAST_PAUSE
    quiet_until: datetime | None = None

    def after_look(self, seen: Cluster, policy: Policy, found_work: bool, now: datetime) -> Lookout:
        """Return what is watched from a look on. What was suspected before it is that look's affair."""
        doubled = min(2 * self.pause, LONGEST_PAUSE) if self.looks_early else self.pause
        pause = LEAST_PAUSE if found_work else doubled
        return Lookout(
            outlook=outlook(seen, policy.headroom.cpu),
            pause=pause,
            quiet_until=now + pause if self.looks_early else self.quiet_until,
        )

    def after_glance(self, cores_in_use: Mapping[str, float], now: datetime) -> Lookout:
        """Return what follows from a glance."""
        if self.outlook is None or (self.quiet_until is not None and now < self.quiet_until):
            return replace(self, suspects=False, surge="")
        surge = self.outlook.surge(cores_in_use)
        if not surge or not self.suspects:
            return replace(self, suspects=bool(surge), surge="")
        return replace(self, suspects=False, surge=surge, looks_early=True, quiet_until=now + self.pause)
