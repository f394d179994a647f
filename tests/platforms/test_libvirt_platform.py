"""The platform over libvirt's own test driver: a hypervisor inside this process, real as far as it goes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from balancer.clock import HandSetClock
from balancer.domain.host import CPU, HostState
from balancer.domain.placement import Move
from balancer.domain.site_file import SiteFile
from balancer.domain.vm import VmState
from balancer.errors import MissingExtra, PlatformError
from balancer.platforms.base import MigrationOrder, MigrationPhase, Whereabouts
from balancer.platforms.libvirt import LibvirtPlatform

WEB = "8a52d1f0-0000-4000-8000-000000000001"
OLD = "8a52d1f0-0000-4000-8000-000000000002"
NOBODY = "qemu+tcp://127.0.0.1:1/system"

Open = Callable[..., LibvirtPlatform]


def node(*domains: str) -> str:
    """A host as the test driver reads it."""
    return f"<node><cpu><mhz>2000</mhz><nodes>1</nodes><active>4</active></cpu>{''.join(domains)}</node>"


def domain(name: str, uuid: str, runstate: int = 1) -> str:
    """A guest as the test driver reads it; state 5 is shut off."""
    return (
        "<domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>"
        f"<name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>512</memory><vcpu>2</vcpu>"
        f"<os><type>hvm</type></os><test:runstate>{runstate}</test:runstate></domain>"
    )


def site(**uris: str | None) -> SiteFile:
    hosts = [{"name": name, "uri": uri} for name, uri in uris.items()]
    platform = {"kind": "libvirt", "poll_deadline_seconds": 5.0}
    return SiteFile.model_validate({"cluster": "c", "platform": platform, "hosts": hosts})


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    pytest.importorskip("libvirt")
    platforms: list[LibvirtPlatform] = []

    def open_site(**nodes: str | None) -> LibvirtPlatform:
        uris: dict[str, str | None] = {}
        for name, xml in nodes.items():
            path = tmp_path / f"{name}.xml"
            path.write_text(xml or "")
            uris[name] = f"test://{path}" if xml is not None else NOBODY
        platforms.append(LibvirtPlatform(site(**uris), HandSetClock(datetime(2026, 11, 23, tzinfo=UTC))))
        return platforms[-1]

    yield open_site
    for platform in platforms:
        platform.close()


def test_guests_are_seen_and_what_is_not_counted_is_doubted(opened: Open) -> None:
    seen = opened(h1=node(domain("web", WEB), domain("old", OLD, runstate=5))).observe()
    assert [(vm.name, vm.id, vm.state) for vm in seen.vms] == [
        ("old", OLD, VmState.SHUT_OFF),
        ("web", WEB, VmState.RUNNING),
    ]
    assert seen.host("h1").cpu_cores == 4
    assert seen.vm("web").need(CPU) == 2
    assert "vm:web" in seen.doubted and "vm:old" not in seen.doubted


def test_a_host_that_does_not_answer_spoils_nothing(opened: Open) -> None:
    platform = opened(h1=node(domain("web", WEB)), h2=None)
    seen = platform.observe()
    assert [host.state for host in seen.hosts] == [HostState.UP, HostState.UNREACHABLE]
    unreachable = [doubt for doubt in seen.doubts if doubt.kind == "unreachable"]
    assert len(unreachable) == 1 and "Connection refused" in unreachable[0].detail
    assert (platform.answers("h1"), platform.answers("h2"), platform.answers("h9")) == (True, False, False)
    assert platform.host_uuid("h2") is None


def test_where_a_guest_is(opened: Open) -> None:
    platform = opened(h1=node(domain("web", WEB), domain("old", OLD, runstate=5)), h2=None)
    web, old = platform.whereabouts(WEB), platform.whereabouts(OLD)
    assert (web.active_on, web.defined_on) == (("h1",), ("h1",))
    assert (old.active_on, old.defined_on) == ((), ("h1",))
    assert list(web.not_asked) == ["h2"] and not web.is_settled_on("h1")


def test_shut_off_guests_are_listed(opened: Open) -> None:
    platform = opened(h1=node(domain("web", WEB), domain("old", OLD, runstate=5)))
    assert platform.shut_off_guests_on("h1") == ("old",)


def test_no_answer_is_never_read_as_no_guest(opened: Open) -> None:
    platform = opened(h1=node(), h2=None)
    with pytest.raises(PlatformError, match=r"^h2: list what runs here: Connection refused"):
        platform.reasons_to_stay_on("h2")
    with pytest.raises(PlatformError, match=r"^h9: .* no such host in the site file"):
        platform.shut_off_guests_on("h9")


@pytest.mark.parametrize(
    ("move", "vm_id", "kind", "words"),
    [
        (Move("web", "h1", "h2"), WEB, "live", r"^h2: migrate web to h2: Connection refused"),
        (Move("ghost", "h1", "h3"), str(UUID(int=7)), "live", r"^h1: migrate ghost to h3: it has no guest ghost"),
        (Move("old", "h1", "h3"), OLD, "live", "a live migration, and the guest is shut off"),
        (Move("web", "h1", "h3"), WEB, "cold", "a cold migration, and the guest is active"),
        (Move("web", "h1", "h9"), WEB, "live", "^h9: .* no such host"),
    ],
)
def test_what_certainly_cannot_be_begun_is_refused(opened: Open, move: Move, vm_id: str, kind: str, words: str) -> None:
    platform = opened(h1=node(domain("web", WEB), domain("old", OLD, runstate=5)), h2=None, h3=node())
    order = MigrationOrder(move, vm_id, kind)  # type: ignore[arg-type]
    with pytest.raises(PlatformError, match=words):
        platform.begin_migration(order)
    assert platform.migration_status(order).phase is not MigrationPhase.RUNNING


def test_a_guest_that_is_at_its_target_already_is_not_sent_there(opened: Open) -> None:
    platform = opened(h1=node(domain("web", WEB)), h2=node(domain("web", WEB)))
    with pytest.raises(PlatformError, match="web is active here already"):
        platform.begin_migration(MigrationOrder(Move("web", "h1", "h2"), WEB))
    assert platform.whereabouts(WEB) == Whereabouts(("h1", "h2"), ("h1", "h2"))


def test_a_source_that_cannot_be_asked_leaves_a_migration_unknown(opened: Open) -> None:
    status = opened(h1=None, h2=node()).migration_status(MigrationOrder(Move("web", "h1", "h2"), WEB))
    assert status.phase is MigrationPhase.UNKNOWN and "Connection refused" in status.error


def test_nothing_is_printed_whatever_fails(opened: Open, capfd: pytest.CaptureFixture[str]) -> None:
    platform = opened(h1=node(), h2=None)
    platform.observe()
    platform.whereabouts(WEB)
    assert capfd.readouterr() == ("", "")


def test_a_host_without_a_uri_is_an_error_that_says_what_to_write() -> None:
    pytest.importorskip("libvirt")
    with pytest.raises(PlatformError, match=r"^h1: .*it has no `uri` \(write `uri: qemu\+tls://h1/system`"):
        LibvirtPlatform(site(h1=None), HandSetClock(datetime(2026, 11, 23, tzinfo=UTC)))


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "libvirt", None)
    with pytest.raises(MissingExtra, match=r"pip install -e '.\[libvirt\]'"):
        LibvirtPlatform(site(h1="test:///default"), HandSetClock(datetime(2026, 11, 23, tzinfo=UTC)))
