"""Glances between two looks: what has risen a moment ago is told, and is not lost in a mean of minutes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from balancer.clock import HandSetClock
from balancer.domain.site_file import SiteFile
from balancer.platforms.libvirt import observing
from balancer.platforms.libvirt.observing import Observer
from balancer.platforms.libvirt.samples import Counters, GuestSample, host_sample

SECOND = 1_000_000_000
WEB = ("web", 1)
CPUS = 4


class Hypervisor:
    """A host of four cores whose only guest idles until a moment and then uses three."""

    def __init__(self, surges_at: float) -> None:
        self.surges_at, self.now = surges_at, 0.0
        self.answers = True

    def counted(self) -> Counters:
        work = 3.0 * max(0.0, self.now - self.surges_at)
        host = host_sample(self.now, {"user": int(work * SECOND), "idle": int((CPUS * self.now - work) * SECOND)})
        return Counters(host, {WEB: GuestSample(self.now, int(work * SECOND), 0)})

    def ask_all(self, links: object, operation: str, questions: Mapping[str, object]) -> tuple[dict[str, Any], Any]:
        return ({host: self.counted() for host in questions} if self.answers else {}), {}


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Hypervisor:
    hypervisor = Hypervisor(surges_at=290.0)
    monkeypatch.setattr(observing, "ask_all", hypervisor.ask_all)
    return hypervisor


def observer() -> Observer:
    site = SiteFile.model_validate({"cluster": "c", "platform": {"kind": "libvirt"}, "hosts": [{"name": "h1"}]})
    return Observer(site, HandSetClock(datetime(2026, 11, 23, tzinfo=UTC)), {}, dict)


def looked(observer: Observer, host: Hypervisor, at: float) -> tuple[float | None, float | None]:
    """Return the cores that a look says its host and its guest use."""
    host.now = at
    guest = SimpleNamespace(run_key=WEB, vcpus=4, is_active=True)
    look = SimpleNamespace(host="h1", cpus=CPUS, counters=host.counted(), guests=(guest,))
    found = observer._rates({"h1": look}, {})["h1"]  # type: ignore[dict-item]
    return found.cores, found.guests[WEB].cores


def glanced(observer: Observer, host: Hypervisor, at: float) -> dict[str, float]:
    host.now = at
    return observer.glance()


def test_a_glance_says_what_was_used_since_the_one_before(host: Hypervisor) -> None:
    watching = observer()
    looked(watching, host, 1.0)
    assert glanced(watching, host, 280.0) == {}  # one counts nothing
    assert glanced(watching, host, 290.0) == {"h1": 0.0}
    assert glanced(watching, host, 300.0) == {"h1": pytest.approx(3.0)}


@pytest.mark.parametrize(("compares", "cores"), [(False, 0.2), (True, 3.0)])
def test_the_look_that_a_surge_begins_sees_the_surge(host: Hypervisor, compares: bool, cores: float) -> None:
    watching = observer()
    looked(watching, host, 0.0)
    for at in (280.0, 300.0, 305.0):
        glanced(watching, host, at)
    if compares:
        watching.compare_with_the_last_glances()
    of_host, of_guest = looked(watching, host, 310.0)
    assert (of_host, of_guest) == pytest.approx((cores, cores), abs=0.01)


def test_glances_take_nothing_from_the_next_look_as_long_as_nothing_surges(host: Hypervisor) -> None:
    watching = observer()
    looked(watching, host, 0.0)
    glanced(watching, host, 299.0)
    assert looked(watching, host, 300.0)[0] == pytest.approx(0.1)  # of all five minutes


def test_a_host_that_does_not_answer_is_left_out(host: Hypervisor) -> None:
    watching = observer()
    looked(watching, host, 1.0)
    glanced(watching, host, 280.0)
    host.answers = False
    assert glanced(watching, host, 290.0) == {}
    host.answers = True
    assert glanced(watching, host, 300.0) == {}  # nothing to compare with: no glance is made up
