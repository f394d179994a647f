"""Hosts as tiles, as warm as they are full: the same picture on the dashboard and in reports.

How they look is in static/pictures.css, which the dashboard serves and a report carries.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, MEMORY, Host, HostState
from balancer.domain.outcome import outcome
from balancer.domain.plan import Plan
from balancer.domain.units import count_of

HEAT_STEPS = 8
A_CHANGE = 0.05  # of CPU share within the trend; less is noise
FEW_HOSTS = 16  # whose numbers are shown at once
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
        """The class of its colour."""
        return heat_of(self.cpu) if self.is_on else "off"


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
        return bool(self.fate) or self.words[0] != self.words[1]

    @property
    def words(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """How full it is and what it carries, in words: now and then."""
        return _words_of(self.now), _words_of(self.then)


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


def before_and_after(plan: Plan, cluster: Cluster) -> list[BeforeAfter]:
    """Return each host beside what becomes of it."""
    later = outcome(plan, cluster)
    return [BeforeAfter(tile_of(cluster, host), tile_of(later, later.host(host.name))) for host in cluster.hosts]


# -- drawing


def side_by_side(pairs: Sequence[BeforeAfter], is_linked: bool = False) -> str:
    """Draw hosts before and after as two maps, and in numbers below."""
    maps = "".join(
        f'<figure><figcaption>{title}</figcaption><div class="tiles mini">'
        + "".join(tile(each, is_linked) for each in tiles)
        + "</div></figure>"
        for title, tiles in (("Now", [pair.now for pair in pairs]), ("Afterwards", [pair.then for pair in pairs]))
    )
    titles = "".join(f'<th scope="col" class="num">{title}</th>' for title in _TITLES)
    rows = "".join(map(_row, pairs))
    return (
        f'<div class="sides">{maps}</div>'
        f'<details class="numbers"{" open" if len(pairs) <= FEW_HOSTS else ""}><summary>Host by host</summary>'
        '<div class="scroll" tabindex="0" role="region" aria-label="hosts before and after">'
        f'<table class="rows pairs"><thead><tr><th scope="col">host</th>{titles}<th scope="col"></th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></details>"
    )


_TITLES = ("CPU now", "CPU then", "memory now", "memory then", "guests now", "guests then")


def _row(pair: BeforeAfter) -> str:
    kind = "" if pair.changes else ' class="same"'
    cells = "".join(f'<td class="num">{said}</td>' for both in zip(*pair.words, strict=True) for said in both)
    return f'<tr{kind}><th scope="row">{escape(pair.now.name)}</th>{cells}<td>{pair.fate}</td></tr>'


def _words_of(tile: Tile) -> tuple[str, ...]:
    shares = (f"{tile.cpu:.0%}", f"{tile.memory:.0%}") if tile.is_on else (tile.state, "")
    return (*shares, str(tile.guests))


def tile(t: Tile, is_linked: bool = True) -> str:
    """Draw one host; linked, it leads to its page on the dashboard."""
    name, more = escape(t.name), [f'<span class="tile-name">{escape(t.name)}</span>']
    if t.is_on:
        more.append(f'<span class="tile-cpu"><span class="unit">CPU</span> {t.cpu:.0%}</span>')
        more.append(
            f'<span class="tile-more"><span>memory {t.memory:.0%}</span><span class="dot"> · </span>'
            f'<span class="tile-guests">{count_of(t.guests, "guest")}</span></span>'
        )
        more.append(_spark(t.line))
        if t.trend in _ARROWS:
            more.append(f'<span class="tile-trend">{_ARROWS[t.trend]} {t.trend}</span>')
    else:
        defined = f"{count_of(t.guests, 'guest')} defined" if t.guests else "no guests"
        more.append(f'<span class="tile-cpu">☾ {t.state}</span><span class="tile-more">{defined}</span>')
    if t.is_on and t.state != "on":
        more.append(f'<span class="tile-trend">{t.state}</span>')
    more += [f'<span class="tile-flag">{escape(flag)}</span>' for flag in t.flags]
    kind = f'class="tile heat-{t.heat}{" flagged" if t.flags else ""}"'
    inside = "".join(more)
    if is_linked:
        return f'<a {kind} href="/hosts/{quote(t.name, safe="")}">{inside}</a>'
    return f'<span {kind} title="{name}">{inside}</span>'


_ARROWS = {"rising": "▲", "falling": "▼"}


def _spark(line: str) -> str:
    if not line:
        return ""
    return (
        '<svg class="spark" viewBox="0 0 100 20" preserveAspectRatio="none" aria-hidden="true">'
        f'<polyline points="{line}"/></svg>'
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
