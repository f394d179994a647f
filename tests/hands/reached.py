"""What the hands of these tests reach: `-m tests.hands.reached DIRECTORY READS WRITES`, or `... balancer DIRECTORY`."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from balancer import lifetime
from balancer.domain.site_file import PlatformChoice, SiteFile
from balancer.hands import HandsInAChild
from balancer.hands.child import Reach, main


class Reached:
    """A platform and a switch in one, that leaves traces in a directory."""

    def __init__(self, directory: Path, name: str = "") -> None:
        self._directory, self._name = directory, name

    def pid(self) -> int:
        return os.getpid()

    def say(self, state: str) -> str:
        return f"{self._name} is {state}"

    def fail(self, error: Exception) -> None:
        raise error

    def leave_a_mark(self, after_seconds: float = 0.0) -> None:
        """Have an effect on the world, after a time in which it may be too late for that."""
        (self._directory / "waits.new").write_text(str(os.getpid()))
        (self._directory / "waits.new").rename(self._directory / "waits")
        time.sleep(after_seconds)
        (self._directory / "mark").touch()


def be_a_balancer(directory: Path) -> None:
    """Have hands and do nothing with them, until somebody kills this process."""
    file = SiteFile(cluster="lab", platform=PlatformChoice(kind="simulated"), hosts=())
    hands = HandsInAChild(file, directory, [sys.executable, "-m", "tests.hands.reached", str(directory)])
    hands.may_act_until(lifetime.moment() + 600)
    pid = hands.order("", "pid")
    (directory / "hands.new").write_text(str(pid))
    (directory / "hands.new").rename(directory / "hands")
    time.sleep(600)


def reach(directory: Path) -> Reach:
    return {"": Reached(directory), "h1": Reached(directory, "h1")}


if __name__ == "__main__":
    if sys.argv[1] == "balancer":
        be_a_balancer(Path(sys.argv[2]))
    else:
        main(lambda _: reach(Path(sys.argv[1])))
