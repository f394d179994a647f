"""A small simulated cluster to act on, and the plans that are carried out on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from balancer.clock import HandSetClock
from balancer.domain.cluster import Cluster
from balancer.domain.plan import Action, Plan, PolicyMark, Step
from balancer.domain.site_file import SiteFile
from balancer.domain.violation import Violation
from balancer.execution import ActingSite, Limits, Runner, RunReport
from balancer.execution.identity import prove_identity
from balancer.platforms.base import Platform
from balancer.platforms.simulated import SimulatedPlatform
from balancer.power.simulated import SimulatedSwitch
from balancer.simulation.machines import GuestSpec, GuestState, HostSpec, Phase, constantly
from balancer.simulation.world import World
from balancer.store import Store, open_store

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def anything_goes(before: Cluster, during: Cluster) -> list[Violation]:
    return []


@dataclass
class Stage:
    """A world, and a balancer's hands on it."""

    world: World
    clock: HandSetClock
    site: ActingSite
    url: str

    @property
    def store(self) -> Store:
        return self.site.store

    def place_of(self, vm: str) -> str:
        return self.world.guests[vm].host

    def places(self) -> dict[str, str]:
        self.world.settle()
        return {name: guest.host for name, guest in self.world.guests.items()}

    def is_running(self, vm: str) -> bool:
        self.world.settle()
        return self.world.guests[vm].state is GuestState.RUNNING

    def phase(self, host: str) -> Phase:
        self.world.settle()
        return self.world.hosts[host].phase

    def wait(self, seconds: float) -> None:
        self.clock.sleep(seconds)
        self.world.settle()

    def runner(self, *steps: Step, limits: Limits | None = None, gate: Any = anything_goes) -> Runner:
        return Runner(self.site, plan(*steps, at=self.clock.now()), gate, limits)

    def run(self, *steps: Step, limits: Limits | None = None, gate: Any = anything_goes) -> RunReport:
        return self.runner(*steps, limits=limits, gate=gate).run_to_end()

    def make_ready_for_sleep(self, host: str) -> None:
        """Meet every condition for a host's power to be cut that is not the world's own."""
        self.store.marks.cordon(host, "to sleep", self.clock.now())
        self.store.marks.prove_wake(host, self.clock.now())
        assert prove_identity(self.site, host).proof

    def after_restart(self) -> Stage:
        """Throw away everything that a process holds in memory, and open the store anew."""
        site = replace(
            self.site,
            store=open_store(self.url, self.site.file.cluster),
            platform=SimulatedPlatform(self.world),
            switches={name: SimulatedSwitch(self.world, name) for name in self.world.hosts},
        )
        return replace(self, site=site)

    def with_platform(self, platform: Platform) -> Stage:
        return replace(self, site=replace(self.site, platform=platform))


def build(folder: Path, homes: Mapping[str, Sequence[str]], **host: Any) -> Stage:
    """Build a world of one guest of 1 GiB for each name, on hosts of 16 cores and 64 GiB; all hosts may sleep."""
    clock = HandSetClock(NOON)
    world = World(clock, [HostSpec(name, 16, 65536, **host) for name in homes], cluster="lab")
    for name, guests in homes.items():
        for vm in guests:
            world.add_guest(GuestSpec(vm, 2, 1024, constantly(0.5)), name)
    file = SiteFile.model_validate(
        {
            "cluster": "lab",
            "platform": {"kind": "simulated"},
            "hosts": [{"name": name, "bmc": {"kind": "simulated"}, "may_sleep": True} for name in homes],
        }
    )
    url = f"sqlite:///{folder}/store.db"
    switches = {name: SimulatedSwitch(world, name) for name in homes}
    site = ActingSite(file, SimulatedPlatform(world), switches, open_store(url, "lab"), clock)
    return Stage(world, clock, site, url)


def plan(*steps: Step, at: datetime = NOON) -> Plan:
    ranked = tuple(step.model_copy(update={"rank": rank}) for rank, step in enumerate(steps, 1))
    return Plan(
        id="plan-1",
        taken_at=at,
        made_at=at,
        valid_until=at + timedelta(minutes=30),
        snapshot_digest="-",
        policy=PolicyMark(name="default", digest="-"),
        steps=ranked,
    )


def move(vm: str, source: str, target: str, *after: str, **more: Any) -> Step:
    return Step(
        id=f"move-{vm}", action=Action.MOVE, vm=vm, source=source, target=target, depends_on=after, seconds=5.0, **more
    )


def power(action: Action, host: str, *after: str) -> Step:
    return Step(id=f"{action}-{host}", action=action, host=host, depends_on=after)


def sleep_steps(host: str, *after: str) -> tuple[Step, Step]:
    closed = power(Action.CORDON, host)
    return closed, power(Action.POWER_OFF, host, closed.id, *after)


def wake_steps(host: str) -> tuple[Step, Step]:
    on = power(Action.POWER_ON, host)
    return on, power(Action.WAIT_READY, host, on.id)
