"""Plans on their way, each in a thread beside the loop, from their beginning to what is said of their end."""

from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from queue import Empty, SimpleQueue

import structlog

from balancer.domain.plan import Plan
from balancer.errors import BalancerError
from balancer.execution import Outcome, Result, Runner, RunReport
from balancer.policy.caution import Caution, OnStop
from balancer.site import InForce, Site
from balancer.store.proposals import Proposal, ProposalState

log = structlog.get_logger()

SECONDS_BETWEEN_LOOKS_AT_THE_END = 0.5


class Carrying:
    """Carries plans out beside the loop.

    plan_anew: asks for a cycle at once, where the world was not as a plan took it to be
    publish: is given what became of a plan
    """

    def __init__(
        self, site: Site, in_force: InForce, plan_anew: Callable[[], None], publish: Callable[[RunReport], None]
    ) -> None:
        self._site, self._in_force, self._plan_anew, self._publish = site, in_force, plan_anew, publish
        self._of_people: set[Runner] = set()  # plans that somebody approved; no mode and no window ends them
        self.threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="acting")

    def act(self, plan: Plan) -> None:
        """Carry a plan out. While another one runs, or it is paused, only wake-ups are begun."""
        wanted = self._site.what_may_begin(plan)
        if wanted is not None:
            runner = self._site.begin(wanted, self._in_force, while_acting=True, watch=self.see_to_another)
            self.threads.submit(self._carry_out, runner)

    def act_for(self, proposal: Proposal) -> None:
        """Carry out what somebody approved."""
        log.info(f"carrying out what {proposal.who} approved", plan=proposal.id)
        runner = self._site.begin(proposal.approved, self._in_force, watch=self.see_to_another)
        self._of_people.add(runner)
        self.threads.submit(self._carry_out, runner, proposal.id)

    def see_to_another(self, outcome: Outcome) -> None:
        """Have another host woken at once where one did not come; the rest of the plan goes on meanwhile."""
        if outcome.step.is_waking and outcome.result is Result.FAILED:
            self._plan_anew()

    def _carry_out(self, runner: Runner, proposal_id: str = "") -> None:
        try:
            runner.run_to_end(self._site.clock)
        except BalancerError as failed:
            log.error("acting stopped", cause=str(failed))
        except Exception:
            log.exception("acting stopped by a fault of the balancer's own")
        self._of_people.discard(runner)
        report = runner.report()
        try:
            self._site.finish(runner)
            if proposal_id:
                self._site.acting.store.proposals.end(proposal_id, ProposalState.ENDED, report.sentence)
        except BalancerError as failed:
            log.error("what was done could not be remembered", cause=str(failed))  # and is told all the same
        self._publish(report)
        log.info(report.sentence, plan=report.plan_id)
        for alarm in report.alarms:
            log.error("ALARM: " + alarm)
        if report.needs_replan:
            self._plan_anew()

    def say_what_is_under_way(self, plan_id: str) -> None:
        """Log how far each step has come."""
        for runner in list(self._site.runners):
            for each in runner.progress().running:
                log.info(f"under way: {each.step}: {each.course}", plan=plan_id)

    def stop_our_own(self, why: str) -> None:
        """Begin no more steps of plans that nobody approved."""
        for runner in list(self._site.runners):
            if runner not in self._of_people:
                runner.stop(why)

    def let_finish(self, caution: Caution, told: SimpleQueue[int]) -> None:
        """Let what runs end, or ask for its end, as the policy says, for a while; a second signal cuts it short."""
        for runner in list(self._site.runners):
            (runner.abort if caution.on_stop is OnStop.ABORT else runner.stop)("the service was told to stop")
        give_up = self._site.clock.now() + timedelta(minutes=caution.stop_within_minutes)
        while self._site.runners and self._site.clock.now() < give_up and not _is_told_again(told):
            pass
        for runner in list(self._site.runners):
            under_way = "; ".join(str(each.step) for each in runner.progress().running)
            log.warning("left to the hypervisors, the next start settles it", steps=under_way)
            runner.let_go()
        self.threads.shutdown(wait=True)
        log.info("stopped")


def _is_told_again(told: SimpleQueue[int]) -> bool:
    """Wait a moment for another signal that says stop."""
    try:
        return told.get(timeout=SECONDS_BETWEEN_LOOKS_AT_THE_END) != signal.SIGHUP
    except Empty:
        return False
