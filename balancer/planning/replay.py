"""Carry out a plan on paper: what each step needs to be true before it, and what is true after it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from balancer.domain.cluster import Cluster
from balancer.domain.host import ASLEEP, Host, HostState
from balancer.domain.memory import NOTHING_REMEMBERED
from balancer.domain.migration import QEMU_STOP_SECONDS
from balancer.domain.placement import Move
from balancer.domain.plan import Action, Step
from balancer.domain.reach import why_cannot_run
from balancer.domain.vm import Movable, Vm
from balancer.planning.question import may_wake
from balancer.policy.migration import MigrationRules
from balancer.policy.model import Policy


class Refused(Exception):
    """A step cannot be taken in the state that the plan is in."""


class Replay:
    """A cluster on paper, and the steps in flight on it. What changes is noted, and entered when somebody looks."""

    def __init__(self, cluster: Cluster, policy: Policy) -> None:
        self._entered = cluster
        self._arrived: dict[str, Move] = {}  # since the last look
        self._in_flight: dict[str, Move] = {}  # likewise
        self._came: dict[str, set[str]] = defaultdict(set)  # likewise, guests by the host that they came to
        self._hosts: dict[str, dict[str, object]] = defaultdict(dict)  # likewise, what became of hosts
        self._as_they_are: dict[str, Host] = {}  # likewise, those hosts with it
        self._policy = policy
        self._is_doubtful = bool(cluster.doubts) or any(cluster.is_doubted(host) for host in cluster.hosts)
        self.touched_guests: set[str] = set()  # since the last call of `forget_touched`
        self.touched_hosts: set[str] = set()

    @property
    def cluster(self) -> Cluster:
        """The cluster as it is now."""
        if self._arrived or self._in_flight:
            self._entered = self._entered.underway(self._arrived.values(), self._in_flight.values())
            self._arrived, self._in_flight = {}, {}
            self._came.clear()
        if self._hosts:
            self._entered = self._entered.with_changed_hosts(self._hosts)
            self._hosts.clear()
            self._as_they_are.clear()
        return self._entered

    def forget_touched(self) -> None:
        """Begin a new record of what is touched."""
        self.touched_guests, self.touched_hosts = set(), set()

    def start(self, step: Step) -> None:
        """Begin a step; raises Refused when what it needs is not true."""
        missing = [name for name in step.hosts if not self._entered.has_host(name)]
        if missing:
            raise Refused(f"there is no host {missing[0]}")
        reason = _WHY_NOT[step.action](self, step)
        if reason:
            raise Refused(f"{step}: {reason}")
        if step.is_move:
            self._touch(move := step.move)
            self._in_flight[move.vm] = move
            self._came[move.target].add(move.vm)
        elif step.action is Action.POWER_OFF:
            self._set(step, state=HostState.DRAINING)

    def end(self, step: Step) -> None:
        """End a step well."""
        match step.action:
            case Action.MOVE:
                self._touch(move := step.move)
                self._in_flight.pop(move.vm, None)
                self._arrived[move.vm] = move
            case Action.POWER_ON:
                self._set(step, state=HostState.WAKING)
            case Action.WAIT_READY:
                self._set(step, state=HostState.UP)
            case Action.CORDON:
                self._set(step, cordoned=True)
            case Action.UNCORDON:
                self._set(step, cordoned=False)
            case Action.POWER_OFF:
                asleep = {"state": HostState.STANDBY, "asleep_by_us": True}
                self._set(step, **asleep, cpu_used_cores=0.0, memory_used_mib=0.0)

    def _touch(self, move: Move) -> None:
        self.touched_guests.add(move.vm)
        self.touched_hosts |= {move.source, move.target}

    def _set(self, step: Step, **changes: object) -> None:
        name = step.host or ""
        self._as_they_are[name] = self._host(name).model_copy(update=changes)
        self._hosts[name] |= changes
        self.touched_hosts.add(name)

    def _host(self, name: str) -> Host:
        """Return a host as it is now."""
        return self._as_they_are.get(name) or self._entered.host(name)

    def _guests_of(self, host: str) -> list[Vm]:
        """Return the guests that are on a host now, or on their way to it or from it."""
        near = dict.fromkeys((*(vm.name for vm in self._entered.guests_of(host)), *self._came.get(host, ())))
        return [vm for vm in map(self._entered.vm, near) if host in self._ends(vm)]

    def _ends(self, vm: Vm) -> tuple[str, str | None]:
        """Return where a guest is, and where to it is on its way."""
        arrived, flying = self._arrived.get(vm.name), self._in_flight.get(vm.name)
        home = arrived.target if arrived else vm.host
        goal = None if arrived else vm.moving_to
        return home, flying.target if flying else goal

    # -- what has to be true

    def why_not_move(self, step: Step) -> str:
        move, seen = step.move, self._entered
        if not seen.has_vm(move.vm):
            return f"there is no guest {move.vm}"
        vm = seen.vm(move.vm)
        # One thing after the other: mostly nothing speaks against it, and then nothing is put in words.
        return next(chain(self._against_the_guest(step, move, vm), self._against_the_hosts(move, vm)), "")

    def _against_the_guest(self, step: Step, move: Move, vm: Vm) -> Iterator[str]:
        home, goal = self._ends(vm)
        if step.vm_id and vm.id and step.vm_id != vm.id:
            yield f"it is another guest now ({vm.id})"
        if move.source == move.target:
            yield "source and target are the same"
        if goal is not None:
            yield f"it is on its way to {goal} already"
        if home != move.source:
            yield f"it is on {home}"
        if vm.movable is Movable.NEVER:
            yield f"it may not be moved{': ' + vm.why_not if vm.why_not else ''}"
        if _needs_rest(step, vm):
            yield "it can only be moved while it is shut off"
        if vm.storage == "local" and not step.options.copies_storage:
            yield "its disk would stay behind"
        if why_not := _not_permitted(step, vm, self._policy.migration):
            yield why_not
        if self._entered.doubted and not self._entered.doubted.isdisjoint({f"vm:{vm.name}", f"host:{home}"}):
            yield "what was seen of it, or of its host, is in doubt"

    def _against_the_hosts(self, move: Move, vm: Vm) -> Iterator[str]:
        seen, source, target = self._entered, self._host(move.source), self._host(move.target)
        yield from (f"{host.name} is in doubt" for host in (source, target) if seen.is_doubted(host))
        if target.cordoned:
            yield f"{move.target} is cordoned"
        if target.drained:
            yield f"{move.target} is drained"
        if target.shunned is not None:
            yield f"{move.target} is shunned: {target.shunned}"
        if target.state is not HostState.UP:
            yield f"{move.target} is {target.state}"
        if unfit := why_cannot_run(vm, source, target):
            yield f"it cannot run on {move.target}: {unfit}"

    def why_not_power_on(self, step: Step) -> str:
        host = self._host(step.host or "")
        if host.is_on:
            return f"it is {host.state}"
        if host.drained:
            return "it is kept for maintenance"
        if not may_wake(self._entered, host, self._policy, NOTHING_REMEMBERED):
            return "it was not put to sleep by the balancer, and the policy does not list it under `power: wake`"
        return ""

    def why_not_wait(self, step: Step) -> str:
        state = self._host(step.host or "").state
        return f"it is {state}, nobody switched it on" if state in ASLEEP else ""

    def why_not_power_off(self, step: Step) -> str:
        host = self._host(step.host or "")
        guests = self._guests_of(host.name)
        active = [vm.name for vm in guests if vm.is_active]
        shut_off = [vm.name for vm in guests if not vm.is_active]
        checks: Iterable[tuple[bool, str]] = (
            (not host.is_on, f"it is {host.state} already"),
            (bool(active), f"it carries {', '.join(active[:5])}"),
            (bool(shut_off) and not self._policy.power.accept_shut_off_guests, f"it defines {', '.join(shut_off[:5])}"),
            (host.drained, "it is kept for maintenance"),
            (host.may_sleep is False, "the site file does not say `may_sleep: true`"),
            (not step.test and host.sleep_blocked_by is not None, str(host.sleep_blocked_by)),
            (step.test and not host.switchable, "it has no BMC in the site file"),
            (step.test and host.quarantined is not None, f"it left the power scheme: {host.quarantined}"),
            (not host.cordoned, "it is not cordoned"),
            (self._is_doubtful, "nothing is put to sleep while anything is in doubt"),
            (step.how == "hard" and not self._policy.power.hard_off, "the policy does not allow to cut power"),
        )
        return next((why for is_so, why in checks if is_so), "")

    def why_not_cordon(self, step: Step) -> str:
        return "" if self._host(step.host or "").is_on else "it is asleep"

    def why_not_uncordon(self, step: Step) -> str:
        return ""


def _needs_rest(step: Step, vm: Vm) -> bool:
    return vm.movable is Movable.COLD and vm.is_active and not step.options.restart


def _not_permitted(step: Step, vm: Vm, rules: MigrationRules) -> str:
    """Say what a step asks of its guest that the policy does not permit."""
    options = step.options
    most_seconds = rules.restart_within_seconds if options.restart else rules.allow_downtime_seconds
    asked = (
        (options.restart and not rules.allow_restart, "to restart it"),
        (options.post_copy and not rules.allow_post_copy, "post-copy"),
        (options.auto_converge and not rules.auto_converge, "to slow it down"),
        (options.copies_storage and rules.copy_storage == "never", "to copy its disk"),
        (vm.is_active and options.stop_seconds > max(most_seconds, QEMU_STOP_SECONDS), "so long a stop"),
        ((step.kind == "warm" or options.restart) and step.downtime_ms > 1000 * most_seconds, "so long a stop"),
        (options.tls is not rules.tls and vm.is_active and not options.restart, "memory in the clear"),
    )
    return next((f"the policy does not permit {what}" for is_so, what in asked if is_so), "")


_WHY_NOT: dict[Action, Callable[[Replay, Step], str]] = {
    Action.MOVE: Replay.why_not_move,
    Action.POWER_ON: Replay.why_not_power_on,
    Action.WAIT_READY: Replay.why_not_wait,
    Action.CORDON: Replay.why_not_cordon,
    Action.UNCORDON: Replay.why_not_uncordon,
    Action.POWER_OFF: Replay.why_not_power_off,
}
