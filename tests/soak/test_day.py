"""A day of virtual time with store and pages, looked at all the while: memory flat, no leak, no cycle missed.

BALANCER_SOAK_HOURS says how long a day is (24).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from balancer.embedded import MIDNIGHT
from tests.soak.day import HOURS, INTERVAL_SECONDS
from tests.soak.measured import POOLED, Taken, growth, second_half
from tests.soak.visitors import PATHS, visitors

ROOT = Path(__file__).parents[2]

# What the second half of the day may add. Python's own objects go up and down by 2 % with what the cluster does; an
# allocator keeps some of what it was given.
BLOCKS_SHARE, RSS_MIB = 0.03, 10.0

pytestmark = [pytest.mark.long, pytest.mark.timeout(7200)]


def test_a_day_leaves_memory_descriptors_and_threads_as_they_were(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BALANCER_")}
    environment |= {"BALANCER_WEB_LISTEN": "127.0.0.1:0", "BALANCER_SOAK_HOURS": str(HOURS)}
    command, log = [sys.executable, "-m", "tests.soak.day", str(tmp_path)], tmp_path / "log"
    with log.open("wb") as written, subprocess.Popen(command, stderr=written, cwd=ROOT, env=environment) as process:

        def until(what: Callable[[], bool]) -> None:
            while not what():
                assert process.poll() is None, log.read_text()
                time.sleep(0.2)

        try:
            until(lambda: (tmp_path / "url").exists() and (tmp_path / "url").read_text() != "")
            with visitors((tmp_path / "url").read_text()) as crowd:
                (tmp_path / "begin").touch()
                until((tmp_path / "moments").exists)
            (tmp_path / "begin").unlink()
            assert process.wait(60) == 0, log.read_text()
        finally:
            process.kill()

    course = [Taken(**json.loads(line)) for line in (tmp_path / "taken").read_text().splitlines()]
    keep(course)
    assert crowd.trouble == []
    assert {answer for answer in crowd.answers if answer[1] not in {200, 303}} == set()
    assert {path for path, _ in crowd.answers} == set(PATHS) and crowd.news["cycle"] > 1

    moments = set((tmp_path / "moments").read_text().split())
    interval = timedelta(seconds=INTERVAL_SECONDS)
    wanted = {(MIDNIGHT + number * interval).isoformat() for number in range(HOURS * 3600 // int(INTERVAL_SECONDS))}
    assert wanted - moments == set()
    assert '"level": "error"' not in log.read_text()

    early, late = course[: len(course) // 2], second_half(course)
    assert growth([each.blocks for each in late]) < BLOCKS_SHARE * late[0].blocks
    assert growth([each.rss_mib for each in late]) < RSS_MIB
    assert max(each.descriptors for each in late) <= max(each.descriptors for each in early) + POOLED
    assert max(each.threads for each in late) <= max(each.threads for each in early) + 1


def keep(course: list[Taken]) -> None:
    """Keep the course where pictures of pages are kept, to be looked at."""
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    (build / "soak-day.jsonl").write_text("".join(json.dumps(each.line) + "\n" for each in course))
