"""Random clusters, some small enough to try every placement, with every shape and a few faults."""

from __future__ import annotations

import random
from dataclasses import replace

from balancer.constraints import Reach
from balancer.domain.cluster import Cluster
from balancer.domain.host import Host, HostState, Power
from balancer.domain.shapes import (
    AllowedHosts,
    AtMost,
    CapacityShare,
    Cost,
    GroupLoad,
    HostMust,
    HostOn,
    HostsOn,
    HostsTouched,
    LoadCurve,
    MoveCost,
    Shape,
    Together,
)
from balancer.domain.vm import Vm, VmState
from balancer.objectives import EvenLoad, FewMoves, LeastPower, LittleWait
from balancer.policy.model import Objectives
from balancer.solving import Effort, Problem
from tests.drawing import NOON


def random_problem(
    seed: int, hosts: int | None = None, vms: int | None = None, effort: Effort | None = None
) -> Problem:
    """Return a random problem; the same seed gives the same."""
    rng = random.Random(seed)
    host_count, vm_count = hosts or rng.randint(2, 3), vms or rng.randint(2, 4)
    awake = [_host(rng, n) for n in range(host_count)]
    asleep = [h.name for h in awake[1:] if rng.random() < 0.25]
    seen = tuple(h.model_copy(update={"state": HostState.STANDBY}) if h.name in asleep else h for h in awake)
    homes = [h.name for h in seen if h.is_on]
    guests = tuple(_vm(rng, n, rng.choice(homes)) for n in range(vm_count))
    if rng.random() < 0.2 and len(homes) > 1:
        guests = (_in_flight(rng, guests[0], homes), *guests[1:])
    cluster = Cluster(taken_at=NOON, cluster="tiny", hosts=seen, vms=guests)
    return Problem(
        cluster,
        _shapes(rng, cluster),
        _costs(rng, cluster),
        may_move=frozenset(vm.name for vm in guests if rng.random() < 0.9),
        may_sleep=frozenset(h for h in homes if rng.random() < 0.7),
        may_wake=frozenset(h for h in asleep if rng.random() < 0.8),
        max_moves=rng.choice([None, None, 1, 2, vm_count // 2]),
        max_mib=rng.choice([None, None, 8192.0, 16384.0]),
        seed=seed,
        effort=effort or Effort(),
    )


def _host(rng: random.Random, number: int) -> Host:
    state = HostState.DRAINING if rng.random() < 0.08 else HostState.UP
    reading = rng.choice([None, 3.0])
    return Host(
        name=f"h{number}",
        cpu_cores=rng.choice([8.0, 16.0]),
        memory_mib=rng.choice([16384.0, 32768.0]),
        state=state,
        cpu_used_cores=reading,
        cpu_model=rng.choice(["old", "new"]),
    )


def _vm(rng: random.Random, number: int, host: str) -> Vm:
    return Vm(
        name=f"v{number}",
        host=host,
        vcpus=4,
        memory_mib=rng.choice([2048.0, 4096.0, 8192.0, 12288.0]),
        cpu_used_cores=rng.choice([0.5, 1.0, 2.0, 3.5]),
        state=VmState.SHUT_OFF if rng.random() < 0.12 else VmState.RUNNING,
        cpu_models=("new",) if rng.random() < 0.1 else None,
    )


def _in_flight(rng: random.Random, vm: Vm, homes: list[str]) -> Vm:
    target = rng.choice([home for home in homes if home != vm.host])
    return vm.model_copy(update={"moving_to": target, "state": VmState.MIGRATING})


def _shapes(rng: random.Random, cluster: Cluster) -> tuple[Shape, ...]:
    names = [vm.name for vm in cluster.vms]
    hosts = [host.name for host in cluster.hosts]
    shapes: list[Shape] = [CapacityShare(h, r, s) for h in hosts for r, s in (("cpu", 0.9), ("memory", 0.95))]
    group = frozenset(rng.sample(names, 2))

    def price() -> float | None:
        return rng.choice([None, 0.3])

    if rng.random() < 0.4:
        limit_price = price()
        domains = (
            [frozenset({h}) for h in hosts] if rng.random() < 0.7 else [frozenset(hosts[:2]), frozenset(hosts[2:])]
        )
        shapes += [AtMost(group, domain, 1, limit_price) for domain in domains]
    if rng.random() < 0.4:
        shapes.append(AllowedHosts(rng.choice(names), frozenset(rng.sample(hosts, len(hosts) - 1)), price()))
    if rng.random() < 0.3:
        pair = frozenset(rng.sample(names, 2))
        ends = {end for n in pair for end in (cluster.vm(n).host, cluster.vm(n).moving_to) if end}
        # A hard group that is split is brought together by rule, not by cost: it has tests of its own.
        shapes.append(Together(pair, 0.2 if len(ends) > 1 else price()))
    if rng.random() < 0.3:
        shapes.append(HostMust(rng.choice(hosts), rng.random() < 0.5))
    if rng.random() < 0.2:
        shapes.append(CapacityShare(rng.choice(hosts), "memory", 0.5, 0.4))
    shapes += _rarer_shapes(rng, cluster, names, hosts)
    shapes += Reach().lower(cluster)
    return tuple(shapes)


def _rarer_shapes(rng: random.Random, cluster: Cluster, names: list[str], hosts: list[str]) -> list[Shape]:
    shapes: list[Shape] = []
    some = frozenset(rng.sample(hosts, max(1, len(hosts) - 1)))
    if rng.random() < 0.2:
        members = rng.choice([None, frozenset(rng.sample(names, 2))])
        whole = sum(cluster.host(name).usable("memory") for name in some)
        shapes.append(
            GroupLoad(members, some, "memory", rng.choice([0.2, 0.4]) * whole, whole, rng.choice([None, 0.3]))
        )
    if rng.random() < 0.2:
        shapes.append(HostsTouched(frozenset(rng.sample(names, 2)), 1, rng.choice([None, 0.3])))
    if rng.random() < 0.2:
        least, most = rng.choice([(0, 1), (1, 1), (1, None), (len(some), None)])
        shapes.append(HostsOn(some, least, most, rng.choice([None, 0.3])))
    if rng.random() < 0.2:
        # A second wish about the same load, and a promise about what is promised rather than used.
        shapes += [CapacityShare(hosts[0], "memory", 0.3, 0.2), CapacityShare(hosts[0], "memory", 0.6, 0.3)]
        shapes += [CapacityShare(name, "vcpus", rng.choice([0.75, 1.5])) for name in hosts]
    return shapes


def _costs(rng: random.Random, cluster: Cluster) -> tuple[Cost, ...]:
    even, power, moves = rng.choice([(1.0, 0.0, 0.02), (0.3, 1.0, 0.02), (0.0, 1.0, 0.02), (0.5, 0.2, 0.1)])
    costs: list[Cost] = [HostOn(h.name, power * (0.5 if h.cpu_cores == 8.0 else 0.3)) for h in cluster.hosts]
    for host in cluster.hosts:
        for resource in ("cpu", "memory"):
            costs.append(
                LoadCurve(host.name, resource, even * host.usable(resource) / (32.0 if resource == "cpu" else 65536.0))
            )
    total = sum(vm.memory_mib for vm in cluster.vms)
    return (*costs, *(MoveCost(vm.name, moves * vm.memory_mib / total) for vm in cluster.vms))


def random_wishes(seed: int, problem: Problem) -> tuple[Problem, Objectives]:
    """Return a problem with watts, waits and further resources in its cluster, and a random mix of wishes."""
    rng = random.Random(seed)
    hosts = tuple(host.model_copy(update=_measured_host(rng)) for host in problem.cluster.hosts)
    vms = tuple(vm.model_copy(update=_measured_vm(rng)) for vm in problem.cluster.vms)
    cluster = problem.cluster.model_copy(update={"hosts": hosts, "vms": vms})
    even, power, wait, moves = rng.choice(
        [
            (0.3, 1.0, 0.0, 0.02),
            (0.0, 1.0, 0.0, 0.02),
            (0.0, 0.0, 1.0, 0.02),
            (0.2, 1.0, 0.5, 0.0),
            (1.0, 0.0, 0.0, 0.02),
        ]
    )
    wishes = Objectives(
        even_load=EvenLoad(weight=even, resources={"network": rng.choice([0.0, 1.0])}),
        least_power=LeastPower(weight=power, planned_load=True),
        little_wait=LittleWait(weight=wait),
        few_moves=FewMoves(weight=moves),
    )
    return replace(problem, cluster=cluster, costs=tuple(wishes.lower(cluster))), wishes


def _measured_host(rng: random.Random) -> dict[str, object]:
    watts = tuple(float(rng.randint(50, 400)) for _ in range(rng.choice([2, 3, 11])))
    return {
        "power": None if rng.random() < 0.2 else Power(watts=watts),
        "resources": {"network": 1000.0} if rng.random() < 0.7 else {},
    }


def _measured_vm(rng: random.Random) -> dict[str, object]:
    return {
        "cpu_wait_share": rng.choice([None, 0.0, 0.1, 0.4]),
        "resources": {"network": rng.choice([50.0, 200.0])} if rng.random() < 0.7 else {},
    }
