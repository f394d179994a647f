"""What may still be spent on moves, and when there is room again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from balancer.domain.memory import Memory
from balancer.domain.units import MIB_PER_GIB
from balancer.policy.pace import Budget

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Limit:
    """One limit of the budget: what is left of it, and how it is said once it is spent."""

    left: float
    said: str


@dataclass(frozen=True)
class Left:
    """What one cycle may spend: the narrowest limit on moves and that on MiB; None where there is none."""

    moves: Limit | None = None
    mib: Limit | None = None

    @property
    def most_moves(self) -> int | None:
        return None if self.moves is None else int(self.moves.left)

    @property
    def most_mib(self) -> float | None:
        return None if self.mib is None else self.mib.left

    def why_spent(self, moves: int, mib: float, smallest_mib: float = 0.0) -> str:
        """Say which budget a plan of so many moves uses up; empty where one more of `smallest_mib` would fit."""
        if self.moves is not None and moves >= self.moves.left:
            return self.moves.said
        if self.mib is not None and (mib >= self.mib.left or mib + smallest_mib > self.mib.left * (1 + 1e-9)):
            return self.mib.said
        return ""


def left_for_this_cycle(budget: Budget, memory: Memory, in_need: bool = False) -> Left:
    """Return what is left of the budget of the cycle and of the hour; `in_need`: while a hard promise is broken."""
    again = f"; room again from {memory.oldest_spent_at + HOUR:%H:%M}" if memory.oldest_spent_at else ""
    more_moves, more_gib = (budget.emergency.moves, budget.emergency.gib) if in_need else (0, 0.0)
    hour = budget.per_hour
    moves = [
        _limit("moves", budget.moves, 0, more_moves, "this cycle; the next one goes on"),
        _limit("per_hour.moves", hour.moves, memory.moves_spent, more_moves, f"the last hour{again}"),
    ]
    amounts = [
        _limit("gib", budget.gib, 0.0, more_gib, "this cycle; the next one goes on"),
        _limit("per_hour.gib", hour.gib, memory.gib_spent, more_gib, f"the last hour{again}"),
    ]
    return Left(_narrowest(moves), _in_mib(_narrowest(amounts)))


def _limit(name: str, allowed: float | None, spent: float, more: float, when: str) -> Limit | None:
    if allowed is None:
        return None
    return Limit(max(0.0, allowed - spent) + more, f"budget.{name} allows {allowed + more:g} in {when}")


def _narrowest(limits: list[Limit | None]) -> Limit | None:
    return min((limit for limit in limits if limit is not None), key=lambda limit: limit.left, default=None)


def _in_mib(limit: Limit | None) -> Limit | None:
    return None if limit is None else Limit(limit.left * MIB_PER_GIB, limit.said)
