"""A plan as a file that somebody takes away: one place for the command line, the pages and the API."""

from __future__ import annotations

from enum import StrEnum

from balancer.domain.cluster import Cluster
from balancer.domain.plan import Plan
from balancer.formats import to_json
from balancer.reporting.markdown import plan_markdown
from balancer.reporting.pages.plan import plan_page
from balancer.reporting.table import plan_csv


class FileFormat(StrEnum):
    """What kind of file; the value is what a person calls it."""

    HTML = "html"
    MARKDOWN = "markdown"
    CSV = "csv"
    JSON = "json"

    @property
    def media_type(self) -> str:
        return {"json": "application/json"}.get(self, f"text/{self}") + "; charset=utf-8"

    @property
    def ending(self) -> str:
        return "md" if self is FileFormat.MARKDOWN else str(self)


def plan_file(plan: Plan, cluster: Cluster, format: FileFormat) -> str:
    """Return a plan as the text of a file; the cluster is the one that it was made for."""
    match format:
        case FileFormat.HTML:
            return plan_page(plan, cluster)
        case FileFormat.MARKDOWN:
            return plan_markdown(plan, cluster)
        case FileFormat.CSV:
            return plan_csv(plan)
        case FileFormat.JSON:
            return to_json(plan) + "\n"
