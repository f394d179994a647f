"""Expect of a guest what it needed for nearly all of a recent while."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from balancer.demand.diary import with_wait
from balancer.domain.cluster import Cluster, Doubt
from balancer.domain.vm import Demand, Vm

ENOUGH_READINGS = 3  # a quantile of fewer says nothing; then the greatest counts
MOST_PER_VCPU = 1.5  # QEMU's own threads come on top of the vCPUs; beyond this a counter has jumped


@dataclass(frozen=True)
class Past:
    """What a guest's readings of the window say."""

    quantile_cores: float
    greatest_cores: float
    sigma: float
    readings: int
    absurd: int = 0
    most_absurd_cores: float = 0.0


def expected_demand(
    readings: pd.DataFrame,
    cluster: Cluster,
    window_minutes: float,
    quantile: float,
    doubts_of_readings: Iterable[Doubt] = (),
) -> Cluster:
    """Fill in what each guest is expected to need: a rise counts at once, a fall only when it has lasted the window.

        demand = max(quantile of the window's readings, present use)
        demand = max(greatest of the window's readings, present use)     with fewer than 3 readings, or no present use
        demand = what it was                                             with nothing measured: all its vCPUs count

        demand = all its vCPUs                                           with a present use that cannot be

    Need is what was used and what was waited for. A reading is the 95th percentile of its bucket, weighted by the
    samples in it. A gap is no reading, so it never pulls the quantile down. One below 0 or above 1.5 times the vCPUs
    cannot be: it is left out, and named as a doubt.
    """
    active = [vm for vm in cluster.vms if vm.is_active]
    past = _past_of_each(_in_window(readings, cluster, window_minutes), active, quantile)
    vms = tuple(_with_demand(vm, past.get(vm.key)) for vm in cluster.vms)
    doubts = [doubt for vm in active if (doubt := _doubt_about(vm, past.get(vm.key))) is not None]
    return rebuilt(cluster, vms=vms, doubts=(*cluster.doubts, *doubts, *doubts_of_readings))


def _with_demand(vm: Vm, past: Past | None) -> Vm:
    present = wanted_now(vm)
    measured = past is not None and past.readings > 0
    if not vm.is_active or (present is None and not measured):
        return vm
    if not is_believable(vm):
        demand = Demand(cpu_cores=float(vm.vcpus))
    elif past is None or not measured:
        demand = Demand(cpu_cores=present or 0.0)
    elif present is None or past.readings < ENOUGH_READINGS:
        demand = Demand(cpu_cores=max(past.greatest_cores, present or 0.0), sigma=past.sigma)
    else:
        demand = Demand(cpu_cores=max(past.quantile_cores, present), sigma=past.sigma)
    return vm.model_copy(update={"demand": demand})


def wanted_now(vm: Vm) -> float | None:
    """Return the cores that a guest would use now did it not wait; None where it is not measured."""
    # In plain numbers: an array for each guest would cost more than all forecasts.
    used, waited = vm.cpu_used_cores, min(vm.cpu_wait_share or 0.0, 1.0) * vm.vcpus
    if used is None or not waited:
        return used
    return max(used, min(used + waited, float(vm.vcpus)))


def _doubt_about(vm: Vm, past: Past | None) -> Doubt | None:
    absurd = [vm.cpu_used_cores or 0.0] if not is_believable(vm) else []
    times = len(absurd)
    if past is not None and past.absurd:
        absurd.append(past.most_absurd_cores)
        times += past.absurd
    if not absurd:
        return None
    worst = max(absurd, key=abs)
    detail = f"CPU readings that cannot be: {times}, such as {worst:.1f} cores in use of {vm.vcpus} vCPUs"
    return Doubt(subject=f"vm:{vm.name}", kind="absurd", detail=detail)


def is_believable(vm: Vm) -> bool:
    """Whether its present use can be."""
    return vm.cpu_used_cores is None or vm.cpu_used_cores <= MOST_PER_VCPU * vm.vcpus


def _in_window(readings: pd.DataFrame, cluster: Cluster, window_minutes: float) -> pd.DataFrame:
    """Return key, cores and weight of each reading in the window, gaps left out."""
    begin = cluster.taken_at - pd.Timedelta(minutes=window_minutes)
    window = readings[(readings["at"] > begin) & (readings["at"] <= cluster.taken_at)]
    cores = window["cpu_cores"].astype(float)
    if "cpu_cores_p95" in window:
        cores = window["cpu_cores_p95"].astype(float).fillna(cores)
    if "wait_share" in window:
        size = window["key"].map({vm.key: float(vm.vcpus) for vm in cluster.vms})
        cores = pd.Series(
            with_wait(*(np.asarray(of, float) for of in (cores, window["wait_share"], size))), cores.index
        )
    weight = window["samples"].astype(float).fillna(1.0).clip(lower=1.0) if "samples" in window else 1.0
    return pd.DataFrame({"key": window["key"], "cores": cores, "weight": weight}).dropna(subset=["cores"])


def _past_of_each(window: pd.DataFrame, vms: list[Vm], quantile: float) -> dict[str, Past]:
    limit = window["key"].map({vm.key: MOST_PER_VCPU * vm.vcpus for vm in vms}).astype(float)
    sound = window[(window["cores"] >= 0) & (window["cores"] <= limit)]
    absurd = window[(window["cores"] < 0) | (window["cores"] > limit)]
    by_key = sound.groupby("key")["cores"]
    table = pd.DataFrame(
        {
            "quantile_cores": _weighted_quantile(sound, quantile),
            "greatest_cores": by_key.max(),
            "sigma": by_key.std(ddof=0),
            "readings": by_key.size(),
            "absurd": absurd.groupby("key").size(),
            "most_absurd_cores": absurd.groupby("key")["cores"].agg(_furthest_off),
        }
    ).fillna(0.0)
    return {str(key): _past(facts) for key, facts in table.to_dict(orient="index").items()}


def _furthest_off(cores: pd.Series[float]) -> float:
    return max(cores, key=abs)


def _past(facts: Mapping[Any, Any]) -> Past:
    return Past(
        quantile_cores=float(facts["quantile_cores"]),
        greatest_cores=float(facts["greatest_cores"]),
        sigma=float(facts["sigma"]),
        readings=int(facts["readings"]),
        absurd=int(facts["absurd"]),
        most_absurd_cores=float(facts["most_absurd_cores"]),
    )


def _weighted_quantile(sound: pd.DataFrame, quantile: float) -> pd.Series[float]:
    """Return for each key the smallest reading that covers this share of the samples; it is never between two."""
    rising = sound.sort_values(["key", "cores"], ignore_index=True)
    weights = rising.groupby("key")["weight"]
    covered = weights.cumsum() / weights.transform("sum")
    # Rounding must not push the answer past the last reading, nor one step too far.
    reaching = rising[covered >= min(quantile, 1.0) - 1e-9]
    return reaching.groupby("key")["cores"].first()


def rebuilt(cluster: Cluster, **changes: Any) -> Cluster:
    """Build the cluster anew, because what it has derived (guests of a host, fixed load) rests on the old values."""
    fields = {name: getattr(cluster, name) for name in Cluster.model_fields} | (cluster.model_extra or {})
    return Cluster(**(fields | changes))
