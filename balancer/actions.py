"""What a person can ask of the balancer, through whatever door they come in: commands, pages and API alike.

Each is written down with the person's name. What cannot be done raises InputError in words; NotThere and TooLate are
told apart for those who answer in numbers.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from balancer.domain.plan import Plan
from balancer.errors import Fault, InputError
from balancer.planning import Objection, verify
from balancer.power.base import PowerState
from balancer.published import Published
from balancer.site import Site
from balancer.store import Store
from balancer.store.audit import AuditLine
from balancer.store.drains import Drain
from balancer.store.halts import Halt
from balancer.store.journal import JournalEntry
from balancer.store.marks import Cordon
from balancer.store.proposals import Proposal, ProposalState

NO_REASON = "no reason given"


class NotThere(InputError):
    """What was named does not exist."""


class TooLate(InputError):
    """It exists, and is not in a state in which that can be done."""


@dataclass(frozen=True)
class Asking:
    """Somebody who asks something of a site."""

    site: Site
    who: str

    # -- holding back and going on

    def pause(self, why: str = NO_REASON) -> bool:
        """Begin nothing but waking any more; says whether that is new."""
        is_new = self._store.halts.pause(self.who, why, self._now)
        if is_new:
            self._write_down(f"paused: {why}")
        return is_new

    def resume(self) -> tuple[Halt, ...]:
        """Let the balancer go on; returns what held it back."""
        lifted = self._store.halts.resume(self._now)
        if lifted:
            self._write_down("resumed")
        return lifted

    def give_up(self, guest: str | None = None, why: str = NO_REASON) -> tuple[JournalEntry, ...]:
        """Want the migration of a guest given up, or all that are under way; returns them."""
        moving = [entry for entry in self._store.journal.unsettled() if entry.step.is_move]
        found = tuple(entry for entry in moving if guest in {None, entry.vm})
        if guest is not None and not found:
            named = ", ".join(sorted(entry.vm or "" for entry in moving)) or "none"
            raise NotThere([Fault(guest, "no migration of this guest is under way", f"under way: {named}")])
        self._store.halts.give_up([entry.id for entry in found], self.who, why, self._now)
        for entry in found:
            self._write_down(f"asked to give up: {entry.step}: {why}", f"vm:{entry.vm}")
        return found

    # -- hosts

    def drain(self, host: str, why: str = "maintenance") -> tuple[Drain, bool]:
        """Want a host empty; returns the wish that stands, and whether it is new."""
        self._known(host)
        is_new = self._store.drains.ask(host, self.who, why, self._now)
        if is_new:
            self._write_down(f"drained: {why}", f"host:{host}")
        return self._store.drains.all()[host], is_new

    def undrain(self, host: str) -> tuple[bool, Cordon | None]:
        """Let a host take guests again; says whether it was drained, and what cordon stays."""
        if host not in self._store.drains.all():
            self._known(host)
            return False, None
        self._store.drains.lift(host)
        self._write_down("undrained", f"host:{host}")
        return True, self._store.marks.of(host).cordon

    def wake(self, host: str) -> bool:
        """Switch a host on; False where it is on already. PowerError where its BMC does not do it."""
        switch = self.site.acting.switches.get(self._known(host))
        if switch is None:
            raise NotThere([Fault(host, "has no BMC in the site file", "name its `bmc:` there")])
        if switch.state() is PowerState.ON:
            return False
        switch.power_on()
        self._write_down("asked to wake", f"host:{host}")
        return True

    def may_test_power(self, host: str) -> None:
        """Refuse a power test that makes no sense; write down that it was asked for."""
        if self.site.acting.switches.get(self._known(host)) is None:
            raise NotThere([Fault(host, "has no BMC in the site file", "name its `bmc:` there")])
        self._write_down("asked for a power test", f"host:{host}")

    # -- plans that wait for a person

    def approve(self, plan_id: str, known: Published | None, steps: Sequence[str] = (), why: str = "") -> Proposal:
        """Let a plan be carried out, or some of its steps: these are proven anew, now and on a fresh look."""
        proposal = self._open(plan_id)
        chosen = _steps_of(proposal.plan, steps)
        if known is not None:
            objections = objections_to(proposal.plan.part(chosen) if chosen else proposal.plan, known)
            if objections:
                raise TooLate([Fault(plan_id, str(objection)) for objection in objections[:5]])
        what = f"approved {len(chosen)} of {len(proposal.plan.steps)} steps" if chosen else "approved"
        return self._decide(proposal, ProposalState.APPROVED, what, why, steps=chosen)

    def reject(self, plan_id: str, why: str) -> Proposal:
        """Turn a plan down: one that does the same is not proposed again for a day."""
        if not why.strip():
            raise InputError([Fault(plan_id, "is rejected without a reason", "say why: others will read it")])
        return self._decide(self._open(plan_id), ProposalState.REJECTED, "rejected", why)

    def postpone(self, plan_id: str, minutes: float, why: str = "") -> Proposal:
        """Put a plan off: one that does the same is shown as put off for so long."""
        until = self._now + timedelta(minutes=minutes)
        what = f"postponed until {until:%Y-%m-%d %H:%M}"
        return self._decide(self._open(plan_id), ProposalState.POSTPONED, what, why, until=until)

    def _open(self, plan_id: str) -> Proposal:
        proposal = self._store.proposals.of(plan_id)
        if proposal is None:
            raise NotThere([Fault(plan_id, "is no plan that waits for anybody", "plans wait in mode confirm")])
        if not proposal.is_open(self._now):
            raise TooLate([Fault(plan_id, _why_closed(proposal, self._now), "look at the newest plan")])
        return proposal

    def _decide(
        self,
        proposal: Proposal,
        state: ProposalState,
        what: str,
        why: str,
        until: datetime | None = None,
        steps: Sequence[str] = (),
    ) -> Proposal:
        if not self._store.proposals.decide(proposal.id, state, self.who, why, self._now, until, steps):
            raise TooLate([Fault(proposal.id, "somebody else has decided on it meanwhile", "look at it again")])
        self._write_down(what + (f": {why}" if why else ""), f"plan:{proposal.id}")
        decided = self._store.proposals.of(proposal.id)
        assert decided is not None
        return decided

    # -- what all of them need

    @property
    def _store(self) -> Store:
        return self.site.acting.store

    @property
    def _now(self) -> datetime:
        return self.site.clock.now()

    def _known(self, host: str) -> str:
        names = [entry.name for entry in self.site.acting.file.hosts]
        if host not in names:
            raise NotThere([Fault(host, "is not in the site file", f"hosts there: {', '.join(names)}")])
        return host

    def _write_down(self, what: str, subject: str = "") -> None:
        subject = subject or f"cluster:{self.site.name}"
        self._store.audit.add(AuditLine(self._now, self.who, what, subject))


def objections_to(plan: Plan, known: Published) -> tuple[Objection, ...]:
    """Say what speaks against a plan on the cluster as it was last seen."""
    return verify(plan, known.cycle.seen, known.policy, known.cycle.memory)


def _steps_of(plan: Plan, steps: Iterable[str]) -> tuple[str, ...]:
    """Return the steps that were chosen, in the plan's order; none where all were."""
    chosen, known = set(steps), [step.id for step in plan.steps]
    unknown = sorted(chosen - set(known))
    if unknown:
        near = difflib.get_close_matches(unknown[0], known, n=1)
        raise NotThere([Fault(unknown[0], "is no step of this plan", f"did you mean {near[0]}?" if near else "")])
    return () if chosen == set(known) else tuple(step for step in known if step in chosen)


def _why_closed(proposal: Proposal, now: datetime) -> str:
    if now > proposal.plan.valid_until:
        return f"was valid until {proposal.plan.valid_until:%Y-%m-%d %H:%M}"
    return f"was decided: {proposal}"
