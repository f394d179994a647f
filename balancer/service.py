"""The long-running process: a cycle every few minutes, acting beside it, a clean end on SIGTERM.

Of a pair of balancers one leads. The other one stands by: it looks and plans as the leader does, touches nothing, and
takes over once the leader has given up the right to act or has let it run out.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, RLock

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from balancer.chronicle import Chronicle
from balancer.cycle import Cycle, look_and_expect, run_cycle
from balancer.domain.plan import Mode, Plan
from balancer.errors import BalancerError, StoreError
from balancer.execution import Outcome, Result, Runner
from balancer.execution.power_proof import prove_power
from balancer.formats import to_json
from balancer.leadership import Leadership
from balancer.planning import verify
from balancer.policy import Policy, WatchedPolicy
from balancer.policy.caution import OnStop
from balancer.published import Board, PowerTest, Run
from balancer.remembering import BALANCER
from balancer.site import Site, limits_of
from balancer.stability.lookout import SECONDS_UNTIL_A_SECOND_GLANCE, Lookout
from balancer.store.audit import AuditLine
from balancer.store.proposals import Proposal, ProposalState
from balancer.virtual_time import SECONDS_BETWEEN_EARLY_CYCLES

log = structlog.get_logger()

HEALTH_FILE = "health.json"
WAITING_PLAN = "waiting-plan.json"
SECONDS_BETWEEN_LOOKS_AT_THE_END = 0.5
SECONDS_BETWEEN_LOOKS_AT_PEOPLE = 1.0  # who approves a plan wants to see that something begins
CYCLE, WATCH = "cycle", "watch"
MISSED_BY_AT_MOST = 3  # intervals without a cycle until the process counts as unhealthy


class Service:
    """Looks, plans and, where the policy says so, acts, until it is told to stop."""

    def __init__(
        self, site: Site, watched: WatchedPolicy, state: Path, lease_seconds: float, pace: float = 1.0
    ) -> None:
        """pace: seconds of the site that pass in one of ours; a simulated site may live faster than we do."""
        self._site, self._watched, self._state, self._pace = site, watched, state, pace
        self.board = Board(lambda: tuple(map(Run.of, tuple(site.runners))))
        self.chronicle = Chronicle(site.acting.store, state)
        self._of_people: set[Runner] = set()  # plans that somebody approved; no mode and no window ends them
        self._errands = 0  # power tests under way
        self._leadership = Leadership(site, lease_seconds)
        # A queue that a signal handler may use at any moment; an Event would lock itself up on a second signal.
        self._told: SimpleQueue[int] = SimpleQueue()
        self._conflicts_told: set[str] = set()  # of the last plan
        self._hands = ThreadPoolExecutor(max_workers=4, thread_name_prefix="acting")
        self._leading: ExitStack | None = None
        self._changing_the_lead = RLock()
        self._role, self._trouble = "", ""  # as they were last said
        self._reading, self._one_cycle = Lock(), Lock()
        self._cycles: BackgroundScheduler | None = None
        self._last_early: datetime | None = None
        self._lookout = Lookout()

    def run(self) -> None:
        """Work until SIGTERM or SIGINT; then nothing new is begun, and running migrations end as the policy says.

        SIGHUP has the policy read again at once, whether its files differ or not.
        """
        for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(name, lambda number, _: self._told.put(number))
        try:
            self._cycles = _every(self._in_force().interval_seconds / self._pace, self._cycle)
            self._cycles.add_job(
                self._see_to_people,
                "interval",
                seconds=SECONDS_BETWEEN_LOOKS_AT_PEOPLE,
                misfire_grace_time=None,
                coalesce=True,
            )
            often = self._leadership.times.renew_every_seconds
            self._cycles.add_job(
                self._watch_the_lead, "interval", seconds=often, misfire_grace_time=None, coalesce=True
            )
            self._keep_the_pace(self._in_force())
            while self._told.get() == signal.SIGHUP:
                self._read_policy(is_told_to=True)
                self._keep_the_pace(self._in_force())
            self._cycles.shutdown(wait=True)
            self._let_finish()
        finally:
            self._let_go()

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
            self._see_to_the_lead()
        else:
            for runner in list(self._site.runners):
                if runner not in self._of_people:
                    runner.stop(f"the policy's mode is {policy.mode} now")
            if not (self._site.runners or self._errands):
                self._let_go()
                self._say_role("")
        self._keep_the_pace(policy)
        return policy

    def _keep_the_pace(self, policy: Policy) -> None:
        """Look, and glance between two looks, as often as the policy says."""
        if self._cycles is not None:
            _pace(self._cycles, CYCLE, policy.interval_seconds / self._pace)
            _watch(self._cycles, self._glance, policy.watch_seconds / self._pace)

    def _watch_the_lead(self) -> None:
        """Take over between two cycles, and begin one at once."""
        try:
            if self._in_force().mode is Mode.ACT and self._see_to_the_lead():
                self._cycle()
            self._trouble = ""
        except BalancerError as failed:
            if str(failed) != self._trouble:
                log.warning("who leads cannot be seen", cause=str(failed))
            self._trouble = str(failed)

    def _see_to_the_lead(self) -> bool:
        """Lead where nobody else does, and stop where the right to act was lost; says whether it was taken just now."""
        with self._changing_the_lead:
            if self._leading is not None and not self._has_lost_the_lead():
                return False
            for runner in list(self._site.runners):
                runner.stop("the right to act was lost")
            if self._site.runners:
                return False  # it sees what it began to its end, and begins nothing
            self._let_go()
            return self._lead()

    def _has_lost_the_lead(self) -> bool:
        """Whether the right to act has run out: a machine that stood still would wake nobody ever again."""
        lost = not self._site.acting.may_act
        if lost:
            log.warning("the right to act was lost, and is asked for anew")
        return lost

    def _lead(self) -> bool:
        """Take the right to act and keep it until the last migration has ended; stand by where another has it."""
        held = ExitStack()
        if not self._site.is_private:
            if not self._leadership.take_if_free():
                self._site.stands_by = True
                self._say_role(f"stands by: {self._leadership.held_by() or 'nobody leads yet'}")
                return False
            held.enter_context(self._leadership.renewed())
        self._leading, self._site.stands_by = held, False
        self._say_role("leads")
        return True

    def _say_role(self, role: str) -> None:
        """Log what this balancer is to the cluster when that has changed; until when another leads always does."""
        who = role.partition(" until ")[0]
        if who != self._role.partition(" until ")[0]:
            log.info(f"this balancer {who or 'only looks'}", owner=self._leadership.owner)
        self._role = role

    def _let_go(self) -> None:
        """Give the right to act back."""
        with self._changing_the_lead:
            held, self._leading = self._leading, None
            self._site.stands_by = False
            if held is not None:
                held.close()

    def _settle(self) -> None:
        """Find out what became of what was begun and is held by no runner."""
        for settled in self._site.settle(self._in_force()):
            (log.error if settled.alarm else log.info)(str(settled))

    def _let_finish(self) -> None:
        """Let what runs end, or ask for its end, as the policy says, for a while; a second signal cuts it short."""
        caution = self._in_force().caution
        for runner in list(self._site.runners):
            (runner.abort if caution.on_stop is OnStop.ABORT else runner.stop)("the service was told to stop")
        give_up = self._site.clock.now() + timedelta(minutes=caution.stop_within_minutes)
        while self._site.runners and self._site.clock.now() < give_up and not self._is_told_again():
            pass
        for runner in list(self._site.runners):
            under_way = "; ".join(str(each.step) for each in runner.progress().running)
            log.warning("left to the hypervisors, the next start settles it", steps=under_way)
            runner.let_go()
        self._hands.shutdown(wait=True)
        log.info("stopped")

    def _is_told_again(self) -> bool:
        """Wait a moment for another signal that says stop."""
        try:
            return self._told.get(timeout=SECONDS_BETWEEN_LOOKS_AT_THE_END) != signal.SIGHUP
        except Empty:
            return False

    def _cycle(self) -> None:
        with self._one_cycle:
            try:
                self._read_policy()
                policy = self._follow_the_policy()
                # Who takes over in mid-cycle first has to settle what the other has left, so this cycle only looks.
                acts = policy.mode is Mode.ACT and self._leading is not None
                if acts:
                    self._settle()
                cycle = run_cycle(self._site, policy)
                found_work, now = cycle.safe is not None, self._site.clock.now()
                self._lookout = self._lookout.after_look(cycle.seen, policy, found_work, now)
                self._answer(cycle, policy.mode, acts)
                self.show(cycle, policy)
            except BalancerError as failed:
                log.error("cycle failed, the next one tries again", cause=str(failed))
                self._write_health(f"cycle failed: {failed}", is_well=False)
            except Exception:
                log.exception("cycle failed by a fault of the balancer's own")
                self._write_health("cycle failed by a fault of the balancer's own", is_well=False)

    def _glance(self) -> None:
        """Look at nothing but how busy hosts are, between two cycles, and begin the next one at once where they surge.

        Who does not act glances at nothing; and a cycle that is under way sees for itself.
        """
        if self._leading is None or self._site.acting.why_killed or not self._one_cycle.acquire(blocking=False):
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
            self._begin_in(SECONDS_UNTIL_A_SECOND_GLANCE, WATCH)
        if glanced.surge:
            log.warning(f"looking at once, not at the next interval: {glanced.surge}")
            self._begin_in(0, CYCLE)

    def _begin_in(self, seconds: float, job: str) -> None:
        """Have a job begin earlier than it would."""
        known = self._cycles.get_job(job) if self._cycles is not None and self._told.empty() else None
        if known is not None:
            known.modify(next_run_time=datetime.now().astimezone() + timedelta(seconds=seconds))

    def show(self, cycle: Cycle, policy: Policy) -> None:
        """Let pages and API read what a cycle found, and keep it to be searched and replayed.

        What cannot be kept fails no cycle.
        """
        self.board.publish(cycle, policy, self._watched.loaded, self._watched.path)
        if self._site.stands_by:
            return
        try:
            self.chronicle.keep(cycle, policy)
        except (BalancerError, OSError) as failed:
            log.warning("a cycle could not be kept", cause=str(failed))

    def _answer(self, cycle: Cycle, mode: Mode, acts: bool) -> None:
        sentence = f"would do, if it led: {cycle.sentence}" if self._site.stands_by else cycle.sentence
        log.info(sentence, plan=cycle.plan.id, moves=cycle.plan.summary.moves, gap=cycle.plan.summary.gap)
        held = self._site.why_held
        if held:
            log.warning(f"nothing but waking is begun: {held}" if not self._site.acting.why_killed else held)
        for runner in list(self._site.runners):
            for each in runner.progress().running:
                log.info(f"under way: {each.step}: {each.course}", plan=cycle.plan.id)
        self._tell_conflicts(cycle.plan)
        if mode is Mode.CONFIRM and cycle.safe is not None:
            waiting = self._state / WAITING_PLAN
            waiting.write_text(to_json(cycle.safe))
            self._propose(cycle.safe)
            log.info("a plan waits for a person", command=f"balancer apply {waiting}")
        if acts and cycle.safe is not None:
            self._act(cycle.safe)
        self._write_health("; ".join(filter(None, (cycle.sentence, held))), is_well=True)

    def _propose(self, plan: Plan) -> None:
        """Ask people about a plan; of a pair of balancers the one that leads does, or both where none does."""
        if not self._site.stands_by:
            self._site.acting.store.proposals.propose(plan, self._site.clock.now())

    # -- what people ask for

    def _see_to_people(self) -> None:
        """Begin what somebody has approved, and the power tests that were asked for."""
        try:
            for proposal in self._site.acting.store.proposals.approved():
                self._begin_approved(proposal)
            # One at a time: what waits for one of these threads may be the wake-up of a host that is needed.
            if not self._errands and (asked := self.board.next_power_test()) is not None:
                self._errands += 1
                self._hands.submit(self._test_power, asked)
        except BalancerError as failed:
            log.error("what people asked for could not be seen to, it is tried again", cause=str(failed))
        except Exception:
            log.exception("what people asked for failed by a fault of the balancer's own")

    def _begin_approved(self, proposal: Proposal) -> None:
        """Prove on a fresh look what somebody approved, and carry it out if it still holds."""
        with self._one_cycle:
            if not self._may_lead() or not self._site.acting.store.proposals.take(proposal.id):
                return
            self._settle()
            why_not = self._why_not_now(proposal)
            if why_not:
                log.warning("an approved plan is not carried out", plan=proposal.id, cause=why_not)
                self._site.acting.store.proposals.end(proposal.id, ProposalState.REFUSED, why_not)
                self._plan_the_rest_anew()
                return
            log.info(f"carrying out what {proposal.who} approved", plan=proposal.id)
            runner = self._site.begin(proposal.approved, self._in_force, watch=self._see_to_another)
            self._of_people.add(runner)
            self._hands.submit(self._carry_out, runner, proposal.id)

    def _why_not_now(self, proposal: Proposal) -> str:
        """Look afresh and say what speaks against an approved plan; empty where nothing does."""
        now = self._site.clock.now()
        if now > proposal.plan.valid_until:
            return f"it was valid until {proposal.plan.valid_until:%H:%M}"
        policy = self._in_force(now)
        if policy.mode is Mode.RECOMMEND:
            return "the policy's mode is recommend now"
        fresh = look_and_expect(self._site, policy)
        objections = verify(proposal.approved, fresh, policy, self._site.remembered(policy, watching=False))
        return "; ".join(map(str, objections[:3]))

    def _may_lead(self) -> bool:
        """Take the right to act for a person's sake, where nobody else has it."""
        self._see_to_the_lead()
        return self._leading is not None

    def _test_power(self, asked: PowerTest) -> None:
        """Prove a host's power before nobody's eyes; what came of it is in the audit."""
        try:
            with self._one_cycle:
                if not self._may_lead():
                    self._write_audit(f"no power test: {self._role}", asked.host)
                    return
            said = str(prove_power(self._site.acting, asked.host, limits_of(self._in_force())))
            self._write_audit(f"power test: {said}", asked.host)
        except BalancerError as failed:
            self._write_audit(f"power test failed: {failed}", asked.host)
        except Exception:
            log.exception("a power test ended by a fault of the balancer's own")
        finally:
            self._errands -= 1
            self.board.power_test_ended(asked.host)

    def _write_audit(self, what: str, host: str) -> None:
        log.info(what, host=host)
        try:
            self._site.acting.store.audit.add(AuditLine(self._site.clock.now(), BALANCER, what, f"host:{host}"))
        except StoreError as failed:
            log.error("the audit could not be written", cause=str(failed))

    def _tell_conflicts(self, plan: Plan) -> None:
        """Say which rules no placement keeps all, each time that these are others than before."""
        conflicts = {str(conflict) for conflict in plan.conflicts}
        for conflict in sorted(conflicts - self._conflicts_told):
            log.warning(conflict, way_out="balancer check --site names the lines")
        self._conflicts_told = conflicts

    def _act(self, plan: Plan) -> None:
        """Carry a plan out beside the loop. While another one runs, or it is paused, only wake-ups are begun."""
        wanted = self._site.what_may_begin(plan)
        if wanted is not None:
            runner = self._site.begin(wanted, self._in_force, while_acting=True, watch=self._see_to_another)
            self._hands.submit(self._carry_out, runner)

    def _see_to_another(self, outcome: Outcome) -> None:
        """Have another host woken at once where one did not come; the rest of the plan goes on meanwhile."""
        if outcome.step.is_waking and outcome.result is Result.FAILED:
            self._plan_the_rest_anew()

    def _carry_out(self, runner: Runner, proposal_id: str = "") -> None:
        try:
            runner.run_to_end(self._site.clock)
        except BalancerError as failed:
            log.error("acting stopped", cause=str(failed))
        except Exception:
            log.exception("acting stopped by a fault of the balancer's own")
        self._of_people.discard(runner)
        try:
            report = self._site.finish(runner)
            if proposal_id:
                self._site.acting.store.proposals.end(proposal_id, ProposalState.ENDED, report.sentence)
        except BalancerError as failed:
            log.error("what was done could not be remembered", cause=str(failed))
            return
        log.info(report.sentence, plan=report.plan_id)
        for alarm in report.alarms:
            log.error("ALARM: " + alarm)
        if report.needs_replan:
            self._plan_the_rest_anew()

    def _plan_the_rest_anew(self) -> None:
        """Look again at once, not at the next interval, where the world was not as a plan took it to be."""
        now = self._site.clock.now()
        early = self._last_early is None or (now - self._last_early).total_seconds() >= SECONDS_BETWEEN_EARLY_CYCLES
        if early and self._cycles is not None and self._cycles.running and self._told.empty():
            self._last_early = now
            for job in self._cycles.get_jobs():
                job.modify(next_run_time=datetime.now().astimezone())

    def _write_health(self, sentence: str, is_well: bool) -> None:
        refused = tuple(map(str, self._watched.refused))
        self.board.tell(self._role, "" if is_well else sentence, refused)
        facts = {
            "at": self._site.clock.now().isoformat(),
            "well": is_well,
            "role": self._role,
            "sentence": sentence,
            "stale_after_seconds": MISSED_BY_AT_MOST * self._in_force().interval_seconds / self._pace,
            "policy": self._watched.policy.name,
            "policy_refused": list(refused),
        }
        new = self._state / f".{HEALTH_FILE}.new"
        new.write_text(json.dumps(facts))
        new.replace(self._state / HEALTH_FILE)


def _every(seconds: float, job: Callable[[], object]) -> BackgroundScheduler:
    """Do a job now and again after so many seconds, one at a time; a late one is done once, not made up for."""
    scheduler = BackgroundScheduler(timezone="UTC")
    options = {"coalesce": True, "max_instances": 1, "misfire_grace_time": max(1, int(seconds / 2))}
    scheduler.add_job(job, "interval", id=CYCLE, seconds=seconds, next_run_time=datetime.now().astimezone(), **options)
    scheduler.start()
    return scheduler


def _watch(cycles: BackgroundScheduler, job: Callable[[], object], seconds: float) -> None:
    """Have a job done every so many seconds between cycles, or not at all."""
    is_there = cycles.get_job(WATCH) is not None
    if seconds and is_there:
        _pace(cycles, WATCH, seconds)
    elif seconds:
        options = {"coalesce": True, "max_instances": 1, "misfire_grace_time": max(1, int(seconds / 2))}
        cycles.add_job(job, "interval", id=WATCH, seconds=seconds, replace_existing=True, **options)
    elif is_there:
        cycles.remove_job(WATCH)


def _pace(cycles: BackgroundScheduler, name: str, seconds: float) -> None:
    """Have a job done at another interval from now on."""
    job = cycles.get_job(name)
    if job.trigger.interval != timedelta(seconds=seconds):
        job.modify(misfire_grace_time=max(1, int(seconds / 2)))
        job.reschedule("interval", seconds=seconds)


def refused_policy(state: Path) -> str:
    """Say that the running service keeps an old policy because the file is bad now; empty where it does not."""
    try:
        faults = json.loads((state / HEALTH_FILE).read_text()).get("policy_refused", [])
    except (OSError, ValueError):
        return ""
    return f"the policy file is refused and the old policy stays: {'; '.join(faults)}" if faults else ""


def role_in_words(state: Path) -> str:
    """Say whether the running service leads or stands by, and for whom; empty where it only looks."""
    try:
        return str(json.loads((state / HEALTH_FILE).read_text()).get("role", ""))
    except (OSError, ValueError):
        return ""


def why_unhealthy(state: Path, now: datetime) -> str:
    """Say what is wrong with the process that writes its health here; empty when it is well."""
    try:
        facts = json.loads((state / HEALTH_FILE).read_text())
        age = (now - datetime.fromisoformat(facts["at"])).total_seconds()
        if age > facts["stale_after_seconds"]:
            return f"no cycle for {age:.0f} s"
        return "" if facts["well"] else str(facts["sentence"])
    except FileNotFoundError:
        return f"the service does not run, or not with BALANCER_STATE={state}: there is no {HEALTH_FILE} in it"
    except (OSError, ValueError, KeyError) as cause:
        return f"the service does not run, or not with BALANCER_STATE={state}: {cause}"
