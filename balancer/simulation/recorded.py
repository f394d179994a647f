"""A world whose guests do what was recorded, and whose every stretch of time is entered into a meter."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import numpy as np

from balancer.clock import Clock
from balancer.domain.rehearsed import Odd, Oddity
from balancer.simulation.laying import Laid, Shelves, first_homes
from balancer.simulation.machines import GuestState, MigrationFate, Orders, Phase
from balancer.simulation.meter import Meter, Stretch
from balancer.simulation.world import World


class RecordedWorld(World):
    """Guests come, need and go as the record has it."""

    def __init__(self, clock: Clock, laid: Laid, seed: int, cluster: str) -> None:
        super().__init__(clock, laid.hosts, cluster)
        self.laid, self.seed = laid, seed
        self.meter = Meter(laid.hosts, laid.copying_share)
        self.waiting: dict[str, None] = {}  # guests that no host has room for, in their order
        self.oddities: list[Oddity] = []
        self._place = {host.name: place for place, host in enumerate(laid.hosts)}
        self._column = {guest.name: column for column, guest in enumerate(laid.guests)}
        self._memory_mib = np.array([guest.memory_mib for guest in laid.guests])

    # -- who is there

    def begin(self) -> None:
        """Put the guests of the first step where they start, and switch off what sleeps then."""
        homes = first_homes(self.laid)
        for column in np.flatnonzero(~np.isnan(self.laid.needs[0])).tolist():
            guest = self.laid.guests[column]
            if guest.name in homes:
                self.add_guest(guest, homes[guest.name])
            else:
                self._wait(guest.name)
        asleep = set(self.hosts) - set(homes.values()) if self.laid.asleep is None else self.laid.asleep
        for name in sorted(asleep):
            if self.hosts[name].spec.may_sleep:
                self.cut_power(name)

    def come_and_go(self, step: int) -> None:
        """Let guests begin and end with a step; one that no host has room for waits."""
        is_there = ~np.isnan(self.laid.needs[step])
        for name in [name for name in self.guests if not is_there[self._column[name]]]:
            self.stop_guest(name)
            self.guests[name].state = GuestState.GONE
            with self.settled():
                del self.guests[name]
        self.waiting = {name: None for name in self.waiting if is_there[self._column[name]]}
        new = [self.laid.guests[column].name for column in np.flatnonzero(is_there).tolist()]
        for name in [name for name in new if name not in self.guests]:
            self._come(name)

    def _come(self, name: str) -> None:
        column = self._column[name]
        shelves = Shelves.empty(self.laid.hosts)
        for other in self.guests.values():
            shelves.take(self._place[other.host], self.laid.sizes[self._column[other.spec.name]])
        for migration in self.transit.under_way:
            shelves.take(self._place[migration.target], self.laid.sizes[self._column[migration.guest.spec.name]])
        awake = [self._place[host] for host, each in self.hosts.items() if each.phase is Phase.UP]
        wished = self._place.get(self.laid.homes.get(name, ""), -1)
        home = shelves.first_fit(self.laid.sizes[column], [wished] if wished in awake else [])
        home = shelves.first_fit(self.laid.sizes[column], awake) if home is None else home
        if home is None:
            self._wait(name)
            return
        self.waiting.pop(name, None)
        self.add_guest(self.laid.guests[column], self.laid.hosts[home].name)

    def _wait(self, name: str) -> None:
        if name not in self.waiting:
            self.waiting[name] = None
            made = "waits until a host that is on has room"
            self.oddities.append(
                Oddity(what=Odd.NO_ROOM, guest=name, where=f"{self._now:%Y-%m-%d %H:%M}", made_of_it=made)
            )

    # -- time

    def _let_pass_until(self, moment: datetime) -> None:
        while self._now < moment:
            step = self.step_of(self._now)
            until = min(moment, self.laid.begin + timedelta(seconds=(step + 1) * self.laid.step_seconds))
            if step < self.laid.steps:
                self.meter.add((until - self._now).total_seconds(), self._stretch(step))
            super()._let_pass_until(until)

    def step_of(self, moment: datetime) -> int:
        return int((moment - self.laid.begin).total_seconds() // self.laid.step_seconds)

    def _stretch(self, step: int) -> Stretch:
        running = [guest for guest in self.guests.values() if guest.is_active]
        columns = np.array([self._column[guest.spec.name] for guest in running], dtype=np.intp)
        flying = {m.guest.spec.name: self._place[m.target] for m in self.transit.under_way}
        leaving = [place for place, guest in enumerate(running) if guest.spec.name in flying]
        needs = np.nan_to_num(self.laid.needs[step, columns].astype(float))
        return Stretch(
            needs=needs,
            memory_mib=self._memory_mib[columns],
            homes=np.array([self._place[guest.host] for guest in running], dtype=np.intp),
            leaving=np.array(leaving, dtype=np.intp),
            targets=np.array([flying[running[place].spec.name] for place in leaving], dtype=np.intp),
            phases=[host.phase for host in self.hosts.values()],
        )

    # -- what fails, by the seed: drawn for each try by itself, so that no try hangs on those before it

    def begin_migration(self, vm_id: str, target: str, orders: Orders | None = None) -> None:
        with self.settled():
            chance = self._chance("migration", vm_id)
            guest = self.guest_by_id(vm_id)
            if guest is not None and chance.random() < self.laid.failures.migrations:
                error = "internal error: the line broke (rehearsed)"
                guest.next_migration = MigrationFate(stops_at_share=chance.random(), error=error)
            super().begin_migration(vm_id, target, orders)

    def power_on(self, host: str) -> None:
        with self.settled():
            fails = self._chance("boot", host).random() < self.laid.failures.boots
            self.hosts[host].never_boots = fails
            super().power_on(host)

    def _chance(self, what: str, subject: str) -> random.Random:
        return random.Random(f"{self.seed}/{what}/{subject}/{self._now.timestamp()}")
