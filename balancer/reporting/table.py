"""A plan's steps as CSV, one a line, for a spreadsheet or a script."""

from __future__ import annotations

import csv
import io

from balancer.domain.plan import Plan

COLUMNS = ("id", "wave", "action", "vm", "source", "target", "host", "kind", "seconds", "memory_mib", "because")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def plan_csv(plan: Plan) -> str:
    """Return the steps with a header line. What a spreadsheet would take for a formula gets an apostrophe."""
    written = io.StringIO()
    lines = csv.writer(written, lineterminator="\n")
    lines.writerow(COLUMNS)
    for step in plan.steps:
        lines.writerow(_cell(getattr(step, column)) for column in COLUMNS)
    return written.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, int | float):
        return value
    said = "" if value is None else str(value)
    return f"'{said}" if said.lstrip(" ").startswith(_FORMULA) else said
