"""Compare what two policies would do with a cluster, and what they say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from balancer.domain.cluster import Cluster
from balancer.domain.comparison import Comparison, Destination, Promised, Setting, Side
from balancer.domain.outcome import outcome
from balancer.domain.plan import Plan
from balancer.domain.violation import TOLERANCE
from balancer.policy.model import Policy

Pair = tuple[Policy, Policy]
NAMES = ("name", "schema", "constraints")


def compare(cluster: Cluster, policies: Pair, plans: tuple[Plan, Plan]) -> Comparison:
    """Return where two policies differ: in words, in what they do, and in what each thinks of the other's end."""
    ends = outcome(plans[0], cluster), outcome(plans[1], cluster)
    destinations = tuple(_destinations(cluster, *ends))
    on = [{host.name for host in end.hosts if host.is_on} for end in ends]
    return Comparison(
        cluster=cluster.cluster,
        same_plan=not destinations and on[0] == on[1],
        first=_side(cluster, policies, plans[0], ends[0], policies[0]),
        second=_side(cluster, policies, plans[1], ends[1], policies[1]),
        settings=tuple(_settings(*policies)),
        promises=tuple(_promises(*policies)),
        destinations=destinations,
    )


def _side(cluster: Cluster, policies: Pair, plan: Plan, end: Cluster, mine: Policy) -> Side:
    summary = plan.summary
    return Side(
        policy=mine.name,
        moves=summary.moves,
        gib=summary.gib_to_move,
        seconds=summary.seconds_to_run,
        hosts_on=summary.hosts_on_after,
        to_sleep=summary.hosts_to_sleep,
        to_wake=summary.hosts_to_wake,
        watts=summary.watts_after,
        cpu_deviation=summary.imbalance_after.cpu,
        memory_deviation=summary.imbalance_after.memory,
        objective_under_first=policies[0].score(cluster, end),
        objective_under_second=policies[1].score(cluster, end),
        breaks_of_first=_broken(policies[0], end),
        breaks_of_second=_broken(policies[1], end),
        refused=plan.refused,
    )


def _broken(policy: Policy, end: Cluster) -> tuple[str, ...]:
    return tuple(dict.fromkeys(v.promise for v in policy.violations(end) if v.hard and v.excess > TOLERANCE))


def _destinations(cluster: Cluster, one: Cluster, other: Cluster) -> Iterator[Destination]:
    for vm in cluster.vms:
        first, second = one.vm(vm.name).at_the_end, other.vm(vm.name).at_the_end
        if first != second:
            yield Destination(vm=vm.name, now=vm.host, first=first, second=second)


def _settings(one: Policy, other: Policy) -> Iterator[Setting]:
    mine, theirs = dict(_leaves(_plain(one))), dict(_leaves(_plain(other)))
    for path in dict.fromkeys([*mine, *theirs]):
        if mine.get(path) != theirs.get(path):
            yield Setting(path=path, first=mine.get(path), second=theirs.get(path))


def _plain(policy: Policy) -> Mapping[str, Any]:
    said = policy.model_dump(mode="json", by_alias=True)
    return {key: value for key, value in said.items() if key not in NAMES}


def _leaves(data: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(data, dict) or not data:
        yield above, data
        return
    for key, value in data.items():
        yield from _leaves(value, f"{above}.{key}" if above else key)


def _promises(one: Policy, other: Policy) -> Iterator[Promised]:
    mine, theirs = _said(one), _said(other)
    for promise in dict.fromkeys([*mine, *theirs]):
        if mine.get(promise) != theirs.get(promise):
            yield Promised(promise=promise, first=mine.get(promise), second=theirs.get(promise))


def _said(policy: Policy) -> dict[str, str]:
    """Say each listed promise on a line, by the name that reports call it; twins get a number."""
    found: dict[str, str] = {}
    for promise in policy.constraints:
        data = promise.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        data.pop("name", None)
        name, number = promise.promise, 2
        while name in found:
            name, number = f"{promise.promise} ({number})", number + 1
        written = json.dumps({"kind": getattr(promise, "kind", ""), **data}, ensure_ascii=False)
        found[name] = _PLAIN_WORD.sub(r"\1", written)
    return found


_PLAIN_WORD = re.compile(r'"([A-Za-z_][\w./-]*)"')
