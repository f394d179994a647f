"""A day summed up: of a real run on virtual time, and of a store in which nothing ever happened."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from balancer.accounting import keep_accounts
from balancer.chronicle import Chronicle
from balancer.cli import run
from balancer.cycle import Cycle, think
from balancer.domain.cluster import Doubt
from balancer.domain.day_summary import DaySummary, Moves
from balancer.domain.memory import NOTHING_REMEMBERED
from balancer.domain.plan import Action, Step, Unmet
from balancer.embedded import MIDNIGHT, EmbeddedDay, embedded_default_policy, the_embedded_site
from balancer.policy import Policy
from balancer.reporting.day import day_json, day_markdown, day_notice, day_text
from balancer.store import Store, open_store
from balancer.store.audit import AuditLine
from balancer.store.journal import EntryState, JournalEntry
from balancer.summing_up import day_summary
from tests.drawing import cluster

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MOVE = Step(id="s1", action=Action.MOVE, vm="db1", source="h1", target="h2", memory_mib=2048)
HOSTILE = "<img src=x> [x](http://evil.example) @all"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"sqlite:///{tmp_path}/balancer.db", "lab")


def summed_up(store: Store, tmp_path: Path, days_later: int = 0) -> DaySummary:
    day = NOON + timedelta(days=days_later)
    return day_summary(store, Chronicle(store, tmp_path), "lab", day.date(), NOON)


def end_a_move(store: Store, at: datetime, state: EntryState) -> None:
    entry = store.journal.begin(JournalEntry(at, "p1", MOVE))
    store.journal.settle(entry.id, state, "", at)


def test_a_night_that_was_lived_is_told_as_it_went(tmp_path: Path) -> None:
    with the_embedded_site(MIDNIGHT) as site:
        store, chronicle, policy = site.acting.store, Chronicle(site.acting.store, tmp_path), embedded_default_policy()

        def keep(cycle: Cycle, in_force: Policy) -> None:
            chronicle.keep(cycle, in_force)
            keep_accounts(store, cycle.seen, in_force, {})

        day = EmbeddedDay(site, policy, Console(file=io.StringIO()), pace_seconds=0, show=keep)
        day.live(MIDNIGHT + timedelta(hours=1.5))
        summary = day_summary(store, chronicle, site.name, MIDNIGHT.date(), site.clock.now())
    assert summary.cycles == summary.cycles_whole == 6
    assert summary.plans > 0
    assert (summary.moves.done, summary.moves.failed) == (day.ledger.moves, 0)
    assert summary.moves.gib == pytest.approx(day.ledger.gib)
    assert summary.sleeps >= 3
    assert summary.energy.hours_asleep > 0
    assert not summary.is_over


def test_an_empty_day_says_that_nothing_is_known(store: Store, tmp_path: Path) -> None:
    said = day_text(summed_up(store, tmp_path))
    assert "no cycle" in said
    assert "0 guests moved" in said
    assert "nobody did anything" in said


def test_a_day_goes_from_midnight_to_midnight(store: Store, tmp_path: Path) -> None:
    midnight = NOON - timedelta(hours=12)
    end_a_move(store, midnight - timedelta(seconds=1), EntryState.DONE)
    end_a_move(store, midnight, EntryState.DONE)
    end_a_move(store, midnight + timedelta(days=1) - timedelta(seconds=1), EntryState.FAILED)
    end_a_move(store, midnight + timedelta(days=1), EntryState.FAILED)
    assert summed_up(store, tmp_path).moves == Moves(done=1, failed=1, gib=2.0)


def test_a_step_whose_end_nobody_knows_and_a_host_in_quarantine_wait_for_a_person(store: Store, tmp_path: Path) -> None:
    end_a_move(store, NOON, EntryState.UNKNOWN)
    store.marks.quarantine("h7", "did not wake", NOON)
    summary = summed_up(store, tmp_path)
    assert summary.moves == Moves(open=1)
    assert len(summary.waiting) == 2
    assert "h7" in summary.waiting[1]


def test_who_did_what_stands_in_every_format_and_is_no_markup(store: Store, tmp_path: Path) -> None:
    store.audit.add(AuditLine(NOON - timedelta(days=1), "eve", "did something else"))
    store.audit.add(AuditLine(NOON, "ada", f"drained {HOSTILE}", "host:h1"))
    summary = summed_up(store, tmp_path)
    assert [deed.who for deed in summary.deeds] == ["ada"]
    assert "12:00 ada: drained <img" in day_text(summary)
    assert json.loads(day_json(summary))["deeds"][0]["what"] == f"drained {HOSTILE}"
    title, body = day_notice(summary)
    assert f"{title}\n\n{body}" == day_text(summary)
    assert "2026-11-23" in title and "12:00 ada" in body
    assert "12&#58;00 ada" in day_markdown(summary)
    assert not {"<", "[", "@"} & set(day_markdown(summary))


def test_doubts_and_bent_promises_are_counted_by_cycle_and_what_is_not_kept_is_said(
    store: Store, tmp_path: Path
) -> None:
    chronicle = Chronicle(store, tmp_path)
    seen = cluster("h1 64: a=8@db b=8@db").model_copy(update={"doubts": (Doubt(subject="host:h1", kind="missing"),)})
    apart = Unmet(promise="db apart", subject="host:h1", why="one host only")
    for number in (1, 2, 3):
        at = NOON + timedelta(minutes=number)
        now = seen.model_copy(update={"taken_at": at})
        cycle = think(now, Policy(), NOTHING_REMEMBERED)
        plan = cycle.plan.model_copy(update={"id": f"p{number}", "unmet": (apart,)})
        chronicle.keep(replace(cycle, plan=plan), Policy())
    (tmp_path / "cycles" / "p1.json.gz").unlink()
    summary = summed_up(store, tmp_path)
    assert (summary.cycles, summary.cycles_whole, summary.cycles_in_doubt) == (3, 2, 3)
    assert dict(summary.doubts) == {"host:h1: missing": 2}
    assert dict(summary.bent) == {"db apart, host:h1": 2}
    assert "not known of 1 of the 3 cycles" in day_text(summary)


def test_yesterday_is_summed_up_unless_a_day_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "--format", "json"]) == 0
    yesterday = json.loads(capsys.readouterr().out)
    assert run(["report", "--day", "2020-02-29", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["day"] == "2020-02-29"
    assert yesterday["is_over"] is True


def test_a_day_that_has_not_begun_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "--day", "2999-01-01"]) == 1
    assert "has not begun" in capsys.readouterr().err
