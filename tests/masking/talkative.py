"""The real service among BMCs and servers that repeat what they are told: `python -m tests.masking.talkative DIR PORT`.

Its hypervisors are simulated; its BMCs, its history server and its source of readings are not, and each refuses with
the very secret that it was shown. Some cycles fail, with all of them in what they say. PORT: of the server.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, get_args

from balancer.clock import WallClock
from balancer.commands.logs import set_up_logs
from balancer.commands.pages import the_pages
from balancer.domain.cluster import Cluster
from balancer.domain.site_file import Bmc, HistoryChoice, PlatformChoice, PowerAction, SiteFile, SiteHost, SourceChoice
from balancer.errors import SiteError
from balancer.policy import WatchedPolicy
from balancer.service import Service
from balancer.simulation.machines import GuestSpec, HostSpec, constantly
from balancer.simulation.world import World
from balancer.site import site_from
from tests.web.served import add_known_tokens

SECRETS: Final = {
    "bmc": "b1/+ä\"mc's-secret",
    "sudo": "hunter2-of-the-program",
    "feed": "token-of-the-feed==",
    "readings": "token of the readings",
}
IN_THE_URL: Final = "p4ss-in-the-url"
POLICY: Final = """\
schema: balancer.policy/1
mode: confirm
objectives: {even_load: {weight: 1.0}}
stability: {hold_minutes: 0}
interval_seconds: 5
"""
# Says where it was, so that the test can see that it was asked, and fails with what it was told.
PROGRAM: Final = """\
#!/bin/sh
read -r word
touch "{asked}"
echo "$1: login with $word refused" >&2
exit 1
"""


def site_file(state: Path, port: int) -> SiteFile:
    """Write program and secrets, and describe a site that uses them."""
    (state / "secrets").mkdir()
    for name, secret in SECRETS.items():
        (state / "secrets" / name).write_text(secret)
        (state / "secrets" / name).chmod(0o600)
    program = state / "secrets" / "program"
    program.write_text(PROGRAM.format(asked=state / "asked"))
    program.chmod(0o700)
    commands: dict[PowerAction, tuple[str, ...]] = {action: (str(program), action) for action in get_args(PowerAction)}
    server = f"http://ann:{IN_THE_URL}@127.0.0.1:{port}"
    return SiteFile(
        cluster="small",
        platform=PlatformChoice(kind="simulated"),
        hosts=(
            SiteHost(name="h1", bmc=Bmc(kind="command", commands=commands, secret_ref="file:sudo")),
            SiteHost(
                name="h2", bmc=Bmc(kind="redfish", address="127.0.0.1", port=port, user="ann", secret_ref="file:bmc")
            ),
            SiteHost(
                name="h3",
                bmc=Bmc(
                    kind="ipmi", address="127.0.0.1", port=9, user="ann", secret_ref="file:bmc", deadline_seconds=2
                ),
            ),
        ),
        history=HistoryChoice(kind="influx", url=server, secret_ref="file:feed"),
        sources=(
            SourceChoice(
                kind="prometheus", url=f"http://127.0.0.1:{port}", exporter="node-exporter", secret_ref="file:readings"
            ),
        ),
        store=f"sqlite:///{state / 'balancer.db'}",
        read_watts=True,
    )


class Failing:
    """Looks, and in its third and fourth look fails in ways that nobody has foreseen."""

    def __init__(self, look: Callable[[], Cluster]) -> None:
        self._look, self._looks = look, 0

    def __call__(self) -> Cluster:
        self._looks += 1
        told = f"{SECRETS} {list(SECRETS.values())} {' '.join(SECRETS.values())}"
        if self._looks == 3:
            raise ValueError(told) from KeyError(told)
        if self._looks == 4:
            logging.getLogger("a.library").warning("it said %s", told)
            raise SiteError("h1", "looking", told)
        return self._look()


def serve(state: Path, port: int) -> None:
    """Run the service until it is told to stop; where its pages are is in `url`."""
    set_up_logs(verbose=True)
    policy, clock = state / "policy.yaml", WallClock()
    policy.write_text(POLICY)
    world = World(clock, [HostSpec(name, 16, 65536) for name in ("h1", "h2", "h3")], "small")
    for name in ("a", "b", "c", "d"):
        world.add_guest(GuestSpec(name, 2, 4096.0, constantly(2.0), dirty_mib_per_s=0), "h1")
    site = site_from(site_file(state, port), state / "secrets", state, clock, world)
    try:
        add_known_tokens(site.acting.store)
        site.look = Failing(site.look)  # type: ignore[method-assign]
        service = Service(site, WatchedPolicy(policy, "small"), state, lease_seconds=60.0)
        with the_pages(site, service) as url:
            (state / "url").write_text(url)
            service.run()
    finally:
        site.close()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
