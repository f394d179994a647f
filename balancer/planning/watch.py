"""Look again only at what a change has touched: the checkers of the policy, asked no more often than they have to be.

A promise says what its checker looks at (`Sight`). One that looks at guests is asked again when one of them has moved,
one that looks at each host by itself about the hosts that were touched, every other whenever its answer is wanted. So
the answer is the same as if all were asked about everything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from balancer.constraints import Constraint, Sight
from balancer.domain.cluster import Cluster
from balancer.domain.violation import Violation, allowed_by, beyond
from balancer.policy.model import Policy

Found = Mapping[str, list[Violation]]
"""What the checker of one promise found, by the guest or host that it looked at; by "" where it looked at many."""

AT_LARGE = ""


class Outlook:
    """The promises of a policy, who has to look when something changes, and what was broken from the start."""

    def __init__(self, cluster: Cluster, policy: Policy) -> None:
        self.promises = [promise for promise in policy.promises_on(cluster) if promise.hard]
        self.found = [_first_look(promise, cluster) for promise in self.promises]
        self.allowed = allowed_by(v for found in self.found for violations in found.values() for v in violations)
        self.everywhere: list[int] = []
        self.by_host: dict[str, list[int]] = defaultdict(list)
        self.by_guest: dict[str, list[int]] = defaultdict(list)
        for place, promise in enumerate(self.promises):
            if promise.sight is Sight.EVERYTHING:
                self.everywhere.append(place)
                continue
            index = self.by_host if promise.sight is Sight.EACH_HOST else self.by_guest
            for name in promise.looked_at(cluster):
                index[name].append(place)


def _first_look(promise: Constraint, cluster: Cluster) -> Found:
    if promise.sight in {Sight.EVERYTHING, Sight.ITS_GUESTS}:
        return _heard(AT_LARGE, promise.violations(cluster))
    each = ((name, promise.violations_at(cluster, (name,))) for name in promise.looked_at(cluster))
    return {name: violations for name, violations in each if violations}


def _heard(name: str, violations: list[Violation]) -> Found:
    return {name: violations} if violations else {}


class Watch:
    """Watches one cluster change: what is broken now that was not, or not as far, from the start."""

    def __init__(self, outlook: Outlook) -> None:
        self._outlook = outlook
        self._found: dict[int, Found] = {place: found for place, found in enumerate(outlook.found) if found}

    def look(self, cluster: Cluster, guests: Iterable[str], hosts: Iterable[str]) -> None:
        """Look again at what speaks of some guests and hosts: those that have changed since the last look."""
        for place, names in self._who_looks(guests, hosts).items():
            self._look_at(cluster, place, names)

    def _who_looks(self, guests: Iterable[str], hosts: Iterable[str]) -> Mapping[int, list[str]]:
        found: dict[int, list[str]] = defaultdict(list)
        for index, names in ((self._outlook.by_guest, guests), (self._outlook.by_host, hosts)):
            for name in names:
                for place in index.get(name, ()):
                    found[place].append(name)
        return found

    def _look_at(self, cluster: Cluster, place: int, names: Iterable[str]) -> None:
        promise, found = self._outlook.promises[place], dict(self._found.get(place, {}))
        if promise.sight is Sight.ITS_GUESTS:
            found = dict(_heard(AT_LARGE, promise.violations(cluster)))
        else:
            for name in names:
                found.pop(name, None)
                found |= _heard(name, promise.violations_at(cluster, (name,)))
        self._found.pop(place, None)
        if found:
            self._found[place] = found

    def worsened(self, cluster: Cluster, in_transit: bool = False) -> list[Violation]:
        """Return the hard promises that are broken further than from the start, as they were at the last look.

        in_transit: guests are on their way, so promises that speak of guests at rest are left out
        """
        promises = self._outlook.promises
        asked = [place for place in self._outlook.everywhere if not (in_transit and promises[place].at_rest)]
        wide = [violation for place in asked for violation in promises[place].violations(cluster)]
        close = (
            violation
            for place in sorted(self._found.keys() - self._outlook.everywhere)
            if not (in_transit and promises[place].at_rest)
            for violations in self._found[place].values()
            for violation in violations
        )
        return beyond(self._outlook.allowed, [*close, *wide])

    def parted(self, kind: type[Constraint]) -> list[Violation]:
        """Return what is broken further than from the start of the promises of a kind that looks at guests."""
        places = (place for place in sorted(self._found) if isinstance(self._outlook.promises[place], kind))
        return beyond(self._outlook.allowed, [v for place in places for vs in self._found[place].values() for v in vs])
