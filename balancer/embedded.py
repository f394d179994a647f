"""The embedded simulated site: a newcomer's first minute, with no server, hypervisor or root needed."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

from rich.console import Console
from rich.text import Text

from balancer.clock import Clock, HandSetClock, PacedClock
from balancer.cycle import Cycle
from balancer.domain.cluster import Cluster
from balancer.domain.energy import Energy, energy_by_host, total
from balancer.domain.host import CPU
from balancer.domain.plan import Mode
from balancer.domain.site_file import Bmc, PlatformChoice, SiteFile, SiteHost
from balancer.domain.units import count_of
from balancer.errors import Fault, InputError
from balancer.execution import RunReport
from balancer.formats import read_text
from balancer.policy import Policy, WatchedPolicy
from balancer.reporting.heat import heat_line
from balancer.service import Service
from balancer.simulation.day import CLUSTER, embedded_hosts, embedded_policy, embedded_site
from balancer.site import Site, site_from
from balancer.virtual_time import Passing

MIDNIGHT = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
TEN_IN_THE_MORNING = MIDNIGHT + timedelta(hours=10)
DAY = timedelta(hours=24)
CYCLE = timedelta(minutes=15)
STORE, HISTORY = "balancer.db", "history.db"
SECONDS_TO_LOOK_AT_A_CYCLE = 0.1
PACE_AFTER_THE_DAY = 20.0  # seconds of the site in one: a cycle in 45 s, and a move can be watched
PRINTED_SENTENCE = 74


@contextmanager
def the_embedded_site(
    start: datetime = TEN_IN_THE_MORNING, kept: Path | None = None, clock: Clock | None = None
) -> Iterator[Site]:
    """Open the embedded site at a moment of its Monday; its store lives as long as the block, unless it is kept.

    kept: a directory in which store and history are made anew, and stay
    """
    clock = clock or HandSetClock(start)
    world = embedded_site(clock)
    hosts = tuple(
        SiteHost(name=spec.name, bmc=Bmc(kind="simulated"), may_sleep=spec.may_sleep, labels=dict(spec.labels))
        for spec in embedded_hosts()
    )
    with _state(kept) as state:
        file = SiteFile(
            cluster=CLUSTER,
            platform=PlatformChoice(kind="simulated"),
            hosts=hosts,
            store=f"sqlite:///{state / STORE}",
        )
        site = site_from(file, state, state, clock, world)
        try:
            _remember_the_power_tests(site, start)
            yield site
        finally:
            site.close()


@contextmanager
def _state(kept: Path | None) -> Iterator[Path]:
    """Name the directory that the embedded site remembers in: a Monday that is kept takes the place of the last one."""
    if kept is None:
        with tempfile.TemporaryDirectory(prefix="balancer-embedded-") as passing:
            yield Path(passing)
        return
    try:
        kept.mkdir(parents=True, exist_ok=True)
        for file in (f"{name}{end}" for name in (STORE, HISTORY) for end in ("", "-wal", "-shm")):
            (kept / file).unlink(missing_ok=True)
    except OSError as cause:
        way = "name a directory of yours with BALANCER_STATE"
        raise InputError([Fault(str(kept), f"cannot be written: {cause.strerror}", way)]) from None
    yield kept


def _remember_the_power_tests(site: Site, start: datetime) -> None:
    """Its servers were each seen to wake the day before; elsewhere `balancer power test` has to prove that."""
    for host in site.acting.file.hosts:
        site.acting.store.marks.prove_wake(host.name, start - DAY)


def embedded_policy_path() -> Path:
    """Return the file of that policy."""
    return Path(str(resources.files("balancer.simulation").joinpath("policy.yaml")))


def embedded_default_policy() -> Policy:
    """Return the policy that the embedded site is run under when nobody gives another."""
    return read_text(embedded_policy(), Policy, "the embedded policy")


Pages = Callable[[Site, Service, bool], AbstractContextManager[str]]
"""Serves pages beside a service and says where; an empty URL where there are none."""


@contextmanager
def no_pages(site: Site, service: Service, is_embedded: bool) -> Iterator[str]:
    """Serve nothing."""
    yield ""


def live_a_day(
    policy_path: Path | None,
    out: Console,
    pace_seconds: float = SECONDS_TO_LOOK_AT_A_CYCLE,
    mode: Mode | None = None,
    kept: Path | None = None,
    pages: Pages = no_pages,
) -> int:
    """Run the embedded site for a day at high speed and print each cycle as it happens.

    Where pages are served, the site lives on afterwards for whoever looks at them, until it is told to stop.

    kept: a directory in which what was recorded stays, to be rehearsed
    """
    watched = WatchedPolicy(policy_path or embedded_policy_path(), CLUSTER, mode)
    # systemd and container engines say SIGTERM: it ends the day as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    clock = PacedClock(MIDNIGHT)
    with (
        tempfile.TemporaryDirectory(prefix="balancer-service-") as state,
        the_embedded_site(MIDNIGHT, kept, clock) as site,
    ):
        service = Service(site, watched, Path(state), lease_seconds=60.0, pace=PACE_AFTER_THE_DAY)
        with pages(site, service, True) as url:
            if url:
                out.print(f"dashboard: {url}\n", soft_wrap=True)
            day = EmbeddedDay(site, watched.policy, out, pace_seconds, service.show)
            has_ended = day.live_and_sum_up()
            if url and has_ended:
                pace = f"{PACE_AFTER_THE_DAY:.0f} seconds of it pass in one"
                out.print(f"\nThe site lives on at {url}, {pace}; Ctrl-C ends it.", soft_wrap=True)
                clock.run_at(PACE_AFTER_THE_DAY)
                service.run()
    return 0


@dataclass
class Ledger:
    """What the day has cost so far."""

    energy: Energy = field(default_factory=Energy)
    moves: int = 0
    gib: float = 0.0

    def add(self, seen: Cluster, seconds: float) -> None:
        self.energy += total(energy_by_host(seen, seconds).values())


class EmbeddedDay:
    """One day of the embedded site, on virtual time."""

    breath = CYCLE  # after which somebody may look

    def __init__(
        self,
        site: Site,
        policy: Policy,
        out: Console,
        pace_seconds: float,
        show: Callable[[Cycle, Policy], None] = lambda cycle, policy: None,
    ) -> None:
        self._site, self._policy, self._out, self._pace, self._show = site, policy, out, pace_seconds, show
        self.ledger = Ledger()
        self._counted_until = site.clock.now()  # a cycle after a surprise begins no stretch of its own
        self.guests: frozenset[str] = frozenset()  # those that ran when the day began
        self.lost: frozenset[str] = frozenset()  # those of them that were found not running at any time

    def live_and_sum_up(self) -> bool:
        """Live one day and say what it cost; False where somebody ended it sooner."""
        has_ended = True
        try:
            self.live(MIDNIGHT + DAY)
        except KeyboardInterrupt:
            has_ended = False
            self._out.print("\nstopped")
        self.sum_up()
        return has_ended

    def live(self, until: datetime) -> None:
        self._out.print(Text("time   hosts         on    CPU      draws   what the balancer does", style="dim"))
        passing = Passing(self._site, self._policy, CYCLE.total_seconds(), self._note, self._finish)
        while self._site.clock.now() < until:
            passing.live_until(min(until, self._site.clock.now() + self.breath))
            self._breathe()

    def _breathe(self) -> None:
        """Let a person look."""
        time.sleep(self._pace)

    def _note(self, cycle: Cycle) -> None:
        self._count_guests(cycle.seen)
        if cycle.seen.taken_at >= self._counted_until:
            self._print(cycle)
            self._show(cycle, self._policy.at(cycle.seen.taken_at))
            self.ledger.add(cycle.seen, CYCLE.total_seconds())
            self._counted_until = cycle.seen.taken_at + CYCLE

    def _count_guests(self, seen: Cluster) -> None:
        running = frozenset(vm.name for vm in seen.vms if vm.is_active)
        self.guests = self.guests or running
        self.lost |= self.guests - running

    def _finish(self, report: RunReport) -> None:
        moved = [outcome.step for outcome in report.done if outcome.step.is_move]
        self.ledger.moves += len(moved)
        self.ledger.gib += sum(step.memory_mib for step in moved) / 1024
        self._print_trouble(report)

    def _print(self, cycle: Cycle) -> None:
        seen = cycle.seen
        on = [host for host in seen.hosts if host.is_on]
        cores = sum(host.usable_cores for host in on)
        share = sum(seen.used(host, CPU) for host in on) / cores if cores else 0.0
        said = cycle.sentence.partition(";")[0] if cycle.plan.steps else ""
        said = said if len(said) <= PRINTED_SENTENCE else said[: PRINTED_SENTENCE - 1] + "…"
        line = Text.assemble((f"{seen.taken_at:%H:%M}  ", "dim"), heat_line(seen))
        line.append(f"  {len(on):2d}   {share:4.0%}  {seen.watts() / 1000:5.2f} kW   {said}")
        self._out.print(line, soft_wrap=True)

    def _print_trouble(self, report: RunReport) -> None:
        if report.needs_replan:
            self._out.print(Text(f"       {report.sentence}", style="yellow"), soft_wrap=True)
        for alarm in report.alarms:
            self._out.print(Text(f"       ALARM: {alarm}", style="bold red"), soft_wrap=True)

    def sum_up(self) -> None:
        """Say what the day has cost, and what it would have cost with every host on."""
        day, energy = self.ledger, self.ledger.energy
        saved = 1 - energy.kwh / energy.kwh_all_on if energy.kwh_all_on else 0.0
        self._out.print(
            f"\nThe day took {energy.kwh:.1f} kWh; with every host on it would have been about "
            f"{energy.kwh_all_on:.1f} kWh ({saved:.0%} saved). Hosts slept {energy.hours_asleep:.0f} hours, "
            f"{count_of(day.moves, 'guest')} moved ({day.gib:.0f} GiB). "
            + (f"Guests that stood still: {', '.join(sorted(self.lost))}." if self.lost else "No guest stood still.")
        )
