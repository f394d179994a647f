"""From readings of a site to what its guests are expected to need at a risk, cycle after cycle."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from balancer.cycle import look_and_expect, think
from balancer.domain.cluster import Cluster
from balancer.domain.memory import NOTHING_REMEMBERED
from balancer.embedded import CYCLE, MIDNIGHT, embedded_default_policy, the_embedded_site
from balancer.policy import load_policy
from balancer.site import Site

AT_A_RISK = embedded_default_policy().model_copy(
    update={"demand": embedded_default_policy().demand.model_copy(update={"risk": 0.001})}
)


@pytest.fixture(scope="module")
def evening() -> Iterator[Site]:
    """A site that has been looked at for four hours."""
    with the_embedded_site(MIDNIGHT + timedelta(hours=14)) as site:
        for _ in range(16):
            look_and_expect(site, AT_A_RISK)
            site.clock.sleep(CYCLE.total_seconds())
        yield site


def test_what_was_read_in_earlier_cycles_is_forecast_from(evening: Site) -> None:
    seen = look_and_expect(evening, AT_A_RISK)
    known = [vm.demand for vm in seen.vms if vm.is_active and vm.demand is not None and vm.demand.by_horizon]
    assert len(known) == len([vm for vm in seen.vms if vm.is_active])
    assert len({host.swing_cores for host in seen.hosts}) == 1 and seen.hosts[0].swing_cores > 0


def test_a_restart_finds_what_was_read_in_the_file(evening: Site) -> None:
    again = Site(evening.acting, evening.history, is_private=True)
    seen, before = look_and_expect(again, AT_A_RISK), look_and_expect(evening, AT_A_RISK)
    assert [vm.demand for vm in seen.vms] == [vm.demand for vm in before.vms]


def test_a_plan_at_a_risk_is_proven_by_the_checkers_and_replays_from_its_snapshot(evening: Site) -> None:
    seen = look_and_expect(evening, AT_A_RISK)
    cycle = think(seen, AT_A_RISK, NOTHING_REMEMBERED)
    assert cycle.objections == ()
    again = type(seen).model_validate_json(seen.model_dump_json(by_alias=True))
    assert think(again, AT_A_RISK, NOTHING_REMEMBERED).plan.steps == cycle.plan.steps


def test_without_a_risk_nothing_is_kept_free(evening: Site) -> None:
    seen = look_and_expect(evening, embedded_default_policy())
    assert {host.swing_cores for host in seen.hosts} == {0.0}


@pytest.mark.parametrize("name", ["power-saver", "night-saver"])
def test_a_ready_power_saver_that_knows_no_past_yet_is_no_bolder_than_one_without_a_risk(name: str) -> None:
    """At the first look guests are judged by their like: no host seems emptier for it, and room is kept for chance."""
    with the_embedded_site(MIDNIGHT) as site:
        at_a_risk = load_policy(Path(name)).at(site.clock.now())
        assert at_a_risk.demand.risk == 0.001
        no_risk = at_a_risk.model_copy(update={"demand": at_a_risk.demand.model_copy(update={"risk": None})})
        first, by_itself = look_and_expect(site, at_a_risk), look_and_expect(site, no_risk)
        assert all(host.swing_cores > 0 for host in first.hosts)
        for host in first.hosts:
            assert expected_on(first, host.name) >= expected_on(by_itself, host.name) - 0.01, host.name


def expected_on(cluster: Cluster, host: str) -> float:
    return sum(vm.demand.cpu_cores for vm in cluster.guests_of(host) if vm.demand)
