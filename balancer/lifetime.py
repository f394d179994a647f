"""How long a process that acts may live. The kernel ends it, so it needs no attention of the process itself.

Imports nothing of ours: `lifetime.py MOMENT PROGRAM WORDS...` runs a program that ends at a moment.

The alarm is SIGALRM with its default action. It is pending for a process that was stopped meanwhile, and kills it when
it is let go on, before it does anything.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence

_ends_at: float | None = None


def moment() -> float:
    """Return the seconds on a clock that nobody sets, and that goes on while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def listen_to_the_alarm() -> None:
    """Let the alarm kill this process, whatever whoever started it thought of alarms; for the main thread."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})


def end_at(when: float) -> None:
    """Have the kernel end this process at a moment; one that is earlier than what was said before changes nothing."""
    global _ends_at  # noqa: PLW0603  a process dies once
    if _ends_at is not None and when <= _ends_at:
        return
    _ends_at = when
    left = when - moment()
    if left <= 0:
        os.kill(os.getpid(), signal.SIGALRM)
    signal.setitimer(signal.ITIMER_REAL, max(left, 1e-6))


def ended_with_us(command: Sequence[str]) -> list[str]:
    """Return a command that the kernel ends when it ends this process: a program would outlive whoever started it.

    It is told the moment and not how long it has, for it may be frozen before it has set its own alarm.
    """
    if _ends_at is None:
        return list(command)
    return [sys.executable, "-P", __file__, repr(_ends_at), *command]


def become_a_program_that_ends() -> None:
    """Set the alarm, then be the program that is named; timers outlive that."""
    listen_to_the_alarm()
    end_at(float(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    become_a_program_that_ends()
