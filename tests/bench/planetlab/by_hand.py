"""A day under a baseline: what it wants is carried out at once, on the same world as the balancer's plans."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from balancer.clock import HandSetClock
from balancer.simulation import laws
from balancer.simulation.laying import Laid
from balancer.simulation.machines import Orders, Phase
from balancer.simulation.meter import Bools, Places
from balancer.simulation.recorded import RecordedWorld
from tests.bench.planetlab.baselines import Floor, Fullness, Wanted, decide

MOVES_A_HOST = 2  # at the same time, as in the policies
ORDERS = Orders()


@dataclass
class Cost:
    """What a day has cost so far."""

    joules: float = 0.0
    short_steps: int = 0
    active_steps: int = 0
    moves: int = 0

    def add(self, world: RecordedWorld) -> None:
        read = world.meter.take()
        self.joules += read.joules
        self.short_steps += read.short_of_cpu
        self.active_steps += read.active


def live_by(laid: Laid, fullness: Fullness) -> Cost:
    """Run a whole day under a baseline and return what it has cost."""
    clock = HandSetClock(laid.begin)
    world = RecordedWorld(clock, laid, seed=1, cluster=laid.name)
    world.begin()
    cost, floor = Cost(), Floor(laid)
    clock.sleep(laid.step_seconds)
    world.settle()
    cost.add(world)
    for step in range(1, laid.steps):
        homes, is_on = _seen(world)
        wanted = decide(floor, laid.needs[:step].T.astype(float), homes, is_on, fullness)
        end = laid.begin + timedelta(seconds=(step + 1) * laid.step_seconds)
        cost.moves += _Work(world, wanted).carry_out(clock, end)
        cost.add(world)
    return cost


def _seen(world: RecordedWorld) -> tuple[Places, Bools]:
    place = {name: number for number, name in enumerate(world.hosts)}
    homes = np.array([place[guest.host] for guest in world.guests.values()], dtype=np.intp)
    return homes, np.array([host.phase is Phase.UP for host in world.hosts.values()])


@dataclass
class _Work:
    """What is yet to be done in a step; what has not begun when it ends is forgotten."""

    world: RecordedWorld
    wanted: Wanted
    waiting: list[tuple[str, str]] = field(default_factory=list)

    def carry_out(self, clock: HandSetClock, end: datetime) -> int:
        """Wake, move and switch off until the step is over; return how many guests have arrived."""
        names, hosts = list(self.world.guests), list(self.world.hosts)
        self.waiting = [(names[guest], hosts[host]) for guest, host in self.wanted.moves]
        for host in self.wanted.wake:
            self.world.power_on(hosts[host])
        before = {name: guest.host for name, guest in self.world.guests.items()}
        while (left := (end - clock.now()).total_seconds()) > 0:
            self._begin()
            self._switch_off_what_is_empty()
            is_busy = self.waiting or self.world.transit.under_way
            clock.sleep(self.world.seconds_to_next(left) if is_busy else left)
            self.world.settle()
        return sum(guest.host != before[name] for name, guest in self.world.guests.items())

    def _begin(self) -> None:
        touching = np.zeros(len(self.world.hosts))
        place = {name: number for number, name in enumerate(self.world.hosts)}
        for migration in self.world.transit.under_way:
            for end in migration.ends:
                touching[place[end]] += 1
        for vm, target in list(self.waiting):
            guest = self.world.guests[vm]
            ends = [place[guest.host], place[target]]
            if (touching[ends] >= MOVES_A_HOST).any() or laws.why_not_migrate(self.world, guest, target, ORDERS):
                continue
            self.world.begin_migration(guest.spec.id, target, ORDERS)
            touching[ends] += 1
            self.waiting.remove((vm, target))

    def _switch_off_what_is_empty(self) -> None:
        held = {guest.host for guest in self.world.guests.values()} | {host for _, host in self.waiting}
        held |= {migration.target for migration in self.world.transit.under_way}
        for name, host in self.world.hosts.items():
            if host.phase is Phase.UP and name not in held:
                self.world.cut_power(name)
