"""The service as a process: well while it works, alive through failed cycles, leaving with 0 when it is told to."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from balancer.service import why_unhealthy
from balancer.store import Store, open_store
from tests.service_process import CLUSTER, LEASE_SECONDS, store_url

PATIENCE_SECONDS = 60.0  # for a busy machine; nothing here takes that long

POLICY = """\
schema: balancer.policy/1
mode: {mode}
objectives: {{even_load: {{weight: 1.0}}}}
stability: {{hold_minutes: 0}}
interval_seconds: {interval_seconds}
"""


@dataclass
class Running:
    """A service that runs, and what can be seen of it from outside."""

    process: subprocess.Popen[bytes]
    state: Path
    log: Path

    @property
    def ill(self) -> str:
        return why_unhealthy(self.state, datetime.now(UTC))

    @property
    def cycles(self) -> list[dict[str, Any]]:
        """What the log says of each cycle."""
        whole_lines = self.log.read_text().rpartition("\n")[0].splitlines()
        return [said for said in map(json.loads, whole_lines) if "moves" in said]

    def waits_for(self, what: Callable[[], bool]) -> None:
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not what():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < give_up, self.log.read_text()
            time.sleep(0.1)

    def is_told(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def leaves_with(self) -> int:
        return self.process.wait(PATIENCE_SECONDS)


@contextmanager
def service(state: Path, mode: str = "recommend", interval_seconds: int = 5, more: str = "") -> Iterator[Running]:
    policy, log = state / "policy.yaml", state / "log"
    policy.write_text(POLICY.format(mode=mode, interval_seconds=interval_seconds) + more)
    command = [sys.executable, "-m", "tests.service_process", str(state), str(policy)]
    with log.open("wb") as written, subprocess.Popen(command, stderr=written, cwd=Path(__file__).parents[1]) as process:
        try:
            yield Running(process, state, log)
        finally:
            process.kill()


@contextmanager
def its_store(state: Path) -> Iterator[Store]:
    store = open_store(store_url(state), CLUSTER)
    try:
        yield store
    finally:
        store.close()


def balancer_says(*words: str, state: Path) -> tuple[int, str]:
    environment = {**os.environ, "BALANCER_STATE": str(state)}
    said = subprocess.run(
        [sys.executable, "-m", "balancer", *words], env=environment, capture_output=True, text=True, check=False
    )
    return said.returncode, said.stdout.strip()


def test_rules_that_nothing_keeps_are_said_once_and_not_each_cycle(tmp_path: Path) -> None:
    rules = "constraints: [{kind: apart, name: one, vms: ['*']}]\n"  # four guests, two hosts
    with service(tmp_path, interval_seconds=1, more=rules) as running:
        running.waits_for(lambda: len(running.cycles) >= 3)
        said = running.log.read_text()
        assert said.count("one cannot be kept on the present cluster") == 1


def test_each_cycle_is_one_sentence_with_its_facts_beside_it(tmp_path: Path) -> None:
    with service(tmp_path, interval_seconds=1) as running:
        running.waits_for(lambda: len(running.cycles) >= 3)
        running.is_told(signal.SIGTERM)
        assert running.leaves_with() == 0, running.log.read_text()
        with its_store(tmp_path) as store:
            known = Counter(line.plan_id for line in store.cycles.latest())
    assert Counter(said["plan"] for said in running.cycles) == known
    for said in running.cycles:
        assert said["event"].startswith("Move ") and "\n" not in said["event"]
        assert (said["mode"], said["level"], said["asleep"]) == ("recommend", "info", 0)
        assert said["moves"] > 0 and 0 <= said["gap"] < 1 and said["seconds"] > 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_service_is_well_and_leaves_with_0_when_it_is_told_to(tmp_path: Path, number: signal.Signals) -> None:
    with service(tmp_path) as running:
        running.waits_for(lambda: not running.ill)
        assert balancer_says("health", state=tmp_path) == (0, "well")
        running.is_told(number)
        assert running.leaves_with() == 0, running.log.read_text()
    assert "Traceback" not in running.log.read_text()


def test_a_service_outlives_cycles_that_fail_and_says_why(tmp_path: Path) -> None:
    with service(tmp_path, interval_seconds=1) as running:
        running.waits_for(lambda: not running.ill)
        _store(tmp_path, "ALTER TABLE touches RENAME TO hidden")
        running.waits_for(lambda: "no such table: touches" in running.ill)
        code, said = balancer_says("health", state=tmp_path)
        assert (code, "cycle failed" in said) == (1, True)
        _store(tmp_path, "ALTER TABLE hidden RENAME TO touches")
        running.waits_for(lambda: not running.ill)
        running.is_told(signal.SIGTERM)
        assert running.leaves_with() == 0, running.log.read_text()


def _store(state: Path, change: str) -> None:
    store = sqlite3.connect(state / "balancer.db", timeout=10)
    try:
        store.execute(change)
        store.commit()
    finally:
        store.close()


def test_a_service_that_waits_for_a_person_leaves_them_the_right_to_act(tmp_path: Path) -> None:
    with service(tmp_path, mode="confirm") as running:
        running.waits_for((tmp_path / "waiting-plan.json").exists)
        with its_store(tmp_path) as store:
            assert store.lease.holder(datetime.now(UTC)) is None


@pytest.mark.long
def test_what_moves_when_the_service_is_told_to_stop_arrives_under_its_lease(tmp_path: Path) -> None:
    with service(tmp_path, mode="act") as running, its_store(tmp_path) as store:
        running.waits_for(lambda: bool(store.journal.unsettled()))
        running.is_told(signal.SIGTERM)
        time.sleep(LEASE_SECONDS + 1)
        assert store.journal.unsettled(), "the migration ended before its time"
        assert store.lease.holder(datetime.now(UTC)) is not None
        assert running.leaves_with() == 0, running.log.read_text()
        assert not store.journal.unsettled()
        assert store.lease.holder(datetime.now(UTC)) is None


def test_the_embedded_day_ends_with_its_sum_when_it_is_told_to_stop(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BALANCER_")}
    environment["BALANCER_WEB_LISTEN"] = "127.0.0.1:0"
    command = [sys.executable, "-m", "balancer", "run"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as day:
        assert day.stdout
        assert day.stdout.readline().startswith("dashboard: http://127.0.0.1:")
        assert day.stdout.readline() == "\n"
        assert day.stdout.readline().startswith("time")
        assert day.stdout.readline().startswith("00:00")
        day.send_signal(signal.SIGTERM)
        said, _ = day.communicate(timeout=PATIENCE_SECONDS)
        assert day.returncode == 0
    assert "stopped" in said
    assert "The day took" in said


def test_a_process_that_is_silent_for_too_long_is_not_well(tmp_path: Path) -> None:
    (tmp_path / "health.json").write_text(
        '{"at": "2026-11-23T12:00:00+00:00", "well": true, "sentence": "", "stale_after_seconds": 60}'
    )
    assert why_unhealthy(tmp_path, datetime(2026, 11, 23, 12, 1, tzinfo=UTC)) == ""
    assert why_unhealthy(tmp_path, datetime(2026, 11, 23, 12, 2, tzinfo=UTC)) == "no cycle for 120 s"
    assert "the service does not run" in why_unhealthy(tmp_path / "elsewhere", datetime.now(UTC))


@pytest.mark.parametrize("on_stop", ["finish", "abort"])
def test_what_moves_when_it_is_told_to_stop_arrives_or_is_given_up_as_the_policy_says(
    tmp_path: Path, on_stop: str
) -> None:
    with (
        service(tmp_path, mode="act", more=f"caution: {{on_stop: {on_stop}}}\n") as running,
        its_store(tmp_path) as store,
    ):
        running.waits_for(lambda: any(entry.phase == "transfer" for entry in store.journal.unsettled()))
        running.is_told(signal.SIGTERM)
        assert running.leaves_with() == 0, running.log.read_text()
        assert not store.journal.unsettled() and not store.reservations.all()
        ended = {str(entry.state) for entry in store.journal.latest() if entry.step.is_move}
        assert ended == ({"done"} if on_stop == "finish" else {"failed"}), running.log.read_text()


def test_a_stop_is_not_waited_for_longer_than_the_policy_says(tmp_path: Path) -> None:
    with (
        service(tmp_path, mode="act", more="caution: {stop_within_minutes: 0}\n") as running,
        its_store(tmp_path) as store,
    ):
        running.waits_for(lambda: bool(store.journal.unsettled()))
        running.is_told(signal.SIGTERM)
        assert running.leaves_with() == 0, running.log.read_text()
        assert store.journal.unsettled(), "it was waited for"
    assert "left to the hypervisors, the next start settles it" in running.log.read_text()


def test_a_running_service_honours_a_pause_and_a_request_to_give_up(tmp_path: Path) -> None:
    with service(tmp_path, mode="act", interval_seconds=1) as running, its_store(tmp_path) as store:
        running.waits_for(lambda: any(entry.phase == "transfer" for entry in store.journal.unsettled()))
        store.halts.pause("ann", "new switch", datetime.now(UTC))
        open_moves = [entry.id for entry in store.journal.unsettled()]
        store.halts.give_up(open_moves, "ann", "now", datetime.now(UTC))
        running.waits_for(lambda: not store.journal.unsettled())
        running.waits_for(lambda: "nothing but waking is begun: paused by ann" in running.log.read_text())
        assert {entry.id for entry in store.journal.latest() if entry.step.is_move} == set(open_moves)
        assert all(
            "given up on request of ann" in entry.detail for entry in store.journal.latest() if entry.step.is_move
        )
