"""The embedded site: twelve servers and two hundred guests of a shop, to look at before there is a site of one's own.

By day it wants nearly all its servers, at night about half of them: their memory is then what keeps them on.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import resources

from balancer.clock import Clock
from balancer.domain.host import Power
from balancer.simulation.fleet import FLEET, GIB, Kind, guests_of
from balancer.simulation.machines import GuestSpec, HostSpec
from balancer.simulation.world import World

CLUSTER = "embedded"
RACKS = 3
FULLEST_AT_START = 0.76  # of cores at the height of a day and of memory: the policy's headroom, less room for chance
NEIGHBOURS = {"web-1": "cache-1"}  # the policy keeps them together, so they start together

# Watts at 0, 10, ... 100 % CPU. Measured servers look like this: a high floor, then a rise that steepens at the end.
_OLD_WATTS = (128.0, 158.0, 178.0, 197.0, 217.0, 238.0, 261.0, 287.0, 316.0, 348.0, 382.0)
_NEW_WATTS = (92.0, 131.0, 156.0, 180.0, 204.0, 229.0, 256.0, 287.0, 322.0, 361.0, 402.0)

_A_MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
_SAMPLES = tuple(_A_MONDAY + timedelta(minutes=20 * step) for step in range(72))


def embedded_site(clock: Clock, seed: int = 1) -> World:
    """Build the embedded site, with its guests spread as unevenly as years of growth leave them."""
    hosts = embedded_hosts()
    world = World(clock, hosts, CLUSTER)
    for guest, host in _uneven_homes(hosts, seed):
        world.add_guest(guest, host)
    return world


def embedded_policy() -> str:
    """Return the text of the policy that the embedded site is run under (`balancer.policy/1`)."""
    return resources.files(__package__).joinpath("policy.yaml").read_text("utf-8")


def embedded_hosts() -> tuple[HostSpec, ...]:
    """Return twelve servers in three racks, two of each rack from the generation before."""
    return tuple(_server(number) for number in range(1, 13))


def _server(number: int) -> HostSpec:
    is_old = number % 4 in {1, 2}
    return HostSpec(
        name=f"hv{number:02}",
        cores=48.0 if is_old else 64.0,
        memory_mib=384 * GIB,
        labels={"rack": f"r{(number - 1) // 4 + 1}", "generation": "old" if is_old else "new"},
        power=Power(watts=_OLD_WATTS if is_old else _NEW_WATTS),
        cpu_model="EPYC-Rome" if is_old else "EPYC-Milan",
        boot_seconds=240.0 if is_old else 180.0,
        shutdown_seconds=60.0,
        # Some of each rack's servers also keep the quorum of the storage: one of each has to stay on.
        may_sleep=number % 4 != 0,
    )


@dataclass
class _Shelf:
    """A server while guests are being put on it."""

    spec: HostSpec
    appetite: float
    memory_mib: float = 0.0
    cores: list[float] = field(default_factory=lambda: [0.0] * len(_SAMPLES))
    kinds: set[str] = field(default_factory=set)

    def fullness_with(self, memory_mib: float, cores: list[float]) -> float:
        """Return how full it is at its fullest hour, of cores or of memory, once a guest has come."""
        peak = max(mine + more for mine, more in zip(self.cores, cores, strict=True))
        return max(peak / self.spec.cores, (self.memory_mib + memory_mib) / self.spec.memory_mib)

    def take(self, kind: Kind, memory_mib: float, cores: list[float]) -> None:
        self.memory_mib += memory_mib
        self.cores = [mine + more for mine, more in zip(self.cores, cores, strict=True)]
        self.kinds.add(kind.name)


def _uneven_homes(hosts: tuple[HostSpec, ...], seed: int) -> list[tuple[GuestSpec, str]]:
    """Give each guest a home that is legal at any hour, on servers of unequal appetite."""
    chance = random.Random(seed)
    appetites = [0.2 + 0.12 * step for step in range(len(hosts))]
    chance.shuffle(appetites)
    shelves = [_Shelf(spec, appetite) for spec, appetite in zip(hosts, appetites, strict=True)]
    homes: dict[str, str] = {}
    placed = []
    for kind, guest in _largest_first(seed):
        cores = [guest.load(moment) for moment in _SAMPLES]
        shelf = _hungriest(_allowed(shelves, kind, guest, homes), guest.memory_mib, cores)
        shelf.take(kind, guest.memory_mib, cores)
        homes[guest.name] = shelf.spec.name
        placed.append((guest, shelf.spec.name))
    return placed


def _largest_first(seed: int) -> list[tuple[Kind, GuestSpec]]:
    ordered = [(kind, guest) for kind in FLEET for guest in guests_of(kind, seed)]
    return sorted(ordered, key=lambda pair: (-pair[1].memory_mib, pair[1].name))


def _allowed(shelves: list[_Shelf], kind: Kind, guest: GuestSpec, homes: Mapping[str, str]) -> list[_Shelf]:
    if guest.name in NEIGHBOURS:
        return [shelf for shelf in shelves if shelf.spec.name == homes[NEIGHBOURS[guest.name]]]
    taken = {shelf.spec.labels["rack"] for shelf in shelves if kind.name in shelf.kinds} if kind.apart else set()
    return [shelf for shelf in shelves if shelf.spec.labels["rack"] not in taken]


def _hungriest(shelves: list[_Shelf], memory_mib: float, cores: list[float]) -> _Shelf:
    fullness = {shelf.spec.name: shelf.fullness_with(memory_mib, cores) for shelf in shelves}
    roomy = [shelf for shelf in shelves if fullness[shelf.spec.name] <= FULLEST_AT_START]
    return min(roomy or shelves, key=lambda shelf: fullness[shelf.spec.name] / shelf.appetite)
