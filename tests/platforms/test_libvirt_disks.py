"""Old disks are removed only where nothing needs them; a guest that somebody starts meanwhile keeps its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from balancer.domain.migration import MigrationOptions
from balancer.domain.placement import Move
from balancer.domain.site_file import SiteHost
from balancer.errors import PlatformError
from balancer.platforms.base import MigrationOrder
from balancer.platforms.libvirt import restarting
from balancer.platforms.libvirt.disks_moved import are_there, described, homeless, make_place, remove_disks, users_of
from balancer.platforms.libvirt.restarting import Restart

libvirt = pytest.importorskip("libvirt")

WEB = "8a52d1f0-0000-4000-8000-000000000001"
DISK = "/srv/web.raw"
ORDER = MigrationOrder(Move("web", "hv1", "hv2"), WEB, "cold", None, MigrationOptions(copy_storage="all"))
RESTARTED = MigrationOrder(Move("web", "hv1", "hv2"), WEB, "cold", None, MigrationOptions(restart=True))


class NotThere(libvirt.libvirtError):  # type: ignore[misc, name-defined]
    def __init__(self, code: int) -> None:
        Exception.__init__(self, "not found")
        self._code = code

    def get_error_code(self) -> int:
        return self._code


@dataclass
class Volume:
    pool: Pool
    name: str
    base: str | None = None

    def path(self) -> str:
        return f"{self.pool.directory}/{self.name}"

    def XMLDesc(self, _: int) -> str:
        above = f"<backingStore><path>{self.base}</path></backingStore>" if self.base else ""
        return f"<volume><name>{self.name}</name><capacity>1</capacity>{above}</volume>"

    def delete(self, _: int) -> None:
        del self.pool.volumes[self.name]

    def download(self, *_: object) -> None: ...
    def upload(self, *_: object) -> None: ...


@dataclass
class Pool:
    directory: str
    volumes: dict[str, Volume] = field(default_factory=dict)

    def name(self) -> str:
        return "images"

    def XMLDesc(self, _: int) -> str:
        return f"<pool><target><path>{self.directory}</path></target></pool>"

    def refresh(self, _: int) -> None: ...

    def listAllVolumes(self, _: int) -> list[Volume]:
        return list(self.volumes.values())

    def add(self, name: str, base: str | None = None) -> Volume:
        self.volumes[name] = Volume(self, name, base)
        return self.volumes[name]

    def createXML(self, xml: str, _: int) -> Volume:
        return self.add(xml.partition("<name>")[2].partition("</name>")[0])

    def storageVolLookupByName(self, name: str) -> Volume:
        if name not in self.volumes:
            raise NotThere(libvirt.VIR_ERR_NO_STORAGE_VOL)
        return self.volumes[name]


@dataclass
class Guest:
    id: str
    disk: str = DISK
    active: bool = False
    asked: int = 0
    looks_until_it_follows: int = 0

    def UUIDString(self) -> str:
        return self.id

    def name(self) -> str:
        return "web" if self.id == WEB else "shop"

    def XMLDesc(self, _: int) -> str:
        return f"<domain><devices><disk><source file='{self.disk}'/></disk></devices></domain>"

    def isActive(self) -> bool:
        if self.asked and self.looks_until_it_follows:
            self.looks_until_it_follows -= 1
            self.active = self.looks_until_it_follows > 0
        return self.active

    def create(self) -> None:
        self.active = True

    def shutdown(self) -> None:
        self.asked += 1
        self.active = self.looks_until_it_follows > 0


@dataclass
class Stream:
    is_aborted: bool = False

    def recv(self, _: int) -> bytes:
        return b""

    def send(self, data: bytes) -> int:
        return len(data)

    def abort(self) -> None:
        self.is_aborted = True

    def finish(self) -> None: ...


@dataclass
class Host:
    """A hypervisor with one pool at /srv."""

    pool: Pool = field(default_factory=lambda: Pool("/srv"))
    guests: dict[str, Guest] = field(default_factory=dict)
    streams: list[Stream] = field(default_factory=list)

    def listAllStoragePools(self, _: int) -> list[Pool]:
        return [self.pool]

    def listAllDomains(self, _: int) -> list[Guest]:
        return list(self.guests.values())

    def lookupByUUIDString(self, vm_id: str) -> Guest:
        if vm_id not in self.guests:
            raise NotThere(libvirt.VIR_ERR_NO_DOMAIN)
        return self.guests[vm_id]

    def newStream(self, _: int) -> Stream:
        self.streams.append(Stream())
        return self.streams[-1]

    def close(self) -> None: ...


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> dict[str, Host]:
    """The guest web is shut off on hv1, with its disk."""
    found = {"hv1": Host(guests={WEB: Guest(WEB)}), "hv2": Host()}
    found["hv1"].pool.add("web.raw")
    monkeypatch.setattr(restarting, "open_connection", lambda uri: found[uri])
    return found


def move(
    hosts: dict[str, Host],
    order: MigrationOrder = ORDER,
    last_instant: Callable[[], None] = lambda: None,
    is_given_up: Callable[[], bool] = lambda: False,
) -> None:
    """Move web as libvirt does: the definition goes, and a guest that runs by then runs on where it is."""

    def go() -> None:
        last_instant()
        hosts["hv2"].guests[WEB] = Guest(WEB)
        if not hosts["hv1"].guests[WEB].active:
            del hosts["hv1"].guests[WEB]

    ends = (SiteHost(name="hv1", uri="hv1"), SiteHost(name="hv2", uri="hv2"))
    Restart(order, (DISK,), *ends, is_given_up).around(go)


def disks(host: Host) -> list[str]:
    return list(host.pool.volumes)


def test_a_guest_that_is_shut_off_takes_its_disk_along(hosts: dict[str, Host]) -> None:
    move(hosts)
    assert disks(hosts["hv1"]) == [] and disks(hosts["hv2"]) == ["web.raw"]


def test_one_that_is_started_while_its_disk_is_copied_stays_and_keeps_it(
    hosts: dict[str, Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Volume, "upload", lambda *_: hosts["hv1"].guests[WEB].create())
    with pytest.raises(PlatformError, match="web was started here meanwhile"):
        move(hosts)
    assert disks(hosts["hv1"]) == ["web.raw"] and disks(hosts["hv2"]) == []
    assert WEB not in hosts["hv2"].guests


def test_one_that_is_started_in_the_last_instant_keeps_its_disk(hosts: dict[str, Host]) -> None:
    with pytest.raises(PlatformError, match="web was started here meanwhile"):
        move(hosts, last_instant=hosts["hv1"].guests[WEB].create)
    assert disks(hosts["hv1"]) == ["web.raw"]


def test_one_that_is_started_in_the_last_instant_is_not_started_twice(hosts: dict[str, Host]) -> None:
    hosts["hv1"].guests[WEB].create()
    with pytest.raises(PlatformError, match="web was started here meanwhile"):
        move(hosts, RESTARTED, last_instant=hosts["hv1"].guests[WEB].create)
    assert not hosts["hv2"].guests[WEB].active


# -- given up


WITH_DISK = MigrationOrder(
    Move("web", "hv1", "hv2"), WEB, "cold", None, MigrationOptions(restart=True, copy_storage="all")
)


def test_given_up_before_it_is_asked_a_guest_is_not_shut_down(hosts: dict[str, Host]) -> None:
    guest = hosts["hv1"].guests[WEB]
    guest.create()
    with pytest.raises(PlatformError, match="it was given up on request"):
        move(hosts, RESTARTED, is_given_up=lambda: True)
    assert guest.active and guest.asked == 0


def test_given_up_while_it_goes_down_it_is_not_asked_again_and_is_started_once_it_is(
    hosts: dict[str, Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restarting, "SECONDS_BETWEEN_PRESSES", 0.0)
    guest = hosts["hv1"].guests[WEB]
    guest.create()
    guest.looks_until_it_follows = 3
    with pytest.raises(PlatformError, match="it was given up on request"):
        move(hosts, RESTARTED, is_given_up=lambda: guest.asked > 0)
    assert guest.active and guest.asked == 1 and WEB not in hosts["hv2"].guests


def test_given_up_while_its_disk_is_copied_it_is_started_where_it_was_and_the_copy_goes(
    hosts: dict[str, Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stream, "recv", lambda *_: b"a disk without end")
    hosts["hv1"].guests[WEB].create()
    with pytest.raises(PlatformError, match="it was given up on request"):
        move(hosts, WITH_DISK, is_given_up=lambda: bool(disks(hosts["hv2"])))
    assert hosts["hv1"].guests[WEB].active and WEB not in hosts["hv2"].guests
    assert disks(hosts["hv1"]) == ["web.raw"] and disks(hosts["hv2"]) == []
    assert [stream.is_aborted for host in hosts.values() for stream in host.streams] == [True, True]


@pytest.mark.parametrize("needs", ["another guest", "a disk above it"])
def test_a_disk_that_something_else_needs_stays(hosts: dict[str, Host], needs: str) -> None:
    if needs == "another guest":
        hosts["hv1"].guests["other"] = Guest("other")
    else:
        hosts["hv1"].pool.add("clone.qcow2", base=DISK)
    with pytest.raises(PlatformError, match=f"{DISK} stays for"):
        move(hosts)
    assert "web.raw" in disks(hosts["hv1"])


def test_a_disk_above_a_base_image_gets_a_place_above_the_same_base(hosts: dict[str, Host]) -> None:
    source, target = hosts["hv1"], hosts["hv2"]
    source.pool.add("above.qcow2", base="/srv/base.qcow2")
    like = described(source, "/srv/above.qcow2", with_base=True)
    assert "<backingStore><path>/srv/base.qcow2</path></backingStore>" in (like or "")
    assert make_place(target, "hv2", "/srv/above.qcow2", like).path() == "/srv/above.qcow2"
    assert "backingStore" not in (described(source, "/srv/above.qcow2") or "")
    with pytest.raises(PlatformError, match="a file of that name is there already"):
        make_place(target, "hv2", "/srv/above.qcow2", like)


def test_what_needs_a_disk_is_named() -> None:
    host = Host(guests={WEB: Guest(WEB), "other": Guest("other")})
    host.pool.add("web.raw")
    assert users_of(host, WEB, [DISK]) == {DISK: "shop"}
    assert users_of(host, WEB, ["images/web.raw"]) == {"images/web.raw": "shop"}
    assert users_of(host, WEB, []) == {}


@pytest.mark.parametrize("disk", [DISK, "images/web.raw"])
def test_a_file_is_seen_by_its_path_and_by_the_name_of_its_volume(disk: str) -> None:
    host: Any = Host()
    assert are_there(host, [disk]) == ()
    host.pool.add("web.raw")
    assert are_there(host, [disk]) == (disk,)
    assert remove_disks(host, WEB, [disk]) == () and disks(host) == []


def test_where_no_pool_lies_no_file_can_be_seen() -> None:
    assert homeless(Host(), [DISK, "/elsewhere/web.raw", "other/web.raw"]) == ("/elsewhere/web.raw", "other/web.raw")
