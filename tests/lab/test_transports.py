"""Each way in that the libvirt platform promises, on real hypervisors: TLS, SSH and sockets beside plain TCP."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from balancer.clock import WallClock
from balancer.domain.host import HostState
from balancer.domain.site_file import SiteFile
from balancer.formats import read
from balancer.platforms.libvirt import LibvirtPlatform

from . import hosts, ssh
from .certificates import Authority, write_client
from .commands import wait_until
from .guests import Counter
from .lab import Lab, Transport
from .product import Product
from .test_stories import EVEN, SMALL, all_still_count, start_guests

pytestmark = pytest.mark.lab

HOMES = {"web": "hv1", "mail": "hv1"}


@pytest.fixture
def product(lab: Lab, tmp_path: Path) -> Product:
    product = Product(lab, tmp_path)
    product.has_policy(EVEN)
    return product


def reached_by(product: Product, uris: dict[str, str], peers: Transport = "tcp") -> None:
    """Write a site file with these ways in; the hosts reach each other by TCP or TLS."""
    peer_uris = {host.name: host.tls_uri if peers == "tls" else host.uri for host in product.lab.hosts}
    product.has_site(
        hosts={name: {"uri": uri, "peer_uri": peer_uris[name], "capacity": SMALL} for name, uri in uris.items()}
    )


def all_by(lab: Lab, transport: Transport) -> dict[str, str]:
    return {host.name: lab.uri(host.name, transport) for host in lab.hosts}


def ssh_programs(lab: Lab) -> list[int]:
    """Those that were started with this lab's own keys and are still there."""
    return [pid for pid in hosts.all_processes() if str(lab.ssh_dir) in " ".join(hosts.command_line(pid))]


def spreads_guests(product: Product, counters: dict[str, Counter]) -> None:
    """Let the product act: a guest leaves for another host and counts on; both do where it has load of its own."""
    lab = product.lab
    saved, said = product.acts()
    assert saved.plan.moves, said
    for step in saved.plan.moves:
        assert (step.move.source, lab.where(step.move.vm)) == ("hv1", [step.move.target]), said
    assert all_still_count(lab, counters)


@pytest.mark.parametrize(("transport", "peers"), [("tls", "tls"), ("ssh", "tls"), ("unix", "tcp")])
def test_guests_are_seen_and_moved(product: Product, lab: Lab, transport: Transport, peers: Transport) -> None:
    reached_by(product, all_by(lab, transport), peers)
    counters = start_guests(lab, HOMES, load_percent=25)
    said = product.says("hosts")
    assert guests_listed(said) == {"hv1": 2, "hv2": 0, "hv3": 0}
    assert "doubt" not in said
    spreads_guests(product, counters)
    assert ssh_programs(lab) == []


def test_an_unknown_host_key_and_a_refused_key_are_said_and_stop_no_other_host(product: Product, lab: Lab) -> None:
    stranger = product.directory / "stranger"
    ssh.new_key(stranger)
    nobody_known = product.directory / "ssh"
    ssh.write_program(nobody_known, product.directory / "empty")
    uris = all_by(lab, "ssh")
    reached_by(
        product,
        {
            "hv1": uris["hv1"].replace(str(lab.ssh_dir / "ssh"), str(nobody_known)),
            "hv2": lab.uri("hv2", "ssh", key=stranger),
            "hv3": uris["hv3"],
        },
    )
    lab.start_guest("web", "hv3")
    said = flat(product.says("hosts", timeout=30))
    assert "hv1: look at the host and its guests: Cannot recv data: Host key verification" in said
    assert "enter the host's key into the known_hosts of the user that the balancer runs as" in said
    assert "Permission denied (publickey)" in said
    assert "see that the host accepts the SSH key that `keyfile` in its `uri` names" in said
    assert guests_listed(said) == {"hv1": 0, "hv2": 0, "hv3": 1}
    assert ssh_programs(lab) == []


def test_certificates_that_are_refused_are_said_and_stop_no_other_host(product: Product, lab: Lab) -> None:
    another = Authority("another")
    trusted = (lab.pki_dir / "cacert.pem").read_bytes()
    ours = another.issue("machine")
    wrong_authority = write_client(product.directory / "wrong", another.certificate, ours)
    not_accepted = write_client(product.directory / "refused", trusted + another.certificate, ours)
    uris = {
        "hv1": lab.uri("hv1", "tls", pki=wrong_authority),
        "hv2": lab.uri("hv2", "tls", pki=not_accepted),
        "hv3": lab.uri("hv3", "tls"),
    }
    reached_by(product, uris)
    lab.start_guest("web", "hv3")
    said = flat(product.says("hosts", timeout=30))
    assert "hv1: look at the host and its guests: its certificate is refused: unable to get local issuer" in said
    assert "be signed by the authority in this machine's cacert.pem" in said
    assert "hv2: look at the host and its guests: Unable to read TLS confirmation" in said
    assert "see that the authority in the host's cacert.pem has signed this machine's certificate" in said
    assert guests_listed(said) == {"hv1": 0, "hv2": 0, "hv3": 1}


def test_hosts_that_stand_still_hold_no_one_up_and_leave_nothing_behind(product: Product, lab: Lab) -> None:
    """Their kernels take the call: behind it neither an sshd nor a libvirtd says a word."""
    reached_by(product, all_by(lab, "ssh") | {"hv2": lab.uri("hv2", "unix")})
    platform = LibvirtPlatform(read(product.site, SiteFile), WallClock())
    for host in ("hv1", "hv2"):
        lab.freeze_host(host)
    try:
        began = time.monotonic()
        seen = platform.observe()
        assert time.monotonic() - began < 30
        assert ssh_programs(lab) != []
    finally:
        platform.close()
        wait_until(lambda: not ssh_programs(lab), 5, "rid of ssh")
        for host in ("hv1", "hv2"):
            lab.thaw_host(host)
    assert [host.state for host in seen.hosts] == [HostState.UNREACHABLE, HostState.UNREACHABLE, HostState.UP]


def flat(said: str) -> str:
    """Undo the line breaks of a narrow screen."""
    return " ".join(said.split())


def guests_listed(said: str) -> dict[str, int]:
    """Return how many guests `balancer hosts` lists on each host: the number behind state, CPU and memory."""
    rows = re.findall(r"\b(hv\d) +(?:up|unreachable) +\d+% +\d+% +(\d+) ", said)
    return {host: int(guests) for host, guests in rows}
