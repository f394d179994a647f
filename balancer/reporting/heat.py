"""A cluster in one line: a bar a host, as high as its CPU is busy; a dot sleeps."""

from __future__ import annotations

from rich.text import Text

from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, Host, HostState

_LEVELS = "▁▂▃▄▅▆▇█"


def heat_line(cluster: Cluster) -> Text:
    """Return one character a host, in the cluster's order."""
    line = Text()
    for host in cluster.hosts:
        line.append(*_cell(cluster, host))
    return line


def _cell(cluster: Cluster, host: Host) -> tuple[str, str]:
    if host.state is HostState.WAKING:
        return "↑", "cyan"
    if not host.is_on:
        return "·", "blue"
    share = cluster.utilisation(host, CPU)
    return _LEVELS[min(int(share * len(_LEVELS)), len(_LEVELS) - 1)], colour_of(share)


def colour_of(share: float) -> str:
    """Return the colour of a utilisation, the same wherever one is shown."""
    return "red" if share > 0.9 else "yellow" if share > 0.75 else "green"
