"""Servers that readings come from and go to."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta

from balancer.doctor.base import Examined, Finding, Standing
from balancer.errors import BalancerError
from balancer.history import SOURCES, SourceOpening
from balancer.history.asking import name_of
from balancer.masking import masked

LOOKED_BACK = timedelta(minutes=30)
NOT_REACHED = "see that the server runs and its `url` is right; readings wait here meanwhile"


def history(world: Examined) -> Iterator[Finding]:
    """Ask each source for the last half hour, and the server that readings are sent to for a sign of life."""
    if world.site is None:
        return
    for choice in world.site.sources:
        opening = SourceOpening(choice, world.site.cluster, world.settings.secrets, None)
        try:
            found = SOURCES[choice.kind](opening).host_readings(world.now - LOOKED_BACK, world.now)
        except BalancerError as failed:
            yield Finding(Standing.WARNING, str(failed), "its `url`, `secret_ref` and queries", name_of(choice.url))
            continue
        way_out = "see that its exporter runs on the hosts, and that labels and queries fit" if found.empty else ""
        standing = Standing.WARNING if found.empty else Standing.OK
        yield Finding(standing, f"{len(found)} readings of hosts in the last half hour", way_out, name_of(choice.url))
    if world.site.history is not None:
        yield _pinged(world.site.history.url, world.deadline_seconds)


def _pinged(url: str, seconds: float) -> Finding:
    """Any answer at all is a sign of life; whether the token is right, the first readings that are sent will tell."""
    name = name_of(url)
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/ping", timeout=seconds):  # nosec B310  # of the site file
            return Finding(Standing.OK, "answers", about=name)
    except urllib.error.HTTPError as answered:
        return Finding(Standing.OK, f"answers (with {answered.code})", about=name)
    except (OSError, ValueError) as failed:
        return Finding(Standing.WARNING, masked(str(getattr(failed, "reason", failed))), NOT_REACHED, name)
