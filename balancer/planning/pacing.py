"""What past migrations teach about the next ones: the line that they get, and what each takes beside copying.

    seconds = set-up + (MiB sent / assumed line) / share of the line

The share is the median slope over all pairs of migrations of different size (Theil and Sen), set-up the median of what
is left. MiB sent / MiB modelled is a median too, of the guest itself where it was moved before. A migration that stood
still for an hour moves none of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from statistics import median

from balancer.domain.pace import Pace, Paces, PastMigration

FEWEST = 3  # migrations, before anything is concluded from them
MOST = 30  # of the latest: lines and hosts change
MOST_OF_A_GUEST = 5
LATELY = 10  # whose errors are told
DIFFERENT = 0.2  # of the median size: only migrations whose sizes differ by more say something about the line
AGREEING = 0.7  # of the pairs have to find that more takes longer; else it is noise, and the line is left as assumed
LEAST_SHARE, MOST_SHARE = 0.01, 100.0
LEAST_RATIO, MOST_RATIO = 0.02, 20.0


def paces_from(past: Iterable[PastMigration]) -> Paces:
    """Return what migrations teach, newest first: of each pair of hosts, of each host, and of the whole cluster."""
    copied = [each for each in past if each.kind in {"live", "warm"} and each.seconds > 0]
    groups: dict[tuple[str, ...], list[PastMigration]] = defaultdict(list)
    for each in copied:
        for hosts in ((each.source, each.target), (each.source,), (each.target,), ()):
            groups[hosts].append(each)
    known = [_pace(hosts, members[:MOST]) for hosts, members in groups.items() if len(members) >= FEWEST]
    guests = {key: _mib_ratio(members) for key, members in _by_guest(copied).items()}
    lately = copied[:LATELY]
    return Paces(
        known=tuple(sorted(known, key=lambda pace: (-len(pace.hosts), pace.hosts))),
        guests=guests,
        migrations=len(copied),
        median_error=round(median(each.error for each in lately), 4) if lately else 0.0,
    )


def _pace(hosts: tuple[str, ...], members: Sequence[PastMigration]) -> Pace:
    free = [each for each in members if each.cap_mib_per_s is None]
    slope = _slope([(_assumed_seconds(each), each.seconds) for each in free])
    left = [each.seconds - _assumed_seconds(each) * (slope if each in free else 1.0) for each in members]
    return Pace(
        hosts=hosts,
        link_share=1.0 / slope,
        set_up_seconds=max(0.0, median(left)),
        mib_ratio=_mib_ratio(members),
        migrations=len(members),
    )


def _by_guest(copied: Iterable[PastMigration]) -> dict[str, list[PastMigration]]:
    """Return the last few migrations of each guest: how much of its memory it uses is its own affair."""
    found: dict[str, list[PastMigration]] = defaultdict(list)
    for each in copied:
        if len(found[each.vm_key]) < MOST_OF_A_GUEST:
            found[each.vm_key].append(each)
    return found


def _mib_ratio(members: Iterable[PastMigration]) -> float:
    ratios = [each.mib / each.modelled_mib for each in members if each.modelled_mib > 0 and each.mib > 0]
    return min(MOST_RATIO, max(LEAST_RATIO, median(ratios))) if ratios else 1.0


def _assumed_seconds(each: PastMigration) -> float:
    """Return how long what was sent takes at the speed that was assumed: the line's, or the cap of the policy."""
    return each.mib / min(each.link_mib_per_s, each.cap_mib_per_s or each.link_mib_per_s)


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """Return by how much longer copying takes than assumed; 1 where sizes are too alike, or times too odd, to tell."""
    if len(points) < FEWEST:
        return 1.0
    apart = DIFFERENT * median(x for x, _ in points)
    slopes = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2) if abs(x2 - x1) > apart]
    if len(slopes) < FEWEST or sum(slope > 0 for slope in slopes) < AGREEING * len(slopes):
        return 1.0
    return min(1 / LEAST_SHARE, max(1 / MOST_SHARE, median(slopes)))
