"""Proofs: a host sleeps only if it was seen to wake, and not too long ago."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from balancer.doctor.base import Examined, Finding, Standing

SOON = timedelta(days=7)


def proofs(world: Examined) -> Iterator[Finding]:
    """Say of each host that may sleep how old its proof is."""
    if world.site is None or world.policy is None:
        return
    trust = timedelta(days=world.policy.policy.power.trust_days)
    marks = world.remembered.marks.all() if world.remembered is not None else {}
    for host in world.site.hosts:
        if not host.may_sleep:
            continue
        known, way_out = marks.get(host.name), f"balancer power test {host.name}, while it is empty"
        if known is not None and known.quarantine is not None:
            yield Finding(Standing.WARNING, f"left the power scheme: {known.quarantine.why}", way_out, host.name)
        elif known is None or known.wake_proven_at is None:
            words = "never seen to wake: it will not be put to sleep"
            yield Finding(Standing.WARNING, words, way_out, host.name)
        else:
            yield _aged(host.name, world.now - known.wake_proven_at, trust, way_out)


def _aged(host: str, age: timedelta, trust: timedelta, way_out: str) -> Finding:
    words = f"seen to wake {age.days} days ago, trusted for {trust.days}"
    if age > trust:
        return Finding(Standing.WARNING, f"{words}: it will not be put to sleep", way_out, host)
    if trust - age < SOON:
        return Finding(Standing.WARNING, words, way_out, host)
    return Finding(Standing.OK, words, about=host)
