"""What pages show, worked out of what was published: plain values, so that a template has nothing to work out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, MEMORY, Host, HostState
from balancer.domain.outcome import outcome
from balancer.domain.plan import Because, Plan
from balancer.domain.vm import Vm
from balancer.published import Published

HEAT_STEPS = 8
A_CHANGE = 0.05  # of CPU share within the trend; less is noise
MOST_NAMES = 12
A_PAGE = 50
NO_RACK = "without a rack"

STATES = {
    HostState.UP: "on",
    HostState.MAINTENANCE: "maintenance",
    HostState.DRAINING: "draining",
    HostState.STANDBY: "asleep",
    HostState.POWERED_OFF: "asleep",
    HostState.WAKING: "waking",
    HostState.UNREACHABLE: "does not answer",
}


@dataclass(frozen=True)
class Tile:
    """A host as a tile of the heat map."""

    name: str
    rack: str
    state: str
    is_on: bool
    cpu: float
    memory: float
    guests: int
    trend: str = ""
    line: str = ""  # points of its sparkline, in a box of 100 x 20
    flags: tuple[str, ...] = ()

    @property
    def heat(self) -> str:
        """The class of its colour: the fuller of CPU and memory."""
        return heat_of(self.cpu) if self.is_on else "off"


def heat_of(share: float) -> str:
    """Return the step of the colour scale for a share, 0 to 7."""
    return str(min(HEAT_STEPS - 1, max(0, int(share * HEAT_STEPS))))


def tiles_of(cluster: Cluster, shares: Mapping[str, Sequence[float | None]] | None = None) -> dict[str, list[Tile]]:
    """Return the hosts by rack."""
    racks: dict[str, list[Tile]] = defaultdict(list)
    for host in cluster.hosts:
        tile = tile_of(cluster, host, (shares or {}).get(host.name, ()))
        racks[tile.rack].append(tile)
    return dict(sorted(racks.items(), key=lambda item: (item[0] == NO_RACK, item[0])))


def tile_of(cluster: Cluster, host: Host, shares: Sequence[float | None] = ()) -> Tile:
    """Return one host as a tile."""
    return Tile(
        name=host.name,
        rack=host.labels.get("rack", NO_RACK),
        state=STATES[host.state],
        is_on=host.is_on,
        cpu=cluster.utilisation(host, CPU) if host.is_on else 0.0,
        memory=cluster.utilisation(host, MEMORY) if host.is_on else 0.0,
        guests=len(cluster.active_on(host.name)) if host.is_on else len(cluster.guests_of(host.name)),
        trend=_trend(shares),
        line=_sparkline(shares),
        flags=_flags(cluster, host),
    )


def _flags(cluster: Cluster, host: Host) -> tuple[str, ...]:
    said = ["drained"] if host.drained else ["cordoned"] if host.cordoned and host.is_on else []
    said += ["in doubt"] if cluster.is_doubted(host) else []
    said += ["shunned"] if host.shunned else []
    return (*said, *(["out of the power scheme"] if host.quarantined else []))


def _trend(shares: Sequence[float | None]) -> str:
    known = [share for share in shares if share is not None]
    if len(known) < 3:
        return ""
    change = known[-1] - sum(known[:-1]) / len(known[:-1])
    return "rising" if change > A_CHANGE else "falling" if change < -A_CHANGE else "steady"


def _sparkline(shares: Sequence[float | None]) -> str:
    if len(shares) < 2:
        return ""
    step = 100 / (len(shares) - 1)
    return " ".join(f"{place * step:.1f},{20 - 18 * min(share or 0.0, 1.0):.1f}" for place, share in enumerate(shares))


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


# -- plans


@dataclass(frozen=True)
class BeforeAfter:
    """A host now, and once the plan is carried out."""

    now: Tile
    then: Tile

    @property
    def fate(self) -> str:
        if self.now.is_on and not self.then.is_on:
            return "goes to sleep"
        return "is woken" if self.then.is_on and not self.now.is_on else ""

    @property
    def changes(self) -> bool:
        return bool(self.fate) or self.now.guests != self.then.guests


def before_and_after(plan: Plan, cluster: Cluster) -> list[BeforeAfter]:
    """Return each host beside what becomes of it."""
    later = outcome(plan, cluster)
    return [BeforeAfter(tile_of(cluster, host), tile_of(later, later.host(host.name))) for host in cluster.hosts]


def flows_of(plan: Plan) -> dict[str, Any]:
    """Return who goes where, as a picture: hosts that lose guests on the left, hosts that gain them on the right."""
    counts = Counter((step.move.source, step.move.target) for step in plan.moves)
    left = dict.fromkeys(source for source, _ in counts)
    right = dict.fromkeys(target for _, target in counts)
    return {
        "nodes": [{"name": f"{name} ", "side": "from"} for name in left]
        + [{"name": name, "side": "to"} for name in right],
        "links": [{"source": f"{one} ", "target": other, "value": n} for (one, other), n in counts.items()],
    }


def left_alone(plan: Plan) -> list[tuple[str, str]]:
    """Say why some things are left as they are, and who: `hv01, hv05 (16 guests); hv03 (19 guests)`."""
    groups: dict[Because, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for kept in plan.kept:
        groups[kept.because][kept.detail].append(kept.subject.partition(":")[2])
    return [(because.sentence, "; ".join(_listed(*said) for said in by.items())) for because, by in groups.items()]


def _listed(detail: str, names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more + (f" ({detail})" if detail else "")


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
