"""What a look adds to the energy accounts, and what the accounts say of a stretch of days."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta

from balancer.domain.cluster import Cluster
from balancer.domain.energy import Period, Wakes, energy_by_host, total
from balancer.domain.fitting import fitted
from balancer.errors import PowerError
from balancer.execution import ActingSite
from balancer.policy import Policy
from balancer.power.base import PowerSwitch
from balancer.reporting.power import HostPower
from balancer.store import Store

MISSED_AT_MOST = 3  # intervals; what the cluster took in a longer gap nobody knows
AT_THE_SAME_TIME = 16  # BMCs asked what their hosts draw


def powers(store: Store, seen: Iterable[tuple[str, str, bool]]) -> list[HostPower]:
    """Put beside what is seen of hosts what is remembered of them.

    seen: a host, what its BMC says, whether its hypervisor answers
    """
    marks, boots, tests = store.marks.all(), store.boots.counts(), store.power_tests.all()
    known = []
    for name, said, answers in seen:
        mark, last, test = marks.get(name), store.journal.last_switched(name), tests.get(name)
        quarantine = mark.quarantine if mark else None
        known.append(
            HostPower(
                host=name,
                bmc_says=said,
                answers=answers,
                asleep_since=mark.asleep_since if mark else None,
                wake_proven_at=mark.wake_proven_at if mark else None,
                boot_seconds=mark.boot_seconds if mark else None,
                boots=boots.get(name, 0),
                last=f"{last.action.replace('_', ' ')}: {last.state}" if last else "",
                last_at=(last.settled_at or last.at) if last else None,
                quarantined_since=quarantine.since if quarantine else None,
                quarantined_why=quarantine.why if quarantine else "",
                tested_at=test.at if test else None,
                test_result=test.result if test else "",
                test_words=test.words if test else "",
            )
        )
    return known


def measured_watts(site: ActingSite, seen: Cluster) -> dict[str, float]:
    """Ask the BMCs of the hosts that are on what these draw; one that fails or does not measure is left out."""
    if not site.file.read_watts:
        return {}
    names = [host.name for host in seen.hosts if host.is_on and host.name in site.switches]
    with ThreadPoolExecutor(AT_THE_SAME_TIME) as pool:
        found = dict(zip(names, pool.map(_watts, (site.switches[name] for name in names)), strict=True))
    return {name: watts for name, watts in found.items() if watts is not None}


def _watts(switch: PowerSwitch) -> float | None:
    try:
        return switch.watts()
    except PowerError:
        return None


def keep_accounts(store: Store, seen: Cluster, policy: Policy, measured: Mapping[str, float]) -> None:
    """Add what the hosts took since the last look, as if the cluster had been since then as it is now."""
    until = store.accounts.counted_until()
    longest = MISSED_AT_MOST * policy.interval_seconds
    seconds = 0.0 if until is None else max(0.0, (seen.taken_at - until).total_seconds())
    spent = energy_by_host(seen, min(seconds, longest), measured) if seconds else {}
    store.accounts.add(seen.taken_at, spent, policy.energy)
    for name, watts in measured.items():
        host = seen.host(name)
        if host.cpu_used_cores is not None and host.cpu_cores > 0 and not seen.is_doubted(host):
            store.accounts.note_draw(name, min(1.0, host.cpu_used_cores / host.cpu_cores), watts)
    if policy.headroom.violations(seen):
        store.accounts.note_late(seen.taken_at)


def with_fitted_power(store: Store, seen: Cluster) -> Cluster:
    """Give hosts whose watts nobody wrote down a curve by what their BMCs measured."""
    if all(host.power is not None for host in seen.hosts):
        return seen
    drawn = store.accounts.drawn()
    hosts = tuple(
        host if host.power is not None else host.model_copy(update={"power": fitted(drawn.get(host.name, ()))})
        for host in seen.hosts
    )
    return seen.model_copy(update={"hosts": hosts})


def savings(store: Store, last: date, days: int, by_month: bool = False) -> tuple[Period, ...]:
    """Return the accounts of so many days up to one, by day or by month, the oldest first."""
    first = last - timedelta(days=days - 1)
    rows = store.accounts.between(first, last)
    names = list(dict.fromkeys(_name(row.day, by_month) for row in rows))
    periods = []
    for name in names:
        mine = [row for row in rows if _name(row.day, by_month) == name]
        money: dict[str, float] = {}
        for row in mine:
            if row.tariff.price_per_kwh:
                saved = row.energy.saved_kwh * row.tariff.price_per_kwh
                money[row.tariff.currency] = money.get(row.tariff.currency, 0.0) + saved
        co2_kg = sum(row.energy.saved_kwh * row.tariff.co2_g_per_kwh for row in mine) / 1000
        wakes = _wakes(store, {row.day for row in mine})
        periods.append(Period(name, total(row.energy for row in mine), money, co2_kg, wakes))
    return tuple(periods)


def _name(day: date, by_month: bool) -> str:
    return f"{day:%Y-%m}" if by_month else day.isoformat()


def _wakes(store: Store, days: Iterable[date]) -> Wakes:
    first, last = min(days), max(days)
    midnight = datetime.combine(first, time(), UTC)
    return store.accounts.wakes_between(midnight, datetime.combine(last, time(), UTC) + timedelta(days=1))
