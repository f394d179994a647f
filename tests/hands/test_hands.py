"""The hands: nothing takes effect after their time, they die with their balancer, and their answers come back whole."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from balancer import lifetime
from balancer.clock import HandSetClock
from balancer.domain.placement import Move
from balancer.domain.site_file import Bmc, PlatformChoice, PowerAction, SiteFile, SiteHost
from balancer.errors import MissingExtra, PlatformError, PowerError
from balancer.hands import HandsHere, HandsInAChild, HandsLost, HandsTied, platform_through, switch_through
from balancer.hands.through import LOOKS_AT_A_SWITCH, LOOKS_AT_THE_PLATFORM, ON_THE_WIRE_SECONDS
from balancer.leadership import LeaseTimes
from balancer.platforms.base import MigrationOrder, MigrationPhase, Platform
from balancer.platforms.simulated import SimulatedPlatform
from balancer.power import ipmi_call, redfish_call, suspend_call
from balancer.power.base import PowerSwitch
from balancer.power.command import CommandSwitch
from balancer.power.simulated import SimulatedSwitch
from balancer.simulation.machines import GuestSpec, HostSpec, constantly
from balancer.simulation.world import World

ROOT = Path(__file__).parents[2]
FILE = SiteFile(
    cluster="lab",
    platform=PlatformChoice(kind="simulated"),
    hosts=(SiteHost(name="h1", bmc=Bmc(kind="ipmi", address="192.0.2.1", user="u", secret_ref="file:h1-bmc")),),
)
STARTS_WITHIN_SECONDS = 60.0  # on a busy machine
FOR_LONG = 300.0


@pytest.fixture
def hands_of(tmp_path: Path) -> Iterator[Callable[[float], HandsInAChild]]:
    """Hands that reach what `tests.hands.reached` has, and that live for some seconds unless these are renewed."""
    each: list[HandsInAChild] = []

    def made(seconds: float) -> HandsInAChild:
        each.append(HandsInAChild(FILE, tmp_path, [sys.executable, "-m", "tests.hands.reached", str(tmp_path)]))
        each[-1].may_act_until(lifetime.moment() + seconds)
        return each[-1]

    yield made
    for hands in each:
        hands.close()


@pytest.fixture
def hands(hands_of: Callable[[float], HandsInAChild]) -> HandsInAChild:
    return hands_of(FOR_LONG)


def pid_of(hands: HandsInAChild) -> int:
    return int(hands.order("", "pid"))


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def until(what: Callable[[], bool], seconds: float = STARTS_WITHIN_SECONDS) -> None:
    give_up = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def test_an_order_is_carried_out_and_answered(hands: HandsInAChild) -> None:
    assert hands.order("h1", "say", "on") == "h1 is on"


def test_errors_come_back_whole(hands: HandsInAChild) -> None:
    with pytest.raises(PowerError) as failed:
        hands.order("h1", "fail", PowerError("h1", "switch on", "wrong password", "correct the secret"))
    assert (failed.value.subject, failed.value.way_out) == ("h1", "correct the secret")
    with pytest.raises(MissingExtra) as missing:
        hands.order("h1", "fail", MissingExtra("a test", "postgres"))
    assert missing.value.extra == "postgres"
    with pytest.raises(RuntimeError, match="ZeroDivisionError in the hands"):
        hands.order("h1", "fail", ZeroDivisionError())


def test_without_the_right_to_act_no_order_is_given(hands: HandsInAChild, tmp_path: Path) -> None:
    hands.may_act_until(lifetime.moment() - 0.01)
    with pytest.raises(HandsTied, match="the right to act has run out"):
        hands.order("h1", "leave_a_mark")
    assert not (tmp_path / "mark").exists()


def test_an_order_that_is_late_has_no_effect_though_its_process_was_frozen(
    tmp_path: Path, hands_of: Callable[[float], HandsInAChild]
) -> None:
    hands = hands_of(8.0)
    with ThreadPoolExecutor() as pool:
        order = pool.submit(hands.order, "h1", "leave_a_mark", 0.5)
        until((tmp_path / "waits").exists)
        pid = int((tmp_path / "waits").read_text())
        os.kill(pid, signal.SIGSTOP)
        time.sleep(8.0)
        os.kill(pid, signal.SIGCONT)
        with pytest.raises(HandsLost, match="the right to act has run out meanwhile"):
            order.result(STARTS_WITHIN_SECONDS)
    time.sleep(1.0)
    assert not (tmp_path / "mark").exists()


def test_hands_live_on_while_the_right_to_act_is_renewed(hands_of: Callable[[float], HandsInAChild]) -> None:
    hands = hands_of(6.0)
    pid = pid_of(hands)
    for _ in range(8):
        time.sleep(1.0)
        hands.may_act_until(lifetime.moment() + 6.0)
    assert pid_of(hands) == pid


def test_hands_that_died_are_followed_by_others(hands: HandsInAChild) -> None:
    first, generation = pid_of(hands), hands.generation
    os.kill(first, signal.SIGKILL)
    until(lambda: not is_running(first))
    with suppress(HandsLost):  # it may take a moment until their death is noticed
        hands.order("h1", "say", "on")
    until(lambda: hands.order("h1", "say", "on") == "h1 is on")
    assert pid_of(hands) != first
    assert hands.generation == generation + 1


def test_hands_end_with_their_balancer_and_ignore_what_a_terminal_says(tmp_path: Path) -> None:
    balancer = subprocess.Popen([sys.executable, "-m", "tests.hands.reached", "balancer", str(tmp_path)], cwd=ROOT)
    until((tmp_path / "hands").exists)
    pid = int((tmp_path / "hands").read_text())
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(pid, number)
    time.sleep(0.5)
    assert is_running(pid)
    balancer.kill()
    balancer.wait()
    until(lambda: not is_running(pid), 5.0)


def test_secrets_are_in_no_argument_list(tmp_path: Path) -> None:
    """The real hands read them themselves, from where the balancer does."""
    (tmp_path / "h1-bmc").write_text("very secret")
    file = FILE.model_copy(update={"platform": PlatformChoice(kind="libvirt"), "hosts": ()})
    hands = HandsInAChild(file, tmp_path)
    hands.may_act_until(lifetime.moment() + FOR_LONG)
    children = [pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]
    said = {Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
    hands.close()
    assert any(b"balancer.hands.child" in words for words in said)
    assert not any(b"secret" in words or str(tmp_path).encode() in words for words in said)


# -- a platform and switches through hands


class Lost(HandsHere):
    """Hands that die over each order, done or not."""

    is_done = True

    def order(self, whose: str, what: str, *words: Any) -> Any:
        if self.is_done:
            super().order(whose, what, *words)
        self.generation += 1
        raise HandsLost(whose, what, "ended")


@pytest.fixture
def world() -> World:
    clock = HandSetClock(datetime(2026, 11, 23, 12, 0, tzinfo=UTC))
    made = World(clock, [HostSpec("h1", 16, 65536), HostSpec("h2", 16, 65536)])
    made.add_guest(GuestSpec("a", 2, 4096.0, constantly(1.0)), "h1")
    return made


def order_in(world: World) -> MigrationOrder:
    return MigrationOrder(Move("a", "h1", "h2"), world.id_of("a"))


def hands_in(world: World, kind: type[HandsHere] = HandsHere) -> HandsHere:
    made = kind(SimulatedPlatform(world), {name: SimulatedSwitch(world, name) for name in world.hosts})
    made.may_act_until(lifetime.moment() + FOR_LONG)
    return made


def test_what_looks_goes_past_the_hands_and_what_acts_through_them(world: World) -> None:
    hands = hands_in(world)
    hands.close()
    platform, switch = platform_through(hands, SimulatedPlatform(world)), SimulatedSwitch(world, "h2")
    assert platform.observe().vm("a").host == "h1"
    assert platform.whereabouts(world.id_of("a")).active_on == ("h1",)
    assert platform.migration_status(order_in(world)).phase is MigrationPhase.UNKNOWN
    assert switch_through(hands, switch).state() is switch.state()
    with pytest.raises(PlatformError, match="the right to act has run out"):
        platform.begin_migration(order_in(world))
    with pytest.raises(PlatformError, match="h1: abort_migration: the right to act has run out"):
        platform.abort_migration(order_in(world))
    for act in ("power_on", "shut_down", "cut_power"):
        with pytest.raises(PowerError, match=f"h2: {act}: the right to act has run out"):
            getattr(switch_through(hands, switch), act)()
    assert world.transit.under_way == []


def test_only_what_looks_is_listed_as_looking() -> None:
    """What is listed nowhere goes through the hands, so the list is what has to be right."""
    acts = {"begin_migration", "abort_migration", "migration_status", "power_on", "shut_down", "cut_power"}
    assert not acts & (LOOKS_AT_THE_PLATFORM | LOOKS_AT_A_SWITCH)
    for protocol, looks in ((Platform, LOOKS_AT_THE_PLATFORM), (PowerSwitch, LOOKS_AT_A_SWITCH)):
        offered = {*vars(protocol), *protocol.__annotations__}
        assert looks <= offered, "a name that nobody has"


def test_a_migration_whose_hands_died_over_it_is_for_the_hypervisors_to_tell(world: World) -> None:
    platform = platform_through(hands_in(world, Lost), SimulatedPlatform(world))
    platform.begin_migration(order_in(world))
    assert platform.migration_status(order_in(world)).phase is MigrationPhase.RUNNING
    world.clock.sleep(600)
    assert platform.migration_status(order_in(world)).phase is MigrationPhase.ENDED


def test_a_migration_that_dead_hands_never_began_has_ended_once_nothing_can_be_on_the_wire(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands = hands_in(world, Lost)
    monkeypatch.setattr(hands, "is_done", False)
    platform = platform_through(hands, SimulatedPlatform(world))
    platform.begin_migration(order_in(world))
    assert platform.migration_status(order_in(world)).phase is MigrationPhase.UNKNOWN
    later = lifetime.moment() + ON_THE_WIRE_SECONDS + 1
    monkeypatch.setattr(lifetime, "moment", lambda: later)
    assert platform.migration_status(order_in(world)).phase is MigrationPhase.ENDED


def test_who_looks_is_told_what_the_hands_have_under_way(world: World) -> None:
    told: list[Callable[[], Mapping[str, Move]]] = []

    class Asking(SimulatedPlatform):
        def allow_for(self, begun: Callable[[], Mapping[str, Move]]) -> None:
            told.append(begun)

    platform = platform_through(hands_in(world), Asking(world))
    (under_way,) = told
    assert under_way() == {}
    platform.begin_migration(order_in(world))
    assert under_way() == {world.id_of("a"): Move("a", "h1", "h2")}
    world.clock.sleep(600)
    assert under_way() == {}


# -- times


@pytest.mark.parametrize("lease_seconds", [5.0, 60.0, 600.0])
def test_what_begins_under_a_lease_has_taken_effect_before_it_is_over(lease_seconds: float) -> None:
    times = LeaseTimes(lease_seconds)
    assert times.renew_every_seconds + times.renewal_takes_seconds < times.hands_live_seconds
    assert times.hands_live_seconds + times.on_the_wire_seconds <= lease_seconds
    assert times.takeover_seconds > lease_seconds


# -- programs that hands start


def test_a_program_ends_with_the_hands_that_started_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(lifetime, "_ends_at", lifetime.moment() + 1.5)
    late = f"sleep 3; touch {tmp_path}/mark"
    done = subprocess.run(lifetime.ended_with_us(["sh", "-c", late]), check=False)
    assert done.returncode == -signal.SIGALRM
    time.sleep(2.0)
    assert not (tmp_path / "mark").exists()


def test_a_program_that_was_frozen_before_it_began_never_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(lifetime, "_ends_at", lifetime.moment() - 0.01)
    done = subprocess.run(lifetime.ended_with_us(["touch", f"{tmp_path}/mark"]), check=False)
    assert done.returncode == -signal.SIGALRM
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("commands", [["state", "on"], ["state", "shut_down"], ["state", "off"]])
def test_an_operators_program_is_one_of_them(
    commands: list[PowerAction], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    act = {"on": "power_on", "shut_down": "shut_down", "off": "cut_power"}[commands[1]]
    program = ["sh", "-c", f"sleep 3; touch {tmp_path}/mark"]
    switch = CommandSwitch("h1", {"state": ["echo", "on"], commands[1]: program})
    monkeypatch.setattr(lifetime, "_ends_at", lifetime.moment() + 1.5)
    with pytest.raises(PowerError):
        getattr(switch, act)()
    time.sleep(2.0)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("call", [ipmi_call, redfish_call, suspend_call])
def test_a_call_to_a_bmc_keeps_the_alarm_that_is_earlier(call: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds: list[float] = []
    monkeypatch.setattr(call.signal, "setitimer", lambda _, left: seconds.append(left))
    monkeypatch.setattr(call, "answer", lambda _: {"said": None})
    for left in (0.0, 2.5, 600.0):
        monkeypatch.setattr(call.signal, "getitimer", lambda _, left=left: (left, 0.0))
        monkeypatch.setattr(sys, "stdin", io.StringIO('{"deadline_seconds": 15.0}'))
        call.main()
    assert seconds == [15.0, 2.5, 15.0]
