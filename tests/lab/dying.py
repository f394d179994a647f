"""`python -m tests.lab.dying PHASE ...`: balancer, killed as by kill -9 once its first move has come so far.

prepare     both ends were asked what speaks against it; nothing was written
request     the move is written down; the order was not sent
sent        the order was sent; that it was is not written
transfer    that it is being copied is written down
finalise    that the job is over is written down; who has the guest was not asked
complete    the move is closed, and nothing after it
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
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


def die_at(moment: str) -> None:
    """Replace one call of the balancer by one that does not survive."""
    owner, name, after, is_it = MOMENTS[moment]
    call = getattr(owner, name)

    def deadly(self: Any, *words: Any) -> Any:
        fatal = is_it(*words)
        if after or not fatal:
            answer = call(self, *words)
        if fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    setattr(owner, name, deadly)


if __name__ == "__main__":
    die_at(sys.argv.pop(1))
    main()
