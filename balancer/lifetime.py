"""How long a process that acts may live. The kernel ends it, so it needs no attention of the process itself.

The alarm is SIGALRM with its default action. It is pending for a process that was stopped meanwhile, and kills it when
it is let go on, before it does anything.
"""

from __future__ import annotations

import os
import signal
import time

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


def ends_at() -> float | None:
    """Return the moment at which this process is ended; None where nobody has said one."""
    return _ends_at
