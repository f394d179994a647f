"""One cycle, told as a story. Read this first.

look      what is there?                       -> Cluster, with doubts
expect    what will each guest need?           -> Cluster, with demand
decide    where should guests be, who sleeps?  -> Placement and bound   (inside make_plan: find_placement)
plan      in which order, why, at what cost?   -> Plan
verify    is each state on the way legal?      -> objections, by code that the solver never sees
act       step by step, journaled, re-checked  -> a Runner, beside the loop
report    one sentence and the facts           -> Cycle
"""

from __future__ import annotations

from dataclasses import dataclass

from balancer.demand.diary import EMPTY_DIARY
from balancer.demand.expecting import expected
from balancer.domain.cluster import Cluster
from balancer.domain.memory import Memory
from balancer.domain.plan import Plan
from balancer.planning import Objection, make_plan, verify
from balancer.policy import Policy
from balancer.reporting.sentences import plan_sentence
from balancer.site import Site


@dataclass(frozen=True)
class Cycle:
    """What was seen, remembered and planned; enough to decide it all again."""

    seen: Cluster
    memory: Memory
    plan: Plan
    objections: tuple[Objection, ...]
    safe: Plan | None = None
    """What may be carried out: the plan; of one that is withdrawn its wake-ups, where they are safe by themselves."""

    @property
    def sentence(self) -> str:
        """Say what this cycle found, in one sentence."""
        if self.objections:
            return f"Withdrew its own plan, it is not safe: {self.objections[0]}"
        return plan_sentence(self.plan)


def run_cycle(site: Site, policy: Policy) -> Cycle:
    """Look at the site and plan, under the policy in force now; no guest and no host is touched.

    What is wished for is remembered: it has to last.
    """
    policy = policy.at(site.clock.now())
    seen = look_and_expect(site, policy)
    cycle = think(seen, policy, site.remembered(policy))
    site.remember(cycle.seen, cycle.plan)
    site.keep_accounts(cycle.seen, policy)
    return cycle


def look_and_expect(site: Site, policy: Policy) -> Cluster:
    """Look at the site, keep what was read, and say what each guest is expected to need."""
    seen = site.look()
    site.history.record(seen)
    readings = site.readings_since(policy.demand.window_minutes)
    diary = site.diary(seen) if policy.demand.risk else EMPTY_DIARY
    return expected(readings, diary, seen, policy.demand, policy.zone)


def think(seen: Cluster, policy: Policy, memory: Memory) -> Cycle:
    """Plan for a cluster and prove the plan: values in, values out, so that last night can be decided again."""
    policy = policy.at(seen.taken_at)
    plan = make_plan(seen, policy, memory)
    objections = verify(plan, seen, policy, memory)
    return Cycle(seen, memory, plan, objections, safe_part(plan, objections, seen, policy, memory))


def safe_part(
    plan: Plan, objections: tuple[Objection, ...], seen: Cluster, policy: Policy, memory: Memory
) -> Plan | None:
    """Return what of a plan may be carried out: waking is always allowed, and does not wait for a better plan."""
    if not objections:
        return plan if plan.steps else None
    waking = plan.wake_ups()
    return waking if waking.steps and not verify(waking, seen, policy, memory) else None
