"""The real service on the embedded site, with its pages: `python -m tests.web.served STATE`.

The site's time runs twice as fast as ours, so that moves can be watched; its plans wait for a person, and three tokens
are known.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from balancer.clock import PacedClock
from balancer.commands.logs import set_up_logs
from balancer.commands.pages import the_pages
from balancer.embedded import TEN_IN_THE_MORNING, embedded_policy_path, the_embedded_site
from balancer.policy import WatchedPolicy
from balancer.service import Service
from balancer.simulation.day import CLUSTER
from balancer.store import Store
from balancer.store.tables import tokens
from balancer.store.tokens import Role, hashed

PACE = 2.0
TOKENS = {"vera": Role.VIEWER, "oskar": Role.OPERATOR, "ada": Role.ADMIN}


def token_of(name: str) -> str:
    """Return the token of somebody in these tests."""
    return f"balancer_{name}-of-the-tests"


def add_known_tokens(store: Store) -> None:
    """Add tokens that are known beforehand, as the command line never would."""
    with store.tokens._database.writing("add the tokens of the tests") as connection:
        for name, role in TOKENS.items():
            values = {"name": name, "hash": hashed(token_of(name)), "role": role, "made_by": "tests"}
            connection.execute(tokens.insert().values(**values, made_at=datetime.now(UTC)))


def serve(state: Path) -> None:
    """Run the service until it is told to stop; where its pages are is in `url`."""
    set_up_logs(verbose=False)
    policy = state / "policy.yaml"
    policy.write_text(embedded_policy_path().read_text().replace("mode: act", "mode: confirm"))
    clock = PacedClock(TEN_IN_THE_MORNING)
    with the_embedded_site(TEN_IN_THE_MORNING, clock=clock) as site:
        add_known_tokens(site.acting.store)
        service = Service(site, WatchedPolicy(policy, CLUSTER), state, lease_seconds=60.0, pace=PACE)
        with the_pages(site, service) as url:
            (state / "url").write_text(url)
            clock.run_at(PACE)
            service.run()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
