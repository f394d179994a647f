"""Both kinds of BMC on a real cluster, told with the product's commands: IPMI, and Redfish at the same power button.

What `test_stories.py` tells of IPMI is told of Redfish here; what both are asked here is `long` for IPMI.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from balancer.store import open_store

from . import guests
from .guests import Guest
from .lab import Lab
from .product import Product
from .redfish import RedfishBmc, redfish_bmc
from .test_stories import POWER, SAVER, SMALL, all_still_count, powered, start_guests

pytestmark = pytest.mark.lab

IPMI = pytest.param("ipmi", marks=pytest.mark.long)


@dataclass
class Bmcs:
    """The BMCs of a story, all of a kind."""

    lab: Lab
    kind: str
    beside: Mapping[str, RedfishBmc] = field(default_factory=dict)

    def stop(self, host: str) -> None:
        self.beside[host].stop() if self.beside else self.lab.stop_bmc(host)

    def start(self, host: str) -> None:
        self.beside[host].start() if self.beside else self.lab.start_bmc(host)

    def entries(self, **changes: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """What the site file says of each host; one with a BMC of ours may sleep."""
        found: dict[str, dict[str, Any]] = {}
        for host in self.lab.hosts:
            found[host.name] = {"capacity": SMALL, "power": POWER, **changes.get(host.name, {})}
            if host.name in self.beside:
                found[host.name]["bmc"] = self.beside[host.name].entry
        return found


@pytest.fixture
def bmcs(request: pytest.FixtureRequest, lab: Lab, tmp_path: Path) -> Iterator[Bmcs]:
    kind = request.param
    with ExitStack() as running:
        found = {}
        if kind == "redfish":
            for host in lab.hosts[1:]:
                found[host.name] = running.enter_context(redfish_bmc(host, tmp_path / f"redfish-{host.name}"))
        yield Bmcs(lab, kind, found)


@pytest.fixture
def product(bmcs: Bmcs, lab: Lab, tmp_path: Path) -> Product:
    """Two guests on hosts that stay on; hv3 is empty and was seen to wake."""
    product = Product(lab, tmp_path)
    product.has_policy(SAVER)
    only_hv3_sleeps(product, bmcs)
    return product


def only_hv3_sleeps(product: Product, bmcs: Bmcs, **top: Any) -> None:
    stay = {"may_sleep": False}
    deadlines = {"shutdown_deadline_seconds": 10.0, **top}
    product.lab.site_file(
        product.site, store=f"sqlite:///{product.store}", hosts=bmcs.entries(hv1=stay, hv2=stay), **deadlines
    )


def seen_to_wake(product: Product, *hosts: str) -> None:
    """Spare each story the minute that a power test takes."""
    store = open_store(f"sqlite:///{product.store}", "lab")
    for host in hosts:
        store.marks.prove_wake(host, datetime.now(UTC))
    store.close()


@pytest.mark.parametrize("bmcs", ["redfish"], indirect=True)
def test_a_host_is_tested_put_to_sleep_and_woken(bmcs: Bmcs, product: Product, lab: Lab) -> None:
    only_hv3_sleeps(product, bmcs, shutdown_deadline_seconds=60.0)
    counters = start_guests(lab, {"web": "hv1"}, load_percent=5)
    product.proves_power("hv3")
    saved, said = product.acts()
    assert saved.plan.summary.hosts_to_sleep == ("hv3",), said
    assert lab.power_state("hv3") == "off"
    assert lab.power_orders("hv3")[-1] == "shutdown 1"
    assert "was asked to wake" in product.says("power", "wake", "hv3")
    lab.wait_for_host("hv3")
    assert "somebody woke it" in product.acts(code=None)[1]
    assert all_still_count(lab, counters)


@pytest.mark.parametrize("bmcs", ["redfish", IPMI], indirect=True)
@pytest.mark.long
def test_each_trouble_leaves_the_host_on_and_says_what_to_do(bmcs: Bmcs, product: Product, lab: Lab) -> None:
    counters = start_guests(lab, {"web": "hv1", "dns": "hv2"}, load_percent=5)
    seen_to_wake(product, "hv3")
    before = len(lab.power_orders("hv3"))
    for trouble in (_wrong_password, _dead_bmc, _guest_in_the_last_second):
        trouble(bmcs, product)
        assert lab.power_orders("hv3")[before:] == [], trouble.__name__
        assert set(powered(lab).values()) == {"on"}
    _deaf_host(bmcs, product)
    assert lab.power_orders("hv3")[before:] == ["shutdown 1"], "it was asked, and not cut"
    assert set(powered(lab).values()) == {"on"}
    assert all_still_count(lab, counters)


def _wrong_password(bmcs: Bmcs, product: Product) -> None:
    right, product.secrets = product.secrets, product.directory / "wrong"
    product.secrets.mkdir(mode=0o700)
    for secret in right.iterdir():
        (product.secrets / secret.name).write_text("wrong")
        (product.secrets / secret.name).chmod(0o600)
    assert "password" in product.says("power", "status")
    _, said = product.acts(code=None)
    assert "hv3 keeps its power" in said and "password" in said
    product.secrets = right


def _dead_bmc(bmcs: Bmcs, product: Product) -> None:
    bmcs.stop("hv3")
    _, said = product.acts(code=None)
    assert "hv3 keeps its power" in said
    bmcs.start("hv3")


def _guest_in_the_last_second(bmcs: Bmcs, product: Product) -> None:
    lab = product.lab
    definition = product.directory / "late.xml"
    definition.write_text(
        guests.domain_xml(Guest("late", 1, 96, 1, None, ""), lab.directory / "guest", lab.console("late"))
    )
    with product.start(
        str(definition), lab.uri("hv3", "unix"), "run", "--once", "--mode", "act", by_way_of=("tests.lab.late_guest",)
    ) as process:
        said, _ = process.communicate(timeout=120)
    assert "in the last moment: late is active here" in " ".join(said.split())
    assert lab.where("late") == ["hv3"]
    lab.remove_guest("late")


def _deaf_host(bmcs: Bmcs, product: Product) -> None:
    product.lab.ignore_soft_shutdown("hv3")
    _, said = product.acts(code=None)
    assert "was asked to shut down and was still on after" in " ".join(said.split())
    assert "balancer power test hv3" in said
    assert "left the power scheme: was asked to shut down" in product.says("power", "status")


@pytest.mark.long  # tests/waking tells the same of simulated hosts
@pytest.mark.parametrize("bmcs", ["redfish", "ipmi"], indirect=True)
def test_one_that_does_not_wake_leaves_the_scheme_and_another_is_taken(bmcs: Bmcs, product: Product, lab: Lab) -> None:
    counters = start_guests(lab, {"web": "hv1"}, load_percent=5)
    product.lab.site_file(
        product.site,
        store=f"sqlite:///{product.store}",
        hosts=bmcs.entries(hv1={"may_sleep": False}),
        shutdown_deadline_seconds=60.0,
        wake_deadline_seconds=30.0,
        wake_settle_seconds=1.0,
    )
    seen_to_wake(product, "hv2", "hv3")
    product.acts()
    assert [lab.power_state(host) for host in ("hv2", "hv3")] == ["off", "off"]
    for host in ("hv2", "hv3"):
        lab.set_boot_seconds(host, 3600)
    product.has_policy(SAVER + "\nconstraints: [{kind: keep_on, hosts: [hv2, hv3], at_least: 1}]")
    saved, said = product.acts(code=None)
    (first,) = saved.plan.summary.hosts_to_wake
    assert f"ALARM: power on {first}: failed" in " ".join(said.split())
    assert f"go and look, then balancer power test {first}" in " ".join(said.split())
    for host in ("hv2", "hv3"):
        lab.set_boot_seconds(host, 0)
    saved, said = product.acts()
    (other,) = saved.plan.summary.hosts_to_wake
    assert other != first and lab.libvirtd_running(other), said
    assert "did not wake within" in " ".join(product.says("power", "status").split())
    assert product.sees().doubts == (), "one that failed is out of service, and no doubt about anything else"
    lab.power_off(first)  # the lab asks each host that is on, and this one will not answer
    assert all_still_count(lab, counters)
