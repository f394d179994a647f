"""What chaos checks can fail: each kind of harm is done on purpose, by a balancer with one safeguard taken out."""

from __future__ import annotations

from typing import Any

import pytest

from balancer.execution import failing, power_off, recovery, starting
from balancer.simulation.machines import GuestState
from balancer.simulation.transit import Transit
from balancer.store import endings, halts
from tests.execution.chaos import harm

MOST_LIVES = 60


def nothing(*_: Any, **__: Any) -> Any:
    return ()


def first_harm() -> str:
    """Return what breaks in the first life that breaks."""
    return next((told.splitlines()[0] for seed in range(MOST_LIVES) if (told := harm(seed))), "nothing")


def test_room_that_is_never_released(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endings, "release_in", nothing)
    monkeypatch.setattr(recovery, "_swept", nothing)
    assert "room" in first_harm()


def test_promises_that_are_not_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "_pass_the_gate", nothing)
    assert " worse: " in first_harm()


def test_hosts_that_lose_their_power_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    def only_ask(self: Any) -> None:
        self._switch.shut_down()

    monkeypatch.setattr(starting, "reasons_against_power_off", nothing)
    monkeypatch.setattr(power_off.ShuttingDown, "request", only_ask)
    assert "lost its power" in first_harm()


def test_steps_that_are_never_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "_write", nothing)
    assert "stays open" in first_harm()


def test_cordons_that_nobody_lifts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "_tidied", nothing)
    assert any(words in first_harm() for words in ("cordoned for nothing", "marked asleep"))


def test_guests_that_are_lost_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(self: Transit, migration: Any) -> None:
        self.end(migration, "")
        migration.guest.state = GuestState.SHUT_OFF

    monkeypatch.setattr(Transit, "_end_as_fated", lose)
    assert "is lost" in first_harm()


def test_guests_that_are_doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    def leave_behind(self: Transit, migration: Any) -> None:
        source = migration.guest.host
        if migration.fate.arrives:
            migration.guest.host = migration.target
            migration.guest.stale_definitions.add(source)
        self.end(migration, migration.fate.error)

    monkeypatch.setattr(Transit, "_end_as_fated", leave_behind)
    assert "doubled" in first_harm()


def test_moves_that_are_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failing, "consequences", lambda *_: endings.Consequences())
    assert "are remembered" in first_harm()


def test_requests_that_are_never_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halts, "given_up_in", nothing)
    assert "never forgotten" in first_harm()
