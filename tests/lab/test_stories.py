"""One whole cycle on a real cluster, told with the product's own commands."""

from __future__ import annotations

import json
import signal
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU
from balancer.domain.plan import Action
from balancer.saved import SavedCycle

from .guests import Counter
from .lab import Lab
from .product import Product

pytestmark = pytest.mark.lab

NO_WAITING = (
    "stability: {minimum_gain: 0.001, hold_minutes: 0, sleep_after_minutes: 0, "
    "cooldown_minutes: 0, host_cooldown_minutes: 0, no_return_minutes: 0}\n"
)
DIRECT = "demand: {window_minutes: 0.1, quantile: 0.5}\n" + NO_WAITING
"""No waiting for needs to last: a story has minutes, not hours."""

EVEN = DIRECT + "objectives: {even_load: {weight: 1, cpu: 1, memory: 0.1}, few_moves: {weight: 0.002}}"
SAVER = DIRECT + "objectives: {even_load: {weight: 0.1}, least_power: {weight: 1}, few_moves: {weight: 0.02}}"

SMALL = {"cpu_cores": 0.8, "memory_mib": 1024}
# Five guests that burn 15 % of a core each do not fit below the headroom of two hosts; four fit into the memory of one.
# Small enough that all guests together get what they want of a machine that has other things to do as well.
SMALLER = {"cpu_cores": 0.35, "memory_mib": 1024}
POWER = {"idle_watts": 100.0, "peak_watts": 200.0}


@pytest.fixture
def product(lab: Lab, tmp_path: Path) -> Product:
    product = Product(lab, tmp_path)
    product.has_site()
    return product


@pytest.fixture(scope="session")
def proven(shared_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which the power test of each host has been passed: it takes a minute, so the stories share it."""
    shared_lab.reset()
    product = Product(shared_lab, tmp_path_factory.mktemp("proven"))
    small_site(product)
    product.has_policy(SAVER)
    product.proves_power(*(host.name for host in shared_lab.hosts))
    return product.store


def small_site(product: Product, capacity: Mapping[str, float] = SMALL, **changes: Mapping[str, Any]) -> None:
    """Hosts so small that the lab's little guests matter to them."""
    names = [host.name for host in product.lab.hosts]
    hosts = {name: {"capacity": capacity, "power": POWER, **changes.get(name, {})} for name in names}
    product.has_site(hosts=hosts)


def start_guests(lab: Lab, homes: Mapping[str, str], load_percent: int, **more: Any) -> dict[str, Counter]:
    """Start guests and return their counters once all of them count."""
    for name, host in homes.items():
        lab.start_guest(name, host, load_percent=load_percent, **more)
    lab.wait_for_guests(*homes)
    return {name: lab.counter(name) for name in homes}


def all_still_count(lab: Lab, since: Mapping[str, Counter]) -> bool:
    """Whether no guest was rebooted or lost: each runs on exactly one host, and its own counter goes on."""
    for name, counter in since.items():
        lab.still_counting(name, counter)
    return all(len(lab.where(name)) == len(lab.defined_on(name)) == 1 for name in since)


def cpu_deviation(seen: Cluster) -> float:
    """Population deviation over the hosts of what the guests there use of a host."""
    return statistics.pstdev(
        sum(vm.measured(CPU) for vm in seen.active_on(host.name)) / host.usable_cores for host in seen.hosts
    )


def busier(product: Product, guests: Iterable[str]) -> None:
    """Raise the load of guests, in steps, until the hosts that are on cannot hold them."""
    for percent in (15, 18, 22, 28, 36, 46, 60):
        for name in guests:
            product.lab.set_load(name, percent)
        for _ in range(2):
            if needs_another_host(product.sees()):
                return
    raise AssertionError("the guests never needed another host")


def needs_another_host(seen: Cluster, share: float = 0.9) -> bool:
    """Whether the guests want more than the headroom of all hosts that are on, however they were spread."""
    on = [host for host in seen.hosts if host.is_on]
    # Well above: an emulated guest's second of CPU time is a rough measure, and the next look has to see it too.
    return sum(seen.used(host, CPU) for host in on) > 1.15 * share * sum(host.usable_cores for host in on)


def acts_until_it_wakes(product: Product, cycles: int = 4) -> tuple[SavedCycle, str]:
    """Let cycles follow each other, as the service does, until one of them sees the load that is there."""
    for _ in range(cycles):
        saved, said = product.acts()
        if saved.plan.summary.hosts_to_wake:
            break
    return saved, said


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.05)


# -- 1: skewed guests


def test_skewed_guests_are_spread_without_a_reboot(product: Product, lab: Lab) -> None:
    homes = {"web": "hv1", "mail": "hv1", "shop": "hv1", "wiki": "hv1", "batch": "hv1", "dns": "hv2"}
    counters = start_guests(lab, homes, load_percent=22)
    product.has_policy(EVEN)
    before = product.sees()
    plan = json.loads(product.says("plan", "--format", "json", code=2))
    assert {step["source"] for step in plan["steps"]} == {"hv1"}
    saved, said = product.acts()
    for step in saved.plan.moves:
        assert lab.where(step.move.vm) == [step.move.target], said
    assert all_still_count(lab, counters)
    assert cpu_deviation(product.sees()) <= cpu_deviation(before) / 2
    assert "Carried out" in said


# -- 2 and 3: an evening and a morning


def test_a_host_falls_asleep_when_load_falls_and_wakes_when_it_rises(product: Product, lab: Lab, proven: Path) -> None:
    small_site(product, capacity=SMALLER)
    product.has_policy(SAVER + "\nheadroom: {cpu: 0.9, memory: 0.45}")  # of memory a host has room for four guests
    product.remembers(proven)
    homes = {"web": "hv1", "mail": "hv1", "shop": "hv2", "wiki": "hv2", "dns": "hv3"}
    counters = start_guests(lab, homes, load_percent=6)

    saved, said = product.acts()
    (sleeper,) = saved.plan.summary.hosts_to_sleep
    actions = [step.action for step in saved.plan.steps]
    assert actions.index(Action.CORDON) < actions.index(Action.MOVE) < actions.index(Action.POWER_OFF)
    assert lab.power_state(sleeper) == "off", said
    assert not lab.libvirtd_running(sleeper)
    assert lab.power_orders(sleeper)[-1] == "shutdown 1", "it was shut down softly"
    assert all_still_count(lab, counters)
    assert f"{sleeper}" in product.says("power", "status")
    # At rest with a host asleep nothing is in doubt and nothing more is to be done.
    product.says("plan", code=0)

    busier(product, homes)
    saved, said = acts_until_it_wakes(product)
    assert saved.plan.summary.hosts_to_wake == (sleeper,), said
    assert [step.action for step in saved.plan.steps][:2] == [Action.POWER_ON, Action.WAIT_READY]
    assert lab.power_state(sleeper) == "on"
    assert lab.libvirtd_running(sleeper)
    filled = [step.move.vm for step in saved.plan.moves if step.target == sleeper]
    assert filled
    assert all(lab.where(name) == [sleeper] for name in filled)
    assert all_still_count(lab, counters)


# -- 4: refusals


@pytest.fixture
def saving(product: Product, lab: Lab, proven: Path) -> tuple[Product, dict[str, Counter]]:
    """Three hosts proven to wake, three idle guests: a saver would empty one host or two."""
    small_site(product)
    product.has_policy(SAVER)
    product.remembers(proven)
    counters = start_guests(lab, {"web": "hv1", "mail": "hv2", "dns": "hv3"}, load_percent=5)
    return product, counters


def powered(lab: Lab) -> dict[str, str]:
    return {host.name: lab.power_state(host.name) for host in lab.hosts}


def test_a_wrong_bmc_password_is_named_and_keeps_its_host_on(
    saving: tuple[Product, dict[str, Counter]], lab: Lab
) -> None:
    product, counters = saving
    wrong = product.directory / "secrets"
    wrong.mkdir(mode=0o700)
    for secret in lab.secrets_dir.iterdir():
        (wrong / secret.name).write_text("wrong" if secret.name == "hv3-bmc" else secret.read_text())
        (wrong / secret.name).chmod(0o600)
    product.secrets = wrong
    assert "password" in product.says("power", "status")
    small_site(product, hv1={"may_sleep": False}, hv2={"may_sleep": False})
    _, said = product.acts(code=None)
    assert "hv3" in said
    assert "password" in said
    assert powered(lab)["hv3"] == "on"
    assert all_still_count(lab, counters)


def test_a_host_that_does_not_answer_is_named_and_nothing_falls_asleep(
    saving: tuple[Product, dict[str, Counter]], lab: Lab
) -> None:
    product, counters = saving
    lab.freeze_host("hv2")
    said = product.says("plan", code=3)
    assert "hv2" in said
    saved, said = product.acts(code=None)
    assert saved.plan.steps == ()
    lab.thaw_host("hv2")
    assert set(powered(lab).values()) == {"on"}
    assert all_still_count(lab, counters)


def test_a_guest_with_a_local_disk_stays_and_the_rest_goes_on(product: Product, lab: Lab, proven: Path) -> None:
    small_site(product)
    product.has_policy(SAVER)
    product.remembers(proven)
    counters = start_guests(lab, {"web": "hv2", "dns": "hv3"}, load_percent=5)
    counters |= start_guests(lab, {"files": "hv1"}, load_percent=5, disk="local")
    saved, said = product.acts()
    assert lab.where("files") == ["hv1"]
    assert "files (its disk" in said
    assert "hv1" not in saved.plan.summary.hosts_to_sleep
    assert set(saved.plan.summary.hosts_to_sleep) <= {"hv2", "hv3"}
    assert saved.plan.summary.hosts_to_sleep
    assert all_still_count(lab, counters)


def test_exchanged_bmcs_are_found_out_and_no_host_loses_power(
    saving: tuple[Product, dict[str, Counter]], lab: Lab
) -> None:
    product, counters = saving
    lab.swap_bmcs("hv1", "hv3")
    small_site(product, hv2={"may_sleep": False})
    _, said = product.acts(code=None)
    assert "are the two entries exchanged?" in said
    assert set(powered(lab).values()) == {"on"}
    assert all_still_count(lab, counters)


# -- 5: kill -9


@contextmanager
def killed_when(product: Product, moment: Callable[[], bool], what: str) -> Iterator[None]:
    """Start an acting cycle and kill it with SIGKILL as soon as a moment has come."""
    process = product.start("run", "--once", "--mode", "act")
    try:
        until(lambda: moment() or process.poll() is not None, 90, what)
        assert process.poll() is None, f"it ended before {what}: {process.stdout.read() if process.stdout else ''}"
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    yield


def entries(product: Product, action: str, state: str) -> int:
    try:
        return sum(1 for did, _, how in product.journal() if (did, how) == (action, state))
    except Exception:  # the store is not there yet
        return 0


def test_killed_in_mid_migration_the_next_start_settles_and_no_guest_is_lost(product: Product, lab: Lab) -> None:
    counters = start_guests(lab, {"web": "hv1", "mail": "hv1", "shop": "hv1"}, load_percent=22)
    product.has_policy(EVEN + "\nmigration: {bandwidth_mib_per_s: 4}")
    with killed_when(
        product,
        lambda: entries(product, "move", "begun") > 0 and any(len(lab.qemu_on(name)) == 2 for name in counters),
        "a migration under way",
    ):
        assert entries(product, "move", "begun") > 0
    product.has_policy(EVEN)
    said = product.says("run", "--once", "--mode", "act", code=None)
    assert "settled" in said
    assert all_still_count(lab, counters)
    assert entries(product, "move", "begun") == 0
    # Another cycle finds a cluster that it knows everything about.
    product.says("plan", code=None)
    assert product.sees().doubts == ()


def test_killed_before_a_power_off_the_next_start_settles_it(product: Product, lab: Lab, proven: Path) -> None:
    small_site(product, hv2={"may_sleep": False}, hv3={"may_sleep": False})
    product.has_policy(SAVER)
    product.remembers(proven)
    counters = start_guests(lab, {"web": "hv2", "dns": "hv1"}, load_percent=5)
    with killed_when(product, lambda: entries(product, "power_off", "begun") > 0, "a power-off being begun"):
        pass
    said = product.says("run", "--once", "--mode", "act", code=None)
    assert "settled" in said
    assert entries(product, "power_off", "begun") == 0
    assert all_still_count(lab, counters)
    # Whether the order had reached the BMC or not: what is off carries no guest and is remembered as put to sleep.
    seen = product.sees().host("hv1")
    assert (lab.power_state("hv1") == "off") == seen.asleep_by_us
    assert product.sees().doubts == ()
