"""How far carrying out a plan may go; the policy says it."""

from __future__ import annotations

from dataclasses import dataclass

from balancer.domain.plan import Action

LEAST_MIGRATION_DEADLINE_SECONDS = 120.0  # a busy machine takes its time to set a small migration up
PATIENCE = 5.0  # times what was predicted


@dataclass(frozen=True)
class Limits:
    """Limits on moves and on power, and what follows from failures; the defaults are those of the policy."""

    concurrent_per_host: int = 2
    concurrent: int = 8
    concurrent_between_sites: int = 2
    migration_deadline_seconds: float | None = None
    bandwidth_mib_per_s: float | None = None
    max_doubts: float = 0.20
    wake_trust_days: float = 90.0
    wake: frozenset[str] = frozenset()
    accept_shut_off_guests: bool = False
    hard_off_allowed: bool = False
    moves_frozen: bool = False
    power_frozen: bool = False
    stopped: str = ""  # why nothing at all may be begun any more
    poll_seconds: float = 2.0
    back_off_minutes: float = 30.0
    never_here_minutes: float = 1440.0
    shun_after: int = 3
    shun_within_minutes: float = 60.0
    shun_minutes: float = 60.0
    stop_after: int = 5
    stop_within_minutes: float = 60.0

    def why_frozen(self, action: Action) -> str:
        """Say that the policy lets no such step begin for the time being; empty where it does. Waking is always let."""
        if action is Action.MOVE and self.moves_frozen:
            return "the policy freezes moves now"
        if action in {Action.CORDON, Action.POWER_OFF} and self.power_frozen:
            return "the policy freezes the sleep of hosts now"
        return ""

    def deadline_of_migration(self, predicted_seconds: float) -> float:
        """Return for how long one migration is waited for before it is given up."""
        if self.migration_deadline_seconds is not None:
            return self.migration_deadline_seconds
        return max(LEAST_MIGRATION_DEADLINE_SECONDS, PATIENCE * predicted_seconds)
