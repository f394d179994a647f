"""A cycle every few minutes, acting beside it, a clean end on SIGTERM.

Of a pair of balancers one leads. The other one stands by: it looks and plans as the leader does, touches nothing, and
takes over once the leader has given up the right to act or has let it run out.
"""

from __future__ import annotations

import signal
import time
from datetime import datetime
from pathlib import Path
from queue import SimpleQueue
from threading import Lock

import structlog

from balancer.chronicle import Chronicle
from balancer.cycle import Cycle, run_cycle
from balancer.domain.host import ASLEEP
from balancer.domain.plan import Mode, Plan
from balancer.errors import BalancerError
from balancer.formats import to_json
from balancer.policy import Policy, WatchedPolicy
from balancer.published import Board, Run
from balancer.service.carrying import Carrying
from balancer.service.health import MISSED_BY_AT_MOST, Condition, write_health
from balancer.service.people import People, settle
from balancer.service.rhythm import CYCLE, WATCH, Rhythm
from balancer.service.standing import Standing
from balancer.site import Site
from balancer.stability.lookout import SECONDS_UNTIL_A_SECOND_GLANCE, Lookout

log = structlog.get_logger()

WAITING_PLAN = "waiting-plan.json"
SECONDS_BETWEEN_LOOKS_AT_PEOPLE = 1.0  # who approves a plan wants to see that something begins


class Service:
    """Looks, plans and, where the policy says so, acts, until it is told to stop."""

    def __init__(
        self, site: Site, watched: WatchedPolicy, state: Path, lease_seconds: float, pace: float = 1.0
    ) -> None:
        """pace: seconds of the site that pass in one of ours; a simulated site may live faster than we do."""
        self._site, self._watched, self._state, self._pace = site, watched, state, pace
        self.board = Board(lambda: tuple(map(Run.of, tuple(site.runners))))
        self.chronicle = Chronicle(site.acting.store, state)
        # A queue that a signal handler may use at any moment; an Event would lock itself up on a second signal.
        self._told: SimpleQueue[int] = SimpleQueue()
        self._reading, self._one_cycle = Lock(), Lock()
        self._rhythm = Rhythm(may_hurry=self._told.empty)
        self._standing = Standing(site, lease_seconds)
        self._carrying = Carrying(site, self._in_force, self._plan_anew, self.board.run_ended)
        self._people = People(
            site, self.board, self._standing, self._carrying, self._in_force, self._one_cycle, self._plan_anew
        )
        self._lookout = Lookout()
        self._conflicts_told: set[str] = set()  # of the last plan
        self._trouble = ""  # with seeing who leads, as it was last said

    def run(self) -> None:
        """Work until SIGTERM or SIGINT; then nothing new is begun, and running migrations end as the policy says.

        SIGHUP has the policy read again at once, whether its files differ or not.
        """
        for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(name, lambda number, _: self._told.put(number))
        try:
            self._rhythm.begin(self._cycle, self._in_force().interval_seconds / self._pace)
            self._rhythm.also(self._people.see_to_them, SECONDS_BETWEEN_LOOKS_AT_PEOPLE)
            self._rhythm.also(self._watch_the_lead, self._standing.looks_every_seconds)
            self._keep_the_pace(self._in_force())
            while self._told.get() == signal.SIGHUP:
                self._read_policy(is_told_to=True)
                self._keep_the_pace(self._in_force())
            self._rhythm.end()
            self._carrying.let_finish(self._in_force().caution, self._told)
        finally:
            self._standing.let_go()

    # -- the policy

    def _in_force(self, moment: datetime | None = None) -> Policy:
        """The policy in force: of the files as they were last read, and of the windows that are open now."""
        return self._watched.policy.at(moment or self._site.clock.now())

    def _read_policy(self, is_told_to: bool = False) -> None:
        """Take over a policy file that was changed, or say why the old one stays."""
        try:
            with self._reading:
                reading = self._watched.look(is_told_to)
        except Exception:
            log.exception("the policy could not be read by a fault of the balancer's own, the old policy stays")
            return
        if not reading.is_news:
            return
        for fault in reading.refused:
            log.error(f"the policy file is refused, the old policy stays: {fault}")
        if not reading.refused:
            log.info(f"the policy was read again: {reading.changed or 'it says what it said'}")

    def _follow_the_policy(self) -> Policy:
        """Do what a new policy, or a window that has opened, asks of the service itself: its mode and its interval."""
        policy = self._in_force()
        if policy.mode is Mode.ACT:
            self._standing.see_to_it()
        else:
            self._carrying.stop_our_own(f"the policy's mode is {policy.mode} now")
            if not (self._site.runners or self._people.errands):
                self._standing.only_look()
        self._keep_the_pace(policy)
        return policy

    def _keep_the_pace(self, policy: Policy) -> None:
        """Look, and glance between two looks, as often as the policy says."""
        self._rhythm.keep_the_pace(
            policy.interval_seconds / self._pace, self._glance, policy.watch_seconds / self._pace
        )

    def _watch_the_lead(self) -> None:
        """Take over between two cycles, and begin one at once."""
        try:
            if self._in_force().mode is Mode.ACT and self._standing.see_to_it():
                self._cycle()
            self._trouble = ""
        except BalancerError as failed:
            if str(failed) != self._trouble:
                log.warning("who leads cannot be seen", cause=str(failed))
            self._trouble = str(failed)

    # -- a cycle

    def _cycle(self) -> None:
        with self._one_cycle:
            try:
                self._read_policy()
                policy = self._follow_the_policy()
                # Who takes over in mid-cycle first has to settle what the other has left, so this cycle only looks.
                acts = policy.mode is Mode.ACT and self._standing.leads
                if acts:
                    settle(self._site, self._in_force)
                began = time.monotonic()
                cycle = run_cycle(self._site, policy)
                took_seconds = time.monotonic() - began
                found_work, now = cycle.safe is not None, self._site.clock.now()
                self._lookout = self._lookout.after_look(cycle.seen, policy, found_work, now)
                self._answer(cycle, policy.mode, acts, took_seconds)
                self.show(cycle, policy, took_seconds)
            except BalancerError as failed:
                log.error("cycle failed, the next one tries again", cause=str(failed))
                self._write_health(f"cycle failed: {failed}", is_well=False)
            except Exception:
                log.exception("cycle failed by a fault of the balancer's own")
                self._write_health("cycle failed by a fault of the balancer's own", is_well=False)

    def _answer(self, cycle: Cycle, mode: Mode, acts: bool, took_seconds: float | None = None) -> None:
        """Say what a cycle found, and do what follows from it: ask people, or act."""
        sentence = f"would do, if it led: {cycle.sentence}" if self._site.stands_by else cycle.sentence
        log.info(sentence, **_facts(cycle, mode, took_seconds))
        held = self._site.why_held
        if held:
            log.warning(f"nothing but waking is begun: {held}" if not self._site.acting.why_killed else held)
        self._carrying.say_what_is_under_way(cycle.plan.id)
        self._tell_conflicts(cycle.plan)
        if mode is Mode.CONFIRM and cycle.safe is not None:
            waiting = self._state / WAITING_PLAN
            waiting.write_text(to_json(cycle.safe))
            self._propose(cycle.safe)
            log.info("a plan waits for a person", command=f"balancer apply {waiting}")
        if acts and cycle.safe is not None:
            self._carrying.act(cycle.safe)
        self._write_health("; ".join(filter(None, (cycle.sentence, held))), is_well=True)

    def _propose(self, plan: Plan) -> None:
        """Ask people about a plan; of a pair of balancers the one that leads does, or both where none does."""
        if not self._site.stands_by:
            self._site.acting.store.proposals.propose(plan, self._site.clock.now())

    def show(self, cycle: Cycle, policy: Policy, took_seconds: float | None = None) -> None:
        """Let pages and API read what a cycle found, and keep it to be searched and replayed.

        What cannot be kept fails no cycle.
        """
        self.board.publish(cycle, policy, self._watched.loaded, self._watched.path, took_seconds)
        if self._site.stands_by:
            return
        try:
            self.chronicle.keep(cycle, policy)
        except (BalancerError, OSError) as failed:
            log.warning("a cycle could not be kept", cause=str(failed))

    def _tell_conflicts(self, plan: Plan) -> None:
        """Say which rules no placement keeps all, each time that these are others than before."""
        conflicts = {str(conflict) for conflict in plan.conflicts}
        for conflict in sorted(conflicts - self._conflicts_told):
            log.warning(conflict, way_out="balancer check --site names the lines")
        self._conflicts_told = conflicts

    def _write_health(self, sentence: str, is_well: bool) -> None:
        refused = tuple(map(str, self._watched.refused))
        self.board.tell(self._standing.role, "" if is_well else sentence, refused)
        stale_after = MISSED_BY_AT_MOST * self._in_force().interval_seconds / self._pace
        condition = Condition(is_well, self._standing.role, sentence, stale_after, self._watched.policy.name, refused)
        write_health(self._state, self._site.clock.now(), condition)

    # -- between two cycles

    def _glance(self) -> None:
        """Look at nothing but how busy hosts are, between two cycles, and begin the next one at once where they surge.

        Who does not act glances at nothing; and a cycle that is under way sees for itself.
        """
        if not self._standing.leads or self._site.acting.why_killed or not self._one_cycle.acquire(blocking=False):
            return
        try:
            platform = self._site.acting.platform
            self._lookout = glanced = self._lookout.after_glance(platform.glance(), self._site.clock.now())
            if glanced.surge:
                platform.compare_with_the_last_glances()
        except Exception as failed:
            log.warning("it could not be watched for surges", cause=str(failed))
            return
        finally:
            self._one_cycle.release()
        if glanced.suspects:
            self._rhythm.begin_in(SECONDS_UNTIL_A_SECOND_GLANCE, WATCH)
        if glanced.surge:
            log.warning(f"looking at once, not at the next interval: {glanced.surge}")
            self._rhythm.begin_in(0, CYCLE)

    def _plan_anew(self) -> None:
        """Look again at once, not at the next interval, where the world was not as a plan took it to be."""
        self._rhythm.begin_at_once(self._site.clock.now())


def _facts(cycle: Cycle, mode: Mode, took_seconds: float | None) -> dict[str, str | float | None]:
    """Return what the log says beside a cycle's sentence; the plan's id is the cycle's."""
    gap = cycle.plan.summary.gap
    return {
        "plan": cycle.plan.id,
        "mode": mode,
        "moves": cycle.plan.summary.moves,
        "asleep": sum(host.state in ASLEEP for host in cycle.seen.hosts),
        "gap": None if gap is None else round(gap, 4),
        "seconds": None if took_seconds is None else round(took_seconds, 3),
    }
