"""The real service on the embedded site, whose time runs fast: `python -m tests.soak.hours STATE`.

Fifteen hours pass within half an hour, with moves, sleep and waking.
"""

from __future__ import annotations

import sys
from pathlib import Path

from balancer.clock import PacedClock
from balancer.commands.logs import set_up_logs
from balancer.commands.pages import the_pages
from balancer.embedded import MIDNIGHT, embedded_policy_path, the_embedded_site
from balancer.policy import WatchedPolicy
from balancer.service import Service
from balancer.simulation.day import CLUSTER
from tests.web.served import add_known_tokens

PACE = 30.0
CYCLE_SECONDS = 900 / PACE  # of our time: its policy looks every quarter of an hour


def serve(state: Path) -> None:
    """Run the service until it is told to stop; where its pages are is in `url`."""
    set_up_logs(verbose=False)
    clock = PacedClock(MIDNIGHT)
    with the_embedded_site(MIDNIGHT, clock=clock) as site:
        add_known_tokens(site.acting.store)
        service = Service(site, WatchedPolicy(embedded_policy_path(), CLUSTER), state, lease_seconds=60.0, pace=PACE)
        with the_pages(site, service) as url:
            (state / "url").write_text(url)
            clock.run_at(PACE)
            service.run()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
