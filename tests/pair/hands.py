"""The real hands in a world of another process: `-m tests.pair.hands SOCKET SECONDS READS WRITES`."""

from __future__ import annotations

import sys
from pathlib import Path

from balancer.hands.base import Opening
from balancer.hands.child import Reach, main
from tests.pair.world import platform, switches


def reach(_: Opening) -> Reach:
    path, seconds = Path(sys.argv[1]), float(sys.argv[2])
    return {"": platform(path, seconds), **switches(path, seconds)}


if __name__ == "__main__":
    main(reach)
