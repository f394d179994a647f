"""The service stops when it is told to, whatever a cycle asks of the scheduler just then."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from balancer.service.rhythm import Rhythm

LONG = 3600.0
PATIENCE = 20.0


class Glances:
    """A glance that is never due here."""

    def __call__(self) -> None: ...


def asks_for_another_pace(rhythm: Rhythm) -> None:
    rhythm.keep_the_pace(LONG / 2, Glances(), 60.0)


def asks_to_glance_no_more(rhythm: Rhythm) -> None:
    rhythm.keep_the_pace(LONG, Glances(), 0.0)


def asks_to_begin_again_soon(rhythm: Rhythm) -> None:
    rhythm.begin_in(1.0, "cycle")


def asks_what_there_is(rhythm: Rhythm) -> None:
    rhythm.has("cycle")


@pytest.mark.parametrize(
    "asks", [asks_for_another_pace, asks_to_glance_no_more, asks_to_begin_again_soon, asks_what_there_is]
)
def test_a_cycle_that_asks_the_scheduler_while_the_service_stops_holds_nothing_up(
    asks: Callable[[Rhythm], None],
) -> None:
    rhythm, is_under_way, is_told, is_done = Rhythm(), threading.Event(), threading.Event(), threading.Event()

    def cycle() -> None:
        is_under_way.set()
        is_told.wait(PATIENCE)
        asks(rhythm)
        is_done.set()

    rhythm.begin(cycle, LONG)
    rhythm.watch(Glances(), LONG)
    assert is_under_way.wait(PATIENCE)
    stopping = threading.Thread(target=rhythm.end, daemon=True)
    stopping.start()
    stopping.join(0.3)  # by now it waits for the cycle
    assert stopping.is_alive(), "the end waits for the cycle that is under way"
    is_told.set()
    stopping.join(PATIENCE)
    assert not stopping.is_alive()
    assert is_done.is_set(), "the cycle came to its own end"


def test_nothing_begins_after_the_end() -> None:
    rhythm, begun = Rhythm(), []
    rhythm.begin(lambda: begun.append(1), LONG)
    rhythm.end()
    at_the_end = list(begun)
    rhythm.begin_in(0.0, "cycle")
    rhythm.keep_the_pace(LONG / 2, Glances(), 60.0)
    assert begun == at_the_end
