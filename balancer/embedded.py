"""The embedded simulated site: a newcomer's first minute, with no server, hypervisor or root needed."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.text import Text

from balancer.clock import HandSetClock
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
from balancer.policy import Policy, load_policy
from balancer.reporting.heat import heat_line
from balancer.simulation.day import CLUSTER, embedded_hosts, embedded_policy, embedded_site
from balancer.site import Site, site_from
from balancer.virtual_time import Passing

MIDNIGHT = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
TEN_IN_THE_MORNING = MIDNIGHT + timedelta(hours=10)
DAY = timedelta(hours=24)
CYCLE = timedelta(minutes=15)
STORE, HISTORY = "balancer.db", "history.db"
SECONDS_TO_LOOK_AT_A_CYCLE = 0.1
PRINTED_SENTENCE = 74


@contextmanager
def the_embedded_site(start: datetime = TEN_IN_THE_MORNING, kept: Path | None = None) -> Iterator[Site]:
    """Open the embedded site at a moment of its Monday; its store lives as long as the block, unless it is kept.

    kept: a directory in which store and history are made anew, and stay
    """
    clock = HandSetClock(start)
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


def embedded_default_policy() -> Policy:
    """Return the policy that the embedded site is run under when nobody gives another."""
    return read_text(embedded_policy(), Policy, "the embedded policy")


def live_a_day(
    policy_path: Path | None,
    out: Console,
    pace_seconds: float = SECONDS_TO_LOOK_AT_A_CYCLE,
    mode: Mode | None = None,
    kept: Path | None = None,
) -> int:
    """Run the embedded site for a day at high speed and print each cycle as it happens.

    kept: a directory in which what was recorded stays, to be rehearsed
    """
    policy = load_policy(policy_path, CLUSTER) if policy_path else embedded_default_policy()
    policy = policy if mode is None else policy.in_mode(mode)
    # systemd and container engines say SIGTERM: it ends the day as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with the_embedded_site(MIDNIGHT, kept) as site:
        day = EmbeddedDay(site, policy, out, pace_seconds)
        try:
            day.live(MIDNIGHT + DAY)
        except KeyboardInterrupt:
            out.print("\nstopped")
        day.sum_up()
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

    def __init__(self, site: Site, policy: Policy, out: Console, pace_seconds: float) -> None:
        self._site, self._policy, self._out, self._pace = site, policy, out, pace_seconds
        self.ledger = Ledger()
        self._counted_until = site.clock.now()  # a cycle after a surprise begins no stretch of its own
        self.guests: frozenset[str] = frozenset()  # those that ran when the day began
        self.lost: frozenset[str] = frozenset()  # those of them that were found not running at any time

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
