"""Run a program of others under a limit of CPU time, and say what it took by the kernel's own account."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

KIB_PER_MIB = 1024

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
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        return Ran(
            output=output.read(),
            has_ended=process.returncode == 0,
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            peak_mib=usage.ru_maxrss / KIB_PER_MIB,
        )
