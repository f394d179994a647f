"""Running the system's own tools, and waiting for what they began."""

import subprocess
import time
from collections.abc import Callable


class LabError(Exception):
    """The lab could not do what a test asked; says which command failed and what it answered."""


def run(*command: str, given: str | None = None, timeout: float = 30) -> str:
    """The command's output. A failure carries what it wrote to stderr."""
    try:
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=timeout, check=True)
    except subprocess.CalledProcessError as error:
        raise LabError(f"{' '.join(command)}: {(error.stderr or error.stdout).strip()}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"{' '.join(command)}: {error}") from error
    return done.stdout


def wait_until(holds: Callable[[], object], timeout: float, what: str) -> None:
    """Look again and again until it holds; `what` completes the sentence 'after N s still not ...'."""
    deadline = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > deadline:
            raise LabError(f"after {timeout:g} s still not {what}")
        time.sleep(0.1)
