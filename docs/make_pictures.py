"""Draw the pictures of the documentation anew: `python docs/make_pictures.py`."""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console

from balancer.cycle import think
from balancer.domain.cluster import Cluster
from balancer.domain.memory import NOTHING_REMEMBERED
from balancer.formats import read
from balancer.policy import load_policy
from balancer.reporting.text import plan_text

DOCS = Path(__file__).parent
COLUMNS = 116


def plan_picture() -> str:
    """Return the example's plan as SVG that fetches nothing from anywhere."""
    example = DOCS / "example"
    cycle = think(read(example / "snapshot.yaml", Cluster), load_policy(example / "policy.yaml"), NOTHING_REMEMBERED)
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, highlight=False)
    console.print(plan_text(cycle.plan, cycle.seen, COLUMNS))
    svg = console.export_svg(title="balancer plan")
    return re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)


if __name__ == "__main__":
    (DOCS / "plan.svg").write_text(plan_picture(), encoding="utf-8")
