"""What each guest is expected to need, and what each host keeps free for what cannot be foreseen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from balancer.demand.beginning import beginning_of
from balancer.demand.diary import SLOT_SECONDS, Diary, Floats
from balancer.demand.forecast import HORIZONS, Forecast, Forecaster
from balancer.demand.newcomers import typical_of
from balancer.demand.quantile import expected_demand, is_believable, rebuilt, wanted_now
from balancer.demand.sharing import Sharing, sharing_of
from balancer.demand.vetting import doubts_about_readings
from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, MEMORY
from balancer.domain.vm import Demand, Vm

ENOUGH_READINGS: Final = 12  # an hour of them; until then a guest is expected to be as its like are
MOST_ARE_KNOWN: Final = 0.5  # below that share the cluster itself is new, and guests are judged by each other
SIGMAS_OF_CHANCE: Final = 2.0  # a present use beyond that is a rise, and counts at once


class Rules(Protocol):
    """What a policy says about demand."""

    @property
    def window_minutes(self) -> float: ...
    @property
    def quantile(self) -> float: ...
    @property
    def risk(self) -> float | None: ...
    @property
    def horizon_minutes(self) -> float: ...


def expected(readings: pd.DataFrame, diary: Diary, cluster: Cluster, rules: Rules, zone: tzinfo = UTC) -> Cluster:
    """Fill in what each guest is expected to need, each by itself or all at a risk, as the policy has it.

    Without a risk, and for guests that nothing is known of, it is the quantile of the window (`expected_demand`).

    zone: where the guests' people live; weekdays and hours of a season are theirs
    """
    doubts = doubts_about_readings(readings, cluster)
    by_itself = expected_demand(readings, cluster, rules.window_minutes, rules.quantile, doubts)
    if rules.risk is None or not rules.risk or diary.is_empty:
        return by_itself
    guests = [vm for vm in by_itself.vms if vm.is_active and is_believable(vm)]
    forecaster = Forecaster(diary, [vm.key for vm in guests], [vm.vcpus for vm in guests], cluster.taken_at, zone)
    ahead = _foreseen(forecaster, diary, guests, horizons_counted(by_itself, rules.horizon_minutes))
    if not ahead.is_known.any():
        return by_itself
    sharing = _sharing(ahead, guests, by_itself, rules.risk)
    demands = dict(zip((vm.name for vm in guests), _demands(ahead, guests, sharing), strict=True))
    vms = tuple(
        vm if demands.get(vm.name) is None else vm.model_copy(update={"demand": demands[vm.name]})
        for vm in by_itself.vms
    )
    swing = round(sharing.swing, 6)
    hosts = tuple(host.model_copy(update={"swing_cores": swing}) for host in by_itself.hosts)
    return rebuilt(by_itself, vms=_no_less_than_now(vms, swing), hosts=hosts)


def _no_less_than_now(vms: Sequence[Vm], swing: float) -> tuple[Vm, ...]:
    """Raise those that use more than is expected of them, where a host's guests would count for less than they use.

    What each is above its mean may be chance; when all are at once it is a rise, which nobody has foreseen.
    """
    above, lacking = dict[str, float](), dict[str, float]()
    for vm in vms:
        by = _above(vm)
        above[vm.host] = above.get(vm.host, 0.0) + max(by, 0.0)
        lacking[vm.host] = lacking.get(vm.host, -swing) + by
    share = {host: min(1.0, lacking[host] / by) for host, by in above.items() if by > 0 and lacking[host] > 0}
    return tuple(_raised(vm, share[vm.host] * _above(vm)) if vm.host in share and _above(vm) > 0 else vm for vm in vms)


def _above(vm: Vm) -> float:
    """Return by how much its present use is above what is expected of it; 0 where either is not known."""
    present = wanted_now(vm) if is_believable(vm) else None
    return 0.0 if present is None or vm.demand is None or not vm.is_active else present - vm.demand.cpu_cores


def _raised(vm: Vm, cores: float) -> Vm:
    assert vm.demand is not None
    return vm.model_copy(update={"demand": vm.demand.model_copy(update={"cpu_cores": vm.demand.cpu_cores + cores})})


@dataclass(frozen=True)
class Ahead:
    """Forecasts for some guests, in their order. `mean` and `sigma` are the greatest within the policy's horizon."""

    by_horizon: Mapping[str, Forecast]
    mean: Floats
    sigma: Floats
    errors: Floats
    is_known: npt.NDArray[np.bool_]


def _foreseen(forecaster: Forecaster, diary: Diary, guests: Sequence[Vm], horizons: Sequence[str]) -> Ahead:
    found: Mapping[str, Forecast] = {horizon: forecaster.at(horizon) for horizon in HORIZONS}
    counted = [found[horizon] for horizon in horizons]
    mean = np.max([forecast.mean for forecast in counted], axis=0)
    sigma = np.max([forecast.sigma for forecast in counted], axis=0)
    is_known = (forecaster.readings >= ENOUGH_READINGS) & ~np.isnan(mean)
    if guests and is_known.mean() < MOST_ARE_KNOWN:
        found, mean, sigma, is_known = _begun(diary, guests, found)
    wanted = (wanted_now(vm) for vm in guests)
    present = np.array([np.nan if cores is None else cores for cores in wanted], dtype=np.float32)
    mean = np.fmax(mean, present - SIGMAS_OF_CHANCE * sigma)
    # Not measured now: the quantile's rule has found the greatest of the window, and missing numbers mean busy.
    blind = np.array([vm.need(CPU) if vm.cpu_used_cores is None else 0.0 for vm in guests], dtype=np.float32)
    return Ahead(found, np.maximum(mean, blind), sigma, counted[-1].errors, is_known)


def _begun(
    diary: Diary, guests: Sequence[Vm], found: Mapping[str, Forecast]
) -> tuple[Mapping[str, Forecast], Floats, Floats, npt.NDArray[np.bool_]]:
    """Return what is expected where most guests are new: of a cluster that is looked at for the first time."""
    vcpus = np.array([vm.vcpus for vm in guests], dtype=np.float32)
    begun = beginning_of(diary.of([vm.key for vm in guests], ENOUGH_READINGS), vcpus)
    by_horizon = {name: replace(forecast, mean=begun.mean, sigma=begun.sigma) for name, forecast in found.items()}
    return by_horizon, begun.mean, begun.sigma, ~np.isnan(begun.mean)


def horizons_counted(cluster: Cluster, minutes: float) -> list[str]:
    """Return the horizons that count: those of the policy, and as far ahead as the slowest sleeper takes to wake.

    Whoever is needed then has to be asked now.
    """
    boots = [host.boot_seconds / 60 for host in cluster.hosts if host.asleep_by_us and not host.is_on]
    boot = min(
        (slots for slots in HORIZONS.values() if slots * SLOT_SECONDS >= max(boots, default=0.0) * 60), default=1
    )
    return horizons_within(max(minutes, boot * SLOT_SECONDS / 60 if boots else 0.0))


def horizons_within(minutes: float) -> list[str]:
    """Return the horizons that a policy looks at: all up to these minutes, and the next look at least."""
    return [name for name, slots in HORIZONS.items() if slots == 1 or slots * SLOT_SECONDS <= minutes * 60]


def _sharing(ahead: Ahead, guests: Sequence[Vm], cluster: Cluster, risk: float) -> Sharing:
    known = np.flatnonzero(ahead.is_known).tolist()
    hosts = {name: place for place, name in enumerate(dict.fromkeys(guests[one].host for one in known))}
    places = np.array([hosts[guests[one].host] for one in known], dtype=np.intp)
    return sharing_of(ahead.errors[:, known], ahead.sigma[known], places, _fuller(cluster, list(hosts)), risk)


def _fuller(cluster: Cluster, names: Sequence[str]) -> float:
    """Return how many times as many guests hosts could have as now: until their CPU or their memory is full."""
    use = [max(cluster.utilisation(cluster.host(name), resource) for resource in (CPU, MEMORY)) for name in names]
    return float(max(1.0, min(1.0 / max(float(np.median(use)), 1e-3), len(names))))


def _demands(ahead: Ahead, guests: Sequence[Vm], sharing: Sharing) -> list[Demand | None]:
    """Return what the solver adds up for each guest, which is never more than the guest could use."""
    typical = typical_of(guests, ahead.mean, ahead.sigma, ahead.is_known)
    sigma = np.where(ahead.is_known, ahead.sigma, typical.sigma)
    allowance = sharing.allowance(sigma.astype(np.float32))
    by_horizon = {
        name: forecast.mean + sharing.allowance(forecast.sigma) for name, forecast in ahead.by_horizon.items()
    }
    found: list[Demand | None] = []
    for place, vm in enumerate(guests):
        most = max(float(vm.vcpus), vm.cpu_used_cores or 0.0)
        if not ahead.is_known[place]:
            found.append(_of_newcomer(vm, float(typical.cores[place]), float(sigma[place]), float(allowance[place])))
            continue
        horizons = {name: min(float(cores[place]), most) for name, cores in by_horizon.items()}
        cores = min(float(ahead.mean[place] + allowance[place]), most)
        found.append(Demand(cpu_cores=cores, sigma=float(sigma[place]), by_horizon=horizons))
    return found


def _of_newcomer(vm: Vm, typical: float, sigma: float, allowance: float) -> Demand | None:
    """Expect of a guest that is hardly known what its like need, and no less than what it was seen to need.

    One of which no number is known at all keeps counting with all its vCPUs.
    """
    if vm.demand is None:
        return None
    cores = max(vm.demand.cpu_cores, typical) + allowance
    return Demand(cpu_cores=min(cores, max(float(vm.vcpus), vm.cpu_used_cores or 0.0)), sigma=sigma)
