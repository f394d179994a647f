"""Matters, rules and moments in a few words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from balancer.domain.notices import Kind, Notify, Severity
from balancer.notifying.matters import Matter
from balancer.store.notices import Letter

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
A_MINUTE = timedelta(minutes=1)


def rules(**said: Any) -> Notify:
    """Read rules as a site file has them; without targets there is one, `ops`."""
    targets = said.pop("targets", [{"name": "ops"}])
    each = [{"secret_ref": f"env:{target['name'].upper()}", **target} for target in targets]
    return Notify.model_validate({"targets": each, **said})


def matter(
    kind: Kind = Kind.BREAKER_OPEN, subject: str = "cluster", severity: Severity = Severity.CRITICAL, **said: Any
) -> Matter:
    return Matter(kind, subject, severity, said.pop("title", f"{kind} {subject}"), said.pop("body", "words"), **said)


def letter(kind: Kind = Kind.DOUBTS, at: datetime = NOON, severity: Severity = Severity.WARNING, **said: Any) -> Letter:
    return Letter("ops", at, kind, severity, said.pop("title", str(kind)), said.pop("body", "words"), **said)
