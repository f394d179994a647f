"""Contradictions that need no cluster: rules that no cluster can keep, as long as the guests that they name run.

The rules are asked about on the kindest cluster that there could be: more hosts of each kind than anybody asks for,
guests that need nothing, and of a labelled group just as many as make its rules say something. What cannot be kept
there cannot be kept anywhere. Rules whose groups might or might not overlap are not compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import combinations, islice
from zoneinfo import ZoneInfo

from balancer.constraints import (
    Apart,
    Constraint,
    Dedicated,
    GroupShare,
    KeepOn,
    Licence,
    NotOn,
    OnlyOn,
    Reserve,
    Stay,
    Together,
)
from balancer.constraints.selectors import OfVms, OnSomeHosts, is_pattern
from balancer.domain.cluster import Cluster
from balancer.domain.conflict import Conflict, Rule, Scope
from balancer.domain.host import Host
from balancer.domain.vm import Vm
from balancer.planning.conflicts import find_conflicts
from balancer.policy.model import Policy

_NOWHEN = datetime(2000, 1, 1, tzinfo=UTC)
_PLENTY = 1e9
DAYS_AHEAD = 366  # each window that comes back within a year is met
MOST_GUESTS = 120  # more guests than that, all in rules that touch each other, are not put on one drawing board


def contradictions_ever(policy: Policy, since: datetime) -> tuple[Conflict, ...]:
    """Return the conflicts that hold on any cluster, now or when a window of the policy opens."""
    found: dict[frozenset[str], Conflict] = {}
    for moment in _moments(policy, since):
        for conflict in contradictions(policy.at(moment)):
            found.setdefault(conflict.promises, conflict)
    return tuple(found.values())


def _moments(policy: Policy, since: datetime) -> Iterator[datetime]:
    yield since
    zone = ZoneInfo(policy.time_zone)
    for window in policy.windows.values():
        yield from islice(window.starts(since, DAYS_AHEAD, zone, policy.holidays), 1)


def contradictions(policy: Policy) -> tuple[Conflict, ...]:
    """Return the conflicts that hold on any cluster."""
    hard = [rule for rule in policy.constraints if rule.hard]
    found = {conflict.promises: conflict for rule in hard for conflict in _impossible_alone(rule)}
    for rules in (*_touching(_naming_hosts(hard)), *_touching(_labelling_hosts(hard))):
        guests = list(_guests(rules))
        if len(guests) <= MOST_GUESTS:
            asked = policy.model_copy(update={"constraints": tuple(rules)})
            for conflict in find_conflicts(_kindest(rules, guests), asked, scope=Scope.ANYWHERE).conflicts:
                found.setdefault(conflict.promises, _in_words_of_the_rules(conflict, rules))
    return tuple(found.values())


def _in_words_of_the_rules(conflict: Conflict, rules: Sequence[Constraint]) -> Conflict:
    """Say what each rule asks for; the drawing board's own hosts mean nothing to anybody."""
    asked = {rule.promise: _asks(rule) for rule in rules}
    why = tuple(asked[rule.promise] for rule in conflict.rules if asked.get(rule.promise))
    return conflict.model_copy(update={"why": why})


def _asks(rule: Constraint) -> str:  # noqa: PLR0911 - one line a kind
    match rule:
        case Apart():
            return f"no more than {rule.at_most} of {rule.said_guests()} on one {rule.across}"
        case Together():
            return f"{rule.said_guests()} on one host"
        case OnlyOn():
            return f"{rule.said_guests()} on {rule.said_hosts()} alone"
        case NotOn():
            return f"{rule.said_guests()} anywhere but on {rule.said_hosts()}"
        case Licence():
            return f"{rule.said_guests()} on at most {rule.at_most} hosts"
        case Dedicated():
            return f"nobody but {rule.said_guests()} on {rule.said_hosts()}"
    return rule.described()


def _touching(rules: Sequence[Constraint]) -> Iterator[list[Constraint]]:
    """Return groups of rules that have guests or hosts in common; one that touches no other contradicts none."""
    left = [(rule, _touched(rule)) for rule in rules]
    while left:
        group, tokens = [left[0][0]], set(left[0][1])
        rest = left[1:]
        while near := [(rule, touched) for rule, touched in rest if touched & tokens]:
            group += [rule for rule, _ in near]
            tokens |= {token for _, touched in near for token in touched}
            rest = [each for each in rest if each not in near]
        left = rest
        if len(group) > 1:
            yield [rule for rule in rules if any(rule is member for member in group)]


def _touched(rule: Constraint) -> frozenset[tuple[str, str]]:
    guests = [("guest", name) for name in getattr(rule, "vms", None) or ()]
    guests += [("label", f"{key}={value}") for key, value in (getattr(rule, "match", None) or {}).items()]
    hosts = [("host", name) for name in getattr(rule, "hosts", None) or ()]
    return frozenset(guests + hosts + [("host label", key) for key in getattr(rule, "hosts_match", None) or ()])


def _impossible_alone(rule: Constraint) -> Iterator[Conflict]:
    """A `keep_on` that names fewer hosts than it wants: a cluster does with what there is, but nobody means that."""
    if not isinstance(rule, KeepOn) or rule.hosts is None or any(map(is_pattern, rule.hosts)):
        return
    names = set(rule.hosts)
    if (rule.at_least or 0) > len(names):
        why = f"it wants at least {rule.at_least} hosts on and names {len(names)}"
        yield Conflict(rules=(Rule(promise=rule.promise, kind=rule.kind),), why=(why,), scope=Scope.ANYWHERE)


def _naming_hosts(rules: Iterable[Constraint]) -> list[Constraint]:
    """Return the rules that speak of no hosts, or of hosts by name; a name may bear any label."""
    return [r for r in _comparable(rules) if getattr(r, "hosts_match", None) is None and not _has_pattern(r, "hosts")]


def _labelling_hosts(rules: Iterable[Constraint]) -> list[Constraint]:
    return [rule for rule in _comparable(rules) if getattr(rule, "hosts", None) is None]


def _comparable(rules: Iterable[Constraint]) -> list[Constraint]:
    """Leave out what speaks of amounts, of where guests are today, or of groups that only a cluster can tell."""
    listed = [r for r in rules if not isinstance(r, Reserve | GroupShare | Stay) and not _has_pattern(r, "vms")]
    groups = {tuple(sorted(match.items())) for match in _matches(listed)}
    names = {name for r in listed for name in getattr(r, "vms", None) or ()}
    kept: list[Constraint] = []
    for rule in listed:
        if isinstance(rule, KeepOn) and rule.keeps_all and rule.hosts is None:
            continue  # all of them, however many there are
        # Who is outside a group cannot be told of guests that are known by a name here and by a label there.
        if isinstance(rule, Dedicated) and (names if rule.match is not None else groups):
            continue
        if isinstance(rule, Dedicated) and rule.match is not None and len(groups) > 1:
            continue
        kept.append(rule)
    return kept


def _matches(rules: Iterable[Constraint]) -> list[dict[str, str]]:
    return [rule.match for rule in rules if isinstance(rule, OfVms) and rule.match is not None]


def _has_pattern(rule: Constraint, key: str) -> bool:
    return any(map(is_pattern, getattr(rule, key, None) or ()))


def _kindest(rules: Sequence[Constraint], guests: Sequence[Callable[[str], Vm]]) -> Cluster:
    named = {name for rule in rules for name in getattr(rule, "hosts", None) or ()}
    wanted = [rule.at_least or 0 for rule in rules if isinstance(rule, KeepOn)]
    copies = max([len(guests), *wanted, 1])
    domains = {rule.across for rule in rules if isinstance(rule, Apart)} - {"host"}
    labels = _label_sets(rules)
    hosts = [_host(name, {}, domains) for name in sorted(named)]
    for kind, bearing in enumerate(labels):
        hosts += [_host(f"another-{kind}-{copy}", bearing, domains) for copy in range(copies)]
    home = hosts[-1].name
    return Cluster(
        taken_at=_NOWHEN,
        cluster="any",
        hosts=tuple(hosts),
        vms=tuple(guest(home) for guest in guests),
    )


def _guests(rules: Sequence[Constraint]) -> Iterator[Callable[[str], Vm]]:
    for name in dict.fromkeys(name for rule in rules for name in getattr(rule, "vms", None) or ()):
        yield lambda home, name=name: _guest(name, {}, home)  # type: ignore[misc]
    # An `apart` that never has more members than may share a place says nothing: one more, and it does.
    most = max((rule.at_most for rule in rules if isinstance(rule, Apart) and rule.match is not None), default=0) + 1
    for match in {tuple(sorted(match.items())): match for match in _matches(rules)}.values():
        for copy in range(most):
            name = f"{' '.join(f'{key}={value}' for key, value in match.items())} #{copy + 1}"
            yield lambda home, name=name, match=match: _guest(name, match, home)  # type: ignore[misc]


def _guest(name: str, labels: dict[str, str], home: str) -> Vm:
    return Vm(name=name, host=home, vcpus=1, memory_mib=0.0, cpu_used_cores=0.0, labels=labels)


def _host(name: str, labels: dict[str, str], domains: Iterable[str]) -> Host:
    alone = dict.fromkeys(domains, f"of {name}")
    return Host(name=name, cpu_cores=_PLENTY, memory_mib=_PLENTY, labels=alone | labels)


def _label_sets(rules: Sequence[Constraint]) -> list[dict[str, str]]:
    """Return every set of labels that a host could bear of those that are spoken of, and none of them."""
    asked = [rule.hosts_match for rule in rules if isinstance(rule, OnSomeHosts) and rule.hosts_match is not None]
    single = list({tuple(sorted(labels.items())): labels for labels in asked}.values())[:8]
    found: dict[tuple[tuple[str, str], ...], dict[str, str]] = {(): {}}
    for count in range(1, len(single) + 1):
        for some in combinations(single, count):
            joined = {key: value for labels in some for key, value in labels.items()}
            if all(labels.items() <= joined.items() for labels in some):
                found[tuple(sorted(joined.items()))] = joined
    return list(found.values())[:40]
