"""What Prometheus may scrape: the last cycle and the state of the service, read anew at each scrape; nothing of guests.

Days are in UTC, as the accounts have them. A metric whose value nobody knows is left out rather than said to be 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Final

from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from balancer import __version__
from balancer.accounting import savings
from balancer.domain.host import ASLEEP, CPU, MEMORY, HostState
from balancer.published import Published
from balancer.store.halts import HaltKind
from balancer.store.journal import EntryState
from balancer.store.proposals import OPEN
from balancer.store.tokens import Role
from balancer.web.access import role
from balancer.web.door import Door
from balancer.web.identity import Visitor

METRICS_PATH: Final = "/metrics"

Values = Mapping[tuple[str, ...], float]
"""Values of a metric by its labels."""


@dataclass(frozen=True)
class Metric:
    """A metric as its readers know it; all are gauges, since the store, not this process, remembers."""

    name: str
    help: str
    labels: tuple[str, ...] = ()


METRICS: Final = (
    Metric("balancer_info", "Always 1; the version that runs", ("version",)),
    Metric("balancer_up", "1 while the last cycle went well, 0 when it failed or none has ended yet"),
    Metric("balancer_leads", "1 while this balancer has the right to act on the cluster"),
    Metric("balancer_held", "1 where nothing but waking is begun: a pause, too many failures", ("kind",)),
    Metric("balancer_policy_refused", "Faults of a changed policy file that is not in force because of them"),
    Metric("balancer_seen_timestamp_seconds", "When the cluster was last looked at"),
    Metric("balancer_seen_age_seconds", "How long ago that was"),
    Metric("balancer_cycle_seconds", "How long the last cycle took, from the look to the proven plan"),
    Metric("balancer_doubts", "Subjects whose numbers are missing, stale or absurd", ("kind",)),
    Metric("balancer_plan_moves", "Migrations of the last plan"),
    Metric("balancer_plan_gap_ratio", "Most that the last plan may miss of what can be gained; 0 is perfect"),
    Metric("balancer_plan_withdrawn", "1 where the last plan was found unsafe and withdrawn"),
    Metric("balancer_promises_unmet", "Promises that the last plan cannot keep"),
    Metric("balancer_plans_waiting", "Plans that wait for a person"),
    Metric("balancer_imbalance_ratio", "Standard deviation of utilisation among hosts that are on", ("resource",)),
    Metric("balancer_migrations_running", "Migrations under way"),
    Metric("balancer_moves_today", "Migrations of this day by how they ended", ("result",)),
    Metric("balancer_hosts", "Hosts by what they are doing", ("state",)),
    Metric("balancer_guests", "Guests that run"),
    Metric("balancer_host_asleep", "1 for a host that sleeps", ("host",)),
    Metric("balancer_host_quarantined", "1 for a host that is out of the power scheme: it did not wake", ("host",)),
    Metric("balancer_host_used_ratio", "What is used of a host that is on", ("host", "resource")),
    Metric("balancer_watts", "What the cluster draws by its hosts' power curves"),
    Metric("balancer_saved_today_kwh", "Saved today against a cluster without a balancer"),
    Metric("balancer_saved_today_money", "The same in money, by currency", ("currency",)),
    Metric("balancer_saved_today_co2_kg", "The same in kg of CO2"),
    Metric("balancer_asleep_today_hours", "Host-hours asleep today"),
    Metric("balancer_wakes_today", "Hosts woken today: in time, needed before they were ready, or failed", ("result",)),
)


def router(door: Door) -> APIRouter:
    """Return what answers a scrape, for those with a token."""
    scrapes = APIRouter(include_in_schema=False)

    @scrapes.get(METRICS_PATH)
    def scrape(_: Visitor = Depends(role(door, Role.VIEWER))) -> Response:  # noqa: B008  so FastAPI is told
        return Response(scraped(door), media_type=CONTENT_TYPE_LATEST)

    return scrapes


def scraped(door: Door) -> bytes:
    """Return all metrics in the text format of Prometheus."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_AsOfNow(door))
    return generate_latest(registry)


class _AsOfNow(Collector):
    def __init__(self, door: Door) -> None:
        self._door = door

    def collect(self) -> Iterable[GaugeMetricFamily]:
        values = {**_of_the_service(self._door), **_of_the_day(self._door)}
        latest = self._door.board.latest
        if latest is not None:
            values |= _of_the_cycle(latest, self._door.now)
        for metric in METRICS:
            if found := values.get(metric.name):
                yield _family(metric, found)


def _family(metric: Metric, values: Values) -> GaugeMetricFamily:
    family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _of_the_service(door: Door) -> dict[str, Values]:
    health, store = door.board.health, door.store
    halts = {halt.kind for halt in store.halts.in_force(door.now)}
    running = sum(each.step.is_move for run in door.board.runs for each in run.progress.running)
    waiting = sum(each.state in OPEN and each.is_open(door.now) for each in store.proposals.latest())
    return {
        "balancer_info": {(__version__,): 1.0},
        "balancer_up": _one(door.board.latest is not None and not health.trouble),
        "balancer_leads": _one(door.site.acting.may_act),
        "balancer_held": {(kind,): float(kind in halts) for kind in HaltKind},
        "balancer_policy_refused": _one(len(health.refused)),
        "balancer_migrations_running": _one(running),
        "balancer_plans_waiting": _one(waiting),
    }


def _of_the_day(door: Door) -> dict[str, Values]:
    today = door.now.astimezone(UTC).date()
    moves = [entry for entry in door.store.journal.between(_midnight(door.now), door.now) if entry.step.is_move]
    ended = Counter("done" if each.state is EntryState.DONE else "failed" for each in moves if each.is_settled)
    values: dict[str, Values] = {"balancer_moves_today": {(result,): ended[result] for result in ("done", "failed")}}
    for period in savings(door.store, today, days=1):
        wakes = period.wakes
        values |= {
            "balancer_saved_today_kwh": _one(period.energy.saved_kwh),
            "balancer_saved_today_money": {(currency,): saved for currency, saved in period.money.items()},
            "balancer_saved_today_co2_kg": _one(period.co2_kg),
            "balancer_asleep_today_hours": _one(period.energy.hours_asleep),
            "balancer_wakes_today": {("in_time",): wakes.in_time, ("late",): wakes.late, ("failed",): wakes.failed},
        }
    return values


def _midnight(now: datetime) -> datetime:
    return datetime.combine(now.astimezone(UTC).date(), time(), UTC)


def _of_the_cycle(latest: Published, now: datetime) -> dict[str, Values]:
    seen, plan = latest.cycle.seen, latest.cycle.plan
    states = Counter(host.state for host in seen.hosts)
    imbalance = plan.summary.imbalance_before
    values: dict[str, Values] = {
        "balancer_seen_timestamp_seconds": _one(latest.at.timestamp()),
        "balancer_seen_age_seconds": _one((now - latest.at).total_seconds()),
        "balancer_doubts": {(kind,): count for kind, count in Counter(str(each.kind) for each in seen.doubts).items()},
        "balancer_plan_moves": _one(plan.summary.moves),
        "balancer_plan_withdrawn": _one(bool(latest.cycle.objections)),
        "balancer_promises_unmet": _one(len(plan.unmet)),
        "balancer_imbalance_ratio": {("cpu",): imbalance.cpu, ("memory",): imbalance.memory},
        "balancer_hosts": {(state,): states[state] for state in HostState},
        "balancer_guests": _one(sum(len(seen.active_on(host.name)) for host in seen.hosts)),
        "balancer_host_asleep": {(host.name,): float(host.state in ASLEEP) for host in seen.hosts},
        "balancer_host_quarantined": {(host.name,): float(host.quarantined is not None) for host in seen.hosts},
        "balancer_host_used_ratio": dict(_used(latest)),
        "balancer_watts": _one(seen.watts()),
    }
    if plan.summary.gap is not None:
        values["balancer_plan_gap_ratio"] = _one(plan.summary.gap)
    if latest.took_seconds is not None:
        values["balancer_cycle_seconds"] = _one(latest.took_seconds)
    return values


def _used(latest: Published) -> Iterator[tuple[tuple[str, str], float]]:
    seen = latest.cycle.seen
    for host in seen.hosts:
        if host.is_on:
            for resource in (CPU, MEMORY):
                yield (host.name, resource), seen.utilisation(host, resource)


def _one(value: float) -> Values:
    return {(): float(value)}
