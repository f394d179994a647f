"""What is wrong with readings, by name: a doubt stops what it touches and lets nothing sleep."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd

from balancer.domain.cluster import Cluster, Doubt

SKEW_SECONDS: Final = 30.0  # less is what clocks differ by that keep each other right
DIFFER_BY: Final = 0.5  # of a guest's vCPUs; less is rounding, or the same moment read twice


def doubts_about_readings(readings: pd.DataFrame, cluster: Cluster) -> Iterator[Doubt]:
    """Yield what cannot be right: readings of the future, and of one moment that contradict each other.

    Gaps are no doubt: they are readings that are missing, and what is missing counts as busy.
    """
    if readings.empty:
        return
    ahead = (readings["at"] - cluster.taken_at).dt.total_seconds()
    late = ahead > SKEW_SECONDS
    if late.any():
        detail = f"{late.sum()} readings are up to {ahead.max():.0f} s ahead of the balancer's clock; are clocks set?"
        yield Doubt(subject="site:history", kind="skewed", detail=detail)
    yield from _contradictions(readings[~late], cluster)


def _contradictions(readings: pd.DataFrame, cluster: Cluster) -> Iterator[Doubt]:
    if not readings.duplicated(["key", "at"]).any():
        return
    by_moment = readings.groupby(["key", "at"])["cpu_cores"].agg(["min", "max"]).reset_index()
    guests = {vm.key: vm for vm in cluster.vms}
    limit = by_moment["key"].map({key: DIFFER_BY * vm.vcpus for key, vm in guests.items()}).fillna(np.inf)
    wrong = by_moment[by_moment["max"] - by_moment["min"] > limit]
    for key, row in wrong.drop_duplicates("key").set_index("key").iterrows():
        detail = f"two readings of {row['at']:%H:%M:%S} differ: {row['min']:.1f} and {row['max']:.1f} cores in use"
        yield Doubt(subject=f"vm:{guests[str(key)].name}", kind="duplicate", detail=detail)
