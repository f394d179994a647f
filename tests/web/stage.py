"""A small site whose last cycle was published, and people who look at it through pages and API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path

from starlette.testclient import TestClient
from starlette.types import ASGIApp

from balancer.clock import WallClock
from balancer.cycle import run_cycle
from balancer.domain.plan import Plan
from balancer.domain.site_file import Bmc, PlatformChoice, SiteFile, SiteHost
from balancer.policy import WatchedPolicy
from balancer.service import Service
from balancer.settings import WebSettings
from balancer.simulation.machines import GuestSpec, HostSpec, constantly
from balancer.simulation.world import World
from balancer.site import Site, site_from
from balancer.store import Store
from balancer.store.tokens import Role
from balancer.web.app import make_app
from balancer.web.door import Door
from balancer.web.serving import LOOPBACK_NAMES

POLICY = """\
schema: balancer.policy/1
name: even
mode: confirm
objectives: {even_load: {weight: 1.0}}
constraints:
  - {kind: apart, name: pair, vms: [a, b], hard: false, weight: 0.001}
  - {kind: keep_on, name: keeps-h3, hosts: [h3], at_least: 1}
stability: {hold_minutes: 0}
"""
HOSTS = ("h1", "h2", "h3")
GUESTS = ("a", "b", "c", "d")
CSRF = re.compile(r'name="csrf" value="([0-9a-f]*)"')


@dataclass
class Stage:
    """A site, what its service has published, and the people of its tokens."""

    site: Site
    service: Service
    door: Door
    world: World
    secrets: dict[Role, str] = field(default_factory=dict)

    @cached_property
    def app(self) -> ASGIApp:
        return make_app(self.door, LOOPBACK_NAMES)

    @property
    def store(self) -> Store:
        return self.site.acting.store

    @property
    def plan(self) -> Plan:
        latest = self.service.board.latest
        assert latest is not None
        return latest.cycle.plan

    def cycle(self) -> Plan:
        """Look, plan, publish and propose, as the service does in mode confirm."""
        policy = self.service._in_force()
        cycle = run_cycle(self.site, policy)
        self.service._answer(cycle, policy.mode, acts=False)
        self.service.show(cycle, policy)
        return cycle.plan

    def client(self, token: str | None = None, peer: str = "127.0.0.1") -> TestClient:
        """Return somebody who shows a token with each request; None: nobody that is known."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return TestClient(
            self.app, "http://127.0.0.1", client=(peer, 50000), headers=headers, raise_server_exceptions=False
        )

    def as_(self, role: Role) -> TestClient:
        return self.client(self.secrets[role])

    def browser(self, role: Role) -> Browser:
        """Return a browser in which somebody has logged in."""
        browser = Browser(self.client())
        answer = browser.post("/login", token=self.secrets[role])
        assert answer == (303, "/"), answer
        return browser


@dataclass
class Browser:
    """Sends forms as a browser does: with the cookie, and with what the page that holds the form carries."""

    client: TestClient

    def get(self, path: str) -> tuple[int, str]:
        answer = self.client.get(path, follow_redirects=False)
        return answer.status_code, answer.text

    def csrf(self) -> str:
        found = CSRF.search(self.client.get("/").text)
        return found.group(1) if found else ""

    def post(self, path: str, csrf: str | None = None, **fields: str | list[str]) -> tuple[int, str]:
        """Send a form; returns the status and where it leads, or what the page says."""
        data = {"csrf": self.csrf() if csrf is None else csrf} | fields
        answer = self.client.post(path, data=data, follow_redirects=False)
        return answer.status_code, answer.headers.get("location", answer.text)


@contextmanager
def stage(directory: Path, settings: WebSettings | None = None, is_open_to_all: bool = False) -> Iterator[Stage]:
    """Open a site of three hosts, one of which has all four guests, whose first plan waits for a person."""
    clock = WallClock()
    specs = [HostSpec(name, 16, 65536, labels={"rack": f"r{number % 2}"}) for number, name in enumerate(HOSTS)]
    world = World(clock, specs, "small")
    for name in GUESTS:
        world.add_guest(GuestSpec(name, 2, 4096.0, constantly(2.0), {"app": "shop"}, dirty_mib_per_s=0), "h1")
    hosts = tuple(SiteHost(name=name, bmc=Bmc(kind="simulated")) for name in HOSTS)
    store = f"sqlite:///{directory / 'balancer.db'}"
    file = SiteFile(cluster="small", platform=PlatformChoice(kind="simulated"), hosts=hosts, store=store)
    policy = directory / "policy.yaml"
    policy.write_text(POLICY)
    site = site_from(file, directory, directory, clock, world)
    try:
        service = Service(site, WatchedPolicy(policy, "small"), directory, lease_seconds=60.0)
        door = Door(site, service.board, service.chronicle, settings or WebSettings(), is_open_to_all)
        built = Stage(site, service, door, world)
        until = clock.now() + timedelta(hours=1)
        for role in Role:
            secret = site.acting.store.tokens.add(str(role), role, "tests", clock.now(), until)
            assert secret is not None
            built.secrets[role] = secret
        built.cycle()
        yield built
    finally:
        site.close()
