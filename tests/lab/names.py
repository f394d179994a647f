"""What a lab calls itself on the machine. By these names leftovers are found, so they are fixed and not drawn by lot.

One lab at a time is the rule. Who needs another beside it gives it a number: BALANCER_LAB_NUMBER=1 ... 9. Tests that
are shared out among processes have one each, from that number on.
"""

import os
from pathlib import Path

TEST_PROCESS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
NUMBER = int(os.environ.get("BALANCER_LAB_NUMBER", "0")) + TEST_PROCESS
LAB = f"balancer-lab{NUMBER or ''}"

PREFIX = f"{LAB}-"
"""Each network namespace begins with this."""

MARK = f"BALANCER_LAB_PROCESS={LAB}"
"""In the environment of each process that a lab starts, so that those outside its namespaces are found too."""

UPLINK = f"ballab{NUMBER or ''}"
"""The machine's own network interface to the lab; such a name has at most 15 characters."""

SUBNET = f"10.77.{NUMBER}"
FIRST_BMC_PORT = 16230 + 20 * NUMBER

DEFAULT_DIRECTORY = Path("/var/lib") / LAB
"""On a disk: guests open theirs with O_DIRECT, which tmpfs lacks. Not in /run: each host has a /run of its own."""
