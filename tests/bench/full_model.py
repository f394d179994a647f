"""The textbook model, as somebody writes it in PuLP who has no other: a binary for each guest and host.

    minimise   sum over hosts, resources of cost_hr  +  sum over hosts of idle_h * on_h  +  memory that moves
    where      sum over hosts of x_vh = 1                         for every guest
               load_hr = sum over guests of need_vr * x_vh <= share_r * usable_hr * on_h
               cost_hr >= each tangent of the even_load curve at load_hr

`python -m tests.bench.full_model --hosts 32 --vms 500 --seed 1 --wish balance --solver cbc --seconds 60` prints, as
JSON, the host of each guest and the hosts that are on: the solver's best answer, or null where it has none.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import highspy
import numpy as np
import pulp

from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, MEMORY, Resource
from balancer.objectives.even_load import usable_in_all
from tests.bench.clusters import BenchCase, cluster_of
from tests.bench.rules import CPU_SHARE, MEMORY_SHARE, Weights
from tests.bench.wishes import WISHES

SHARES: dict[Resource, float] = {CPU: CPU_SHARE, MEMORY: MEMORY_SHARE}
TANGENT_SPACING = 0.01  # of a host: what is lost between two tangents is a hundredth of a percent of J
HAS_AN_ANSWER = {pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible}
SOLVERS = ("cbc", "highs")


class FullModel:
    """The model of one cluster, and the answer that is read from it. It knows no rules."""

    def __init__(self, cluster: Cluster, weights: Weights) -> None:
        self._cluster = cluster
        self._hosts, self._vms = cluster.hosts, cluster.vms
        self.lp = pulp.LpProblem("full", pulp.LpMinimize)
        self._x = [[self._binary(f"x_{v}_{h}") for h in range(len(self._hosts))] for v in range(len(self._vms))]
        self._on = [self._binary(f"on_{h}") for h in range(len(self._hosts))]
        self.lp.setObjective(pulp.lpSum([self._evenness(weights), self._power(weights), self._moves(weights)]))
        for row in self._x:
            self.lp += pulp.lpSum(row) == 1
        # Where power is no wish nothing says which hosts are on: then all stay on.
        for on in () if weights.least_power > 0 else self._on:
            self.lp += on == 1

    def _binary(self, name: str) -> Any:
        return self.lp.add_variable(name, cat=pulp.LpBinary)

    def _evenness(self, weights: Weights) -> Any:
        counts = {CPU: weights.cpu, MEMORY: weights.memory}
        return pulp.lpSum(
            self._host_cost(place, resource, weights.even_load * counts[resource])
            for resource in (CPU, MEMORY)
            for place in range(len(self._hosts))
        )

    def _host_cost(self, place: int, resource: Resource, weight: float) -> Any:
        """Return the variable of what a host's load costs, held above all tangents of the curve."""
        host, share = self._hosts[place], SHARES[resource]
        usable = host.usable(resource)
        used = self.lp.add_variable(f"used_{resource}_{place}", lowBound=0)
        loads = pulp.lpSum(vm.need(resource) / usable * row[place] for vm, row in zip(self._vms, self._x, strict=True))
        self.lp += used == loads
        self.lp += used <= share * self._on[place]
        cost = self.lp.add_variable(f"cost_{resource}_{place}", lowBound=0)
        curve = 0.5 * weight * usable / usable_in_all(self._cluster, resource)
        for at in np.arange(0.0, share + TANGENT_SPACING, TANGENT_SPACING) if curve > 0 else ():
            self.lp += cost >= curve * float(2 * at) * used - curve * float(at * at)
        return cost

    def _power(self, weights: Weights) -> Any:
        total = sum(host.idle_watts for host in self._hosts)
        return pulp.lpSum(
            weights.least_power * host.idle_watts / total * on for host, on in zip(self._hosts, self._on, strict=True)
        )

    def _moves(self, weights: Weights) -> Any:
        total = sum(vm.memory_mib for vm in self._vms)
        place_of = {host.name: place for place, host in enumerate(self._hosts)}
        return pulp.lpSum(
            weights.few_moves * vm.memory_mib / total * (1 - row[place_of[vm.host]])
            for vm, row in zip(self._vms, self._x, strict=True)
        )

    def solve(self, solver: str, cpu_seconds: float) -> bool:
        """Let a solver work on it for so much CPU time; whether it found any answer."""
        self.lp.solve(_cbc(cpu_seconds) if solver == "cbc" else _highs(cpu_seconds))
        if solver == "highs":
            # PuLP takes an interrupted run for one that found something.
            return bool(self.lp.solverModel.getInfo().primal_solution_status == highspy.kSolutionStatusFeasible)
        return self.lp.sol_status in HAS_AN_ANSWER

    def answer(self) -> dict[str, Any]:
        """Return the host of each guest, and the hosts that are on."""
        names = [host.name for host in self._hosts]
        at = [int(np.argmax([x.varValue or 0.0 for x in row])) for row in self._x]
        on = {names[place] for place, on in enumerate(self._on) if (on.varValue or 0.0) > 0.5}
        homes = {vm.name: names[host] for vm, host in zip(self._vms, at, strict=True)}
        return {"homes": homes, "on": sorted(on | set(homes.values()))}


def _cbc(cpu_seconds: float) -> Any:
    return pulp.PULP_CBC_CMD(msg=False, threads=1, timeLimit=cpu_seconds, timeMode="cpu")


def _highs(cpu_seconds: float) -> Any:
    """HiGHS has no limit but the wall's, under which it would starve beside other work; so it is interrupted."""

    def stop_in_time(_kind: Any, _message: Any, _seen: Any, wanted: Any, _data: Any) -> None:
        wanted.user_interrupt = time.process_time() - started >= cpu_seconds

    started = time.process_time()
    kinds = highspy.cb.HighsCallbackType
    watched = [kinds.kCallbackMipInterrupt, kinds.kCallbackSimplexInterrupt, kinds.kCallbackIpmInterrupt]
    return pulp.HiGHS(msg=False, threads=1, callbackTuple=(stop_in_time, None), callbacksToActivate=watched)


def main(words: Sequence[str]) -> None:
    """Build the model of a case, solve it, print the answer or null."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.full_model")
    for number in ("hosts", "vms", "seed"):
        parser.add_argument(f"--{number}", type=int, required=True)
    parser.add_argument("--wish", choices=[wish.name for wish in WISHES], required=True)
    parser.add_argument("--solver", choices=SOLVERS, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    given = parser.parse_args(words)
    wish = next(wish for wish in WISHES if wish.name == given.wish)
    model = FullModel(cluster_of(BenchCase(given.hosts, given.vms, given.seed)), wish.weights)
    print(json.dumps(model.answer() if model.solve(given.solver, given.seconds) else None))


if __name__ == "__main__":
    main(sys.argv[1:])
