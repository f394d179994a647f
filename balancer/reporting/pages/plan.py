"""A plan as a page: one file, with the hosts before and after, who goes where, and each step with its reason."""

from __future__ import annotations

from collections import Counter
from html import escape

from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, MEMORY, Host, Resource
from balancer.domain.outcome import outcome
from balancer.domain.plan import Plan
from balancer.domain.units import in_words, memory_in_words
from balancer.reporting.pages.drawing import bar
from balancer.reporting.pages.page import heading, listed, page, paragraph, table
from balancer.reporting.sentences import gap_sentence, plan_sentence

NOW, THEN = 0, 1


def plan_page(plan: Plan, cluster: Cluster) -> str:
    """Return one HTML file about a plan, and the cluster that it was made for."""
    flows = Counter((step.move.source, step.move.target) for step in plan.moves)
    steps = [
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
    title = f"Plan {plan.id} for {plan.cluster}"
    where = f"Seen {plan.taken_at:%Y-%m-%d %H:%M:%S %Z}; policy {plan.policy.name} ({plan.mode})"
    return page(
        title,
        [
            heading(title, 1),
            paragraph(where, "soft"),
            paragraph(plan_sentence(plan), "lead"),
            paragraph(f"Distance to the best: {gap_sentence(plan.summary)}."),
            heading("Before and after"),
            _hosts(cluster, outcome(plan, cluster)),
            *(
                [
                    heading("Who goes where"),
                    table(["from", "to", "guests"], [[*way, str(n)] for way, n in flows.items()], kind="ways"),
                ]
                if flows
                else []
            ),
            *(
                [
                    heading("Steps"),
                    table(["step", "wave", "what", "time", "memory", "because"], steps, kind="worded steps"),
                ]
                if steps
                else []
            ),
            *(
                [heading("Promises that cannot be kept"), listed(f"{each.promise}: {each.why}" for each in plan.unmet)]
                if plan.unmet
                else []
            ),
        ],
    )


def _hosts(now: Cluster, later: Cluster) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(host.name)}</th>'
        + "".join(
            f"<td>{_bar(now, host, each, NOW)}</td><td>{_bar(later, later.host(host.name), each, THEN)}</td>"
            for each in (CPU, MEMORY)
        )
        + f"<td>{len(now.active_on(host.name))}</td><td>{len(later.active_on(host.name))}</td></tr>"
        for host in now.hosts
    )
    titles = ("host", "CPU now", "CPU then", "memory now", "memory then", "guests now", "guests then")
    head = "".join(f'<th scope="col">{title}</th>' for title in titles)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _bar(cluster: Cluster, host: Host, resource: Resource, tone: int) -> str:
    if not host.is_on:
        return "off"
    share = cluster.utilisation(host, resource)
    return bar(min(share, 1.0), tone, f"{share:.0%}")
