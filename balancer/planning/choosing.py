"""Choose what is done this cycle: what is wished for, as far as it lasts and pays; and what has to be, at once.

1. What would be done freely?  If that is not worth it, nothing is wished for.
2. Which hosts may sleep: as many as have been dispensable for long enough, those whose power cycle pays back before
   they are expected to be needed again.
3. Which hosts are relieved: those that have been in want of it for long enough, by moves that each gain enough.
4. If promises stay broken, or guests stay on hosts that are being emptied: only that, without waiting for anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime

from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU
from balancer.domain.memory import Memory
from balancer.domain.plan import Because, Kept, Wanted
from balancer.domain.shapes import Cost, HostOn, MoveCost
from balancer.domain.units import in_words
from balancer.domain.violation import TOLERANCE, hard_excess
from balancer.planning.drafting import Draft, draft_of
from balancer.planning.gains import Gains, companions
from balancer.planning.question import Question, ask
from balancer.policy.model import Policy
from balancer.solving import Problem
from balancer.stability.hold import WAKING, Hold, dispensable, is_about_sleep, relief_of, relieved, wanted
from balancer.stability.payback import cores_expected, seconds_to_pay_back, seconds_until_it_pays


@dataclass(frozen=True)
class Choice:
    """What is done this cycle, what it wished for, and why the rest has to wait."""

    draft: Draft
    wanted: tuple[Wanted, ...]
    kept: tuple[Kept, ...]


def choose(cluster: Cluster, policy: Policy, memory: Memory, now: datetime) -> Choice:
    """Choose what lasts and pays of what is wished for; where that leaves something broken, mend it instead."""
    free = draft_of(ask(cluster, policy, memory, now), policy)
    wished = _Wishes(free, policy, memory, now).choice()
    if not _left_to_mend(wished.draft, policy):
        return wished
    needed = ask(cluster, policy, memory, now, mending=True)
    if wished.draft.question is free.question and _allows_no_more(needed.problem, free.question.problem):
        return wished  # nothing was held back, so mending finds nothing more
    mended = _mended(needed, free, policy)
    if _unmended(mended, policy) < _unmended(wished.draft, policy):
        return replace(wished, draft=mended)
    return wished


# -- what is worth it


def is_worth_it(draft: Draft, policy: Policy) -> bool:
    """Whether a draft mends a promise, empties a host that is to be emptied, or gains more than the minimum.

    It is never worse than staying put.
    """
    if draft.is_empty:
        return False
    now, later = (_unmended_in(each, policy) for each in (draft.cluster, draft.later))
    if later.excess > now.excess + TOLERANCE:
        return False
    return later < now or gain_of(draft, policy) > policy.stability.minimum_gain


def gain_of(draft: Draft, policy: Policy) -> float:
    """Return by how much J falls."""
    score = policy.score
    return score(draft.cluster, draft.cluster) - score(draft.cluster, draft.later)


@dataclass(frozen=True)
class _Unmended:
    """What is left to mend: broken promises first, then guests on hosts that are being emptied."""

    excess: float
    guests: int

    def __lt__(self, other: _Unmended) -> bool:
        if abs(self.excess - other.excess) > TOLERANCE:
            return self.excess < other.excess
        return self.guests < other.guests


def _unmended_in(cluster: Cluster, policy: Policy) -> _Unmended:
    emptied = (host.name for host in cluster.hosts if host.is_being_emptied)
    return _Unmended(hard_excess(policy.violations(cluster)), sum(len(cluster.guests_of(name)) for name in emptied))


def _unmended(draft: Draft, policy: Policy) -> _Unmended:
    return _unmended_in(draft.later, policy)


def _left_to_mend(draft: Draft, policy: Policy) -> bool:
    left = _unmended(draft, policy)
    return left.excess > TOLERANCE or left.guests > 0


# -- what is wished for


class _Wishes:
    """What would be done freely, narrowed to what lasts and pays."""

    def __init__(self, free: Draft, policy: Policy, memory: Memory, now: datetime) -> None:
        self._free, self._policy, self._memory = free, policy, memory
        watched, rules = memory.wanted_since is not None, policy.stability
        self._evening = Hold(memory.wishes, now, rules.hold_minutes, watched)
        self._sleeping = Hold(memory.wishes, now, rules.sleep_after_minutes, watched)
        self._now = now

    def choice(self) -> Choice:
        """Return what lasts of the wishes. Doubt lets nothing sleep, and says nothing about whether it could."""
        choice = self._lasting()
        if not self._free.cluster.doubts:
            return choice
        known = {wish.what for wish in choice.wanted}
        asleep = (what for what in self._memory.wishes if is_about_sleep(what) and what not in known)
        return replace(choice, wanted=(*choice.wanted, *wanted(tuple(asleep), self._memory.wishes, self._now)))

    def _lasting(self) -> Choice:
        if not is_worth_it(self._free, self._policy):
            return Choice(self._free.staying_put(), (), self._too_small())
        rested, wishes, kept = self._with_lasting_sleep()
        evened, more_wishes, more_kept = self._with_lasting_relief(rested)
        if not is_worth_it(evened, self._policy):
            evened = evened.staying_put()
        since = wanted((*wishes, *more_wishes), self._memory.wishes, self._now)
        return Choice(evened, since, (*kept, *more_kept))

    def _too_small(self) -> tuple[Kept, ...]:
        if self._free.is_empty:
            return ()
        gain, least = max(gain_of(self._free, self._policy), 0.0), self._policy.stability.minimum_gain
        detail = f"J would fall by {gain:.5f}, the policy asks for more than {least:g}"
        cluster = self._free.cluster.cluster
        return (Kept(subject=f"cluster:{cluster}", because=Because.GAIN_TOO_SMALL, detail=detail),)

    def _with_lasting_sleep(self) -> tuple[Draft, list[str], list[Kept]]:
        """Put as many hosts to sleep as have been dispensable for long enough, and wake none on a whim."""
        unpaid = self._unpaid()
        soon = self._needed_soon([host for host in self._lightest_first() if host not in unpaid])
        candidates = [host for host in self._lightest_first() if host not in unpaid and host not in soon]
        wishes = [dispensable(count) for count in range(1, len(candidates) + 1)]
        lasting = sum(self._sleeping.has_lasted(wish) for wish in wishes)
        waiting = dict(zip(candidates[lasting:], wishes[lasting:], strict=True))
        kept = [_kept(f"host:{host}", Because.SAVES_TOO_LITTLE, why) for host, why in unpaid.items()]
        kept += [_kept(f"host:{host}", Because.NEEDED_SOON, why) for host, why in soon.items()]
        kept += [
            _kept(f"host:{host}", Because.NOT_LASTING_YET, f"to sleep: {self._sleeping.said(wish)}")
            for host, wish in waiting.items()
        ]
        wishes += [WAKING] if self._free.woken else []
        may_wake = not self._free.woken or self._evening.has_lasted(WAKING)
        if not (waiting or unpaid or soon) and may_wake:
            return self._free, wishes, kept
        if not may_wake:
            woken = ((host, f"to wake: {self._evening.said(WAKING)}") for host in self._free.woken)
            kept += [_kept(f"host:{host}", Because.NOT_LASTING_YET, why) for host, why in woken]
        problem = self._free.question.problem
        narrower = replace(
            problem,
            may_sleep=problem.may_sleep & frozenset(candidates[:lasting]),
            may_wake=problem.may_wake if may_wake else frozenset(),
        )
        return _narrowed(self._free, replace(self._free.question, problem=narrower), self._policy), wishes, kept

    def _unpaid(self) -> Mapping[str, str]:
        """Return the hosts whose power cycle would not pay back in time, and what is said of it."""
        most = self._policy.stability.payback_minutes * 60
        cluster = self._free.cluster
        times = {h: seconds_to_pay_back(cluster.host(h), cluster.active_on(h)) for h in self._free.asleep}
        said = f"the policy asks for {in_words(most)}"
        return {
            host: f"its power cycle pays back after {in_words(time)}, {said}"
            if time < float("inf")
            else "it saves nothing"
            for host, time in times.items()
            if time is not None and time > most
        }

    def _needed_soon(self, asleep: Sequence[str]) -> Mapping[str, str]:
        """Return the hosts without which the others would be full before the power cycle has paid, and what is said.

        Each is asked for beside those before it. Whether a placement is found for what comes then is not asked.
        """
        cluster, headroom = self._free.later, self._policy.headroom
        awake = [host.name for host in cluster.hosts if host.is_on and not host.is_being_emptied]
        found: dict[str, str] = {}
        for place, name in enumerate(asleep):
            seconds = seconds_until_it_pays(self._free.cluster.host(name), self._free.cluster.active_on(name))
            on = [cluster.host(host) for host in (*awake, *found, *asleep[place + 1 :])]
            room = sum(dict(headroom.shares_on(host)).get(CPU, 1.0) * host.usable_cores for host in on)
            need = cores_expected(cluster, on, seconds / 60)
            if need > room + TOLERANCE:
                said = f"{need:.1f} cores are expected within {in_words(seconds)}, the others have {room:.1f}"
                found[name] = said
        return found

    def _lightest_first(self) -> list[str]:
        cluster = self._free.cluster
        return sorted(self._free.asleep, key=lambda h: (sum(vm.memory_mib for vm in cluster.guests_of(h)), h))

    def _with_lasting_relief(self, draft: Draft) -> tuple[Draft, list[str], list[Kept]]:
        """Leave out the moves off hosts whose want of relief has not lasted, and those that gain too little."""
        hosts = self._in_want_of_relief(draft)
        wishes = [relief_of(host) for host in hosts]
        waiting = [host for host in hosts if not self._evening.has_lasted(relief_of(host))]
        kept = [
            _kept(f"host:{host}", Because.NOT_LASTING_YET, f"to be relieved: {self._evening.said(relief_of(host))}")
            for host in waiting
        ]
        too_small = self._moves_that_gain_too_little(draft)
        held = self._held(draft, waiting, lasting=set(hosts) - set(waiting)) | too_small.keys()
        if not held:
            return draft, wishes, kept
        least = self._policy.stability.minimum_gain_per_move
        kept += [
            _kept(f"vm:{vm}", Because.GAIN_TOO_SMALL, f"J would fall by {gain:.5f}, the policy asks for {least:g}")
            for vm, gain in too_small.items()
        ]
        moved = {item.move.vm for item in draft.schedule.timed}
        on_sleepers = {vm.name for host in draft.asleep for vm in draft.cluster.guests_of(host)}
        problem = draft.question.problem
        free_to_go = problem.may_move & ((moved - held) | on_sleepers)
        narrower = replace(draft.question, problem=replace(problem, may_move=free_to_go))
        if not free_to_go:
            return replace(draft, question=narrower).staying_put(), wishes, kept
        return _narrowed(self._free, narrower, self._policy), wishes, kept

    @staticmethod
    def _in_want_of_relief(draft: Draft) -> tuple[str, ...]:
        """Return the hosts that give load away for evenness; where each gives and gets as much, all that give."""
        sources = (item.move.source for item in draft.schedule.timed)
        giving = tuple(dict.fromkeys(s for s in sources if not draft.cluster.host(s).is_being_emptied))
        return relieved(draft.cluster, draft.later) or (() if draft.asleep else giving)

    @staticmethod
    def _held(draft: Draft, waiting: Sequence[str], lasting: Set[str]) -> set[str]:
        """Return the guests that wait with their hosts; those that only fill what others would leave wait as well.

        Guests that make room on the way to a host's sleep are let go: without them it would never be empty.
        """
        if not waiting:
            return set()
        emptied = {host.name for host in draft.cluster.hosts if host.is_being_emptied}
        may_give = lasting | emptied | set(draft.asleep)
        sources = {item.move.vm: item.move.source for item in draft.schedule.timed if not item.is_hop}
        return {vm for vm, host in sources.items() if host in waiting or (host not in may_give and not draft.asleep)}

    def _moves_that_gain_too_little(self, draft: Draft) -> Mapping[str, float]:
        """Return the moves that serve evenness alone and gain no more than the policy asks of each."""
        least = self._policy.stability.minimum_gain_per_move
        if least <= 0:
            return {}
        problem = draft.question.problem
        broken = self._policy.violations(draft.cluster)
        mending = frozenset[str]().union(*(violation.involves for violation in broken))
        gains = Gains(draft.cluster, draft.later, problem.costs, broken, frozenset(draft.asleep))
        price = {cost.vm: cost.cost for cost in problem.costs if isinstance(cost, MoveCost)}
        fellows = companions(item.move for item in draft.schedule.timed)
        small = {}
        for item in draft.schedule.timed:
            gain = gains.of(item.move, fellows[item.move.source])
            net = gain.worth - price.get(item.move.vm, 0.0)
            is_needed = item.is_hop or item.move.vm in mending
            is_needed = is_needed or self._makes_room(draft, item.move.source, item.move.target)
            if not is_needed and net <= least:
                small[item.move.vm] = net
        return small

    @staticmethod
    def _makes_room(draft: Draft, source: str, target: str) -> bool:
        """Whether a move is part of something greater: it empties a host, fills a woken one, or lets others in."""
        if source in draft.asleep or target in draft.woken or draft.cluster.host(source).is_being_emptied:
            return True
        return any(item.move.target == source for item in draft.schedule.timed)


def _kept(subject: str, because: Because, detail: str) -> Kept:
    return Kept(subject=subject, because=because, detail=detail)


def _narrowed(free: Draft, question: Question, policy: Policy) -> Draft:
    """Draft a narrower question; what is proven of the wider one holds for it too."""
    draft = draft_of(question, policy)
    return replace(draft, decision=replace(draft.decision, bound=free.decision.bound, proved_optimal=False))


# -- what has to be


def _mended(question: Question, free: Draft, policy: Policy) -> Draft:
    """Move the guests concerned, to where they are best off; where that is not enough let others make room for them."""
    problem = question.problem
    concerned = problem.may_move & _concerned(problem.cluster, policy)
    draft = _mending(replace(question, problem=replace(problem, may_move=concerned)), free, policy)
    if not _left_to_mend(draft, policy):
        return draft
    wider = replace(question, problem=replace(problem, costs=_costs_of_touching(problem.costs)))
    moved = _mending(wider, free, policy)
    return moved if _unmended(moved, policy) < _unmended(draft, policy) else draft


def _concerned(cluster: Cluster, policy: Policy) -> frozenset[str]:
    """Return the guests whose moves could mend something: named by it, on its host, or to leave theirs."""
    found = {vm.name for host in cluster.hosts if host.is_being_emptied for vm in cluster.guests_of(host.name)}
    for violation in (v for v in policy.violations(cluster) if v.hard):
        found.update(violation.involves)
        kind, _, rest = violation.subject.partition(":")
        if kind == "host":
            found.update(vm.name for vm in cluster.guests_of(rest.partition("/")[0]))
    return frozenset(found)


def _costs_of_touching(costs: tuple[Cost, ...]) -> tuple[Cost, ...]:
    """Return what speaks for touching little: with evenness left out, nobody moves who need not."""
    return tuple(cost for cost in costs if isinstance(cost, MoveCost | HostOn))


def _mending(question: Question, free: Draft, policy: Policy) -> Draft:
    """Draft what has to be. The free question's bound holds where it allowed all that this one does."""
    draft = draft_of(question, policy)
    bound = free.decision.bound if _allows_no_more(question.problem, free.question.problem) else None
    return replace(draft, decision=replace(draft.decision, bound=bound, proved_optimal=False))


def _allows_no_more(narrow: Problem, wide: Problem) -> bool:
    """Whether all that one problem allows is allowed by the other one too."""
    return (
        narrow.may_move <= wide.may_move
        and narrow.may_wake <= wide.may_wake
        and (narrow.max_moves, narrow.max_mib) == (wide.max_moves, wide.max_mib)
        and len(narrow.shapes) == len(wide.shapes)
    )
