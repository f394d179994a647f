"""One seeded life of a balancer on a site where everything goes wrong; what must be true of it whatever happens.

    BALANCER_CHAOS_SEED=1234 pytest tests/execution/test_chaos.py -k replay -s

tells one life again, with all that happened in it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from balancer.clock import HandSetClock
from balancer.domain.host import HostState
from balancer.domain.plan import Action, Step
from balancer.domain.site_file import SiteFile
from balancer.domain.vm import VmState
from balancer.errors import Prospect, SiteError
from balancer.execution import ActingSite, Limits, Runner, look, settle_the_past
from balancer.execution.identity import prove_identity
from balancer.execution.runner import Held
from balancer.platforms.simulated import SimulatedPlatform
from balancer.policy import Policy
from balancer.power.simulated import SimulatedSwitch
from balancer.simulation.machines import GuestSpec, GuestState, HostSpec, Phase, constantly
from balancer.simulation.world import World
from balancer.site import gate_of
from balancer.store import open_store
from balancer.store.journal import EntryState
from tests.execution.killing import Killed
from tests.execution.stage import NOON, Stage, plan, power
from tests.execution.unreliable import Faults, Unreliable

HOSTS = ("h1", "h2", "h3", "h4")
MEMORY_MIB = 16384.0
SIZES_MIB = (512.0, 1024.0, 3072.0)
HEADROOM = 0.9
PAIR = ("g1", "g2")  # never on one host
POLICY = Policy.model_validate(
    {
        "headroom": {"cpu": 1.0, "memory": HEADROOM},
        "constraints": [{"kind": "apart", "name": "pair", "vms": list(PAIR)}],
    }
)
MOST_PROCESSES = 3  # in one life, one after the other
ROUNDS = 12
ROUNDS_TO_REST = 120
IN_MEMORY = "/dev/shm"  # a disk that is never synced; what is tried here is not the disk


class Broken(AssertionError):
    """Something happened that must never happen."""


@dataclass
class Life:
    """A site, its balancer, and all that befalls them, from one seed."""

    seed: int
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)
        parent = IN_MEMORY if Path(IN_MEMORY).is_dir() else None
        self.folder = Path(tempfile.mkdtemp(prefix="chaos-", dir=parent))
        self.stage = self._build()
        self.world = self.stage.world
        self.faults = Faults(self.rng)
        self.excused: set[str] = set()  # guests that others have stopped, or that went down with a host that died
        self.died: set[str] = set()  # hosts that have crashed
        self.worst = self._excess()
        self.acting: Runner | None = None  # the one whose turn it is

    def say(self, what: str) -> None:
        self.told.append(f"{self.stage.clock.now():%H:%M:%S} {what}")

    def _build(self) -> Stage:
        rng, clock = self.rng, HandSetClock(NOON)
        speed = rng.choice((40.0, 100.0, 1000.0))
        world = World(clock, [HostSpec(name, 16, MEMORY_MIB, migration_mib_per_s=speed) for name in HOSTS], "lab")
        for number in range(1, rng.randint(6, 11)):
            self._place(world, GuestSpec(f"g{number}", 2, rng.choice(SIZES_MIB), constantly(0.3)))
        file = SiteFile.model_validate(
            {
                "cluster": "lab",
                "platform": {"kind": "simulated"},
                "hosts": [{"name": name, "bmc": {"kind": "simulated"}, "may_sleep": True} for name in HOSTS],
            }
        )
        url = f"sqlite:///{self.folder}/store.db"
        switches = {name: SimulatedSwitch(world, name) for name in HOSTS}
        site = ActingSite(
            file, SimulatedPlatform(world), switches, open_store(url, "lab"), clock, kill_file=self.folder / "stop"
        )
        stage = Stage(world, clock, site, url)
        for name in HOSTS:
            stage.store.marks.prove_wake(name, clock.now())
            assert prove_identity(site, name).proof
        return stage

    def _place(self, world: World, spec: GuestSpec) -> None:
        homes = list(HOSTS)
        self.rng.shuffle(homes)
        if spec.name == PAIR[1]:
            homes.remove(world.guests[PAIR[0]].host)
        for home in homes:
            if world.memory_taken_mib(home) + spec.memory_mib <= HEADROOM * MEMORY_MIB:
                world.add_guest(spec, home)
                return

    # -- the story

    def live(self) -> None:
        """Live through it all, come to rest, and check what must be true."""
        try:
            for _ in range(self.rng.randint(1, MOST_PROCESSES)):
                self._one_process()
            self._come_to_rest()
            self._check_at_rest()
        finally:
            self.stage.store.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _one_process(self) -> None:
        self.stage.store.close()
        self.stage = self.stage.after_restart()
        acting = self._unreliable()
        self.faults.dies_at = self.faults.instants + self.rng.randint(1, 150) if self.rng.random() < 0.8 else None
        try:
            self._act(acting)
        except Killed:
            self.say("the balancer is killed")
        self.faults.dies_at, self.faults.store_fails, self.faults.lies = None, 0, False
        if self.rng.random() < 0.3:
            self._wait(self.rng.choice((5, 60, 900)))

    def _unreliable(self) -> Stage:
        database: Any = self.stage.store._database
        database.writing = self.faults.around_writing(database.writing)
        site = self.stage.site
        platform: Any = Unreliable(site.platform, self.faults)
        switches: Any = {name: Unreliable(switch, self.faults) for name, switch in site.switches.items()}
        return replace(self.stage, site=replace(site, platform=platform, switches=switches))

    def _act(self, acting: Stage) -> None:
        limits = Limits(
            concurrent_per_host=self.rng.randint(1, 3),
            concurrent=self.rng.randint(1, 5),
            hard_off_allowed=self.rng.random() < 0.5,
            poll_seconds=10,
            stop_after=self.rng.choice((2, 5, 50)),
            max_doubts=0.5,
        )
        runners: list[Runner] = []
        self.faults.between = lambda: self._another_acts(runners)
        for _ in range(ROUNDS):
            self._befall(runners)
            with suppress(SiteError):
                settle_the_past(acting.site, limits, Held.by(runners))
                self._check_no_worse("settling")
            while len(runners) < 2 and self.rng.random() < 0.5:
                self._begin(acting, runners, limits)
            for runner in list(runners):
                self._advance(runner, runners)
            self._wait(limits.poll_seconds)

    def _begin(self, acting: Stage, runners: list[Runner], limits: Limits) -> None:
        try:
            steps = self._draw(acting, Held.by(runners))
        except SiteError as failed:
            self.say(f"no plan: {failed}")
            return
        if steps:
            self.say(f"plan {len(self.told)}: {', '.join(map(str, steps))}")
            drawn = plan(*steps, at=acting.clock.now()).model_copy(update={"id": f"plan-{len(self.told)}"})
            runners.append(Runner(acting.site, drawn, gate_of(POLICY.at), limits))

    def _advance(self, runner: Runner, runners: list[Runner]) -> None:
        self.acting = runner
        try:
            goes_on = runner.advance()
        except SiteError as failed:  # as the service does: it gives the plan up, and what is open is settled
            self.say(f"acting stopped: {failed}")
            goes_on = False
        if not goes_on and runner in runners:
            runners.remove(runner)
        self._check_no_worse(f"plan {runner.report().plan_id}")

    def _another_acts(self, runners: list[Runner]) -> None:
        """While one runner asks what speaks against its move, the other one goes on."""
        others = [runner for runner in runners if runner is not self.acting]
        if others and self.rng.random() < 0.5:
            self.faults.between, before = lambda: None, self.faults.between
            try:
                self._advance(others[0], runners)
            finally:
                self.faults.between = before

    # -- plans

    def _draw(self, acting: Stage, held: Held) -> list[Step]:
        seen = look(acting.site)
        rng, marks = self.rng, acting.store.marks.all()
        on = [host.name for host in seen.hosts if host.state is HostState.UP and host.name not in held.hosts]
        free = [vm for vm in seen.vms if vm.state is VmState.RUNNING and vm.name not in held.vms and vm.host in on]
        asleep = [name for name, mark in marks.items() if mark.asleep_by_us and name not in held.hosts]
        steps: list[Step] = []
        if asleep and rng.random() < 0.5:
            up = power(Action.POWER_ON, rng.choice(asleep))
            steps += [up, power(Action.WAIT_READY, str(up.host), up.id)]
            on.append(str(up.host))
        if len(on) < 2:
            return steps
        if len(on) > 2 and rng.random() < 0.5:
            return [*steps, *self._sleep(rng.choice(on), on, free)]
        for vm in rng.sample(free, min(len(free), rng.randint(1, 5))):
            target = rng.choice([name for name in on if name != vm.host])
            before = [step.id for step in steps if rng.random() < 0.2]
            steps.append(_move(vm.name, vm.key, vm.host, target, *before))
        return steps

    def _sleep(self, host: str, on: list[str], free: list[Any]) -> list[Step]:
        closed = power(Action.CORDON, host)
        others = [name for name in on if name != host]
        leaving = [vm for vm in free if vm.host == host]
        moves = [_move(vm.name, vm.key, host, self.rng.choice(others), closed.id) for vm in leaving]
        return [closed, *moves, power(Action.POWER_OFF, host, closed.id, *(step.id for step in moves))]

    # -- what befalls them

    def _befall(self, runners: list[Runner]) -> None:
        for happening, chance in _HAPPENINGS.items():
            if self.rng.random() < chance:
                with suppress(SiteError):
                    happening(self)
        self.worst = self._excess()  # what others do is not the balancer's fault
        if self.rng.random() < 0.02:
            for runner in runners:
                runner.abort("chaos")
        if self.rng.random() < 0.02:
            for runner in runners:
                runner.stop("chaos")

    def _host(self) -> str:
        return self.rng.choice(HOSTS)

    def _guest(self) -> str:
        return self.rng.choice(list(self.world.guests))

    def host_dies(self) -> None:
        name = self._host()
        if self.world.hosts[name].phase is Phase.UP and not self.died:
            self.excused |= {guest.spec.name for guest in self.world.guests_on(name)}
            self.excused |= {m.guest.spec.name for m in self.world.transit.touching(name)}
            self.died.add(name)
            self.world.crash(name)
            self.say(f"{name} dies")

    def host_falls_silent(self) -> None:
        name = self._host()
        self.world.make_unreachable(name)
        self.say(f"{name} falls silent")

    def host_is_mended(self) -> None:
        name = self._host()
        self.world.heal(name)
        self.say(f"{name} is mended")

    def bmc_fails(self) -> None:
        name = self._host()
        self.rng.choice((self.world.stop_bmc, self.world.make_bmc_vague, self.world.refuse_soft_shutdown))(name)
        self.say(f"the BMC of {name} fails")

    def migration_fails(self) -> None:
        vm, prospect = self._guest(), self.rng.choice(list(Prospect))
        self.world.fail_migration(vm, self.rng.random(), "chaos", prospect)
        self.say(f"the migration of {vm} will fail ({prospect})")

    def migration_hangs(self) -> None:
        vm = self._guest()
        self.world.hang_migration(vm, self.rng.random())
        self.say(f"the migration of {vm} will hang")

    def migration_lies(self) -> None:
        vm = self._guest()
        self.world.succeed_but_report_failure(vm)
        self.say(f"the migration of {vm} will succeed and say that it failed")

    def link_is_cut(self) -> None:
        name = self._host()
        with self.world.settled():
            for migration in self.world.transit.touching(name):
                self.world.transit.end(migration, "the line was cut")
        self.say(f"the line of {name} is cut")

    def link_is_slow(self) -> None:
        name = self._host()
        with self.world.settled():
            host = self.world.hosts[name]
            host.spec = replace(host.spec, migration_mib_per_s=self.rng.choice((5.0, 50.0, 1000.0)))
        self.say(f"the line of {name} changes")

    def guest_moves_by_hand(self) -> None:
        vm, target = self._guest(), self._host()
        self.world.move_by_hand(vm, target)
        self.say(f"{vm} is moved to {target} by hand")

    def guest_is_stopped(self) -> None:
        vm = self._guest()
        if self.rng.random() < 0.3:
            self.excused.add(vm)
            self.world.stop_guest(vm)
            self.say(f"{vm} is stopped by hand")

    def guest_grows(self) -> None:
        guest = self.world.guests[self._guest()]
        with self.world.settled():
            if self.world.memory_taken_mib(guest.host) + 1024 <= MEMORY_MIB and self.world.transit.of(guest) is None:
                guest.spec = replace(guest.spec, memory_mib=guest.spec.memory_mib + 1024)
                self.say(f"{guest.spec.name} grows")

    def store_fails(self) -> None:
        self.faults.store_fails = self.rng.randint(1, 4)
        self.say("the store is full or locked")

    def store_lies(self) -> None:
        self.faults.lies = True
        self.say("the store writes, and says that it did not")

    def clock_jumps(self) -> None:
        seconds = self.rng.choice((-120.0, -20.0, 300.0, 3600.0))
        self.stage.clock._now += timedelta(seconds=seconds)
        self.say(f"the clock jumped by {seconds:.0f} s")

    def somebody_pauses(self) -> None:
        self.stage.store.halts.pause("chaos", "to see", self.stage.clock.now())
        self.say("paused")

    def somebody_resumes(self) -> None:
        self.stage.store.halts.resume(self.stage.clock.now())
        (self.folder / "stop").unlink(missing_ok=True)
        self.say("resumed")

    def somebody_pulls_the_plug(self) -> None:
        (self.folder / "stop").touch()
        self.say("the kill file is there")

    def somebody_gives_up(self) -> None:
        entries = [entry.id for entry in self.stage.store.journal.unsettled() if entry.step.is_move]
        self.stage.store.halts.give_up(entries, "chaos", "to see", self.stage.clock.now())
        self.say(f"{len(entries)} migrations are to be given up")

    # -- rest

    def _wait(self, seconds: float) -> None:
        self.stage.wait(seconds)
        self._check_power()

    def _come_to_rest(self) -> None:
        """Mend everything, and let a balancer that was just started look until nothing is open."""
        self.say("everything is mended")
        for name in HOSTS:
            self.world.heal(name)
            if self.world.hosts[name].phase is Phase.CRASHED:
                self.world.cut_power(name)
                self.world.power_on(name)
        (self.folder / "stop").unlink(missing_ok=True)
        self.stage.store.close()
        self.stage = self.stage.after_restart()
        self.worst = self._excess()
        while any(host.phase is Phase.BOOTING for host in self.world.hosts.values()) and self.rng.random() < 0.9:
            self._wait(30)
        for _ in range(ROUNDS_TO_REST):
            settled = settle_the_past(self.stage.site)
            self._check_no_worse("settling at rest")
            booting = any(host.phase is Phase.BOOTING for host in self.world.hosts.values())
            if not settled and not booting and not self.stage.store.journal.unsettled():
                return
            self._wait(30)

    # -- what must be true

    def _excess(self) -> dict[str, float]:
        """Return by how much each promise is broken, found out from the world itself and by no code of ours."""
        with self.world.settled():
            over = {h: max(0.0, self.world.memory_taken_mib(h) - HEADROOM * MEMORY_MIB) for h in HOSTS}
            pair = [self._ends(vm) for vm in PAIR if self.world.guests[vm].is_active]
            together = len(pair[0] & pair[1]) if len(pair) == 2 else 0
            return {**over, "pair": float(together)}

    def _ends(self, vm: str) -> set[str]:
        guest = self.world.guests[vm]
        migration = self.world.transit.of(guest)
        return {guest.host} | ({migration.target} if migration else set())

    def _check_no_worse(self, who: str) -> None:
        now = self._excess()
        for what, excess in now.items():
            if excess > self.worst[what] + 1e-6:
                raise Broken(f"{who} made {what} worse: {self.worst[what]:g} -> {excess:g}")
        self.worst = now

    def _check_power(self) -> None:
        for casualty in self.world.casualties:
            if casualty.why != "its host crashed":
                raise Broken(f"{casualty.vm} lost its power: {casualty.why} ({casualty.host})")

    def _check_at_rest(self) -> None:
        self._check_power()
        store = self.stage.store
        for name, guest in self.world.guests.items():
            if name not in self.excused and guest.state is not GuestState.RUNNING:
                raise Broken(f"{name} is lost: {guest.state} on {guest.host}")
            where = self.stage.site.platform.whereabouts(guest.spec.id)
            if len(where.active_on) > 1 or len(where.defined_on) != 1:
                raise Broken(f"{name} is doubled or gone: {where}")
        if reserved := store.reservations.all():
            raise Broken(f"room stays reserved: {reserved[0]}")
        if unsettled := store.journal.unsettled():
            raise Broken(f"a step stays open: {unsettled[0]}: {unsettled[0].detail}")
        if wanted := store.halts.to_give_up():
            raise Broken(f"a request is never forgotten: {wanted}")
        self._check_marks()
        self._check_memory()

    def _check_marks(self) -> None:
        for host in HOSTS:
            marks, phase = self.stage.store.marks.of(host), self.stage.phase(host)
            # A shutdown that was given up may end after all: the host is off then, and waits for a person.
            went_late = phase is Phase.OFF and marks.quarantine is not None
            if marks.asleep_by_us != (phase is Phase.OFF) and not went_late:
                raise Broken(f"{host} is {phase}, and marked asleep since {marks.asleep_since}")
            if marks.cordon and not (marks.asleep_by_us or marks.quarantine):
                raise Broken(f"{host} stays cordoned for nothing: {marks.cordon}")

    def _check_memory(self) -> None:
        entries = self.stage.store.journal.latest(10000)
        arrived = [entry for entry in entries if entry.step.is_move and entry.state is EntryState.DONE]
        spent = self.stage.store.memory.spent_since(NOON - timedelta(hours=1)).moves
        if spent < len(arrived):
            raise Broken(f"{len(arrived)} guests arrived and {spent} moves are remembered")


_HAPPENINGS: dict[Callable[[Life], None], float] = {
    Life.host_dies: 0.01,
    Life.host_falls_silent: 0.03,
    Life.host_is_mended: 0.2,
    Life.bmc_fails: 0.03,
    Life.migration_fails: 0.06,
    Life.migration_hangs: 0.03,
    Life.migration_lies: 0.05,
    Life.link_is_cut: 0.03,
    Life.link_is_slow: 0.05,
    Life.guest_moves_by_hand: 0.04,
    Life.guest_is_stopped: 0.02,
    Life.guest_grows: 0.04,
    Life.store_fails: 0.03,
    Life.store_lies: 0.02,
    Life.clock_jumps: 0.03,
    Life.somebody_pauses: 0.01,
    Life.somebody_resumes: 0.05,
    Life.somebody_pulls_the_plug: 0.01,
    Life.somebody_gives_up: 0.02,
}


def _move(vm: str, vm_id: str, source: str, target: str, *after: str) -> Step:
    return Step(
        id=f"move-{vm}",
        action=Action.MOVE,
        vm=vm,
        vm_id=vm_id,
        source=source,
        target=target,
        depends_on=after,
        seconds=20.0,
        kind="live",
    )


def live(seed: int) -> Life:
    """Live one life; what breaks says its seed and how to see it again."""
    life = Life(seed)
    try:
        life.live()
    except Exception as broken:
        told = "\n  ".join(life.told[-25:])
        again = f"BALANCER_CHAOS_SEED={seed} pytest tests/execution/test_chaos.py -k replay -s"
        raise Broken(f"seed {seed}: {broken}\n  {told}\n{again}") from broken
    return life


def harm(seed: int) -> str:
    """Return what must never happen and did, in one life; empty where nothing did."""
    try:
        live(seed)
    except Broken as broken:
        return str(broken)
    return ""
