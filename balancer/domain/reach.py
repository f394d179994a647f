"""Where a guest could run at all: its CPU, its networks, its storage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from balancer.domain.host import Host
from balancer.domain.vm import CpuMode, Vm


def why_cannot_run(vm: Vm, home: Host, host: Host) -> str:
    """Say why a guest of `home` could not run on a host; empty where it could. Where it is, it can."""
    return "" if host.name == home.name else why_could_not_start(vm, home, host)


def why_could_not_start(vm: Vm, home: Host, host: Host) -> str:
    """Say why a guest that runs on `home` could not be started on a host, were it its own; empty where it could."""
    return _why_not_its_cpu(vm, home, host) or _what_is_missing(vm, host)


def _why_not_its_cpu(vm: Vm, home: Host, host: Host) -> str:
    if vm.cpu_models is not None and vm.cpu_mode is not CpuMode.HOST_PASSTHROUGH:
        fits = not {host.cpu_model, host.cpu_digest}.isdisjoint(vm.cpu_models)
        return "" if fits else f"its CPU ({host.cpu_model or host.cpu_digest}) is none that the guest can run on"
    if vm.cpu_mode is CpuMode.CUSTOM or is_same_cpu(home, host):
        return ""
    return f"its CPU is another than that of {home.name}, and the guest uses the host's own ({vm.cpu_mode})"


def is_same_cpu(one: Host, other: Host) -> bool:
    """Whether a guest that uses its host's own CPU may go from one to the other: the digests decide, then the models.

    Where nobody said what the CPUs are, they may well differ.
    """
    if one.cpu_digest is not None or other.cpu_digest is not None:
        return one.cpu_digest == other.cpu_digest
    return one.cpu_model is not None and one.cpu_model == other.cpu_model


def _what_is_missing(vm: Vm, host: Host) -> str:
    missing = [net for net in vm.networks if host.networks is not None and net not in host.networks]
    if missing:
        return f"it has no network {', '.join(missing)}"
    missing = [pool for pool in vm.pools if host.pools is not None and pool not in host.pools]
    return f"it has no storage pool {', '.join(missing)}" if missing else ""


def reach_of(vms: Iterable[Vm], hosts: tuple[Host, ...], anew: bool = False) -> Iterator[tuple[Vm, frozenset[str]]]:
    """Return for each guest the hosts that it could run on; asked once for guests and hosts that cannot differ.

    anew: where it could be started, should it be lost; its own host is then no better than it looks
    """
    homes = {host.name: host for host in hosts}
    alike: dict[tuple[object, ...], list[Host]] = defaultdict(list)
    for host in hosts:
        alike[host.cpu_model, host.cpu_digest, host.networks, host.pools].append(host)
    starts: dict[tuple[object, ...], frozenset[str]] = {}
    runs: dict[tuple[frozenset[str], str], frozenset[str]] = {}
    for vm in vms:
        home = homes[vm.host]
        kind = (vm.cpu_mode, vm.cpu_models, vm.networks, vm.pools, home.cpu_model, home.cpu_digest)
        if kind not in starts:
            able = [group for group in alike.values() if not why_could_not_start(vm, home, group[0])]
            starts[kind] = frozenset(host.name for group in able for host in group)
        reach = starts[kind]
        if not anew and home.name not in reach:
            reach = runs.setdefault((reach, home.name), reach | {home.name})
        yield vm, reach


def islands(hosts: tuple[Host, ...]) -> tuple[frozenset[str], ...]:
    """Return groups of hosts between which guests that use their host's own CPU may move, the largest first."""
    left, found = list(hosts), list[frozenset[str]]()
    while left:
        first, *left = left
        group = [first, *(host for host in left if is_same_cpu(first, host))]
        left = [host for host in left if host not in group]
        found.append(frozenset(host.name for host in group))
    return tuple(sorted(found, key=lambda group: (-len(group), min(group))))
