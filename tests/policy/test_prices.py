"""Prices by time: what a watt weighs and when a power cycle pays; the better plan stays the better plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.cycle import think
from balancer.domain.cluster import Cluster
from balancer.domain.host import Power
from balancer.domain.memory import NOTHING_REMEMBERED
from balancer.domain.plan import Because
from balancer.objectives import LeastPower
from balancer.planning import make_plan
from balancer.policy import Policy, load
from balancer.policy.loading import Loaded
from balancer.policy.model import Objectives
from balancer.policy.notes import notes
from balancer.policy.prices import weighed
from balancer.policy.showing import effective_yaml
from balancer.saved import replay_cycle, save_cycle
from balancer.solving import find_placement
from tests.drawing import NOON, cluster
from tests.policy.texts import at, policy, write
from tests.solving.outright import best_outright, excess_of
from tests.solving.tiny import random_problem

DEAR_EVENINGS = """
objectives: {even_load: {weight: 1.0}, least_power: {weight: 0.5}}
stability: {payback_minutes: 60}
energy: {price_per_kwh: 0.20, currency: EUR, co2_g_per_kwh: 100}
windows: {evening: {from: 17:00, to: 20:00}, night: {from: 22:00, to: 06:00}}
schedule:
  - {during: evening, set: {energy: {price_per_kwh: 0.40}}}
  - {during: night, set: {energy: {price_per_kwh: 0.10}}}
"""


def weight(whole: Policy, moment: str) -> float:
    return whole.at(at(moment)).objectives.least_power.weight


def payback(whole: Policy, moment: str) -> float:
    return whole.at(at(moment)).stability.payback_minutes


def test_a_watt_weighs_by_what_it_costs_in_the_coming_hour() -> None:
    whole = policy(DEAR_EVENINGS)
    said = {clock: weight(whole, f"2026-11-24T{clock}") for clock in ("12:00", "16:30", "18:00", "19:30", "23:00")}
    assert said == pytest.approx({"12:00": 0.5, "16:30": 0.75, "18:00": 1.0, "19:30": 0.75, "23:00": 0.25})
    assert whole.at(at("2026-11-24T18:00")).objectives.even_load.weight == 1.0


def test_a_power_cycle_is_paid_for_now_and_saves_at_the_prices_to_come() -> None:
    whole = policy(DEAR_EVENINGS)
    said = {clock: payback(whole, f"2026-11-24T{clock}") for clock in ("12:00", "16:30", "18:00", "19:30", "21:30")}
    assert said == pytest.approx({"12:00": 60, "16:30": 90, "18:00": 60, "19:30": 45, "21:30": 45})


def test_an_hour_that_costs_nothing_weighs_nothing_and_a_cycle_that_costs_nothing_pays_within_a_day() -> None:
    whole = policy(DEAR_EVENINGS.replace("price_per_kwh: 0.10", "price_per_kwh: 0"))
    assert (weight(whole, "2026-11-24T23:00"), payback(whole, "2026-11-24T23:00")) == (0.0, 1440.0)


def test_a_cycle_that_costs_next_to_nothing_pays_within_a_day_or_as_late_as_the_policy_says() -> None:
    text = DEAR_EVENINGS.replace("price_per_kwh: 0.10", "price_per_kwh: 0.001")
    assert payback(policy(text), "2026-11-24T05:30") == 1440.0
    patient = text.replace("payback_minutes: 60", "payback_minutes: 4320")
    assert payback(policy(patient), "2026-11-24T05:30") == 4320.0


def test_prices_further_away_than_a_day_are_not_looked_at() -> None:
    text = "objectives: {least_power: {weight: 1.0}}\ndemand: {horizon_minutes: 4320}\nenergy: {price_per_kwh: 0.20}\n"
    text += "windows: {weekend: {days: [sat, sun], from: 00:00, to: 24:00}}\n"
    text += "schedule: [{during: weekend, set: {energy: {price_per_kwh: 0.40}}}]\n"
    assert weight(policy(text), "2026-11-26T00:00") == 1.0  # a Thursday
    assert weight(policy(text), "2026-11-27T12:00") == pytest.approx(1.5)


def test_co2_counts_at_the_price_that_the_policy_gives_it_and_not_without_one() -> None:
    text = "objectives: {least_power: {weight: 1.0}}\nenergy: {price_per_kwh: 0.20, co2_g_per_kwh: 200CARBON}\n"
    text += "windows: {evening: {from: 17:00, to: 20:00}}\n"
    text += "schedule: [{during: evening, set: {energy: {co2_g_per_kwh: 600}}}]\n"
    evening = "2026-11-24T18:00"
    assert weight(policy(text.replace("CARBON", "")), evening) == 1.0
    # 0.20 + 600 g at 500 a tonne = 0.50, against 0.20 + 200 g = 0.30
    assert weight(policy(text.replace("CARBON", ", co2_price_per_tonne: 500")), evening) == pytest.approx(5 / 3)


def test_who_wants_prices_in_the_accounts_alone_says_so() -> None:
    whole = policy(DEAR_EVENINGS.replace("{weight: 0.5}", "{weight: 0.5, by_price: false}"))
    evening = whole.at(at("2026-11-24T18:00"))
    assert (evening.objectives.least_power.weight, evening.energy.price_per_kwh) == (0.5, 0.40)
    assert payback(whole, "2026-11-24T21:30") == 60


def test_prices_without_a_usual_one_steer_nothing_and_check_says_so() -> None:
    whole = policy(DEAR_EVENINGS.replace("price_per_kwh: 0.20", "price_per_kwh: 0"))
    assert weight(whole, "2026-11-24T18:00") == 0.5
    assert payback(whole, "2026-11-24T16:30") == 60
    assert weighed(lambda _: 0.4, 0.0, NOON, 60) == 1.0
    assert "does not say what it usually costs: prices go into the accounts alone" in notes(Loaded(whole), NOON)[-1]
    assert notes(Loaded(policy(DEAR_EVENINGS)), NOON) == []


@given(
    price=st.floats(0.01, 10),
    share=st.floats(0, 2),
    hours=st.integers(0, 7 * 24 * 4),
    horizon=st.sampled_from([0, 15, 60, 480, 100_000]),
)
@settings(max_examples=30, deadline=None)
def test_a_price_that_is_always_the_same_changes_nothing(price: float, share: float, hours: int, horizon: int) -> None:
    energy = {"price_per_kwh": price, "co2_g_per_kwh": 100.0}
    said = {
        "objectives": {"least_power": {"weight": share}},
        "demand": {"horizon_minutes": float(horizon)},
        "energy": energy,
        "windows": {"night": {"from": "22:00", "to": "06:00"}},
    }
    moment = NOON + timedelta(minutes=15 * hours)
    by_time = Policy.model_validate({**said, "schedule": [{"during": "night", "set": {"energy": energy}}]}).at(moment)
    flat = Policy.model_validate(said).at(moment)
    assert by_time.objectives.least_power.weight == flat.objectives.least_power.weight
    assert by_time.stability.payback_minutes == flat.stability.payback_minutes


def test_a_policy_in_force_stays_what_it_is_when_it_is_asked_again() -> None:
    evening = at("2026-11-24T18:00")
    once = policy(DEAR_EVENINGS).at(evening)
    assert once.at(evening) == once


def test_what_is_shown_is_what_counts_and_says_that_the_price_made_it(tmp_path: Path) -> None:
    text = effective_yaml(load(write(tmp_path, dear=DEAR_EVENINGS), None), at("2026-11-24T18:00"))
    line = next(line for line in text.splitlines() if "weight: 1.0" in line and "by the price" in line)
    assert line.endswith("dear.yaml:3, by the price of a kWh")


# -- in plans


def rack(moment: datetime) -> Cluster:
    """Two hosts of which one could be emptied; evenness would keep both on."""
    drawn = cluster("h1 64: a=8@1 | h2 64: b=8@1").model_copy(update={"taken_at": moment})
    power = Power(idle_watts=100, peak_watts=200)
    for name in ("h1", "h2"):
        drawn = drawn.with_host(name, power=power, may_sleep=True, boot_seconds_seen=600.0)
    return drawn


TORN = """
objectives: {even_load: {weight: 1.0, cpu: 0}, least_power: {weight: WEIGHT}}
stability: {sleep_after_minutes: 0, hold_minutes: 0, payback_minutes: PAYBACK}
energy: {price_per_kwh: 0.20}
windows: {evening: {from: 17:00, to: 20:00}}
schedule: [{during: evening, set: {energy: {price_per_kwh: 0.40}}}]
"""


def torn(weight: float, payback: float) -> Policy:
    return policy(TORN.replace("WEIGHT", f"{weight}").replace("PAYBACK", f"{payback}"))


def slept(whole: Policy, moment: str) -> tuple[str, ...]:
    return make_plan(rack(at(moment)), whole, NOTHING_REMEMBERED).summary.hosts_to_sleep


def test_a_host_that_stays_on_at_the_usual_price_sleeps_in_a_dear_hour() -> None:
    # Evenness: (8/64)^2 / 2 on both, twice that on one host: worth 0.0078; half of the watts are worth 0.005 or 0.010.
    whole = torn(weight=0.01, payback=60)
    assert slept(whole, "2026-11-24T12:00") == ()
    assert len(slept(whole, "2026-11-24T18:00")) == 1


def test_a_cycle_pays_sooner_before_a_dear_time_and_later_before_a_cheap_one() -> None:
    # 660 s at 200 W and the move, against 100 W: 23 minutes at a constant price.
    impatient, patient = torn(weight=1.0, payback=20), torn(weight=1.0, payback=25)
    assert slept(impatient, "2026-11-24T12:00") == ()
    plan = make_plan(rack(at("2026-11-24T12:00")), impatient, NOTHING_REMEMBERED)
    assert any(kept.because is Because.SAVES_TOO_LITTLE for kept in plan.kept)
    assert len(slept(impatient, "2026-11-24T16:45")) == 1
    assert len(slept(patient, "2026-11-24T12:00")) == 1
    assert slept(patient, "2026-11-24T19:50") == ()


def test_a_saved_cycle_decides_the_same_again(tmp_path: Path) -> None:
    whole, seen = torn(weight=0.01, payback=60), rack(at("2026-11-24T18:00"))
    cycle = think(seen, whole, NOTHING_REMEMBERED)
    save_cycle(cycle, whole, tmp_path / "cycle.json")
    again, _ = replay_cycle(tmp_path / "cycle.json")
    assert again.plan.model_copy(update={"id": cycle.plan.id}) == cycle.plan


LEGAL_NOW = [
    seed
    for seed in range(20)
    if excess_of(problem := random_problem(seed, hosts=3, vms=3), problem.cluster) == 0  # else excess comes first
]


@pytest.mark.parametrize("seed", LEGAL_NOW)
def test_a_dearer_watt_never_buys_more_of_them_and_each_bound_is_one(seed: int) -> None:
    """Of two best placements the one at the higher price needs no more watts: else each would be better than itself."""
    problem = random_problem(seed, hosts=3, vms=3)
    other = [cost for cost in problem.costs if type(cost).__name__ != "HostOn"]
    shares = []
    for factor in (0.25, 1.0, 4.0):
        power = Objectives(least_power=LeastPower(weight=0.3 * factor))
        priced = replace(problem, costs=(*other, *power.lower(problem.cluster)))
        found = find_placement(priced)
        _, best = best_outright(priced)
        assert found.proved_optimal and found.bound is not None and found.bound <= best + 2e-6
        later = found.placement.applied_to(problem.cluster)
        shares.append(LeastPower(weight=1).share(problem.cluster, later))
    assert shares == sorted(shares, reverse=True)
