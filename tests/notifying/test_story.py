"""Hours of a simulated site: what goes wrong reaches a web hook, once; who sleeps is silent, who is lost is heard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from balancer.clock import WallClock
from balancer.cycle import Cycle, run_cycle
from balancer.domain.site_file import SiteFile
from balancer.execution import Runner, RunReport
from balancer.notifying import told_to_people
from balancer.notifying.notifier import Notifier, Silences
from balancer.notifying.targets import sender
from balancer.policy import WatchedPolicy
from balancer.policy.loading import Loaded
from balancer.published import Board
from balancer.service import Service
from balancer.simulation.machines import constantly
from balancer.simulation.world import World
from balancer.site import site_from
from tests.notifying.drawing import rules as telling
from tests.notifying.hook import Hook
from tests.notifying.test_silences import Paper
from tests.stability.town import SHORT_SIGHTED, Town, rules

EVEN = "objectives: {even_load: {weight: 1}}\nstability: {hold_minutes: 0, cooldown_minutes: 0}\n"
CAUTIOUS = "caution: {stop_after_failures: {failures: 2}, shun_target_after: {failures: 99}}\n"
SAVER = "objectives: {even_load: {weight: 0.1}, least_power: {weight: 1}, few_moves: {weight: 0.002}}\n"
GUESTS = [f"g-{n}" for n in range(12)]


class ToldTown(Town):
    """A town whose balancer tells a web hook and a paper Alertmanager, looked at after each cycle as threads would."""

    def __init__(self, folder: Path, policy: str, homes: dict[str, Sequence[str]], load: float = 0.5, **target: object):
        loads = dict.fromkeys(GUESTS, constantly(load))
        super().__init__(folder, homes, rules(policy + SHORT_SIGHTED + "interval_seconds: 300\n"), loads)
        self.telling = telling(targets=[{"name": "ops", **target}])
        self.alertmanager = Paper()
        self.watch_it()

    def watch_it(self) -> None:
        """Begin to tell, as a start of the service does."""
        self.board = Board()
        self.notifier = Notifier(self.site, self.board, self.telling, sender(Path("/nonexistent")))
        self.silences = Silences(self.site, self.board, self)  # type: ignore[arg-type]
        finish = self.site.finish

        def told(runner: Runner) -> RunReport:
            report = finish(runner)
            self.board.run_ended(report)
            return report

        self.site.finish = told  # type: ignore[method-assign]

    def restart(self) -> None:
        super().restart()
        self.watch_it()

    def cycle(self) -> Cycle:
        cycle = super().cycle()
        self.board.publish(cycle, self.policy, Loaded(self.policy), None)
        self.tell()
        return cycle

    def tell(self) -> None:
        self.notifier.look()
        for delivery in self.notifier.deliveries:
            delivery.deliver()
        self.silences.look()

    def keep_silent(self, wanted: object, now: object) -> object:
        self.alertmanager.now = self.clock.now()
        return self.alertmanager.sees(wanted)  # type: ignore[arg-type]


def test_a_breaker_that_opens_is_told_once_and_so_is_its_end(tmp_path: Path, hook: Hook) -> None:
    town = ToldTown(tmp_path, EVEN + CAUTIOUS, {"h1": GUESTS, "h2": []}, kinds=["breaker_open"])
    for guest in GUESTS:
        town.world.fail_migration(guest)
    town.live(50)
    assert hook.titles == ["town: too many failures: nothing but waking is begun"]
    assert "failures within 60 min" in hook.got[0]["message"] and hook.got[0]["type"] == "failure"
    town.restart()
    for guest in GUESTS:
        town.world.mend_migration(guest)
    town.live(120)
    assert hook.titles[1:] == ["town: over: too many failures: nothing but waking is begun"]
    assert hook.got[1]["type"] == "success"


def test_a_host_that_does_not_wake_is_told_once_and_heard_at_once(tmp_path: Path, hook: Hook) -> None:
    homes: dict[str, Sequence[str]] = {"h1": GUESTS, "h2": [], "h3": []}
    town = ToldTown(tmp_path, SAVER, homes, load=1.5, least="warning")
    town.put_to_sleep("h2", "h3")
    town.tell()
    assert town.alertmanager.minutes_left("h2") == [120] and town.alertmanager.minutes_left("h3") == [120]
    for host in ("h2", "h3"):
        town.world.never_boots(host)
    town.live(40)
    lost = sorted(host for host, mark in town.site.acting.store.marks.all().items() if mark.is_lost)
    assert lost, "nobody was to wake"
    assert sorted(hook.titles) == [f"town: {host} does not wake" for host in lost]
    assert "did not wake within" in hook.got[0]["message"] and "balancer power test" in hook.got[0]["message"]
    assert all(town.alertmanager.minutes_left(host) == [] for host in lost)
    before = list(hook.titles)
    town.restart()
    town.live(30)
    assert hook.titles == before


def test_a_host_that_wakes_is_told_of_by_nobody_and_heard_again_a_little_later(tmp_path: Path, hook: Hook) -> None:
    homes: dict[str, Sequence[str]] = {"h1": GUESTS, "h2": []}
    town = ToldTown(tmp_path, SAVER, homes, load=1.5, least="warning")
    town.put_to_sleep("h2")
    town.tell()
    assert town.alertmanager.minutes_left("h2") == [120]
    while not town.is_up("h2"):
        town.cycle()
    assert not any("h2" in title for title in hook.titles)
    town.tell()
    assert town.alertmanager.minutes_left("h2")[0] <= 5
    town.live(15)
    town.alertmanager.sees(town.silences._kept)  # type: ignore[arg-type]
    assert town.alertmanager.minutes_left("h2") == []


def test_a_plan_that_waits_is_told_once_while_it_stays_the_same(tmp_path: Path, hook: Hook) -> None:
    town = ToldTown(tmp_path, EVEN, {"h1": GUESTS, "h2": []}, kinds=["plan_waiting"])
    for _ in range(10):
        cycle = run_cycle(town.site, town.policy)
        town.site.acting.store.proposals.propose(cycle.plan, town.clock.now())
        town.tell()
        town.clock.sleep(300)
    assert len(hook.titles) == 1 and "waits for a person" in hook.titles[0]
    assert "move g-" in hook.got[0]["message"]


def test_a_standby_tells_nobody(tmp_path: Path, hook: Hook) -> None:
    town = ToldTown(tmp_path, EVEN, {"h1": GUESTS, "h2": []})
    town.site.acting.store.marks.quarantine("h2", "did not wake", town.clock.now())
    town.site.acting.store.marks.fell_asleep("h2", town.clock.now())
    town.site.stands_by = True
    town.tell()
    assert hook.titles == [] and town.alertmanager.kept == []
    town.site.stands_by = False
    town.tell()
    assert hook.titles == ["town: h2 does not wake"]


def test_a_service_publishes_how_its_plans_end(tmp_path: Path, hook: Hook) -> None:
    town = Town(tmp_path, {"h1": GUESTS, "h2": []}, rules(EVEN + SHORT_SIGHTED), dict.fromkeys(GUESTS, constantly(0.5)))
    (tmp_path / "policy.yaml").write_text("schema: balancer.policy/1\nmode: act\n")
    service = Service(town.site, WatchedPolicy(tmp_path / "policy.yaml", "town"), tmp_path, lease_seconds=60.0)
    cycle = run_cycle(town.site, town.policy)
    assert cycle.safe is not None
    service._carrying.act(cycle.safe)
    service._carrying.threads.shutdown(wait=True)
    (report,) = service.board.ended_since(0)
    assert report.plan_id == cycle.plan.id
    notifier = Notifier(town.site, service.board, telling(), sender(Path("/nonexistent")))
    for _ in range(2):
        notifier.look()
        notifier.deliveries[0].deliver()
    assert hook.titles == ["town: a plan was carried out"]


@pytest.fixture
def service(tmp_path: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A service in this process, on a site that names the hook and an Alertmanager that nobody runs."""
    monkeypatch.setenv("OPS", f"{hook.url}?rto=3600")
    clock = WallClock()
    world = World(clock, [], "lab")
    file = SiteFile.model_validate(
        {
            "cluster": "lab",
            "platform": {"kind": "simulated"},
            "hosts": [],
            "store": f"sqlite:///{tmp_path}/balancer.db",
            "notify": {"targets": [{"name": "ops", "secret_ref": "env:OPS"}], "after_minutes": 0},
            "alertmanager": {"url": "http://127.0.0.1:9"},
        }
    )
    (tmp_path / "policy.yaml").write_text("schema: balancer.policy/1\n")
    site = site_from(file, tmp_path, tmp_path, clock, world)
    return Service(site, WatchedPolicy(tmp_path / "policy.yaml", "lab"), tmp_path, lease_seconds=60.0)


def test_a_target_that_hangs_and_an_alertmanager_that_is_gone_hold_up_no_cycle(
    service: Service, hook: Hook, tmp_path: Path
) -> None:
    hook.status = None
    (tmp_path / "policy.yaml").write_text("schema: nonsense\n")
    with told_to_people(service._site, service.board, tmp_path, tmp_path):
        service._cycle()
        hook.is_asked()  # and nobody answers until the end of this test
        for number in range(2, 6):
            service._cycle()
            assert service.board.latest is not None and service.board.latest.number == number
        assert service.board.health.trouble == "" and not hook.may_answer.is_set() and hook.got == []
    assert hook.asked == 1
    assert [each.title for each in service._site.acting.store.notices.waiting("ops")]
    service._site.close()


def test_a_service_tells_what_it_finds_before_it_ends(service: Service, hook: Hook, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("schema: nonsense\n")
    with told_to_people(service._site, service.board, tmp_path, tmp_path):
        service._cycle()
    assert hook.titles == ["lab: a changed policy file is refused"]
    service._site.close()
