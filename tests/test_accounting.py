"""The energy accounts over days: on the embedded site, and on a store of their own."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from balancer.accounting import keep_accounts, savings, with_fitted_power
from balancer.cli import run
from balancer.domain.cluster import Cluster
from balancer.domain.energy import Wakes
from balancer.domain.host import HostState, Power
from balancer.domain.plan import Action, Step
from balancer.domain.tariff import Tariff
from balancer.policy import Policy
from balancer.store import Store, open_store
from balancer.store.journal import EntryState, JournalEntry
from tests.drawing import cluster

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
WAKE = Step(id="s1", action=Action.POWER_ON, host="h2")
DAY = Tariff(price_per_kwh=0.30, currency="EUR", co2_g_per_kwh=400)
NIGHT = Tariff(price_per_kwh=0.10, currency="EUR", co2_g_per_kwh=400)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"sqlite:///{tmp_path}/balancer.db", "lab")


CURVE = Power(idle_watts=110.0, peak_watts=210.0)


def seen(at: datetime, used: float = 4, power: Power | None = CURVE) -> Cluster:
    """One host that is on, and one that the balancer put to sleep."""
    drawn = cluster(f"h1 64: a=8/{used:g} | h2 64:")
    hosts = [host.model_copy(update={"power": power, "cpu_used_cores": used}) for host in drawn.hosts]
    hosts[1] = hosts[1].model_copy(update={"state": HostState.STANDBY, "asleep_by_us": True})
    return drawn.model_copy(update={"hosts": tuple(hosts), "taken_at": at})


def keep(store: Store, at: datetime, tariff: Tariff = DAY, used: float = 4) -> None:
    keep_accounts(store, seen(at, used), Policy(interval_seconds=3600.0, energy=tariff), {})


def test_each_hour_is_counted_once_under_its_own_tariff(store: Store) -> None:
    for hours, tariff in ((0, DAY), (1, DAY), (1, DAY), (2, NIGHT)):
        keep(store, NOON + timedelta(hours=hours), tariff)
    (period,) = savings(store, NOON.date(), days=1)
    assert period.energy.hours_asleep == pytest.approx(2)
    assert period.energy.saved_kwh == pytest.approx(2 * 0.105)
    assert period.money == {"EUR": pytest.approx(0.105 * 0.30 + 0.105 * 0.10)}
    assert period.co2_kg == pytest.approx(2 * 0.105 * 0.4)


def test_a_gap_that_nobody_saw_counts_for_three_intervals_at_most(store: Store) -> None:
    keep(store, NOON)
    keep(store, NOON + timedelta(days=5))
    (period,) = savings(store, date(2026, 11, 28), days=30)
    assert period.name == "2026-11-28"
    assert period.energy.hours_on == pytest.approx(3)


def test_a_clock_that_is_set_back_takes_nothing_away(store: Store) -> None:
    keep(store, NOON)
    keep(store, NOON - timedelta(hours=2))
    assert savings(store, NOON.date(), days=1) == ()


def test_days_add_up_to_months(store: Store) -> None:
    for hours in range(0, 24 * 10, 1):
        keep(store, NOON + timedelta(hours=hours))
    by_day = savings(store, date(2026, 12, 3), days=30)
    by_month = savings(store, date(2026, 12, 3), days=30, by_month=True)
    assert [period.name for period in by_month] == ["2026-11", "2026-12"]
    assert sum(p.energy.kwh for p in by_day) == pytest.approx(sum(p.energy.kwh for p in by_month))


def test_a_wake_is_late_when_somebody_needs_the_host_before_it_is_ready(store: Store) -> None:
    for minutes, used in ((0, 4), (1, 64)):
        entry = store.journal.begin(JournalEntry(NOON, "p1", WAKE))
        keep(store, NOON + timedelta(minutes=minutes), used=used)
        store.journal.settle(entry.id, EntryState.DONE, "", NOON + timedelta(minutes=3))
    failed = store.journal.begin(JournalEntry(NOON, "p1", WAKE))
    store.journal.settle(failed.id, EntryState.FAILED, "", NOON + timedelta(minutes=9))
    assert savings(store, NOON.date(), days=1)[0].wakes == Wakes(in_time=1, late=1, failed=1)


def test_a_host_without_watts_gets_the_curve_that_its_bmc_measured(store: Store) -> None:
    curve = Power(idle_watts=90.0, peak_watts=250.0)
    for number in range(30):
        used = 1.0 + number / 2
        here = seen(NOON + timedelta(hours=number), used=used, power=None)
        share = used / here.host("h1").cpu_cores
        keep_accounts(store, here, Policy(), {"h1": curve.at(share)})
    known = with_fitted_power(store, seen(NOON, power=None))
    power = known.host("h1").power
    assert power is not None
    assert power.idle == pytest.approx(90, rel=0.01) and power.at(1.0) == pytest.approx(250, rel=0.01)
    assert known.host("h2").power is None


def test_the_embedded_site_has_accounts_to_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["power", "savings", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
