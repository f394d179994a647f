"""What pages show, worked out of what was published: plain values, so that a template has nothing to work out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, MEMORY
from balancer.domain.vm import Vm
from balancer.published import Published

A_PAGE = 50


@dataclass(frozen=True)
class Totals:
    """The cluster in a few numbers."""

    on: int
    hosts: int
    asleep: int
    guests: int
    cpu: float
    memory: float
    watts: float
    imbalance: float


def totals_of(cluster: Cluster) -> Totals:
    """Add up what is on."""
    on = [host for host in cluster.hosts if host.is_on]
    shares = {}
    for resource in (CPU, MEMORY):
        usable = sum(host.usable(resource) for host in on)
        shares[resource] = sum(cluster.used(host, resource) for host in on) / usable if usable else 0.0
    return Totals(
        on=len(on),
        hosts=len(cluster.hosts),
        asleep=len(cluster.hosts) - len(on),
        guests=sum(vm.is_active for vm in cluster.vms),
        cpu=shares[CPU],
        memory=shares[MEMORY],
        watts=cluster.watts(),
        imbalance=cluster.imbalance(CPU),
    )


# -- guests


@dataclass(frozen=True)
class GuestRow:
    """A guest in a list."""

    name: str
    host: str
    moving_to: str
    state: str
    vcpus: int
    cores: float
    memory_mib: float
    wait: float
    labels: str

    @classmethod
    def of(cls, vm: Vm) -> GuestRow:
        labels = ", ".join(f"{key}={value}" for key, value in vm.labels.items())
        wait = vm.cpu_wait_share or 0.0
        moving_to = vm.moving_to or ""
        return cls(vm.name, vm.host, moving_to, str(vm.state), vm.vcpus, vm.need(CPU), vm.memory_mib, wait, labels)


SORTS = {
    "name": lambda row: row.name,
    "host": lambda row: (row.host, row.name),
    "cores": lambda row: (-row.cores, row.name),
    "memory": lambda row: (-row.memory_mib, row.name),
    "wait": lambda row: (-row.wait, row.name),
}


@dataclass(frozen=True)
class Page:
    """A part of a long list."""

    rows: Sequence[Any]
    number: int
    total: int
    size: int = A_PAGE

    @property
    def last(self) -> int:
        return max(1, -(-self.total // self.size))

    @property
    def first_row(self) -> int:
        return (self.number - 1) * self.size + 1 if self.total else 0

    @property
    def last_row(self) -> int:
        return min(self.number * self.size, self.total)


def page_of(rows: Sequence[Any], number: int, size: int = A_PAGE) -> Page:
    """Return one page of a list; a number beyond the last is the last."""
    last = max(1, -(-len(rows) // size))
    number = min(max(1, number), last)
    return Page(rows[(number - 1) * size : number * size], number, len(rows), size)


@lru_cache(maxsize=2)
def _rows_of(known: _Seen) -> tuple[GuestRow, ...]:
    return tuple(map(GuestRow.of, known.cluster.vms))


class _Seen:
    """A published cluster as the key of a cache: the number says all."""

    def __init__(self, known: Published) -> None:
        self.cluster, self._key = known.cycle.seen, (known.number, id(known.cycle))

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Seen) and self._key == other._key


def find_guests(known: Published, words: str = "", sort: str = "name", host: str = "") -> list[GuestRow]:
    """Return the guests whose name, host or labels have each of these words."""
    rows: Iterable[GuestRow] = _rows_of(_Seen(known))
    for word in words.lower().split():
        rows = [
            row for row in rows if word in row.name.lower() or word in row.host.lower() or word in row.labels.lower()
        ]
    if host:
        rows = [row for row in rows if host in {row.host, row.moving_to}]
    return sorted(rows, key=SORTS.get(sort, SORTS["name"]))
