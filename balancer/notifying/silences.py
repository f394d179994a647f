"""Which silences an Alertmanager should have while hosts sleep, and what is to be done about those that it has.

A silence is short and renewed while its host sleeps, so that of a balancer that is dead none is left. It stays until
the host is back, and a little longer; where the host does not come it ends at once, so that somebody is paged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from balancer.domain.notices import Alertmanager
from balancer.domain.plan import Action
from balancer.store.journal import EntryState, JournalEntry
from balancer.store.marks import HostMarks

Matchers = frozenset[tuple[str, str, bool]]
"""Label, value, and whether that is a regular expression."""


@dataclass(frozen=True)
class Silence:
    """A silence of ours. `id` is empty until the Alertmanager has given it one."""

    matchers: Matchers
    starts: datetime
    ends: datetime
    comment: str
    id: str = ""


@dataclass(frozen=True)
class Sleepers:
    """Hosts that are off by our hand, or about to be, and why each is; and those that were to come and did not."""

    why: Mapping[str, str]
    lost: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Looked:
    """What is known of the hosts besides what was written down.

    up: hosts that were seen up when somebody looked last, at `at`
    shutdown_takes: after that long a shutdown has ended, whatever was written down of it
    """

    now: datetime
    hosts: frozenset[str]
    up: frozenset[str] = frozenset()
    at: datetime | None = None
    shutdown_takes: timedelta = timedelta(minutes=5)

    def has_seen_up(self, host: str, since: datetime) -> bool:
        """Whether a host was up after a moment."""
        return self.at is not None and self.at > since and host in self.up


@dataclass(frozen=True)
class Changes:
    """What is to be asked of an Alertmanager: silences to begin or to renew, and those to end now."""

    put: tuple[Silence, ...] = ()
    end: tuple[Silence, ...] = ()


def sleepers(marks: Mapping[str, HostMarks], under_way: Sequence[JournalEntry], looked: Looked) -> Sleepers:
    """Return who sleeps by our hand; who is asked to shut down counts already, for alerts do not wait for its end.

    What was written down is believed only as long as nobody has seen the host up since, and of hosts that are there.
    """
    lost = frozenset(host for host, mark in marks.items() if mark.is_lost)
    going = {
        entry.step.host: (entry.at, f"is put to sleep since {entry.at:%Y-%m-%d %H:%M %Z}")
        for entry in under_way
        if entry.action is Action.POWER_OFF
        and entry.state is EntryState.BEGUN
        and entry.step.host
        and looked.now - entry.at <= looked.shutdown_takes
    }
    gone = {
        host: (mark.asleep_since, f"sleeps since {mark.asleep_since:%Y-%m-%d %H:%M %Z}")
        for host, mark in marks.items()
        if mark.asleep_since is not None
    }
    believed = {
        host: why
        for host, (since, why) in (going | gone).items()
        if host in looked.hosts and host not in lost and (host in going or not looked.has_seen_up(host, since))
    }
    return Sleepers(believed, lost)


def changes(wanted: Sleepers, present: Sequence[Silence], cluster: str, rules: Alertmanager, now: datetime) -> Changes:
    """Return what brings the silences that are there to what is wanted."""
    asked = {matchers_of(host, rules): f"{host} {why}" for host, why in wanted.why.items()}
    lost = {matchers_of(host, rules) for host in wanted.lost}
    by_matchers: dict[Matchers, list[Silence]] = {}
    for each in sorted(present, key=lambda each: each.ends, reverse=True):
        by_matchers.setdefault(each.matchers, []).append(each)
    renewed = (_renewed(by_matchers.get(each, []), each, asked[each], cluster, rules, now) for each in asked)
    twins = [twin for each in asked for twin in by_matchers.get(each, [])[1:]]
    idle = [each for each in present if each.matchers not in asked]
    last = now + timedelta(minutes=rules.linger_minutes)
    ended = [each for each in idle if each.matchers in lost or last <= now]
    # Alerts stay active until what scrapes the host has seen it again.
    lingering = [replace(each, ends=last) for each in idle if each not in ended and each.ends > last]
    return Changes((*filter(None, renewed), *lingering), (*twins, *ended))


def _renewed(
    standing: Sequence[Silence], matchers: Matchers, why: str, cluster: str, rules: Alertmanager, now: datetime
) -> Silence | None:
    """Return the silence of a host that sleeps as it should be; None where it lasts for long enough."""
    ends = now + timedelta(minutes=rules.silence_minutes)
    if not standing:
        return Silence(matchers, now, ends, comment(why, cluster, rules))
    lasts = standing[0].ends - now
    return None if lasts >= timedelta(minutes=rules.silence_minutes / 2) else replace(standing[0], ends=ends)


def matchers_of(host: str, rules: Alertmanager) -> Matchers:
    """Return which alerts are about a host."""
    return frozenset(
        (each.label, each.value.replace("{host}", re.escape(host) if each.regex else host), each.regex)
        for each in rules.matchers
    )


def creator(cluster: str) -> str:
    """Return by whom silences say that they were made: they are found again by it."""
    return f"balancer/{cluster}"


def comment(why: str, cluster: str, rules: Alertmanager) -> str:
    """Say who is silent, and why."""
    return (
        f"{why}: the balancer of {cluster} put it to sleep and wakes it when it is needed. "
        f"Renewed while it sleeps; ends by itself within {rules.silence_minutes:.0f} min where nobody renews it."
    )


def as_posted(silence: Silence, cluster: str) -> dict[str, Any]:
    """Return a silence as the API (v2) takes it."""
    said: dict[str, Any] = {
        "matchers": [
            {"name": label, "value": value, "isRegex": is_regex, "isEqual": True}
            for label, value, is_regex in sorted(silence.matchers)
        ],
        "startsAt": silence.starts.isoformat(),
        "endsAt": silence.ends.isoformat(),
        "createdBy": creator(cluster),
        "comment": silence.comment,
    }
    return said | ({"id": silence.id} if silence.id else {})


def ours(listed: Sequence[Any], cluster: str) -> Iterator[Silence]:
    """Yield those of the silences that an API listed which are ours and still in force."""
    for each in listed:
        is_over = each["status"]["state"] == "expired"
        if each["createdBy"] == creator(cluster) and not is_over:
            yield Silence(
                matchers=frozenset((m["name"], m["value"], bool(m["isRegex"])) for m in each["matchers"]),
                starts=datetime.fromisoformat(each["startsAt"]),
                ends=datetime.fromisoformat(each["endsAt"]),
                comment=each["comment"],
                id=each["id"],
            )
