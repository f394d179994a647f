"""Plans that wait for a person, and what people said of them: shared by the service, the command line and the pages."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from balancer.domain.plan import Plan
from balancer.store.database import Database
from balancer.store.tables import proposals

KEPT_DAYS = 30
A_REJECTION_LASTS = timedelta(hours=24)


class ProposalState(StrEnum):
    """What became of a plan that was shown to people."""

    WAITING = "waiting"
    APPROVED = "approved"  # the service has yet to begin it
    BEGUN = "begun"
    ENDED = "ended"
    REFUSED = "refused"  # approved, and found unsafe on a fresh look
    REJECTED = "rejected"
    POSTPONED = "postponed"


OPEN = (ProposalState.WAITING, ProposalState.POSTPONED)


@dataclass(frozen=True)
class Proposal:
    """A plan that was proposed, and the answer to it. `steps`: those that were approved; none named: all."""

    plan: Plan
    at: datetime
    state: ProposalState = ProposalState.WAITING
    who: str = ""
    why: str = ""
    decided_at: datetime | None = None
    until: datetime | None = None
    steps: tuple[str, ...] = ()
    outcome: str = ""

    @property
    def id(self) -> str:
        return self.plan.id

    @property
    def approved(self) -> Plan:
        """The part of the plan that somebody approved."""
        return self.plan.part(self.steps) if self.steps else self.plan

    def is_open(self, now: datetime) -> bool:
        """Whether somebody may still decide on it: a newer plan does not close it, its own age does."""
        return self.state in OPEN and now <= self.plan.valid_until

    @property
    def tag(self) -> str:
        """What changes whenever the proposal does."""
        moment = self.decided_at.timestamp() if self.decided_at else 0
        return hashlib.sha256(f"{self.id} {self.state} {moment} {self.outcome}".encode()).hexdigest()[:24]

    def __str__(self) -> str:
        by = f" by {self.who}" if self.who else ""
        until = f" until {self.until:%Y-%m-%d %H:%M}" if self.until else ""
        return f"{self.state}{by}{until}" + (f": {self.why}" if self.why else "")


class Proposals:
    """The plans of the last days that people were asked about."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def propose(self, plan: Plan, now: datetime) -> Proposal:
        """Ask people about a plan. One that does the same as one that was rejected or put off shares its answer."""
        answer = self._standing_answer(likeness(plan), now)
        state = ProposalState.WAITING if answer is None else answer.state
        proposal = (
            Proposal(plan, now)
            if answer is None
            else Proposal(plan, now, state, answer.who, answer.why, answer.decided_at, answer.until)
        )
        with self._database.writing("propose a plan") as connection:
            connection.execute(delete(proposals).where(proposals.c.at < now - timedelta(days=KEPT_DAYS)))
            connection.execute(delete(proposals).where(proposals.c.plan_id == plan.id))
            connection.execute(insert(proposals).values(_columns(proposal)))
        return proposal

    def _standing_answer(self, alike: str, now: datetime) -> Proposal | None:
        rejected = (proposals.c.state == ProposalState.REJECTED) & (proposals.c.decided_at > now - A_REJECTION_LASTS)
        postponed = (proposals.c.state == ProposalState.POSTPONED) & (proposals.c.until > now)
        question = select(proposals).where(proposals.c.likeness == alike, rejected | postponed)
        with self._database.reading("read what was said of plans") as connection:
            row = connection.execute(question.order_by(proposals.c.decided_at.desc()).limit(1)).one_or_none()
        return None if row is None else _proposal(row)

    def of(self, plan_id: str) -> Proposal | None:
        """Return what is known of a plan; None where it was never proposed."""
        with self._database.reading("read a proposal") as connection:
            row = connection.execute(select(proposals).where(proposals.c.plan_id == plan_id)).one_or_none()
        return None if row is None else _proposal(row)

    def latest(self, limit: int = 20) -> tuple[Proposal, ...]:
        """Return the last plans that were proposed, newest first."""
        question = select(proposals).order_by(proposals.c.at.desc(), proposals.c.plan_id.desc()).limit(limit)
        with self._database.reading("read the proposals") as connection:
            return tuple(map(_proposal, connection.execute(question)))

    def approved(self) -> tuple[Proposal, ...]:
        """Return what somebody approved and nobody has begun yet, oldest first."""
        question = select(proposals).where(proposals.c.state == ProposalState.APPROVED)
        with self._database.reading("read what was approved") as connection:
            return tuple(map(_proposal, connection.execute(question.order_by(proposals.c.decided_at))))

    def decide(
        self,
        plan_id: str,
        state: ProposalState,
        who: str,
        why: str,
        now: datetime,
        until: datetime | None = None,
        steps: Sequence[str] = (),
    ) -> bool:
        """Write an answer down; False where the plan is not open any more. Of two answers the first one counts."""
        here = (proposals.c.plan_id == plan_id) & proposals.c.state.in_(OPEN) & (proposals.c.valid_until >= now)
        values = {
            "state": state,
            "who": who,
            "why": why,
            "decided_at": now,
            "until": until,
            "steps": "\n".join(steps),
        }
        with self._database.writing("decide on a plan") as connection:
            return bool(connection.execute(update(proposals).where(here).values(**values)).rowcount)

    def take(self, plan_id: str) -> bool:
        """Begin what was approved; False where another balancer has begun it."""
        here = (proposals.c.plan_id == plan_id) & (proposals.c.state == ProposalState.APPROVED)
        with self._database.writing("begin an approved plan") as connection:
            return bool(connection.execute(update(proposals).where(here).values(state=ProposalState.BEGUN)).rowcount)

    def end(self, plan_id: str, state: ProposalState, outcome: str) -> None:
        """Write down what became of an approved plan."""
        with self._database.writing("note the end of an approved plan") as connection:
            connection.execute(
                update(proposals).where(proposals.c.plan_id == plan_id).values(state=state, outcome=outcome)
            )


def likeness(plan: Plan) -> str:
    """Return the same for two plans that do the same, in whatever order."""
    return hashlib.sha256("\n".join(sorted(map(str, plan.steps))).encode()).hexdigest()


def _columns(proposal: Proposal) -> dict[str, Any]:
    plan = proposal.plan
    return {
        "plan_id": plan.id,
        "at": proposal.at,
        "valid_until": plan.valid_until,
        "plan": plan.model_dump_json(by_alias=True),
        "likeness": likeness(plan),
        "state": proposal.state,
        "who": proposal.who,
        "why": proposal.why,
        "decided_at": proposal.decided_at,
        "until": proposal.until,
        "steps": "\n".join(proposal.steps),
        "outcome": proposal.outcome,
    }


@lru_cache(maxsize=32)
def _plan(written: str) -> Plan:
    """Read a plan; the same one is looked at again and again, and never changes."""
    return Plan.model_validate_json(written)


def _proposal(row: Row[Any]) -> Proposal:
    return Proposal(
        plan=_plan(row.plan),
        at=row.at,
        state=ProposalState(row.state),
        who=row.who,
        why=row.why,
        decided_at=row.decided_at,
        until=row.until,
        steps=tuple(row.steps.split("\n")) if row.steps else (),
        outcome=row.outcome,
    )
