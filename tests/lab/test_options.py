"""What the policy says of `migration:` is what QEMU does: seen in its monitor, on the wire and on the disks."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from . import disks, network
from .commands import LabError, run
from .hosts import HERE
from .lab import Lab
from .product import Product
from .test_interrupted import is_at_rest_on
from .test_lab import disk_came_along
from .test_stories import EVEN

pytestmark = pytest.mark.lab

MIB = 1024 * 1024
ENOUGH_PASSES = 6
WORDS = "lab boot="  # of the program that each guest runs, so they are in its memory
CAPPED = 8.0  # MiB/s: slow enough to look into QEMU meanwhile


@dataclass
class Seen:
    """What the source's QEMU said while a guest left it, and what the wire carried."""

    capabilities: set[str] = field(default_factory=set)
    parameters: dict[str, Any] = field(default_factory=dict)
    progress: dict[str, Any] = field(default_factory=dict)
    connections: int = 0
    target: str = ""
    sent_mib: float = 0.0
    readable: int = 0  # how often the guest's own words were read off the wire

    @property
    def passes(self) -> int:
        return int(self.progress.get("ram", {}).get("dirty-sync-count", 0))


@pytest.fixture
def product(lab: Lab, tmp_path: Path) -> Product:
    product = Product(lab, tmp_path)
    product.has_site()
    return product


def moved(product: Product, rules: str, writes_mib: int = 0, **guest: Any) -> Seen:
    """Let one acting cycle even out two guests under these rules, and look at the one that leaves.

    writes_mib: so much the guests rewrite without end, until their memory has been gone over some times
    """
    lab = product.lab
    for name in ("web", "mail"):
        lab.start_guest(name, "hv1", load_percent=20, **guest)
    lab.wait_for_guests("web", "mail")
    rewrite(lab, writes_mib)
    counters = {name: lab.counter(name) for name in ("web", "mail")}
    product.has_policy(f"{EVEN}\nmigration: {{{rules}}}")
    seen = Seen()
    with (
        listening(WORDS) as wire,
        product.start("run", "--once", "--mode", "act") as it,
    ):
        while it.poll() is None:
            look_into_qemu(lab, seen)
            if writes_mib and seen.passes >= ENOUGH_PASSES:
                writes_mib = rewrite(lab, 0)
            time.sleep(0.2)
        said = it.stdout.read() if it.stdout else ""
    gone = [name for name in counters if lab.where(name) != ["hv1"]]
    assert gone and it.returncode == 0, said
    assert all(is_at_rest_on(lab, name, lab.where(name)[0], counters[name]) for name in gone), said
    seen.target = lab.where(gone[0])[0]
    heard = {port: (int(size), int(found)) for port, size, found in map(str.split, wire)}
    size, seen.readable = heard[seen.target]
    seen.sent_mib = size / MIB
    return seen


def rewrite(lab: Lab, mib: int) -> int:
    for name in ("web", "mail"):
        if mib != lab.counter(name).memory_mib:
            lab.write_memory(name, mib, on=mib > 0)
    return mib


@contextmanager
def listening(text: str) -> Iterator[list[str]]:
    """Listen on the switch while the block runs; the lines are there afterwards."""
    command = ["ip", "netns", "exec", network.SWITCH, sys.executable, "-I", str(HERE / "wire.py"), text]
    heard: list[str] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield heard
        heard += process.communicate()[0].splitlines()


def look_into_qemu(lab: Lab, seen: Seen) -> None:
    """Ask the QEMU of the guest that leaves hv1, if one does; what it said last before it was gone is kept."""
    for name in ("web", "mail"):
        try:
            progress = lab.ask_qemu("hv1", name, "query-migrate")
            if progress.get("status") != "active":
                continue
            seen.progress = progress
            on = lab.ask_qemu("hv1", name, "query-migrate-capabilities")
            seen.capabilities |= {each["capability"] for each in on if each["state"]}
            seen.parameters = lab.ask_qemu("hv1", name, "query-migrate-parameters")
            seen.connections = max(seen.connections, connections_between_qemus(lab))
        except LabError:
            continue  # it has arrived


def connections_between_qemus(lab: Lab) -> int:
    """Count the lines on which hv1 sends memory: to the ports that libvirt keeps for migrations."""
    listed = run("ip", "netns", "exec", lab.host("hv1").namespace, "ss", "-Htn", "state", "established")
    ports = [int(line.split()[3].rpartition(":")[2]) for line in listed.splitlines()]
    return sum(49152 <= port < 49216 for port in ports)


@pytest.mark.long
def test_one_connection_in_the_clear_as_fast_as_is_allowed(product: Product) -> None:
    seen = moved(product, f"bandwidth_mib_per_s: {CAPPED}")
    assert seen.parameters["max-bandwidth"] == CAPPED * MIB
    assert seen.progress["ram"]["mbps"] == pytest.approx(CAPPED * 8 * MIB / 1e6, rel=0.2), seen.progress
    assert (seen.connections, "multifd" in seen.capabilities, "xbzrle" in seen.capabilities) == (1, False, False)
    assert seen.readable > 0, "what else is seen here of options that are on would prove nothing"


def test_encrypted_over_several_connections_nothing_of_its_memory_is_read_off_the_wire(product: Product) -> None:
    seen = moved(product, f"tls: true, parallel: 3, bandwidth_mib_per_s: {CAPPED}")
    assert seen.parameters["tls-creds"], seen.parameters
    assert "multifd" in seen.capabilities and seen.parameters["multifd-channels"] == 3
    assert seen.connections == 4, "three for memory, one that leads"
    assert seen.sent_mib > 20 and seen.readable == 0


@pytest.mark.long
def test_compressed_pages_go_as_differences(product: Product) -> None:
    """From the third pass on pages are known at the target."""
    seen = moved(product, f"compression: true, bandwidth_mib_per_s: {CAPPED / 2}", writes_mib=4)
    assert "xbzrle" in seen.capabilities
    assert 0 < seen.progress["xbzrle-cache"]["bytes"] < seen.progress["xbzrle-cache"]["pages"] * 4096, seen.progress


@pytest.mark.long
def test_of_a_disk_above_a_base_image_only_what_differs_is_sent(product: Product) -> None:
    lab = product.lab
    for host in lab.hosts:
        disks.make_base(host)
    seen = moved(product, "copy_storage: incremental", disk="above base")
    assert seen.sent_mib < disks.BASE_MIB + 40
    for name in ("web", "mail"):
        copies = [host.name for host in lab.hosts if disks.above_base(host, name).exists()]
        assert copies == lab.where(name)
        if copies == [seen.target]:
            here = disks.above_base(lab.host(seen.target), name)
            assert here.stat().st_blocks * 512 < 2 * MIB
            assert disk_came_along(lab, name, seen.target)
