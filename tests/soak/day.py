"""A day of virtual time in a process of its own, with store and pages: `python -m tests.soak.day STATE`.

The URL goes into `url`; what the process has, hour by hour, into `taken`, a JSON object a line; the moments of the
cycles into `moments`. The day begins when `begin` exists, and the process ends when that is gone again.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from datetime import timedelta
from pathlib import Path

from balancer.clock import HandSetClock
from balancer.commands.logs import set_up_logs
from balancer.commands.pages import the_pages
from balancer.cycle import Cycle
from balancer.embedded import MIDNIGHT, embedded_policy_path, the_embedded_site
from balancer.policy import WatchedPolicy
from balancer.service import Service
from balancer.simulation.day import CLUSTER
from balancer.virtual_time import Passing
from tests.soak.measured import taken_by
from tests.web.served import add_known_tokens

HOURS = int(os.environ.get("BALANCER_SOAK_HOURS", "24"))
INTERVAL_SECONDS = 900.0  # as its policy says


def live(state: Path) -> None:
    """Live the day."""
    set_up_logs(verbose=False)
    kept, clock = state / "kept", HandSetClock(MIDNIGHT)
    with the_embedded_site(MIDNIGHT, kept, clock) as site:
        add_known_tokens(site.acting.store)
        watched = WatchedPolicy(embedded_policy_path(), CLUSTER)
        service = Service(site, watched, state, lease_seconds=60.0)
        moments: list[str] = []

        def note(cycle: Cycle) -> None:
            moments.append(cycle.seen.taken_at.isoformat())
            service.show(cycle, watched.policy.at(cycle.seen.taken_at), 0.0)

        with the_pages(site, service) as url:
            passing = Passing(site, watched.policy, INTERVAL_SECONDS, note)
            passing.live_until(clock.now() + timedelta(seconds=1))  # so that there is something to look at
            (state / "url").write_text(url)
            while not (state / "begin").exists():
                time.sleep(0.05)
            with (state / "taken").open("w") as written:
                for quarter in range(1, 4 * HOURS + 1):
                    passing.live_until(MIDNIGHT + timedelta(minutes=15 * quarter))
                    gc.collect()
                    taken = taken_by(os.getpid(), quarter / 4, len(moments), sys.getallocatedblocks())
                    print(json.dumps(taken.line), file=written, flush=True)
            (state / "moments").write_text("\n".join(moments))
            while (state / "begin").exists():
                time.sleep(0.05)  # until everybody has gone


if __name__ == "__main__":
    live(Path(sys.argv[1]))
