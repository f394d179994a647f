"""The embedded history and a real server behind the ready queries keep to one contract."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from balancer.history.embedded import EmbeddedHistory
from balancer.history.prometheus import PrometheusReadings, PrometheusServer
from balancer.history.queries import READY, Queries
from tests.contracts.readings_contract import FIVE, NOON, Place, ReadingsContract
from tests.history.exporters import LIBVIRT_EXPORTER, NODE_EXPORTER, TELEGRAF, load
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
        name: value for each in names for name, value in vars(READY[each]).items() if value != getattr(Queries(), name)
    }
    return Queries(**fields)


class TestExportersOfPrometheus(ReadingsContract):
    @pytest.fixture
    def place(self, server: MetricsServer) -> Place:
        return PrometheusReadings(PrometheusServer(server.url, joined("libvirt-exporter", "node-exporter")))


class TestTelegraf(ReadingsContract):
    @pytest.fixture
    def place(self, server: MetricsServer) -> Place:
        return PrometheusReadings(PrometheusServer(server.url, READY["telegraf"]))


@pytest.mark.parametrize("exporter", ["libvirt-exporter", "telegraf"])
def test_the_time_that_guests_waited_comes_along(server: MetricsServer, exporter: str) -> None:
    place = PrometheusReadings(PrometheusServer(server.url, READY[exporter]))
    found = place.guest_readings(NOON - 2 * FIVE, NOON - FIVE)
    assert found["wait_share"].tolist() == pytest.approx([0.02], abs=1e-3)
    assert found["memory_mib"].tolist() == pytest.approx([512.0])
