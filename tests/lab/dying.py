"""`python -m tests.lab.dying PHASE ...`: balancer, killed as by kill -9 once its first move has come so far.

`frozen:PHASE` stops it and its hands instead, as a machine that stands still would; let on, both go on from there.

prepare     both ends were asked what speaks against it; nothing was written
request     the move is written down; the order was not sent
sent        the order was sent, and has left; that it was is not written
transfer    that it is being copied is written down
finalise    that the job is over is written down; who has the guest was not asked
complete    the move is closed, and nothing after it
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from itertools import count
from typing import Any, Final

from balancer.cli import main
from balancer.execution import ActingSite
from balancer.store.endings import Endings
from balancer.store.journal import Journal, JournalEntry, Phase

BEFORE, AFTER = False, True

Moment = tuple[type, str, bool, Callable[..., bool]]
"""Before or after which call of the balancer's own it dies, and with which words in it."""


def _enters(phase: Phase) -> Callable[..., bool]:
    return lambda entry, entered: entered is phase


def _is_a_move(entry: JournalEntry, *_: Any) -> bool:
    return entry.step.is_move


MOMENTS: Final[dict[str, Moment]] = {
    "prepare": (ActingSite, "write_down", BEFORE, lambda step, *_: step.is_move),
    "request": (Journal, "begin", AFTER, _is_a_move),
    "sent": (Journal, "enter", BEFORE, _enters(Phase.TRANSFER)),
    "transfer": (Journal, "enter", AFTER, _enters(Phase.TRANSFER)),
    "finalise": (Journal, "enter", AFTER, _enters(Phase.FINALISE)),
    "complete": (Endings, "write", AFTER, _is_a_move),
}


ORDERED = {"sent", "transfer"}
SECONDS_TO_LEAVE = 1.0  # a thread sends the order: killed in the same instant, it would sometimes not have left


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def freeze() -> None:
    """Stop this process and its hands; for one that was started in a session of its own."""
    os.killpg(0, signal.SIGSTOP)


def die_at(moment: str) -> None:
    """Replace one call of the balancer by one that does not survive."""
    how, moment = (freeze, moment.removeprefix("frozen:")) if moment.startswith("frozen:") else (die, moment)
    owner, name, after, is_it = MOMENTS[moment]
    call = getattr(owner, name)
    first = count()

    def deadly(self: Any, *words: Any) -> Any:
        fatal = is_it(*words) and next(first) == 0
        if after or not fatal:
            answer = call(self, *words)
        if fatal:
            time.sleep(SECONDS_TO_LEAVE if moment in ORDERED else 0)
            how()
        return answer

    setattr(owner, name, deadly)


if __name__ == "__main__":
    die_at(sys.argv.pop(1))
    main()
