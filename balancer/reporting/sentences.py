"""The one sentence on top."""

from __future__ import annotations

from balancer.domain.plan import Because, Plan, Summary
from balancer.domain.units import count_of, in_words


def plan_sentence(plan: Plan) -> str:
    """Say in one sentence what a plan does and what it buys."""
    if plan.refused:
        return f"Refused: {plan.refused}."
    if plan.is_empty:
        return _waiting(plan) or "Nothing to do: " + _why_nothing(plan)
    parts = [part for part in _parts(plan.summary) if part]
    return _joined(parts) + f"; {_effect(plan.summary)}."


def gap_sentence(summary: Summary) -> str:
    """Say how far the plan is from the best possible."""
    if summary.proved_optimal:
        return "proved optimal: no placement within the budget is better"
    if summary.gap is None:
        return "no bound is known for this cluster"
    return f"at most {max(summary.gap, 0.0):.1%} of what could be gained is left"


def _waiting(plan: Plan) -> str:
    """Say what is wanted and has not been for long enough; empty where nothing is."""
    waiting = [kept for kept in plan.kept if kept.because is Because.NOT_LASTING_YET]
    if not waiting:
        return ""
    more = f", and {len(waiting) - 1} more" if len(waiting) > 1 else ""
    return f"Nothing to do yet: {waiting[0].subject.partition(':')[2]} {waiting[0].detail}{more}."


def _why_nothing(plan: Plan) -> str:
    summary = plan.summary
    frozen = next(
        (kept for kept in plan.kept if kept.because is Because.FROZEN and kept.subject.startswith("cluster:")), None
    )
    if frozen is not None:
        return f"the policy freezes moves for the time being ({frozen.detail})."
    if summary.gap is None or summary.proved_optimal:
        return "the placement is as good as it gets."
    return "no better placement was found that is worth its moves."


def _parts(summary: Summary) -> tuple[str, ...]:
    return _waking(summary), _moving(summary), _sleeping(summary), _testing(summary)


def _waking(summary: Summary) -> str:
    return f"wake {', '.join(summary.hosts_to_wake)}" if summary.hosts_to_wake else ""


def _moving(summary: Summary) -> str:
    if not summary.moves:
        return ""
    return (
        f"move {count_of(summary.moves, 'guest')} ({summary.gib_to_move:.1f} GiB, {in_words(summary.seconds_to_run)})"
    )


def _sleeping(summary: Summary) -> str:
    return f"put {', '.join(summary.hosts_to_sleep)} to sleep" if summary.hosts_to_sleep else ""


def _testing(summary: Summary) -> str:
    tested = summary.hosts_to_test
    return f"switch {', '.join(tested)} off and on to prove that it wakes" if tested else ""


def _effect(summary: Summary) -> str:
    evenness = f"CPU deviation {summary.imbalance_before.cpu:.3f} → {summary.imbalance_after.cpu:.3f}"
    evenness += f", memory {summary.imbalance_before.memory:.3f} → {summary.imbalance_after.memory:.3f}"
    watts = f", {summary.watts_before:.0f} → {summary.watts_after:.0f} W" if summary.watts_before > 0 else ""
    return evenness + watts


def _joined(parts: list[str]) -> str:
    said = parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
    return said[0].upper() + said[1:]
