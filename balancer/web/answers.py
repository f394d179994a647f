"""What visitors ask, answered from what was published: each question once, for pages and API alike."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from balancer.accounting import powers
from balancer.actions import NotThere
from balancer.constraints import Constraint
from balancer.constraints.selectors import OfVms, OnSomeHosts
from balancer.cycle import think
from balancer.domain.cluster import Cluster
from balancer.domain.comparison import Comparison
from balancer.domain.explanation import Explanation
from balancer.domain.host import Host
from balancer.domain.plan import Plan
from balancer.domain.vm import Vm
from balancer.errors import Fault, HistoryError
from balancer.planning.checking import remarks
from balancer.planning.comparing import compare
from balancer.planning.conflicts import with_places
from balancer.planning.explaining import Case, explain_vm
from balancer.planning.explaining_hosts import explain_host
from balancer.policy.loading import load_as_if
from balancer.policy.notes import notes
from balancer.policy.places import places_of
from balancer.policy.ready import ready_policy
from balancer.policy.showing import effective_yaml
from balancer.published import Published
from balancer.reporting.plan_files import FileFormat, plan_file
from balancer.reporting.power import HostPower
from balancer.reporting.sentences import plan_sentence
from balancer.store.proposals import Proposal
from balancer.web.door import Door
from balancer.web.identity import Visitor
from balancer.web.views import totals_of

MOST_READINGS = 600_000  # rows of history that one question may read: hours of a large cluster, days of a small one
MOST_EXPLAINED_AT_ONCE = (
    1500  # guests; with 10,000 of them some 30 s, for a host is thought away and all else placed anew
)
READINGS_AN_HOUR = 30
NO_BMC = "no BMC in the site file"
POINTS = 300  # of a chart


def status(door: Door) -> dict[str, Any]:
    """Say how everything stands."""
    known, health = door.published, door.board.health
    totals = totals_of(known.cycle.seen)
    return {
        "cluster": known.cycle.seen.cluster,
        "at": known.at.isoformat(),
        "sentence": known.cycle.sentence,
        "mode": str(known.policy.mode),
        "policy": known.policy.name,
        "held": door.site.why_held,
        "role": health.role,
        "trouble": health.trouble,
        "policy_refused": list(health.refused),
        "hosts": totals.hosts,
        "hosts_on": totals.on,
        "hosts_asleep": totals.asleep,
        "guests": totals.guests,
        "cpu": round(totals.cpu, 4),
        "memory": round(totals.memory, 4),
        "watts": round(totals.watts, 1),
        "imbalance": round(totals.imbalance, 5),
        "doubts": [str(doubt.subject) for doubt in known.cycle.seen.doubts],
        "moves_under_way": sum(each.step.is_move for run in door.board.runs for each in run.progress.running),
    }


def host(door: Door, name: str) -> Host:
    """Return a host as it was last seen."""
    seen = door.published.cycle.seen
    if not seen.has_host(name):
        raise NotThere([Fault(name, "is no host of this cluster")])
    return seen.host(name)


def guest(door: Door, name: str) -> Vm:
    """Return a guest as it was last seen."""
    seen = door.published.cycle.seen
    if not seen.has_vm(name):
        raise NotThere([Fault(name, "is no guest of this cluster")])
    return seen.vm(name)


def why_host(door: Door, name: str) -> Explanation:
    """Say why a host is on or asleep."""
    host(door, name)
    return door.thought_once("host", name, lambda: explain_host(door.case, name))


def is_long_to_explain(door: Door) -> bool:
    """Whether the answer about a host takes so long that a page does not ask for it by itself."""
    return len(door.published.cycle.seen.vms) > MOST_EXPLAINED_AT_ONCE


def why_guest(door: Door, name: str) -> Explanation:
    """Say why a guest is where it is, and where else it could be."""
    guest(door, name)
    return door.thought_once("guest", name, lambda: explain_vm(door.case, name))


def proposal(door: Door, plan_id: str) -> Proposal:
    """Return a plan that people were asked about."""
    found = door.store.proposals.of(plan_id)
    if found is None:
        raise NotThere([Fault(plan_id, "is no plan that people were asked about", "plans wait in mode confirm")])
    return found


def open_proposal(door: Door) -> Proposal | None:
    """Return the newest plan that somebody may decide on; None where there is none, or the last cycle wants nothing."""
    newest = door.store.proposals.latest(1)
    return newest[0] if newest and newest[0].is_open(door.now) else None


def plan_as_file(door: Door, plan_id: str, format: FileFormat) -> tuple[str, str]:
    """Return the name and the text of a plan's file: of the last one (`last`), or of one that is kept."""
    plan, seen = _plan_and_cluster(door, plan_id, format)
    return f"plan-{plan.taken_at:%Y%m%d-%H%M%S}-{plan.id[:8]}.{format.ending}", plan_file(plan, seen, format)


def _plan_and_cluster(door: Door, plan_id: str, format: FileFormat) -> tuple[Plan, Cluster]:
    known = door.published
    if plan_id in {"last", known.cycle.plan.id}:
        return with_places(known.cycle.plan, places_of(known.loaded).of), known.cycle.seen
    whole = door.chronicle.saved(plan_id)
    if whole is not None:
        return whole.plan, whole.snapshot
    plan = proposal(door, plan_id).plan
    if format in {FileFormat.HTML, FileFormat.MARKDOWN}:
        raise NotThere([Fault(plan_id, "the cluster that it was made for is not kept any more", "take json or csv")])
    return plan, known.cycle.seen


def runs(door: Door) -> list[dict[str, Any]]:
    """Say of each plan on its way how far it is."""
    return [
        {
            "plan_id": run.report.plan_id,
            "steps": run.progress.steps,
            "ended": run.progress.ended,
            "started": run.report.started.isoformat(),
            "running": [
                {
                    "step_id": each.step.id,
                    "step": str(each.step),
                    "guest": each.step.vm,
                    "since": each.started.isoformat(),
                    "phase": each.course.phase,
                    "share": each.course.share,
                    "mib_per_s": each.course.mib_per_s,
                    "seconds_left": each.course.seconds_left,
                }
                for each in run.progress.running
            ],
            "outcomes": [
                {"step_id": each.step.id, "step": str(each.step), "result": str(each.result), "detail": each.detail}
                for each in run.report.outcomes
            ],
        }
        for run in door.board.runs
    ]


def history(door: Door, kind: str, key: str, hours: float) -> dict[str, Any]:
    """Return the readings of one host or guest; of a large cluster fewer hours are read."""
    seen = door.published.cycle.seen
    subjects = len(seen.vms) if kind == "guest" else len(seen.hosts)
    hours = min(hours, max(0.5, MOST_READINGS / (READINGS_AN_HOUR * max(1, subjects))))
    since = door.now - timedelta(hours=hours)
    read = door.site.history.guest_readings if kind == "guest" else door.site.history.host_readings
    try:
        with door.thinking():
            table = read(since, door.now)
    except HistoryError as failed:
        return {"hours": hours, "points": [], "trouble": str(failed)}
    mine = table[table["key"] == key]
    mine = mine.iloc[:: max(1, len(mine) // POINTS)]
    points = [
        [at.isoformat(), *(None if value != value else round(float(value), 3) for value in row)]  # noqa: PLR0124 - NaN
        for at, *row in zip(mine["at"], mine["cpu_cores"], mine["memory_mib"], strict=True)
    ]
    return {"hours": hours, "columns": ["at", "cpu_cores", "memory_mib"], "points": points}


def power(door: Door) -> list[HostPower]:
    """Say what is known of each host's power, from the last look: no BMC is asked for a page."""
    seen = door.published.cycle.seen
    on = {host.name for host in seen.hosts if host.is_on}
    words = {True: "on", False: "off"}
    return powers(
        door.store,
        [
            (entry.name, words[entry.name in on] if entry.bmc else NO_BMC, entry.name in on)
            for entry in door.site.acting.file.hosts
        ],
    )


def ask_power_test(door: Door, visitor: Visitor, host: str) -> bool:
    """Have a host's power proven; False where that was asked for already."""
    door.asking(visitor).may_test_power(host)
    return door.board.ask_power_test(host, visitor.name)


# -- the policy


@dataclass(frozen=True)
class NamedRule:
    """A promise or a wish that names somebody, and where it is written."""

    promise: str
    said: str
    place: str
    is_wish: bool


def rules_naming_guest(door: Door, name: str) -> list[NamedRule]:
    """Return the rules that select a guest by name, pattern or label."""
    case = door.case
    return [
        _named(case, each) for each in case.promises if isinstance(each, OfVms) and name in each.guests(case.cluster)
    ]


def rules_naming_host(door: Door, name: str) -> list[NamedRule]:
    """Return the rules that select a host by name, pattern or label."""
    case = door.case
    return [
        _named(case, each)
        for each in case.promises
        if isinstance(each, OnSomeHosts) and not each.means_all_hosts and name in each.chosen_hosts(case.cluster)
    ]


def _named(case: Case, rule: Constraint) -> NamedRule:
    return NamedRule(rule.promise, rule.described(), case.place_of(rule.promise), not rule.hard)


@dataclass(frozen=True)
class PolicyText:
    """The policy in force: its file as it is written, and what is in force now."""

    path: str
    text: str
    effective: str
    notes: tuple[str, ...]
    refused: tuple[str, ...]

    @property
    def facts(self) -> dict[str, Any]:
        return {"notes": list(self.notes), "refused": list(self.refused)}


def policy(door: Door) -> PolicyText:
    """Return the policy in force."""
    known = door.published
    effective = effective_yaml(known.loaded, door.now)
    return PolicyText(
        path=str(known.policy_path or "the default policy: no file was given"),
        text=_written(known) or effective,
        effective=effective,
        notes=tuple(notes(known.loaded, door.now)),
        refused=door.board.health.refused,
    )


def _file_of(known: Published) -> Path | None:
    path = known.policy_path
    if path is None or path.exists():
        return path
    return ready_policy(path.name)


def _written(known: Published) -> str:
    path = _file_of(known)
    try:
        return path.read_text(encoding="utf-8-sig") if path else ""
    except (OSError, UnicodeDecodeError):
        return ""


def policy_remarks(door: Door) -> list[str]:
    """Say what the author of the policy in force should know about it on this cluster."""
    known = door.published
    places = places_of(known.loaded)
    with door.thinking():
        found = remarks(known.cycle.seen, known.policy)
    said = []
    for remark in found:
        place = places.of(remark.promise) if remark.promise else places.of_section(*remark.section)
        said.append(": ".join(filter(None, (place, remark.promise, remark.what))))
    return said


@dataclass(frozen=True)
class Tried:
    """What another policy would do."""

    comparison: Comparison
    warnings: tuple[str, ...]


def try_policy(door: Door, text: str) -> Tried:
    """Say what a policy would do with the cluster as it was last seen. PolicyError names what is wrong with it."""
    known = door.published
    seen, memory = known.cycle.seen, known.cycle.memory
    loaded = load_as_if(text, known.loaded, _file_of(known) or Path("policy.yaml"), seen.cluster)
    other = loaded.policy.at(seen.taken_at)
    with door.thinking():
        plan = think(seen, other, memory).plan
        both = compare(seen, (known.policy, other), (known.cycle.plan, plan))
    first = both.first.model_copy(update={"file": "in force", "sentence": plan_sentence(known.cycle.plan)})
    second = both.second.model_copy(update={"file": "on trial", "sentence": plan_sentence(plan)})
    warnings = tuple(notes(loaded, door.now))
    return Tried(both.model_copy(update={"first": first, "second": second}), warnings)
