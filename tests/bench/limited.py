"""Run a program of others under a limit of CPU time, and say what it took by the kernel's own account."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

KIB_PER_MIB = 1024
LOOK_EVERY_SECONDS = 0.02

# A process's counters of pages lie apart by processor, and what it is said to hold may be short of what its child was
# given: by what each processor has counted and not yet added up (percpu_counter of the kernel's mm).
INEXACT_MIB = 16.0

# The limit holds for the program, not for the shell, which becomes the program.
_UNDER_A_LIMIT = ("sh", "-c", 'ulimit -t "$0" && exec "$@"')


@dataclass(frozen=True)
class Ran:
    """What a program said, and what it took; `has_ended` where it came to an end by itself, and well."""

    output: str
    has_ended: bool
    cpu_seconds: float
    peak_mib: float


def run_limited(command: Sequence[str], most_cpu_seconds: int) -> Ran:
    """Run a command to its end, or until it has used that much CPU time; children that it waits for are counted in."""
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [*_UNDER_A_LIMIT, str(most_cpu_seconds), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        seen_mib, status, usage = _watched(process.pid)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        return Ran(
            output=output.read(),
            has_ended=process.returncode == 0,
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            peak_mib=_peak_mib(usage, seen_mib),
        )


def _watched(pid: int) -> tuple[float, int, resource.struct_rusage]:
    """Wait for a process; return the most memory that was seen, its status, and what it used."""
    seen_mib = 0.0
    while True:
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            return seen_mib, status, usage
        seen_mib = max(seen_mib, most_mib_of(pid))
        time.sleep(LOOK_EVERY_SECONDS)


def _peak_mib(usage: resource.struct_rusage, seen_mib: float) -> float:
    # The kernel counts a child as never smaller than its parent was when it started it. Clearly above that it is exact.
    said_mib = usage.ru_maxrss / KIB_PER_MIB
    return said_mib if said_mib > most_mib_of(os.getpid()) + INEXACT_MIB else seen_mib


def most_mib_of(pid: int) -> float:
    """Return the most memory that a process has held since it began to run its program; 0 where it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    peaks = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(peaks[0]) / KIB_PER_MIB if peaks else 0.0
