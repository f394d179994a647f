"""What people ask of the running service: plans that they approved, and power tests."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

import structlog

from balancer.cycle import look_and_expect
from balancer.domain.plan import Mode
from balancer.errors import BalancerError, StoreError
from balancer.execution.power_proof import prove_power
from balancer.planning import verify
from balancer.published import Board, PowerTest
from balancer.remembering import BALANCER
from balancer.service.carrying import Carrying
from balancer.service.standing import Standing
from balancer.site import InForce, Site, limits_of
from balancer.store.audit import AuditLine
from balancer.store.proposals import Proposal, ProposalState

log = structlog.get_logger()


class People:
    """Begins what was asked for, once it is proven on a fresh look and no cycle is under way.

    plan_anew: asks for a cycle at once
    """

    def __init__(
        self,
        site: Site,
        board: Board,
        standing: Standing,
        carrying: Carrying,
        in_force: InForce,
        one_cycle: Lock,
        plan_anew: Callable[[], None],
    ) -> None:
        self._site, self._board, self._standing, self._carrying = site, board, standing, carrying
        self._in_force, self._one_cycle, self._plan_anew = in_force, one_cycle, plan_anew
        self.errands = 0  # power tests under way

    def see_to_them(self) -> None:
        """Begin what somebody has approved, and the power tests that were asked for."""
        try:
            for proposal in self._site.acting.store.proposals.approved():
                self._begin_approved(proposal)
            # One at a time: what waits for one of these threads may be the wake-up of a host that is needed.
            if not self.errands and (asked := self._board.next_power_test()) is not None:
                self.errands += 1
                self._carrying.threads.submit(self._test_power, asked)
        except BalancerError as failed:
            log.error("what people asked for could not be seen to, it is tried again", cause=str(failed))
        except Exception:
            log.exception("what people asked for failed by a fault of the balancer's own")

    def _begin_approved(self, proposal: Proposal) -> None:
        """Prove on a fresh look what somebody approved, and carry it out if it still holds."""
        with self._one_cycle:
            if not self._may_lead() or not self._site.acting.store.proposals.take(proposal.id):
                return
            settle(self._site, self._in_force)
            why_not = self._why_not_now(proposal)
            if why_not:
                log.warning("an approved plan is not carried out", plan=proposal.id, cause=why_not)
                self._site.acting.store.proposals.end(proposal.id, ProposalState.REFUSED, why_not)
                self._plan_anew()
                return
            self._carrying.act_for(proposal)

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
        self._standing.see_to_it()
        return self._standing.leads

    def _test_power(self, asked: PowerTest) -> None:
        """Prove a host's power before nobody's eyes; what came of it is in the audit."""
        try:
            with self._one_cycle:
                if not self._may_lead():
                    self._write_audit(f"no power test: {self._standing.role}", asked.host)
                    return
            limits = limits_of(self._in_force(self._site.clock.now()))
            said = str(prove_power(self._site.acting, asked.host, limits))
            self._write_audit(f"power test: {said}", asked.host)
        except BalancerError as failed:
            self._write_audit(f"power test failed: {failed}", asked.host)
        except Exception:
            log.exception("a power test ended by a fault of the balancer's own")
        finally:
            self.errands -= 1
            self._board.power_test_ended(asked.host)

    def _write_audit(self, what: str, host: str) -> None:
        log.info(what, host=host)
        try:
            self._site.acting.store.audit.add(AuditLine(self._site.clock.now(), BALANCER, what, f"host:{host}"))
        except StoreError as failed:
            log.error("the audit could not be written", cause=str(failed))


def settle(site: Site, in_force: InForce) -> None:
    """Find out what became of what was begun and is held by no runner."""
    for settled in site.settle(in_force(site.clock.now())):
        (log.error if settled.alarm else log.info)(str(settled))
