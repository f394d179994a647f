"""Readings and events as InfluxDB's line protocol."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from math import isfinite
from typing import Any, TypeGuard

from balancer.domain.cluster import Cluster
from balancer.history.measured import measured_guests, measured_hosts

_IN_TAGS = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ ", "\n": r"\ ", "\r": r"\ "})
_IN_TEXT = str.maketrans({'"': r"\"", "\\": r"\\", "\n": " ", "\r": " "})


def lines_of_cluster(cluster: Cluster) -> Iterator[str]:
    """Yield a line for each host and guest that was measured."""
    at, where = _milliseconds(cluster.taken_at), tag("cluster", cluster.cluster)
    for host in measured_hosts(cluster):
        fields = _numbers(cpu_cores=host.cpu_used_cores, memory_mib=host.memory_used_mib)
        if fields:
            yield f"balancer_host,{where},{tag('host', host.name)} {fields} {at}"
    for vm in measured_guests(cluster):
        fields = _numbers(cpu_cores=vm.cpu_used_cores, memory_mib=vm.memory_used_mib, wait_share=vm.cpu_wait_share)
        if fields:
            tags = f"{where},{tag('host', vm.host)},{tag('key', vm.key)},{tag('vm', vm.name)}"
            yield f"balancer_guest,{tags} {fields} {at}"


def line_of_event(cluster: str, at: datetime, kind: str, subject: str, facts: Mapping[str, Any]) -> str:
    """Return an event as a line: its numbers as numbers, so that any server can add them up, and all of it as JSON."""
    tags = ",".join((tag("cluster", cluster), tag("kind", kind), tag("subject", subject)))
    numbers = {name: value for name, value in facts.items() if isinstance(value, int | float)}
    text = json.dumps(dict(facts), default=str).translate(_IN_TEXT)
    fields = ",".join(filter(None, ("count=1", _numbers(**numbers), f'facts="{text}"')))
    return f"balancer_event,{tags} {fields} {_milliseconds(at)}"


def tag(name: str, value: str) -> str:
    """Return a tag; a backslash at its end would swallow what follows."""
    return f"{name}={value.rstrip(chr(92)).translate(_IN_TAGS) or '-'}"


def _numbers(**values: float | None) -> str:
    return ",".join(
        f"{name.translate(_IN_TAGS)}={float(value)!r}" for name, value in values.items() if _is_number(value)
    )


def _is_number(value: float | None) -> TypeGuard[float]:
    # A server refuses the whole line for one NaN.
    return value is not None and isfinite(value)


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)
