"""Random clusters with random mixes of every kind of promise, some broken from the start."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import cast

from balancer.constraints import (
    Apart,
    Cap,
    Constraint,
    Dedicated,
    GroupShare,
    Headroom,
    KeepOn,
    Licence,
    Listed,
    NotOn,
    OnlyOn,
    Overcommit,
    Prefer,
    Reserve,
    Stay,
    Together,
)
from balancer.domain.cluster import Cluster
from balancer.domain.host import Host, HostState
from balancer.domain.vm import Movable, Vm, VmState
from balancer.objectives import EvenLoad, FewMoves, LeastPower
from balancer.policy import Policy
from balancer.policy.model import Objectives, PowerRules
from balancer.policy.pace import Budget
from tests.drawing import NOON

Case = tuple[Cluster, Policy]


def random_case(seed: int) -> Case:
    """Return a random cluster and policy; the same seed gives the same."""
    rng = random.Random(seed)
    cluster = _cluster(rng)
    listed = [make(rng, cluster) for make in rng.sample(MAKERS, rng.randint(1, 5))]
    even, power, moves = rng.choice([(1.0, 0.0, 0.02), (0.3, 1.0, 0.02), (0.0, 1.0, 0.02)])
    policy = Policy(
        headroom=Headroom(cpu=0.9, memory=0.95, hard=rng.random() < 0.9, weight=0.2),
        constraints=cast(tuple[Listed, ...], tuple(listed)),
        objectives=Objectives(
            even_load=EvenLoad(weight=even), least_power=LeastPower(weight=power), few_moves=FewMoves(weight=moves)
        ),
        budget=Budget(moves=rng.choice([None, None, 2, 5]), concurrent_per_host=rng.choice([1, 2])),
        power=PowerRules(accept_shut_off_guests=rng.random() < 0.3),
    )
    return cluster, policy


def _cluster(rng: random.Random) -> Cluster:
    hosts = [_host(rng, number) for number in range(rng.randint(2, 5))]
    awake = [host.name for host in hosts if host.is_on]
    guests = [_guest(rng, number, rng.choice(awake)) for number in range(rng.randint(1, 12))]
    return Cluster(taken_at=NOON, cluster="any", hosts=tuple(hosts), vms=tuple(guests))


def _host(rng: random.Random, number: int) -> Host:
    asleep = number > 0 and rng.random() < 0.25
    emptied = number > 0 and not asleep and rng.random() < 0.1
    state = HostState.STANDBY if asleep else HostState.DRAINING if emptied else HostState.UP
    return Host(
        name=f"h{number}",
        state=state,
        cpu_cores=rng.choice([8.0, 16.0]),
        memory_mib=rng.choice([32768.0, 65536.0]),
        cpu_used_cores=0.0 if asleep else rng.choice([None, 6.0]),
        labels={"rack": f"r{number % 2}"},
        cpu_model=rng.choice(["old", "new"]),
        asleep_by_us=asleep and rng.random() < 0.9,
        may_sleep=rng.random() < 0.9,
    )


def _guest(rng: random.Random, number: int, host: str) -> Vm:
    return Vm(
        name=f"v{number}",
        host=host,
        vcpus=rng.choice([1, 2, 4]),
        memory_mib=rng.choice([2048.0, 4096.0, 8192.0, 12288.0]),
        cpu_used_cores=rng.choice([0.2, 0.5, 1.0]),
        state=VmState.SHUT_OFF if rng.random() < 0.1 else VmState.RUNNING,
        movable=Movable.NEVER if rng.random() < 0.1 else Movable.LIVE,
        labels={"app": rng.choice(["db", "web", "batch"])},
        cpu_models=("new",) if rng.random() < 0.1 else None,
    )


def _vms(rng: random.Random, cluster: Cluster, most: int = 4) -> tuple[str, ...]:
    names = [vm.name for vm in cluster.vms]
    return tuple(rng.sample(names, min(len(names), rng.randint(2, most))))


def _hosts(rng: random.Random, cluster: Cluster) -> tuple[str, ...]:
    names = [host.name for host in cluster.hosts]
    return tuple(rng.sample(names, rng.randint(1, max(1, len(names) - 1))))


def _wish(rng: random.Random) -> dict[str, object]:
    return {"hard": False, "weight": 0.2} if rng.random() < 0.3 else {}


def _apart(rng: random.Random, cluster: Cluster) -> Constraint:
    across, most = rng.choice([("host", 1), ("rack", 1), ("rack", 2)])
    return Apart.model_validate(
        {"kind": "apart", "vms": _vms(rng, cluster), "across": across, "at_most": most} | _wish(rng)
    )


def _together(rng: random.Random, cluster: Cluster) -> Constraint:
    return Together.model_validate({"kind": "together", "vms": _vms(rng, cluster, 3)} | _wish(rng))


def _only_on(rng: random.Random, cluster: Cluster) -> Constraint:
    some = {"match": {"app": "db"}, "hosts": _hosts(rng, cluster)}
    return OnlyOn.model_validate({"kind": "only_on"} | some | _wish(rng))


def _not_on(rng: random.Random, cluster: Cluster) -> Constraint:
    some = {"vms": _vms(rng, cluster), "hosts": _hosts(rng, cluster)}
    return NotOn.model_validate({"kind": "not_on"} | some | _wish(rng))


def _stay(rng: random.Random, cluster: Cluster) -> Constraint:
    return Stay.model_validate({"kind": "stay", "vms": _vms(rng, cluster)} | _wish(rng))


def _prefer(rng: random.Random, cluster: Cluster) -> Constraint:
    return Prefer(kind="prefer", vms=("*",), hosts=_hosts(rng, cluster), weight=0.02)


def _dedicated(rng: random.Random, cluster: Cluster) -> Constraint:
    some = {"match": {"app": "batch"}, "hosts": _hosts(rng, cluster)[:1], "may_leave": rng.random() < 0.5}
    return Dedicated.model_validate({"kind": "dedicated"} | some | _wish(rng))


def _licence(rng: random.Random, cluster: Cluster) -> Constraint:
    return Licence.model_validate(
        {"kind": "licence", "match": {"app": "db"}, "at_most": rng.choice([1, 2])} | _wish(rng)
    )


def _cap(rng: random.Random, cluster: Cluster) -> Constraint:
    some = {"hosts": _hosts(rng, cluster), "memory": rng.choice([0.4, 0.7]), "each": rng.choice(["host", "group"])}
    return Cap.model_validate({"kind": "cap"} | some | _wish(rng))


def _group_share(rng: random.Random, cluster: Cluster) -> Constraint:
    some = {"match": {"app": "web"}, "hosts": _hosts(rng, cluster), "memory": rng.choice([0.1, 0.3])}
    return GroupShare.model_validate({"kind": "group_share"} | some | _wish(rng))


def _overcommit(rng: random.Random, cluster: Cluster) -> Constraint:
    return Overcommit.model_validate({"kind": "overcommit", "vcpus": rng.choice([0.5, 1.0])} | _wish(rng))


def _reserve(rng: random.Random, cluster: Cluster) -> Constraint:
    return Reserve.model_validate({"kind": "reserve", "across": rng.choice(["host", "rack"])} | _wish(rng))


def _keep_on(rng: random.Random, cluster: Cluster) -> Constraint:
    hosts = _hosts(rng, cluster)
    count = {"at_least": 1} if rng.random() < 0.7 else {"at_most": len(hosts)}
    return KeepOn.model_validate({"kind": "keep_on", "hosts": hosts} | count | _wish(rng))


MAKERS: list[Callable[[random.Random, Cluster], Constraint]] = [
    _apart,
    _together,
    _only_on,
    _not_on,
    _stay,
    _prefer,
    _dedicated,
    _licence,
    _cap,
    _group_share,
    _overcommit,
    _reserve,
    _keep_on,
]


def renamed(case: Case, hosts: Mapping[str, str], vms: Mapping[str, str]) -> Case:
    """Return the same with other names, in the same order."""
    cluster, policy = case
    called = cluster.model_copy(
        update={
            "hosts": tuple(host.model_copy(update={"name": hosts[host.name]}) for host in cluster.hosts),
            "vms": tuple(vm.model_copy(update={"name": vms[vm.name], "host": hosts[vm.host]}) for vm in cluster.vms),
        }
    )
    promises = tuple(_renamed(promise, hosts, vms) for promise in policy.constraints)
    return called, policy.model_copy(update={"constraints": promises})


def _renamed(promise: Constraint, hosts: Mapping[str, str], vms: Mapping[str, str]) -> Constraint:
    said = {"vms": vms, "hosts": hosts}
    changes = {
        key: tuple(names.get(name, name) for name in getattr(promise, key))
        for key, names in said.items()
        if getattr(promise, key, None) is not None
    }
    return promise.model_copy(update=changes)
