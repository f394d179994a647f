"""Make clusters to measure on: seeded, realistic, and the same byte for byte wherever they are made.

Guests have 1 to 32 vCPUs, 1 to 8 GiB a vCPU and lognormal use; hosts are of two generations; the start is skewed and
legal. The order in which numbers are drawn is part of the format: another order makes another cluster.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from balancer.domain.cluster import Cluster
from balancer.errors import PolicyError
from balancer.formats.reading import read_text
from balancer.policy import Policy
from tests.bench import rules as ruling
from tests.bench.names import host_name, vm_name
from tests.bench.rules import NO_RULES, Rules, Weights
from tests.bench.start import skewed_start

Floats = npt.NDArray[np.float64]

HOSTS_IN_RACK = 16


@dataclass(frozen=True)
class BenchCase:
    """Which cluster is meant. Equal cases make equal clusters."""

    hosts: int
    vms: int
    seed: int = 1
    rules: bool = False
    cpu_fill: float = 0.42  # shares of the whole that are in use
    memory_fill: float = 0.60
    skew: float = 0.45  # sigma of how much better some hosts are liked than others

    def __str__(self) -> str:
        return f"{self.hosts} x {self.vms}" + (" rules" if self.rules else "")


@dataclass(frozen=True, eq=False)
class _Guests:
    vcpus: npt.NDArray[np.int64]
    memory_mib: Floats
    used_cores: Floats
    dirty_mib_per_s: Floats


@dataclass(frozen=True, eq=False)
class _Hosts:
    newer: npt.NDArray[np.bool_]
    cores: Floats
    memory_mib: Floats
    idle_watts: Floats
    peak_watts: Floats


@dataclass(frozen=True, eq=False)
class _Drawn:
    guests: _Guests
    hosts: _Hosts
    rules: Rules
    at: tuple[int, ...]


def cluster_of(case: BenchCase) -> Cluster:
    """Return the cluster of a case."""
    return Cluster.model_validate(_snapshot(case))


def snapshot_json(case: BenchCase) -> str:
    """Return the cluster of a case as a snapshot file (`balancer.snapshot/1`)."""
    return json.dumps(_snapshot(case))


def policy_of(case: BenchCase, weights: Weights, most_moves: int | None = None) -> Policy:
    """Return the policy of a case: its rules, wishes of these weights, and where moves are limited a budget."""
    return read_text(policy_yaml(case, weights, most_moves), Policy, "bench policy", PolicyError)


def policy_yaml(case: BenchCase, weights: Weights, most_moves: int | None = None) -> str:
    """Return the policy of a case as a policy file (`balancer.policy/1`)."""
    return ruling.policy_yaml(_draw(case).rules, weights, most_moves)


@lru_cache(maxsize=1)  # the cluster and the policy of a case come from the same numbers
def _draw(case: BenchCase) -> _Drawn:
    rng = np.random.default_rng([case.seed, case.hosts, case.vms])
    guests = _draw_guests(rng, case.vms)
    hosts = _draw_hosts(rng, case, float(guests.used_cores.sum()), float(guests.memory_mib.sum()))
    rules = ruling.draw_rules(rng, case.hosts, case.vms) if case.rules else NO_RULES
    load = np.column_stack([guests.used_cores, guests.memory_mib])
    capacity = np.column_stack([hosts.cores, hosts.memory_mib])
    return _Drawn(guests, hosts, rules, skewed_start(rng, load, capacity, case.skew, rules))


def _draw_guests(rng: np.random.Generator, count: int) -> _Guests:
    vcpus = rng.choice([1, 2, 4, 8, 16, 32], count, p=[0.22, 0.30, 0.26, 0.14, 0.06, 0.02])
    memory_gib = np.clip(vcpus * rng.choice([1, 2, 4, 8], count, p=[0.15, 0.4, 0.3, 0.15]), 1, 128)
    used = np.round(vcpus * np.clip(rng.lognormal(np.log(0.18), 0.85, count), 0.005, 1.0), 4)
    # Large guests dirty more, up to what four of 8 GiB do.
    dirty = np.clip(rng.lognormal(np.log(30), 0.8, count), 1, 600) * np.minimum(memory_gib / 8, 4)
    return _Guests(vcpus, memory_gib * 1024.0, used, np.round(dirty, 1))


def _draw_hosts(rng: np.random.Generator, case: BenchCase, cores_needed: float, memory_needed: float) -> _Hosts:
    """Draw two generations, sized so that the guests fill them as the case says, and none too small for any guest."""
    newer = rng.random(case.hosts) < 0.5
    newer[0], newer[1 % case.hosts] = True, False
    cores, memory = np.where(newer, 1.6, 1.0), np.where(newer, 1.5, 1.0)
    cores = np.maximum(np.round(cores * cores_needed / case.cpu_fill / cores.sum() / 2) * 2, 36)
    memory = np.round(memory * memory_needed / case.memory_fill / memory.sum() / 16384) * 16384
    idle = np.where(newer, 120.0, 140.0) * (cores / cores.mean() * 0.5 + 0.5)
    peak = idle + np.where(newer, 1.9, 2.6) * cores
    return _Hosts(newer, cores, np.maximum(memory, 160 * 1024), np.round(idle, 1), np.round(peak, 1))


def _snapshot(case: BenchCase) -> dict[str, Any]:
    drawn = _draw(case)
    return {
        "schema": "balancer.snapshot/1",
        "taken_at": "2026-01-01T00:00:00Z",
        "cluster": f"bench-{case.hosts}x{case.vms}-{case.seed}",
        "hosts": [_host(drawn.hosts, number) for number in range(case.hosts)],
        "vms": [_vm(drawn.guests, drawn.at, number) for number in range(case.vms)],
    }


def _host(hosts: _Hosts, number: int) -> dict[str, Any]:
    return {
        "name": host_name(number),
        "state": "up",
        "cpu_cores": float(hosts.cores[number]),
        "memory_mib": int(hosts.memory_mib[number]),
        "labels": {"generation": "new" if hosts.newer[number] else "old", "rack": f"r{number // HOSTS_IN_RACK}"},
        "power": {"idle_watts": float(hosts.idle_watts[number]), "peak_watts": float(hosts.peak_watts[number])},
    }


def _vm(guests: _Guests, at: tuple[int, ...], number: int) -> dict[str, Any]:
    return {
        "name": vm_name(number),
        "host": host_name(at[number]),
        "state": "running",
        "vcpus": int(guests.vcpus[number]),
        "memory_mib": int(guests.memory_mib[number]),
        "cpu_used_cores": float(guests.used_cores[number]),
        "dirty_mib_per_s": float(guests.dirty_mib_per_s[number]),
        "storage": "shared",
        "movable": "live",
    }
