"""What guests ask for in their own metadata, as promises; the policy says which of it is believed.

asks: {movable: never}        -> stay
asks: {apart: shop-db}        -> apart, with all guests that ask for the same
asks: {together: front}       -> together, likewise
asks: {only_on: rack=r1}      -> only_on the hosts that bear the label
asks: {prefer: disk=nvme}     -> prefer them
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from enum import StrEnum

from balancer.constraints.apart import Apart
from balancer.constraints.base import Constraint
from balancer.constraints.only_on import OnlyOn
from balancer.constraints.prefer import Prefer
from balancer.constraints.selectors import literally
from balancer.constraints.stay import Stay
from balancer.constraints.together import Together
from balancer.domain.cluster import Cluster

PREFERENCE = 0.01  # of J for each guest: what a tenant wishes counts little beside what the policy says


class Ask(StrEnum):
    """What a guest can ask for."""

    MOVABLE = "movable"
    APART = "apart"
    TOGETHER = "together"
    ONLY_ON = "only_on"
    PREFER = "prefer"


def asked(cluster: Cluster, believed: Collection[Ask]) -> tuple[Constraint, ...]:
    """Return the promises that guests ask for, as far as they are believed and make sense."""
    groups: dict[tuple[Ask, str], list[str]] = defaultdict(list)
    for vm, asks in cluster.asking:
        for ask in believed:
            if ask in asks and not _nonsense(ask, asks[ask]):
                groups[ask, asks[ask]].append(vm)
    return tuple(_promise(ask, value, vms) for (ask, value), vms in groups.items() if _counts(ask, value))


def _promise(ask: Ask, value: str, vms: Iterable[str]) -> Constraint:
    # A guest may be called `*`, and must not speak for all others. No check of the names: the longest pass it no more.
    return _PROMISES[ask](value).model_copy(update={"vms": tuple(map(literally, vms))})


def remarks_on_asks(cluster: Cluster, believed: Collection[Ask]) -> Iterator[str]:
    """Say which wishes of guests make no sense, and which are not believed."""
    known = {ask.value for ask in Ask}
    for vm, asks in cluster.asking:
        for key, value in asks.items():
            if key not in known:
                yield f"{vm} asks for `{key}`, which nobody knows; known are {', '.join(sorted(known))}"
            elif why := _nonsense(Ask(key), value):
                yield f"{vm} asks for `{key}: {value}`: {why}"
            elif Ask(key) not in believed:
                yield f"{vm} asks for `{key}: {value}`, and the policy does not believe it (`believe_guests`)"


def _nonsense(ask: Ask, value: str) -> str:
    if ask is Ask.MOVABLE and value not in {"never", "cold", "live"}:
        return "write never, cold or live"
    if ask in {Ask.ONLY_ON, Ask.PREFER} and not all(_label(value)):
        return "write a label of hosts, as in rack=r1"
    return "" if value else "it names no group"


def _counts(ask: Ask, value: str) -> bool:
    return not (ask is Ask.MOVABLE and value == "live")


def _label(value: str) -> tuple[str, str]:
    key, _, wanted = value.partition("=")
    return key.strip(), wanted.strip()


def _labels(value: str) -> dict[str, str]:
    return dict([_label(value)])


_PROMISES: dict[Ask, Callable[[str], Constraint]] = {
    Ask.MOVABLE: lambda value: Stay(kind="stay", name=f"asked by guests: movable {value}", vms=()),
    Ask.APART: lambda value: Apart(kind="apart", name=f"asked by guests: apart {value}", vms=()),
    Ask.TOGETHER: lambda value: Together(kind="together", name=f"asked by guests: together {value}", vms=()),
    Ask.ONLY_ON: lambda value: OnlyOn(
        kind="only_on", name=f"asked by guests: only_on {value}", vms=(), hosts_match=_labels(value)
    ),
    Ask.PREFER: lambda value: Prefer(
        kind="prefer", name=f"asked by guests: prefer {value}", vms=(), hosts_match=_labels(value), weight=PREFERENCE
    ),
}
