"""A plan as a page: one file, with the hosts before and after, who goes where, and each step with its reason."""

from __future__ import annotations

from html import escape

from balancer.domain.cluster import Cluster
from balancer.domain.plan import Plan
from balancer.domain.units import in_words, memory_in_words
from balancer.reporting.left_alone import Left, left_alone, unmet_sentence
from balancer.reporting.pages.flows import flows
from balancer.reporting.pages.page import coded, heading, listed, page, paragraph, table
from balancer.reporting.pages.tiles import before_and_after, side_by_side
from balancer.reporting.sentences import gap_sentence, plan_sentence

MOST_OPEN = 12  # names of one reason that are shown at once


def plan_page(plan: Plan, cluster: Cluster) -> str:
    """Return one HTML file about a plan, and the cluster that it was made for."""
    title = f"Plan {plan.id[:8]} for {plan.cluster}"
    where = f"Seen {plan.taken_at:%Y-%m-%d %H:%M:%S %Z}; policy {plan.policy.name} ({plan.mode})"
    return page(
        title,
        [
            heading(title, 1),
            paragraph(where, "soft"),
            paragraph(plan_sentence(plan), "lead"),
            paragraph(f"Distance to the best: {gap_sentence(plan.summary)}."),
            heading("Before and after"),
            side_by_side(before_and_after(plan, cluster)),
            *_titled("Who goes where", flows(plan)),
            *_titled("Steps", _steps(plan)),
            *_titled("Promises that cannot be kept", _unmet(plan)),
            *_titled("Left as they are", "".join(map(_left, left_alone(plan)))),
        ],
    )


def _titled(title: str, part: str) -> tuple[str, ...]:
    return (heading(title), part) if part else ()


def _steps(plan: Plan) -> str:
    rows = [
        [
            step.id,
            str(step.wave),
            str(step),
            in_words(step.seconds) if step.seconds else "",
            memory_in_words(step.memory_mib) if step.is_move else "",
            "; ".join(filter(None, (step.because, step.why_so))),
        ]
        for step in plan.steps
    ]
    return (
        table(["step", "wave", "what", "time", "memory", "because"], rows, kind="worded steps stacks") if rows else ""
    )


def _unmet(plan: Plan) -> str:
    conflicts = "".join(
        f"<details open><summary>{escape(each.sentence)}</summary>{listed(each.why)}</details>"
        for each in plan.conflicts
    )
    return listed(map(unmet_sentence, plan.unmet)) + conflicts


def _left(left: Left) -> str:
    """Name everybody whom one reason left alone; long lists are closed."""
    lines = [", ".join(names) + (f" ({detail})" if detail else "") for detail, names in left.named]
    is_open = " open" if left.count <= MOST_OPEN else ""
    title = f"{left.because.sentence}: {left.count}"
    return f"<details{is_open}><summary>{coded(title[:1].upper() + title[1:])}</summary>{listed(lines)}</details>"
