"""What hosts took, and what they would have taken: by hand, on hosts whose watts are round numbers."""

from __future__ import annotations

import pytest

from balancer.domain.cluster import Cluster
from balancer.domain.energy import Energy, energy_by_host, total
from balancer.domain.fitting import FEWEST_READINGS, Drawn, fitted
from balancer.domain.host import HostState, Power
from balancer.domain.servers import WATTS
from tests.drawing import cluster

CURVE = Power(idle_watts=100.0, peak_watts=300.0, off_watts=10.0)


def three(by_us: bool) -> Cluster:
    """One host half busy, one idle, one asleep, for whatever reason."""
    drawn = cluster("h1 64: a=8/4 b=8/4 | h2 64: | h3 64:")
    hosts = [host.model_copy(update={"power": CURVE, "cpu_cores": 16.0}) for host in drawn.hosts]
    hosts[2] = hosts[2].model_copy(update={"state": HostState.STANDBY, "asleep_by_us": by_us})
    return drawn.model_copy(update={"hosts": tuple(hosts)})


def test_a_sleeper_of_ours_would_have_been_idle() -> None:
    hour = total(energy_by_host(three(by_us=True), 3600).values())
    assert hour.kwh == pytest.approx((200 + 100 + 10) / 1000)
    assert hour.kwh_all_on == hour.kwh_alone == pytest.approx((200 + 100 + 100) / 1000)
    assert hour.saved_kwh == pytest.approx(0.090)
    assert (hour.hours_on, hour.hours_asleep) == (2, 1)


def test_what_others_switched_off_is_no_saving_of_ours() -> None:
    hour = total(energy_by_host(three(by_us=False), 3600).values())
    assert hour.saved_kwh == 0
    assert hour.kwh_all_on == pytest.approx(0.400)


def test_what_is_measured_stands_beside_the_curve_for_the_same_hosts() -> None:
    hour = total(energy_by_host(three(by_us=True), 3600, {"h2": 120.0}).values())
    assert hour.kwh_measured == pytest.approx(0.120)
    assert hour.kwh_modelled == pytest.approx(0.100)


def test_hosts_without_watts_take_nothing_known() -> None:
    assert total(energy_by_host(cluster("h1 64: a=8/8"), 3600).values()) == Energy(hours_on=1.0)


def test_a_curve_is_found_again_from_its_own_points() -> None:
    found = fitted([Drawn(share, CURVE.at(share), 10) for share in (0.1, 0.3, 0.6)], off_watts=7.0)
    assert found is not None
    assert found.idle == pytest.approx(100) and found.at(1.0) == pytest.approx(300) and found.off_watts == 7.0


@pytest.mark.parametrize(
    "drawn",
    [
        (Drawn(0.1, 110, 5), Drawn(0.9, 280, 5)),
        (Drawn(0.30, 150, FEWEST_READINGS), Drawn(0.31, 190, FEWEST_READINGS)),
        (Drawn(0.1, 300, FEWEST_READINGS), Drawn(0.9, 100, FEWEST_READINGS)),
    ],
    ids=["too few", "at one load", "falling"],
)
def test_readings_that_say_too_little_make_no_curve(drawn: tuple[Drawn, ...]) -> None:
    assert fitted(drawn) is None


def test_a_server_of_the_table_has_its_watts() -> None:
    assert Power(like="dell-r740").at(1.0) == 457
    assert all(len(watts) == 11 and list(watts) == sorted(watts) for watts in WATTS.values())


def test_a_server_that_is_not_in_the_table_is_guessed() -> None:
    with pytest.raises(ValueError, match="did you mean dell-r740"):
        Power(like="dell-r741")
