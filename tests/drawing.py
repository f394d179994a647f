"""Draw clusters in a line, so that a test shows what it is about.

    cluster("h1 64: a=8@db b=4/1.5 | h2 64 standby: | h3 64 rack=r1: c=8!")

A host is `name GiB [state] [label=value ...]`, with 16 cores, `cpu=old` its CPU model; a guest is
`name=GiB[/cores][@app][^cpu][!]`, the cores in use (default 1), `@app` its label `app`, `^cpu` the CPU model that it
needs, `!` immovable, `~` shut off.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from balancer.domain.cluster import Cluster
from balancer.domain.host import Host, HostState
from balancer.domain.vm import Movable, Vm, VmState

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CORES = 16.0
_GUEST = re.compile(
    r"(?P<name>[\w-]+)=(?P<gib>[\d.]+)(/(?P<cores>[\d.]+))?(@(?P<app>[\w-]+))?(\^(?P<cpu>[\w-]+))?(?P<marks>[!~]*)"
)


def cluster(drawing: str, **more: Any) -> Cluster:
    """Return the cluster that a drawing shows; `more` goes to Cluster as it is."""
    hosts, vms = [], []
    for part in drawing.split("|"):
        head, _, guests = part.partition(":")
        host = _host(head.split())
        hosts.append(host)
        vms += [_guest(word, host.name) for word in guests.split()]
    return Cluster(taken_at=NOON, cluster="drawn", hosts=tuple(hosts), vms=tuple(vms), **more)


def _host(words: list[str]) -> Host:
    name, gib, *rest = words
    labels = dict(word.split("=", 1) for word in rest if "=" in word)
    cpu_model = labels.pop("cpu", None)
    state = next((HostState(word) for word in rest if "=" not in word), HostState.UP)
    return Host(
        name=name,
        state=state,
        cpu_cores=CORES,
        memory_mib=float(gib) * 1024,
        labels=labels,
        cpu_model=cpu_model,
        asleep_by_us=state is HostState.STANDBY,
    )


def _guest(word: str, host: str) -> Vm:
    seen = _GUEST.fullmatch(word)
    assert seen, f"cannot read the guest {word!r}"
    marks = seen["marks"]
    return Vm(
        name=seen["name"],
        host=host,
        vcpus=4,
        memory_mib=float(seen["gib"]) * 1024,
        cpu_used_cores=float(seen["cores"] or 1),
        labels={"app": seen["app"]} if seen["app"] else {},
        cpu_models=(seen["cpu"],) if seen["cpu"] else None,
        movable=Movable.NEVER if "!" in marks else Movable.LIVE,
        state=VmState.SHUT_OFF if "~" in marks else VmState.RUNNING,
    )


def where(drawn: Cluster) -> dict[str, str]:
    """Return the host of each guest."""
    return {vm.name: vm.host for vm in drawn.vms}
