"""Whatever a source of numbers says: no crash, no number that is none, and no action on doubt.

What the embedded history holds, what a Prometheus or VictoriaMetrics answers, what libvirt counts. An InfluxDB's
answers are tried in tests/history/test_influxql.py.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from balancer.clock import HandSetClock
from balancer.cycle import think
from balancer.demand.diary import EMPTY_DIARY
from balancer.demand.expecting import expected
from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU
from balancer.domain.memory import NOTHING_REMEMBERED
from balancer.domain.plan import Action
from balancer.history.embedded import EmbeddedHistory
from balancer.history.pages import pack, page_of_samples
from balancer.history.prometheus import PrometheusReadings
from balancer.platforms.libvirt.rates import rates
from balancer.platforms.libvirt.samples import Counters, GuestSample, HostSample
from tests.drawing import cluster
from tests.history.test_prometheus import Answering, answering, place, server
from tests.history.worlds import NOON, minutes
from tests.platforms.test_libvirt_assembling import WEB, look, picture, sighting
from tests.stability.town import rules
from tests.waking.test_trust import SAVER

__all__ = ["answering", "server"]

SLEEPY = rules(SAVER + "stability: {sleep_after_minutes: 0, host_cooldown_minutes: 0, hold_minutes: 0}\n")
QUICK = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
numbers = st.one_of(st.floats(allow_nan=True, allow_infinity=True, width=32), st.floats(0, 4))


def what_is_wrong(seen: Cluster) -> list[str]:
    """Plan for a cluster that a saver would empty a host of; say which number is none, and what is done on doubt."""
    wrong = [f"{vm.name} needs {vm.need(CPU)}" for vm in seen.vms if not 0 <= vm.need(CPU) < np.inf]
    cycle = think(seen, SLEEPY, NOTHING_REMEMBERED)
    wrong += map(str, cycle.objections)
    doubted = {doubt.subject for doubt in seen.doubts}
    if doubted or any(vm.is_absurd for vm in seen.vms):
        wrong += [f"{step.id} switches a host off" for step in cycle.plan.steps if step.action is Action.POWER_OFF]
    for step in cycle.plan.moves:
        touched = {f"vm:{step.vm}", f"host:{step.source}", f"host:{step.target}"} & doubted
        wrong += [f"{step.id} moves what is in doubt: {subject}" for subject in sorted(touched)]
    return wrong


def as_read(history: EmbeddedHistory | PrometheusReadings, present: float) -> Cluster:
    """Return a small cluster with what is expected of its guests by what a history says."""
    seen = cluster("h1 16: a=0.5 | h2 16: b=0.5").model_copy(update={"taken_at": NOON})
    vms = tuple(vm.model_copy(update={"cpu_used_cores": present, "vcpus": 4, "demand": None}) for vm in seen.vms)
    seen = seen.model_copy(update={"vms": vms})
    found = history.guest_readings(NOON - minutes(30), NOON + minutes(10))
    return expected(found, EMPTY_DIARY, seen, SLEEPY.demand)


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[EmbeddedHistory]:
    opened = EmbeddedHistory(tmp_path / "history.db", HandSetClock(NOON))
    yield opened
    opened.close()


def keep(history: EmbeddedHistory, at: float, packed: bytes) -> None:
    with sqlite3.connect(history.path) as db:
        db.execute("delete from pages")
        db.execute("insert or ignore into subjects (id, key) values (1, 'a'), (2, 'b')")
        ends = (NOON + minutes(at)).timestamp()
        db.execute("insert into pages (of, seconds, ends_at, readings) values ('guests', 0, ?, ?)", (ends, packed))


@QUICK
@given(st.lists(numbers, min_size=2, max_size=2), st.floats(-20, 5), st.floats(0, 4))
def test_whatever_numbers_the_embedded_history_holds(
    embedded: EmbeddedHistory, held: list[float], at: float, present: float
) -> None:
    keep(embedded, at, pack(page_of_samples(np.array([1, 2], dtype=np.int32), held, held, held)))
    assert what_is_wrong(as_read(embedded, present)) == []


@QUICK
@given(st.one_of(st.binary(max_size=80), st.binary(max_size=120).map(zlib.compress)))
def test_whatever_bytes_the_embedded_history_holds(embedded: EmbeddedHistory, held: bytes) -> None:
    keep(embedded, -5, held)
    assert what_is_wrong(as_read(embedded, 0.5)) == []


@QUICK
@given(st.lists(st.tuples(st.floats(-20, 5), numbers.map(str)), max_size=4), st.floats(0, 4))
def test_whatever_numbers_a_metrics_server_gives(
    server: Answering, said: list[tuple[float, str]], present: float
) -> None:
    server.says(("a", said), ("b", said[:1]))
    assert what_is_wrong(as_read(place(server.url), present)) == []


counts = st.one_of(st.none(), st.integers(-(2**65), 2**65), st.integers(0, 10**11))
moments = st.floats(0, 2000)


@QUICK
@given(st.tuples(counts, counts), st.tuples(counts, counts), st.tuples(moments, moments), st.integers(0, 8))
def test_whatever_libvirt_counts(
    cpu: tuple[int | None, int | None], wait: tuple[int | None, int | None], at: tuple[float, float], vcpus: int
) -> None:
    run = sighting("h1", name="web").run_key
    before, now = (
        Counters(HostSample(moment, abs(used or 0), abs(waited or 0)), {run: GuestSample(moment, used, waited)})
        for moment, used, waited in zip(at, cpu, wait, strict=True)
    )
    found = rates(before, now, 16, {run: vcpus})
    for measured in (found.cores, found.guests[run].cores):
        assert measured is None or 0 <= measured <= 16
    idle = [Counters(HostSample(t, int(t * 10), int(t * 1000)), {}) for t in (0.0, 10.0)]
    calm = rates(idle[0], idle[1], 16, {})
    other = "bbbbbbbb-0000-4000-8000-000000000002"
    seen = picture(
        look("h1", sighting("h1", id=WEB)),
        look("h2", sighting("h2", id=other, name="mail")),
        rates={"h1": found, "h2": calm},
    ).cluster
    assert what_is_wrong(seen) == []
