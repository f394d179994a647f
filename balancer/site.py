"""The site: hypervisors, power switches, history and store under one name. All that touches the world is behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import structlog

from balancer.accounting import keep_accounts, measured_watts, with_fitted_power
from balancer.clock import Clock, WallClock
from balancer.demand.diary import EMPTY_DIARY, Diary, begin_of_diary
from balancer.domain.cluster import Cluster
from balancer.domain.memory import Memory
from balancer.domain.plan import Mode, Plan
from balancer.domain.site_file import SiteFile
from balancer.domain.units import gib
from balancer.domain.violation import Violation, worsened
from balancer.errors import HistoryError
from balancer.execution import (
    ActingSite,
    Events,
    Gate,
    Limits,
    Outcome,
    Runner,
    RunReport,
    Settled,
    look,
    settle_the_past,
)
from balancer.execution.runner import Held
from balancer.formats import read
from balancer.hands import Hands, HandsHere, HandsInAChild, platform_through, switch_through
from balancer.history import open_history
from balancer.history.base import READING_COLUMNS, History
from balancer.platforms import open_platform
from balancer.policy import Policy
from balancer.power import open_switches
from balancer.remembering import news_of_drains, news_of_strays, recall
from balancer.secrets import read_secret
from balancer.store import Store, open_store

if TYPE_CHECKING:
    from balancer.simulation.world import World

log = structlog.get_logger()

KILL_FILE = "balancer.stop"
A_DAY = timedelta(days=1)
SKEW_LOOKED_FOR = timedelta(minutes=10)

InForce = Callable[[datetime], Policy]
"""Which policy is in force at a moment: windows open and close, and the file may be changed."""


class Site:
    """One cluster that is watched and, where the policy says so, acted on."""

    def __init__(
        self, acting: ActingSite, history: History, is_private: bool = False, hands: Hands | None = None
    ) -> None:
        self.acting = acting
        self.history = history
        self.is_private = is_private  # nobody else can act on it, so the right to act needs no lease
        self.hands = hands or HandsHere(acting.platform, acting.switches)
        self.stands_by = False  # another balancer leads: what is remembered for the next cycle is that one's to write
        self._watching = acting
        self.runners: list[Runner] = []
        self.events = Events()
        self._diary = EMPTY_DIARY

    @property
    def name(self) -> str:
        return self.acting.file.cluster

    @property
    def clock(self) -> Clock:
        return self.acting.clock

    # -- looking

    def look(self) -> Cluster:
        """See all hosts and guests, with what the balancer itself remembers of them."""
        return with_fitted_power(self.acting.store, look(self.acting))

    def readings_since(self, minutes: float) -> pd.DataFrame:
        """Return the guests' readings of the last minutes; none where the history cannot be read."""
        now = self.clock.now()
        try:
            # A little of the future too: a reading of it says that a clock is wrong.
            return self.history.guest_readings(now - timedelta(minutes=minutes), now + SKEW_LOOKED_FOR)
        except HistoryError as cause:
            # Without history the present measurement is what is expected, and missing numbers still count as busy.
            log.warning("planning without history", cause=str(cause))
            return pd.DataFrame(columns=list(READING_COLUMNS))

    @property
    def diary_so_far(self) -> Diary:
        """What the guests needed, as of the last look."""
        return self._diary

    def go_on_with(self, diary: Diary) -> None:
        """Take a diary for what was read until now."""
        self._diary = diary

    def diary(self, seen: Cluster) -> Diary:
        """Return what the guests needed in the last days; only what is new since the last look is read."""
        vcpus = {vm.key: vm.vcpus for vm in seen.vms}
        begin = begin_of_diary(seen.taken_at)
        since = begin if self._diary.is_empty else max(begin, self._diary.read_again_from)
        try:
            while since < seen.taken_at:
                until = min(seen.taken_at, since + A_DAY)  # a piece at a time: nine days at once are much memory
                readings = self.history.guest_readings(since, until)
                self._diary = self._diary.with_readings(readings, vcpus, until)
                since = until
        except HistoryError as cause:
            log.warning("forecasting without history", cause=str(cause))
        return self._diary

    def remembered(self, policy: Policy, watching: bool = True) -> Memory:
        """Return cool-downs, wishes, what was spent within the hour and what running plans hold.

        watching: this look is one of many, so a wish that is new has yet to last
        """
        return recall(self.acting.store, policy, self.clock.now(), self.runners, watching)

    def remember(self, seen: Cluster, plan: Plan) -> None:
        """Keep for the next cycle what this one wished for."""
        if self.stands_by:
            return
        if not plan.refused:  # a cycle that could not think says nothing about what is wanted
            self.acting.store.memory.wish({wish.what: wish.since for wish in plan.wanted}, self.clock.now())
        self.note_drains(seen)
        self.note_strays(seen)

    def note_strays(self, seen: Cluster) -> None:
        """Say which guests were moved without us since the last look."""
        for news in news_of_strays(self.acting.store, seen):
            log.warning(news)

    def keep_accounts(self, seen: Cluster, policy: Policy) -> None:
        """Add what the hosts took since the last cycle; of two balancers the one that leads does."""
        if self.stands_by:
            return
        keep_accounts(self.acting.store, seen, policy, measured_watts(self.acting, seen))

    def note_drains(self, seen: Cluster) -> None:
        """Say once of each drained host that it has become empty, or that it is so no longer."""
        for news in news_of_drains(self.acting.store, seen):
            log.info(news)

    # -- acting

    def lead(self, token: int, hands_live_until: float) -> None:
        """Act from now on under a token, through hands that the kernel ends at a moment unless that is put off."""
        self.hands.may_act_until(hands_live_until)
        seen = self._watching = self.acting if self.acting.token is None else self._watching
        switches = {host: switch_through(self.hands, switch) for host, switch in seen.switches.items()}
        self.acting = replace(
            seen, token=token, platform=platform_through(self.hands, seen.platform), switches=switches
        )

    def follow(self) -> None:
        """Only look from now on: the hands are ended before the right to act is given back."""
        self.hands.close()
        self.acting = self._watching

    def settle(self, policy: Policy) -> tuple[Settled, ...]:
        """Find out what became of every step that was begun and that no runner holds: at start, and in each cycle."""
        if not (self.is_private or self.acting.may_act):
            return ()  # what is open may be another balancer's, which acts now
        return settle_the_past(self.acting, limits_of(policy), Held.by(self.runners))

    def begin(
        self,
        plan: Plan,
        policy: Policy | InForce,
        while_acting: bool = False,
        watch: Callable[[Outcome], None] = lambda _: None,
    ) -> Runner:
        """Hand a verified plan to a runner; it works when it is advanced, and holds its guests and hosts until then.

        Each step is looked at again under the policy in force at that moment.

        while_acting: nothing is begun once the policy's mode is no longer `act`; a plan of a person's is not held to it
        watch: is told of the end of each step at once
        """
        in_force = policy.at if isinstance(policy, Policy) else policy

        def limits(moment: datetime) -> Limits:
            policy = in_force(moment)
            is_over = while_acting and policy.mode is not Mode.ACT
            return replace(limits_of(policy), stopped=_mode_now(policy) if is_over else "")

        runner = Runner(self.acting, plan, gate_of(in_force), limits, watch, events=self.events)
        self.runners.append(runner)
        return runner

    @property
    def why_held(self) -> str:
        """Say why nothing but waking is begun now: paused, too many failures, the kill file; empty where nothing is."""
        held = [self.acting.why_killed, *map(str, self.acting.store.halts.in_force(self.clock.now()))]
        return "; ".join(filter(None, held))

    def what_may_begin(self, plan: Plan | None) -> Plan | None:
        """Return what of a plan may be begun now: only its wake-ups while another one runs, or all is held."""
        if plan is None or self.acting.why_killed:
            return None
        wanted = plan.wake_ups() if self.runners or self.why_held else plan
        return wanted if wanted.steps else None

    def finish(self, runner: Runner) -> RunReport:
        """Let go of a runner that has ended, and remember what it did."""
        self.runners.remove(runner)
        report = runner.report()
        for outcome in report.done:
            if outcome.step.is_move:
                facts = {"target": outcome.step.target, "seconds": outcome.seconds, "predicted": outcome.step.seconds}
                self.history.record_event("move", f"vm:{outcome.step.vm}", facts)
        facts = {"plan": report.plan_id, "sentence": report.sentence, "gib": _gib_moved(report)}
        self.history.record_event("run", f"cluster:{self.name}", facts)
        return report

    def close(self) -> None:
        """Let go of connections, files and threads."""
        self.hands.close()
        self.acting.platform.close()
        self.history.close()
        self.acting.store.close()


def _mode_now(policy: Policy) -> str:
    return f"the policy's mode is {policy.mode} now"


def _gib_moved(report: RunReport) -> float:
    return gib(sum(outcome.step.memory_mib for outcome in report.done if outcome.step.is_move))


def limits_of(policy: Policy) -> Limits:
    """Return how far the policy lets execution go."""
    deadline = policy.migration.deadline_minutes
    return Limits(
        concurrent_per_host=policy.budget.concurrent_per_host,
        concurrent=policy.budget.concurrent,
        concurrent_between_sites=policy.budget.concurrent_between_sites,
        migration_deadline_seconds=None if deadline is None else deadline * 60,
        bandwidth_mib_per_s=policy.migration.bandwidth_mib_per_s,
        max_doubts=policy.max_doubts,
        wake_trust_days=policy.power.trust_days,
        wake=frozenset(policy.power.wake),
        accept_shut_off_guests=policy.power.accept_shut_off_guests,
        hard_off_allowed=policy.power.hard_off,
        moves_frozen=policy.moves_are_frozen,
        power_frozen=policy.power_is_frozen,
        back_off_minutes=policy.caution.back_off_minutes,
        never_here_minutes=policy.caution.never_here_minutes,
        shun_after=policy.caution.shun_target_after.failures,
        shun_within_minutes=policy.caution.shun_target_after.within_minutes,
        shun_minutes=policy.caution.shun_target_after.for_minutes,
        stop_after=policy.caution.stop_after_failures.failures,
        stop_within_minutes=policy.caution.stop_after_failures.within_minutes,
    )


def gate_of(in_force: InForce) -> Gate:
    """Return what execution asks before each step: does it add to a fault of today's?"""

    def gate(before: Cluster, during: Cluster) -> list[Violation]:
        policy = in_force(before.taken_at)
        return worsened(policy.violations(before), policy.violations(during))

    return gate


def open_site(path: Path, secrets: Path, state: Path, kill_file: Path | None = None) -> Site:
    """Open the site that a site file describes. InputError for the file, SiteError for what it names."""
    return site_from(read(path, SiteFile), secrets, state, WallClock(), kill_file=kill_file)


def site_from(
    file: SiteFile,
    secrets: Path,
    state: Path,
    clock: Clock,
    world: World | None = None,
    kill_file: Path | None = None,
) -> Site:
    """Open a site from its description; the kill file is looked for in the state directory unless it is named."""
    store = store_of(file, secrets)
    platform = open_platform(file, clock, world)
    switches = open_switches(file, secrets, world)
    history = open_history(file, state / "history.db", secrets, clock)
    acting = ActingSite(file, platform, switches, store, clock, kill_file=kill_file or state / KILL_FILE)
    # A simulated world lives in this process, where no other one can reach it.
    hands = HandsInAChild(file, secrets) if world is None else HandsHere(platform, switches)
    return Site(acting, history, is_private=world is not None, hands=hands)


def store_of(file: SiteFile, secrets: Path) -> Store:
    """Open what a site remembers, and nothing else of it."""
    return open_store(file.store, file.cluster, store_password(file, secrets))


def store_password(file: SiteFile, secrets: Path) -> str | None:
    """Read the password of a store on a server; None where it has none, as one in a file."""
    if file.store_secret_ref is None or file.store.startswith("sqlite"):
        return None
    secret = read_secret(file.store_secret_ref, secrets, "the store")
    if secret.warning:
        log.warning(secret.warning)
    return secret.value.get_secret_value()
