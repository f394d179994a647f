"""A plan as an Ansible playbook: a play for each wave, by virsh, on the machine that reaches the hosts.

What a site has given a name to is data here, whatever it looks like. Guests are known by their UUID, since virsh would
take a name of digits for another guest's number.
"""

from __future__ import annotations

import math
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from balancer.domain.cluster import Cluster
from balancer.domain.plan import Action, Plan, Step
from balancer.domain.site_file import SiteHost
from balancer.domain.units import count_of
from balancer.errors import Fault, InputError
from balancer.reporting.playbook_tasks import CARRY_OUT, FIRST_PLAY, HEAD, WAIT_PLAY, WAKE_PLAY
from balancer.reporting.playbook_yaml import comment, data, listed
from balancer.reporting.sentences import plan_sentence

SECONDS_BETWEEN_KNOCKS = 10  # at a host that is being woken
LEAST_SECONDS_BEFORE_POST_COPY = 10.0


@dataclass(frozen=True)
class Terms:
    """What a playbook has to know beside the plan: the ways to the hosts, and how far the policy lets moves go.

    deadline_of: for how long a migration is waited for that was predicted to take so many seconds
    """

    hosts: Mapping[str, SiteHost]
    deadline_of: Callable[[float], float]
    concurrent: int = 8
    concurrent_between_sites: int = 2
    bandwidth_mib_per_s: float | None = None
    wake_deadline_seconds: float = 600.0


def plan_playbook(plan: Plan, cluster: Cluster, terms: Terms) -> str:
    """Return the playbook; InputError, with every reason, for a plan that it could not carry out as it stands."""
    faults = [fault for step in plan.steps for fault in _faults(step, terms)]
    if faults:
        raise InputError(list(dict.fromkeys(faults)))
    return "\n".join([*_head(plan), *_plays(plan, cluster, terms)]) + "\n"


# -- what it leaves to the balancer


def _faults(step: Step, terms: Terms) -> Iterator[Fault]:
    for name in step.hosts:
        if name not in terms.hosts or terms.hosts[name].uri is None:
            yield Fault(name, "has no connection URI in the site file", "write `uri: ...` into its entry")
    if not step.is_move:
        return
    place = f"{step.id}, {step}"
    if not _is_uuid(step.vm_id):
        yield Fault(place, "the snapshot does not say the guest's UUID, by which virsh knows it", "write its `id: ...`")
    if step.options.restart:
        yield Fault(place, "restarts the guest, which is for the balancer to do", "`balancer apply` carries it out")
    elif step.kind == "warm":
        yield Fault(place, "stops the guest when little is left to copy, and virsh does not wait for that moment", _WAY)
    if step.options.copies_storage:
        yield Fault(place, "copies a disk, and virsh would copy over a file of that name", _WAY)


_WAY = "`balancer apply` carries it out"


def _is_uuid(said: str | None) -> bool:
    try:
        return said is not None and str(uuid.UUID(said)) == said.lower()
    except ValueError:
        return False


# -- the plays


def _head(plan: Plan) -> Iterator[str]:
    yield "---"
    yield from comment(plan_sentence(plan))
    seen = f"Plan {plan.id} of {plan.cluster}, seen {plan.taken_at:%Y-%m-%d %H:%M %Z}"
    yield from comment(f"{seen}, under the policy {plan.policy.name}.")
    yield HEAD.rstrip("\n")
    too_old = f"the plan was valid until {plan.valid_until:%Y-%m-%d %H:%M %Z}: make it anew"
    yield FIRST_PLAY.rstrip("\n").format(until=int(plan.valid_until.timestamp()), too_old=data(too_old, 10))


def _plays(plan: Plan, cluster: Cluster, terms: Terms) -> Iterator[str]:
    waves: dict[int, list[Step]] = defaultdict(list)
    for step in plan.steps:
        waves[step.wave].append(step)
    carry_out = f"  tasks: &carry_out\n{CARRY_OUT}".rstrip("\n")
    for wave in sorted(waves):
        title = f"Wave {wave} of {max(waves)}"
        batches = _batches([step for step in waves[wave] if step.is_move], cluster, terms)
        if woken := _named(waves[wave], Action.POWER_ON):
            yield WAKE_PLAY.rstrip("\n").format(title=title, hosts=listed(woken, 6))
        for number, batch in enumerate(batches, start=1):
            part = f", part {number} of {len(batches)}" if len(batches) > 1 else ""
            yield _play(f"{title}{part}, {count_of(len(batch), 'guest')}", batch, plan, terms)
            yield carry_out
            carry_out = "  tasks: *carry_out"
        if awaited := _named(waves[wave], Action.WAIT_READY):
            yield _wait_play(title, awaited, terms)
        for step in waves[wave]:
            if step.action is Action.POWER_OFF:
                yield from ("", *comment(_left_on(step)))


def _named(steps: Sequence[Step], action: Action) -> list[str]:
    return [str(step.host) for step in steps if step.action is action]


def _left_on(step: Step) -> str:
    what = f"{step.host} off and on to prove that it wakes" if step.test else f"{step.host} off"
    return (
        f"{step.id}: balancer itself would now switch {what}, if each of its conditions held. This playbook does not."
    )


def _wait_play(title: str, awaited: Sequence[str], terms: Terms) -> str:
    return WAIT_PLAY.rstrip("\n").format(
        title=title,
        hosts="\n".join(_fields({"name": name, "uri": _uri(name, terms)}) for name in awaited),
        tries=max(1, math.ceil(terms.wake_deadline_seconds / SECONDS_BETWEEN_KNOCKS)),
        delay=SECONDS_BETWEEN_KNOCKS,
    )


def _batches(moves: Sequence[Step], cluster: Cluster, terms: Terms) -> list[list[Step]]:
    """Share the moves of a wave out to plays, as far as the policy lets them run side by side."""
    batches: list[list[Step]] = []
    for step in sorted(moves, key=lambda move: move.rank):
        if not batches or _is_full(batches[-1], step, cluster, terms):
            batches.append([])
        batches[-1].append(step)
    return batches


def _is_full(batch: Sequence[Step], step: Step, cluster: Cluster, terms: Terms) -> bool:
    line = _sites(step, cluster)
    crossing = sum(len(line) > 1 and _sites(other, cluster) == line for other in batch)
    return len(batch) >= max(1, terms.concurrent) or crossing >= max(1, terms.concurrent_between_sites)


def _sites(step: Step, cluster: Cluster) -> frozenset[str]:
    """Return the sites that a move touches, by the label `site`; two where it crosses the line between them."""
    found = (cluster.host(name).label("site") for name in step.hosts if cluster.has_host(name))
    return frozenset(site for site in found if site is not None)


# -- a play's data


@dataclass(frozen=True)
class _Look:
    """A question to a host: which of its guests are so?"""

    host: str
    state: str

    @property
    def key(self) -> str:
        return f"{self.state} on {self.host}"


_FILTERS: dict[str, list[str]] = {
    "active": [],
    "shut off": ["--inactive"],
    "persistent": ["--all", "--persistent"],
    "autostart": ["--all", "--autostart"],
}
"""Of `virsh list`: a host without such a guest says so by an empty list, one that does not answer by an error."""


def _play(title: str, batch: Sequence[Step], plan: Plan, terms: Terms) -> str:
    looks = dict.fromkeys(look for step in batch for look in _looks(step, plan))
    ends = {host for step in batch for host in step.hosts}
    asked = [
        _fields(
            {
                "what": look.key,
                "uri": _uri(look.host, terms),
                "filters": _FILTERS[look.state],
                # Where a guest goes only later may be asleep still: a guest that is not there is looked for elsewhere.
                "has_to_answer": look.host in ends,
            }
        )
        for look in looks
    ]
    lines = [
        "",
        f"- name: {title}",
        "  hosts: localhost",
        "  connection: local",
        "  gather_facts: false",
        "  vars:",
        # Named in full: a `~` is another directory to Ansible where HOME is not that of the user, as under sudo.
        "    ansible_async_dir: \"{{ '~/.ansible_async' | expanduser }}\"",
        f"    deadline_seconds: {math.ceil(max(terms.deadline_of(step.seconds) for step in batch))}",
        "    looks:",
        *asked,
        "    moves:",
        *(_move(step, plan, terms) for step in batch),
    ]
    return "\n".join(lines)


def _state(step: Step) -> str:
    return "shut off" if step.kind == "cold" else "active"


def _looks(step: Step, plan: Plan) -> Iterator[_Look]:
    for host in (str(step.source), *_stops(step, plan)):
        yield _Look(host, _state(step))
    yield _Look(str(step.source), "persistent")
    yield _Look(str(step.source), "autostart")


def _stops(step: Step, plan: Plan) -> list[str]:
    """Return where a guest is when this move is behind it: its target, and where it goes to from there."""
    later = [str(move.target) for move in plan.moves if move.vm == step.vm and move.wave > step.wave]
    return [host for host in dict.fromkeys([str(step.target), *later]) if host != step.source]


def _move(step: Step, plan: Plan, terms: Terms) -> str:
    source, target = str(step.source), str(step.target)
    return _fields(
        {
            "what": f"{step.id}, {step}",
            "guest": str(step.vm_id).lower(),
            "source": source,
            "before": _Look(source, _state(step)).key,
            "after": [_Look(host, _state(step)).key for host in _stops(step, plan)],
            "source_uri": _uri(source, terms),
            "target_uri": _uri(target, terms),
            "peer_uri": terms.hosts[target].peer_uri or _uri(target, terms),
            "options": _options(step, terms),
            "stop_ms": 0 if step.kind == "cold" else max(1, int(1000 * step.options.stop_seconds)),
            "comes_from_a_stop": any(move.vm == step.vm and move.wave < step.wave for move in plan.moves),
        }
    )


def _options(step: Step, terms: Terms) -> list[str]:
    """Return what virsh is told as the balancer tells libvirt: never `--unsafe`."""
    if step.kind == "cold":
        return ["--offline", "--p2p"]
    options, target = step.options, terms.hosts[str(step.target)]
    said = ["--live", "--p2p", "--abort-on-error"]
    said += ["--auto-converge"] if options.auto_converge else []
    said += ["--compressed"] if options.compression else []
    said += ["--tls"] if options.tls else []
    said += ["--parallel", "--parallel-connections", str(options.parallel)] if options.parallel else []
    said += ["--migrateuri", target.migration_uri] if target.migration_uri else []
    most = None if terms.bandwidth_mib_per_s is None else str(max(1, int(terms.bandwidth_mib_per_s)))
    said += ["--bandwidth", most] if most else []
    if options.post_copy:
        patience = math.ceil(max(LEAST_SECONDS_BEFORE_POST_COPY, step.seconds))
        said += ["--postcopy", "--timeout", str(patience), "--timeout-postcopy"]
        said += ["--postcopy-bandwidth", most] if most else []
    return said


def _uri(host: str, terms: Terms) -> str:
    return str(terms.hosts[host].uri)


def _fields(values: Mapping[str, str | int | bool | Sequence[str]]) -> str:
    """Return an item of a play's list of mappings."""
    lines = []
    for name, value in values.items():
        if isinstance(value, bool):
            lines.append(f"{name}: {str(value).lower()}")
        elif isinstance(value, int):
            lines.append(f"{name}: {value}")
        elif isinstance(value, str):
            lines.append(f"{name}: {data(value, 10)}")
        else:
            lines.append(f"{name}:\n{listed(value, 10)}" if value else f"{name}: []")
    return "      - " + "\n        ".join(lines)
