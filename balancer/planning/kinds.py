"""How each guest is moved: the kind that harms it least among those that end, and that the policy permits.

1. Plain live migration, where copying catches up with what the guest writes, or where nobody measured that.
2. Warm: stopped for the rest, where that stop is one that the policy allows.
3. Post-copy: it goes on at its target before all of it is there; a broken line then is a broken guest.
4. Auto-converge: slowed down until copying catches up.
5. Cold: shut down, moved, started.
"""

from __future__ import annotations

from dataclasses import dataclass

from balancer.domain.cluster import Cluster
from balancer.domain.migration import QEMU_STOP_SECONDS, MigrationCost, MigrationKind, MigrationOptions
from balancer.domain.pace import Paces
from balancer.domain.placement import Move
from balancer.domain.units import in_words, memory_in_words
from balancer.domain.vm import Movable, Vm
from balancer.planning.durations import (
    NO_PACES,
    RESUME_SECONDS,
    Journey,
    converges,
    cost_of,
    journey,
    left_after,
    migration_cost,
    throttles,
)
from balancer.policy.migration import MigrationRules


@dataclass(frozen=True)
class Way:
    """How a guest is moved, why so, and what that is expected to cost."""

    kind: MigrationKind
    options: MigrationOptions
    because: str
    cost: MigrationCost


def way_of(cluster: Cluster, move: Move, rules: MigrationRules, paces: Paces = NO_PACES) -> Way | str:
    """Choose how a guest is moved; a sentence where no way that the policy permits gets it there."""
    vm = cluster.vm(move.vm)
    if why_not := why_stays(vm, rules):
        return why_not
    options = _always(vm, rules)
    if not vm.is_active:
        cost = migration_cost(cluster, move, rules.bandwidth_mib_per_s, "cold", options, paces)
        return Way("cold", options, "it is shut off", cost)
    way = journey(cluster, move, rules.bandwidth_mib_per_s, options.copies_storage, paces)
    return _way_of_a_running_one(vm, way, options, rules)


def why_stays(vm: Vm, rules: MigrationRules) -> str:
    """Say what holds a guest on its host, whatever the target; empty where the policy permits some way."""
    if vm.movable is Movable.NEVER:
        return vm.why_not or "movable: never"
    if vm.movable is Movable.COLD and vm.is_active and not rules.allow_restart:
        return vm.why_not or "movable: cold"
    if vm.storage == "local" and rules.copy_storage == "never":
        return vm.why_not or "its disk is on this host alone, and the policy copies none (`migration: copy_storage`)"
    return ""


def bound_guests(cluster: Cluster, rules: MigrationRules) -> frozenset[str]:
    """Return the guests that no way which the policy permits takes off their hosts."""
    return frozenset(vm.name for vm in cluster.vms if why_stays(vm, rules))


def _always(vm: Vm, rules: MigrationRules) -> MigrationOptions:
    """Return what the policy says of each migration, however it goes."""
    sends_memory = vm.is_active
    return MigrationOptions(
        copy_storage=rules.copy_storage if vm.storage == "local" else "never",
        compression=rules.compression and sends_memory,
        parallel=rules.parallel if sends_memory else 0,
        tls=rules.tls and sends_memory,
    )


def _way_of_a_running_one(vm: Vm, way: Journey, options: MigrationOptions, rules: MigrationRules) -> Way | str:
    if vm.movable is Movable.COLD:
        return _restarted(way, options, rules, f"it can only be moved shut off ({vm.why_not or 'movable: cold'})")
    if vm.dirty_mib_per_s is None:
        return _unmeasured(way, options, rules)
    usual = min(QEMU_STOP_SECONDS, rules.allow_downtime_seconds)
    if converges(way, usual):
        return _way("live", options.model_copy(update={"stop_seconds": usual}), way, "")
    return _way_of_a_busy_one(way, options, rules)


def _unmeasured(way: Journey, options: MigrationOptions, rules: MigrationRules) -> Way:
    """What nobody measured may be busy: what helps a busy guest stands by, and does nothing to a quiet one."""
    stand_by = {
        "auto_converge": rules.auto_converge,
        "post_copy": rules.allow_post_copy and not options.parallel,
        "stop_seconds": min(QEMU_STOP_SECONDS, rules.allow_downtime_seconds),
    }
    helpers = " and ".join(name.replace("_", "-") for name in ("auto_converge", "post_copy") if stand_by[name])
    because = f"how fast it writes was not measured{f', so {helpers} stands by' if helpers else ''}"
    return _way("live", options.model_copy(update=stand_by), way, because)


def _way_of_a_busy_one(way: Journey, options: MigrationOptions, rules: MigrationRules) -> Way | str:
    allowed = rules.allow_downtime_seconds
    busy = f"it writes {way.dirty_mib_per_s:.0f} MiB/s of the {way.link_mib_per_s:.0f} that are copied"
    stop = left_after(way, 1) / way.link_mib_per_s + RESUME_SECONDS
    if stop <= allowed:
        stopped = options.model_copy(update={"stop_seconds": allowed})
        return _way("warm", stopped, way, f"{busy}, and a stop of {_seconds(stop)} is allowed")
    if rules.allow_post_copy:
        # QEMU switches no migration to post-copy that has several connections.
        switched = options.model_copy(update={"post_copy": True, "parallel": 0})
        return _way("live", switched, way, f"{busy}, and post-copy is allowed")
    if rules.auto_converge and _can_be_slowed_enough(way, min(QEMU_STOP_SECONDS, allowed)):
        slowed = options.model_copy(update={"auto_converge": True, "stop_seconds": min(QEMU_STOP_SECONDS, allowed)})
        return _way("live", slowed, way, f"{busy}, so it is slowed down")
    if rules.allow_restart:
        return _restarted(way, options, rules, busy)
    return f"{busy}: copying would never end, a stop would take {_seconds(stop)}, and the policy permits no other way"


def _can_be_slowed_enough(way: Journey, stop_seconds: float) -> bool:
    slowest = min(1.0 - throttle for throttle in throttles())
    slowed = Journey(way.memory_mib, way.link_mib_per_s, way.dirty_mib_per_s * slowest)
    return converges(slowed, stop_seconds)


def _restarted(way: Journey, options: MigrationOptions, rules: MigrationRules, why: str) -> Way | str:
    cold = MigrationOptions(copy_storage=options.copy_storage, restart=True)
    cost = cost_of(way, "cold", cold)
    if cost.downtime_ms > 1000 * rules.restart_within_seconds:
        return f"{why}, and to restart it would take {in_words(cost.seconds)}, longer than the policy allows"
    return Way("cold", cold, f"{why}, and the policy allows to restart it", cost)


def _way(kind: MigrationKind, options: MigrationOptions, way: Journey, because: str) -> Way:
    cost = cost_of(way, kind, options)
    if options.copies_storage:
        disk = f"its disk of {memory_in_words(way.disk_mib)} comes along"
        because = f"{because}; {disk}" if because else disk
    return Way(kind, options, because, cost)


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else in_words(seconds)


class Ways:
    """How each move would be made, chosen once."""

    def __init__(self, cluster: Cluster, rules: MigrationRules, paces: Paces = NO_PACES) -> None:
        self._cluster, self._rules, self._paces = cluster, rules, paces
        self._found: dict[Move, Way | str] = {}
        self._fastest_first = sorted(cluster.hosts, key=lambda host: -host.migration_mib_per_s)

    def of(self, move: Move) -> Way | str:
        """Return how a guest is moved; a sentence where no permitted way gets it there."""
        if move not in self._found:
            self._found[move] = way_of(self._cluster, move, self._rules, self._paces)
        return self._found[move]

    def why_not(self, move: Move) -> str:
        """Say why no permitted way gets a guest there; empty where one does."""
        way = self.of(move)
        return way if isinstance(way, str) else ""

    def why_nowhere(self, vm: Vm) -> str:
        """Say why no permitted way gets a guest to any other host; empty where one does."""
        others = (host.name for host in self._fastest_first if host.name != vm.host)
        reasons = (self.why_not(Move(vm.name, vm.host, other)) for other in others)
        first = next(reasons, "")
        return first if first and all(reasons) else ""

    def surely(self, move: Move) -> Way:
        """Return how a guest is moved for which a way was found."""
        way = self.of(move)
        assert isinstance(way, Way), way
        return way

    def seconds(self, move: Move) -> float:
        """Return how long a move takes; without end where there is no way."""
        way = self.of(move)
        return way.cost.seconds if isinstance(way, Way) else float("inf")
