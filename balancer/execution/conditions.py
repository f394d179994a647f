"""What has to be true at the moment when a host is switched off: one function and one sentence a condition."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from balancer.domain.cluster import Cluster
from balancer.domain.host import HostState
from balancer.domain.plan import Action
from balancer.errors import PlatformError, PowerError
from balancer.execution.acting_site import ActingSite
from balancer.execution.identity import identity_now
from balancer.execution.limits import Limits
from balancer.power.base import PowerState
from balancer.store.journal import JournalEntry
from balancer.store.marks import HostMarks


class Testing(StrEnum):
    """Whose power test a shutdown is part of.

    A person's finds out whose BMC it is and whether the host wakes, so it needs neither proven; a BMC that is known to
    be another host's stops it too. One that begins by itself finds out the latter alone: a BMC that may be another
    host's is tried by a person first.
    """

    BY_A_PERSON = "by a person"
    BY_ITSELF = "by itself"


@dataclass(frozen=True)
class Case:
    """One host that is to be switched off, and what was seen just now."""

    site: ActingSite
    host: str
    cluster: Cluster
    limits: Limits
    marks: HostMarks
    unsettled: tuple[JournalEntry, ...]


Condition = Callable[[Case], str]
"""Says what speaks against switching off; empty where the condition is met."""


def reasons_against_power_off(
    site: ActingSite, host: str, cluster: Cluster, limits: Limits, testing: Testing | None = None
) -> list[str]:
    """Say everything that speaks against switching a host off now; empty where nothing does.

    `cluster` is a look that was taken a moment ago.
    """
    return _unmet(ALWAYS + _TRUST[testing], site, host, cluster, limits)


def reasons_against_testing(site: ActingSite, host: str, cluster: Cluster, limits: Limits) -> list[str]:
    """Say what speaks against a power test before the host is emptied for it; its guests do not."""
    return _unmet(BEFORE_IT_IS_EMPTIED + _TRUST[Testing.BY_ITSELF], site, host, cluster, limits)


def bmc_fails(site: ActingSite, host: str, cluster: Cluster, limits: Limits) -> bool:
    """Whether a BMC is of no use for its host: it cannot be asked, or is not proven to be its own."""
    return bool(_unmet((bmc_sees_it_on, bmc_is_its_own), site, host, cluster, limits))


def _unmet(
    conditions: tuple[Condition, ...], site: ActingSite, host: str, cluster: Cluster, limits: Limits
) -> list[str]:
    if not cluster.has_host(host):
        return [f"{host} is not known to the platform"]
    case = Case(site, host, cluster, limits, site.store.marks.of(host), site.store.journal.unsettled())
    return _each_cause_once(reason for condition in conditions if (reason := condition(case)))


def _each_cause_once(reasons: Iterable[str]) -> list[str]:
    """Leave out what only says again, in other words, what was said before: a silent BMC meets two conditions."""
    said: list[str] = []
    for reason in reasons:
        cause = reason.partition(": ")[2]
        if not (cause and any(cause in before for before in said)):
            said.append(reason)
    return said


def may_sleep(case: Case) -> str:
    entry = case.site.entry_of(case.host)
    return "" if entry is not None and entry.may_sleep else "the site file does not say `may_sleep: true` for it"


def not_too_many_asleep(case: Case) -> str:
    most = case.site.file.max_hosts_asleep
    asleep = {name for name, marks in case.site.store.marks.all().items() if marks.asleep_by_us}
    asleep |= {entry.step.host or "" for entry in case.unsettled if entry.action is Action.POWER_OFF}
    if most is None or len(asleep) < most:
        return ""
    return f"{len(asleep)} hosts sleep or fall asleep already, the site file allows {most}"


def hypervisor_answers(case: Case) -> str:
    state = case.cluster.host(case.host).state
    return "" if state in {HostState.UP, HostState.DRAINING, HostState.MAINTENANCE} else f"it is {state}"


def nothing_is_in_doubt(case: Case) -> str:
    doubts = [f"{doubt.subject} ({doubt.detail or doubt.kind})" for doubt in case.cluster.doubts]
    doubts += [f"host:{host.name} (unreachable)" for host in case.cluster.hosts if host.state is HostState.UNREACHABLE]
    return f"nothing sleeps while anything is in doubt: {', '.join(doubts[:3])}" if doubts else ""


def carries_no_guest(case: Case) -> str:
    names = [vm.name for vm in case.cluster.active_on(case.host)]
    return f"it carries {', '.join(names[:5])}" if names else ""


def nothing_comes_or_goes(case: Case) -> str:
    names = [vm.name for vm in case.cluster.guests_of(case.host) if vm.is_in_flight]
    return f"{', '.join(names[:5])} is on its way to or from it" if names else ""


def no_open_step(case: Case) -> str:
    naming = [str(entry) for entry in case.unsettled if case.host in entry.hosts]
    return f"a step that touches it has not ended: {naming[0]}" if naming else ""


def holds_no_reservation(case: Case) -> str:
    ends = [each for each in case.site.store.reservations.all() if case.host in {each.source, each.target}]
    return f"room is reserved for a move that touches it: {ends[0]}" if ends else ""


def hypervisor_lists_nothing(case: Case) -> str:
    try:
        reasons = case.site.platform.reasons_to_stay_on(case.host)
    except PlatformError as failed:
        return f"its hypervisor could not be asked what it runs: {failed}"
    return f"its hypervisor says: {'; '.join(reasons[:5])}" if reasons else ""


def defines_no_shut_off_guest(case: Case) -> str:
    if case.limits.accept_shut_off_guests:
        return ""
    try:
        names = case.site.platform.shut_off_guests_on(case.host)
    except PlatformError as failed:
        return f"its hypervisor could not be asked which guests are defined on it: {failed}"
    return f"{', '.join(names[:5])} is defined on it and could not start meanwhile" if names else ""


def is_cordoned(case: Case) -> str:
    return "" if case.marks.cordon is not None else "it is not cordoned"


def is_not_drained(case: Case) -> str:
    drain = case.site.store.drains.all().get(case.host)
    return f"it is kept for maintenance: {drain.why}; balancer host undrain {case.host}" if drain else ""


def bmc_sees_it_on(case: Case) -> str:
    switch = case.site.switch_of(case.host)
    if switch is None:
        return "it has no BMC in the site file"
    try:
        state = switch.state()
    except PowerError as failed:
        return f"its BMC cannot be used: {failed}"
    if state is PowerState.ON:
        return ""
    return f"its BMC says that it is {state}, and its hypervisor answers: is it the BMC of another host?"


def bmc_is_its_own(case: Case) -> str:
    return identity_now(case.site, case.host).why_not


def bmc_is_not_anothers(case: Case) -> str:
    identity = identity_now(case.site, case.host)
    return identity.why_not if identity.is_another else ""


def is_not_quarantined(case: Case) -> str:
    quarantine = case.marks.quarantine
    if quarantine is None:
        return ""
    return f"it left the power scheme: {quarantine.why}; balancer power test {case.host}"


def wake_is_proven(case: Case) -> str:
    proven, days = case.marks.wake_proven_at, case.limits.wake_trust_days
    if proven is None:
        return f"that it wakes has not been proven: balancer power test {case.host}"
    if case.site.now - proven > timedelta(days=days):
        return f"that it wakes was proven more than {days:g} days ago: balancer power test {case.host}"
    return ""


ALWAYS: tuple[Condition, ...] = (
    may_sleep,
    not_too_many_asleep,
    hypervisor_answers,
    nothing_is_in_doubt,
    carries_no_guest,
    nothing_comes_or_goes,
    no_open_step,
    holds_no_reservation,
    is_cordoned,
    bmc_sees_it_on,
    defines_no_shut_off_guest,
    hypervisor_lists_nothing,
)
BEFORE_IT_IS_EMPTIED: tuple[Condition, ...] = (
    may_sleep,
    not_too_many_asleep,
    hypervisor_answers,
    nothing_is_in_doubt,
    no_open_step,
    bmc_sees_it_on,
)
_WHEN_KNOWN: tuple[Condition, ...] = (is_not_drained, bmc_is_its_own, is_not_quarantined)
_TRUST: dict[Testing | None, tuple[Condition, ...]] = {
    None: (*_WHEN_KNOWN, wake_is_proven),
    Testing.BY_ITSELF: _WHEN_KNOWN,
    Testing.BY_A_PERSON: (bmc_is_not_anothers,),
}
