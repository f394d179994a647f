"""The embedded history and real servers behind the ready queries keep to one contract."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from balancer.clock import HandSetClock
from balancer.history.embedded import EmbeddedHistory
from balancer.history.influxql import InfluxReadings, InfluxServer
from balancer.history.lines import lines_of_cluster
from balancer.history.prometheus import PrometheusReadings, PrometheusServer
from balancer.history.queries import INFLUXQL, PROMQL, Queries
from tests.contracts.readings_contract import FIVE, NOON, Place, ReadingsContract
from tests.history.exporters import LIBVIRT_EXPORTER, NODE_EXPORTER, TELEGRAF, load
from tests.history.influx_server import InfluxDB, lines_of_telegraf, skip_without_influxdb
from tests.history.metrics_server import MetricsServer, skip_without_victoria_metrics
from tests.history.worlds import seen

USED = {-10: 1.0, -5: 2.0, 0: None, 5: 4.0}


class TestEmbedded(ReadingsContract):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Iterator[Place]:
        history = EmbeddedHistory(tmp_path / "history.db")
        for minute, cores in USED.items():
            history.record(seen(NOON + timedelta(minutes=minute), cpu_cores=cores))
        yield history
        history.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MetricsServer]:
    skip_without_victoria_metrics()
    victoria = MetricsServer(tmp_path_factory.mktemp("victoria"))
    victoria.start()
    for exporter in (LIBVIRT_EXPORTER, NODE_EXPORTER, TELEGRAF):
        load(victoria.url, exporter, {NOON + timedelta(minutes=minute): cores for minute, cores in USED.items()})
    yield victoria
    victoria.stop()


def joined(*names: str) -> Queries:
    """The queries of two exporters, of which one knows guests and the other hosts."""
    fields = {
        name: value for each in names for name, value in vars(PROMQL[each]).items() if value != getattr(Queries(), name)
    }
    return Queries(**fields)


class TestExportersOfPrometheus(ReadingsContract):
    @pytest.fixture
    def place(self, server: MetricsServer) -> Place:
        return PrometheusReadings(PrometheusServer(server.url, joined("libvirt-exporter", "node-exporter")))


class TestTelegraf(ReadingsContract):
    @pytest.fixture
    def place(self, server: MetricsServer) -> Place:
        return PrometheusReadings(PrometheusServer(server.url, PROMQL["telegraf"]))


@pytest.mark.parametrize("exporter", ["libvirt-exporter", "telegraf"])
def test_the_time_that_guests_waited_comes_along(server: MetricsServer, exporter: str) -> None:
    place = PrometheusReadings(PrometheusServer(server.url, PROMQL[exporter]))
    found = place.guest_readings(NOON - 2 * FIVE, NOON - FIVE)
    assert found["wait_share"].tolist() == pytest.approx([0.02], abs=1e-3)
    assert found["memory_mib"].tolist() == pytest.approx([512.0])


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxDB]:
    skip_without_influxdb()
    influx = InfluxDB(tmp_path_factory.mktemp("influx"))
    influx.write(lines_of_telegraf({NOON + timedelta(minutes=minute): cores for minute, cores in USED.items()}))
    for minute, cores in USED.items():
        at = NOON + timedelta(minutes=minute)
        influx.write(_in_nanoseconds(lines_of_cluster(seen(at, cpu_cores=cores))))
        influx.write(
            _in_nanoseconds(lines_of_cluster(seen(at, cpu_cores=30.0).model_copy(update={"cluster": "other"})))
        )
    yield influx
    influx.stop()


def _in_nanoseconds(lines: Iterable[str]) -> list[str]:
    return [f"{line}000000" for line in lines]


def asked(influx: InfluxDB, exporter: str) -> InfluxReadings:
    server = InfluxServer(influx.url, "telegraf", INFLUXQL[exporter], cluster="lab")
    return InfluxReadings(server, HandSetClock(NOON + 3 * FIVE))


class TestTelegrafInInfluxDB(ReadingsContract):
    @pytest.fixture
    def place(self, influx: InfluxDB) -> Place:
        return asked(influx, "telegraf")


class TestWhatTheBalancerSentToInfluxDB(ReadingsContract):
    @pytest.fixture
    def place(self, influx: InfluxDB) -> Place:
        return asked(influx, "balancer")


@pytest.mark.parametrize("exporter", ["telegraf", "balancer"])
def test_the_time_that_guests_waited_comes_along_from_influxdb_too(influx: InfluxDB, exporter: str) -> None:
    found = asked(influx, exporter).guest_readings(NOON - 2 * FIVE, NOON - FIVE)
    assert found["wait_share"].tolist() == pytest.approx([0.02], abs=1e-3)
    assert found["memory_mib"].tolist() == pytest.approx([512.0])
