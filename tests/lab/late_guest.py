"""`balancer`, with a guest that somebody starts in the last second: just before its host is asked to shut down.

Run as `python -m tests.lab.late_guest DEFINITION SOCKET_URI COMMAND...`.
"""

import subprocess
import sys
from typing import Any

from balancer.execution.power_off import ShuttingDown


def main() -> None:
    definition, uri = sys.argv[1:3]
    request = ShuttingDown.request

    def too_late(self: Any) -> None:
        subprocess.run(["virsh", "--connect", uri, "create", definition], check=True, capture_output=True)
        request(self)

    ShuttingDown.request = too_late  # type: ignore[method-assign]
    sys.argv = ["balancer", *sys.argv[3:]]
    from balancer.cli import main as balancer

    balancer()


if __name__ == "__main__":
    main()
