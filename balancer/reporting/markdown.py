"""A plan as Markdown, for a chat or a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, MEMORY, Host, Resource
from balancer.domain.outcome import outcome
from balancer.domain.plan import Plan
from balancer.domain.units import in_words
from balancer.reporting.left_alone import left_alone, unmet_sentence
from balancer.reporting.sentences import gap_sentence, plan_sentence

MOST_NAMES = 12  # of those that are left alone for one reason; the JSON has them all
# As references, since a backslash does not keep `@all` or a bare address from having an effect.
_SPECIAL = re.compile(r"[\\`*_\[\]<>|~&@#:!$]")


def plan_markdown(plan: Plan, cluster: Cluster) -> str:
    """Return the sentence, the hosts before and after that change, the steps with reasons, and what is left broken."""
    return "\n".join(_lines(plan, cluster)) + "\n"


def _lines(plan: Plan, cluster: Cluster) -> Iterator[str]:
    yield f"**{plain(plan_sentence(plan))}**\n"
    yield plain(f"{plan.cluster}, seen {plan.taken_at:%Y-%m-%d %H:%M %Z}; policy {plan.policy.name} ({plan.mode})")
    yield f"\nDistance to the best: {plain(gap_sentence(plan.summary))}"
    changed = {name for step in plan.steps for name in step.hosts}
    later = outcome(plan, cluster)
    hosts = [host for host in cluster.hosts if host.name in changed]
    if hosts:
        yield from _table(
            ("host", "CPU now", "CPU then", "memory now", "memory then", "guests now", "guests then"),
            [_host(host, cluster, later) for host in hosts],
        )
    if plan.steps:
        yield from _table(
            ("step", "wave", "what", "because", "time"),
            [
                (
                    step.id,
                    str(step.wave),
                    str(step),
                    "; ".join(filter(None, (step.because, step.why_so))),
                    in_words(step.seconds),
                )
                for step in plan.steps
            ],
        )
    if plan.unmet:
        yield "\nPromises that cannot be kept:\n"
        yield from (f"- {plain(unmet_sentence(unmet))}" for unmet in plan.unmet)
        yield from (f"- {plain(str(conflict))}" for conflict in plan.conflicts)
    if plan.kept:
        yield "\nLeft as they are:\n"
        yield from (f"- {plain(f'{left.because.sentence}: {left.listed(MOST_NAMES)}')}" for left in left_alone(plan))


def _host(host: Host, now: Cluster, later: Cluster) -> tuple[str, ...]:
    then = later.host(host.name)
    shares = [said for each in (CPU, MEMORY) for said in (share_of(now, host, each), share_of(later, then, each))]
    return (host.name, *shares, str(len(now.active_on(host.name))), str(len(later.active_on(host.name))))


def share_of(cluster: Cluster, host: Host, resource: Resource) -> str:
    """Say how full a host is: `61%`, or `off`."""
    return f"{cluster.utilisation(host, resource):.0%}" if host.is_on else "off"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"\n| {' | '.join(head)} |"
    yield "|" + " --- |" * len(head)
    yield from (f"| {' | '.join(map(plain, row))} |" for row in rows)


def plain(words: str) -> str:
    """Return words that no reader takes for markup."""
    return _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", " ".join(words.split()))
