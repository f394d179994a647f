"""Half an hour of the real service with its dashboard open in a browser: memory flat, no leak, no missed cycle.

BALANCER_SOAK_MINUTES says how long (30).
"""

from __future__ import annotations

import json
import os
import shutil
import time
from math import ceil
from pathlib import Path
from typing import Any

import pytest

from tests.soak.hours import CYCLE_SECONDS
from tests.soak.measured import POOLED, Taken, growth, second_half, taken_by
from tests.web.running import Served, served
from tests.web.served import token_of

MINUTES = float(os.environ.get("BALANCER_SOAK_MINUTES", "30"))
CHROMIUM = shutil.which("chromium") or ""
SECONDS_BETWEEN_LOOKS = 5.0

# What half of the time may add: an allocator keeps some of what it was given; pages or cycles that stay would be more.
RSS_MIB = 12.0

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(MINUTES * 60 + 600),
    pytest.mark.skipif(not CHROMIUM, reason="Debian's chromium is missing: apt-get install chromium"),
]


def test_half_an_hour_with_the_page_open(tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    course: list[Taken] = []
    complaints: list[str] = []
    with served(tmp_path, "tests.soak.hours") as service, playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(base_url=service.url).new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto("/")
        page.get_by_label("Token").fill(token_of("vera"))
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/")
        seen: set[str] = set()
        begin = time.monotonic()
        while (now := time.monotonic() - begin) < MINUTES * 60:
            page.wait_for_timeout(SECONDS_BETWEEN_LOOKS * 1000)
            seen.add(page.get_by_role("heading", level=1).inner_text())
            course.append(taken_by(service.process.pid, now / 3600, len(cycles(service))))
        took_seconds = time.monotonic() - begin
        browser.close()
        assert service.leaves_with() == 0, service.log.read_text()
    said = cycles(service)
    keep(course, service)
    late = second_half(course)
    assert complaints == []
    assert len(seen) > 1, "the page follows what happens"
    assert len(said) >= took_seconds // CYCLE_SECONDS
    assert [line["event"] for line in lines(service) if line["level"] in {"error", "critical"}] == []
    assert missed(service) <= under_way_instead(said)
    assert growth([each.rss_mib for each in late]) < RSS_MIB
    assert growth([each.descriptors for each in late]) <= POOLED
    assert growth([each.threads for each in late]) < 1


def lines(service: Served) -> list[dict[str, Any]]:
    return [json.loads(line) for line in service.log.read_text().rpartition("\n")[0].splitlines()]


def cycles(service: Served) -> list[dict[str, Any]]:
    return [line for line in lines(service) if "moves" in line]


def missed(service: Served) -> int:
    """Count the cycles that were not begun when it was time."""
    return sum(
        line.get("logger", "").startswith("apscheduler") and "._cycle " in line["event"] for line in lines(service)
    )


def under_way_instead(cycles: list[dict[str, Any]]) -> int:
    """Count the times at which one was still under way, on a machine with too much to do: no other may be missed."""
    return sum(ceil(each["seconds"] / CYCLE_SECONDS) for each in cycles if each["seconds"] > CYCLE_SECONDS / 2)


def keep(course: list[Taken], service: Served) -> None:
    """Keep the course and the log where pictures of pages are kept, to be looked at."""
    build = Path(__file__).parents[2] / "build"
    build.mkdir(exist_ok=True)
    (build / "soak-hours.jsonl").write_text("".join(json.dumps(each.line) + "\n" for each in course))
    (build / "soak-hours.log").write_text(service.log.read_text())
