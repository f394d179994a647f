"""Hosts that may be lost: whether what is left has a place for each of their guests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from balancer.domain.cluster import Cluster
from balancer.domain.host import Resource
from balancer.domain.reach import reach_of
from balancer.domain.shapes import Losses, Shape

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Loss:
    """Any `failures` of these domains may be lost. G guests are started again then, H hosts, C resources that count.

    domains:   hosts of each domain
    columns:   which resources count
    room:      [H, C] how full a host may get then
    usable:    [H, C] what it has
    takes:     hosts that take guests, where they are on
    guests:    names, in the order of size in which places are sought
    need:      [G, C]
    unit:      the unit that a guest belongs to, -1 where it does not move
    host:      where a guest that does not move is
    safe_on:   host on which a guest in flight has a place already, -1 for the others
    reach:     [G, H] where a guest could run
    price:     None for a promise; else for each guest without a place
    """

    domains: tuple[Ints, ...]
    failures: int
    columns: Ints
    room: Floats
    usable: Floats
    takes: Bools
    guests: tuple[str, ...]
    need: Floats
    unit: Ints
    host: Ints
    safe_on: Ints
    reach: Bools
    price: float | None

    def homeless(self, at: Ints, on: Bools, load: Floats) -> dict[tuple[int, ...], int]:
        """Count the guests without a place for each set of domains that may be lost; none where there are none."""
        home = np.where(self.unit >= 0, at[self.unit] if len(at) else self.host, self.host)
        alive = {domain: hosts[on[hosts]] for domain, hosts in enumerate(self.domains) if on[hosts].any()}
        free = np.where((self.takes & on)[:, None], self.room - load[:, self.columns], -np.inf)
        return {
            lost: count
            for lost in combinations(alive, min(self.failures, len(alive)))
            if (count := self._without_place(np.concatenate([alive[domain] for domain in lost]), home, free))
        }

    def _without_place(self, lost: Ints, home: Ints, free: Floats) -> int:
        is_lost = np.isin(np.arange(len(free)), lost)
        safe = (self.safe_on >= 0) & ~is_lost[self.safe_on]
        guests = np.flatnonzero(is_lost[home] & ~safe)
        left = free.copy()
        left[lost] = -np.inf
        if not len(guests) or self._surely_fit(guests, left):
            return 0
        usable = np.maximum(self.usable, 1e-9)
        nowhere = 0
        for guest in guests.tolist():
            after = left - self.need[guest]
            fits = self.reach[guest] & (after >= -ROUNDING * np.maximum(self.usable, 1.0)).all(axis=1)
            if not fits.any():
                nowhere += 1
                continue
            # Largest first, to where least is left: the same rule that the promise's own checker goes by.
            tightest = int(np.where(fits, (after / usable).min(axis=1), np.inf).argmin())
            left[tightest] = after[tightest]
        return nowhere

    def _surely_fit(self, guests: Ints, left: Floats) -> bool:
        """Whether there would be room even if each of them were as large as the largest."""
        largest = np.maximum(self.need[guests].max(axis=0), 1e-12)
        reach = self.reach[guests].all(axis=0)
        slots = np.floor(np.maximum(left[reach], 0.0) / largest).min(axis=1, initial=np.inf)
        return bool(slots.sum() >= len(guests))


def losses_of(
    shapes: Iterable[Shape],
    cluster: Cluster,
    resources: tuple[Resource, ...],
    takes: Bools,
    unit_of_vm: Mapping[str, int],
) -> tuple[Loss, ...]:
    """Turn the shapes that speak of losses into arrays; `takes` says which hosts could take guests."""
    return tuple(_loss(shape, cluster, resources, takes, unit_of_vm) for shape in _those(shapes))


def _those(shapes: Iterable[Shape]) -> Iterator[Losses]:
    return (shape for shape in shapes if isinstance(shape, Losses))


def _loss(
    shape: Losses, cluster: Cluster, resources: tuple[Resource, ...], takes: Bools, unit_of_vm: Mapping[str, int]
) -> Loss:
    place = {host.name: at for at, host in enumerate(cluster.hosts)}
    counted = tuple(resource for resource, _ in shape.shares)
    usable = np.array([[host.usable(r) for r in counted] for host in cluster.hosts])
    whole = np.where(usable.sum(axis=0) > 0, usable.sum(axis=0), 1.0)
    vms = [vm for vm in cluster.vms if vm.name in shape.vms]
    need = np.array([[vm.need(r) for r in counted] for vm in vms]).reshape(len(vms), len(counted))
    sizes = (need / whole).max(axis=1, initial=0.0)
    order = sorted(range(len(vms)), key=lambda i: (-sizes[i], vms[i].name))
    vms = [vms[i] for i in order]
    reach = np.array(
        [[host.name in hosts for host in cluster.hosts] for _, hosts in reach_of(vms, cluster.hosts, anew=True)]
    )
    per_guest = None if shape.price is None else shape.price / max(1, len(vms))
    return Loss(
        domains=tuple(np.array(sorted(place[name] for name in hosts), dtype=np.int64) for hosts in shape.domains),
        failures=shape.failures,
        columns=np.array([resources.index(r) for r in counted], dtype=np.int64),
        room=usable * np.array([share for _, share in shape.shares]),
        usable=usable,
        takes=takes,
        guests=tuple(vm.name for vm in vms),
        need=need[order],
        unit=np.array([unit_of_vm.get(vm.name, -1) for vm in vms], dtype=np.int64),
        host=np.array([place[vm.host] for vm in vms], dtype=np.int64),
        safe_on=np.array([-1 if vm.moving_to is None else place[vm.moving_to] for vm in vms], dtype=np.int64),
        reach=reach.reshape(len(vms), len(cluster.hosts)),
        price=per_guest,
    )
