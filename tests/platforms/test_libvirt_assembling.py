"""One cluster from what several hypervisors say, also where they say different things."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from balancer.domain.host import CPU, HostState
from balancer.domain.site_file import Capacity, SiteFile, SiteHost
from balancer.domain.vm import CpuMode, Movable, VmState
from balancer.platforms.libvirt.assembling import Picture, assemble, suspects
from balancer.platforms.libvirt.capabilities import HostFacts
from balancer.platforms.libvirt.definition import CpuAsked, Definition, Disk
from balancer.platforms.libvirt.guests_seen import Memory, Seen
from balancer.platforms.libvirt.jobs import Part
from balancer.platforms.libvirt.looking import HostLook, Sighting
from balancer.platforms.libvirt.rates import GuestRate, Rates
from balancer.platforms.libvirt.samples import Counters
from balancer.platforms.libvirt.settling import Ends

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
NOTHING = Memory()
WEB = "aaaaaaaa-0000-4000-8000-000000000001"
PLAIN = Definition(2, 2048, CpuMode.CUSTOM, (), (), {}, None)


def sighting(
    host: str,
    state: VmState = VmState.RUNNING,
    part: Part = Part.NONE,
    id: str = WEB,
    name: str = "web",
    definition: Definition = PLAIN,
) -> Sighting:
    run = None if state is VmState.SHUT_OFF else 1
    return Sighting(id, name, host, state, definition, vcpus=2, memory_mib=2048, run=run, part=part)


def look(host: str, *guests: Sighting, uuid: str = "") -> HostLook:
    return HostLook(
        host=host,
        seen_at=NOON,
        facts=HostFacts(uuid or f"00000000-0000-4000-8000-0000000000{host}", "EPYC-Milan", "d1"),
        cpus=16,
        memory_mib=65536,
        memory_used_mib=4096,
        networks=("br0",),
        pools=(),
        guests=guests,
        counters=Counters(None, {}),
    )


def picture(
    *looks: HostLook,
    silent: tuple[str, ...] = (),
    memory: Memory = NOTHING,
    in_flight: Mapping[str, Ends] | None = None,
    rates: Mapping[str, Rates] | None = None,
) -> Picture:
    names = sorted({*(one.host for one in looks), *silent})
    site = SiteFile.model_validate(
        {"cluster": "c", "platform": {"kind": "libvirt"}, "hosts": [{"name": name} for name in names]}
    )
    return assemble(site, NOON, seen(*looks, silent=silent, rates=rates), memory, in_flight or {})


def seen(*looks: HostLook, silent: tuple[str, ...] = (), rates: Mapping[str, Rates] | None = None) -> Seen:
    calm = {
        one.host: Rates(1.0, guests={guest.run_key: GuestRate(0.5, 0.0) for guest in one.guests if guest.is_active})
        for one in looks
    }
    return Seen({one.host: one for one in looks}, dict.fromkeys(silent, "no answer within 10 s"), rates or calm)


def where(found: Picture) -> tuple[str, str | None, VmState]:
    assert len(found.cluster.vms) == 1
    vm = found.cluster.vms[0]
    return vm.host, vm.moving_to, vm.state


# -- one guest, several sightings

ON_ITS_WAY = ("h1", "h2", VmState.MIGRATING)
AT_REST = ("h1", None, VmState.RUNNING)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (sighting("h1"), sighting("h2", VmState.PAUSED, Part.INCOMING)),
        # The last moment: the source has stopped it and not forgotten it, the target has let it run.
        (sighting("h1", VmState.PAUSED, Part.OUTGOING), sighting("h2")),
        (sighting("h1", VmState.PAUSED, Part.OUTGOING), sighting("h2", VmState.RUNNING, Part.INCOMING)),
    ],
)
def test_the_two_ends_of_a_migration_are_one_guest(source: Sighting, target: Sighting) -> None:
    for looks in ((look("h1", source), look("h2", target)), (look("h2", target), look("h1", source))):
        found = picture(*looks)
        assert where(found) == ON_ITS_WAY
        assert found.cluster.doubts == ()


def test_a_migration_that_we_began_is_known_before_its_target_shows_it() -> None:
    assert where(picture(look("h1", sighting("h1")), look("h2"), in_flight={WEB: ("h1", "h2")})) == ON_ITS_WAY


def test_a_migration_that_we_began_explains_a_guest_that_is_seen_running_twice() -> None:
    both = look("h1", sighting("h1")), look("h2", sighting("h2"))
    assert where(picture(*both, in_flight={WEB: ("h1", "h2")})) == ON_ITS_WAY
    assert not suspects({one.host: one for one in both}, (), NOTHING, {WEB: ("h1", "h2")})


def test_a_guest_that_runs_twice_freezes_itself_and_both_hosts() -> None:
    both = look("h1", sighting("h1")), look("h2", sighting("h2"))
    assert suspects({one.host: one for one in both}, (), NOTHING, {})
    found = picture(*both, look("h3"))
    assert found.cluster.doubted == {"vm:web", "host:h1", "host:h2"}
    assert {doubt.kind for doubt in found.cluster.doubts} == {"clash"}


def test_a_guest_that_runs_twice_is_listed_where_it_was() -> None:
    before = picture(look("h1"), look("h2", sighting("h2")))
    found = picture(look("h1", sighting("h1")), look("h2", sighting("h2")), memory=before.memory)
    assert where(found) == ("h2", None, VmState.RUNNING)


def test_a_guest_that_is_shut_off_is_on_its_way_as_long_as_its_migration_lasts() -> None:
    both = look("h1", sighting("h1", VmState.SHUT_OFF)), look("h2", sighting("h2", VmState.SHUT_OFF))
    for looks in ((both[0], look("h2")), both):
        found = picture(*looks, in_flight={WEB: ("h1", "h2")})
        assert where(found) == ("h1", "h2", VmState.SHUT_OFF)
        assert found.cluster.doubts == ()


def test_a_definition_left_behind_is_listed_and_no_guest() -> None:
    found = picture(look("h1", sighting("h1")), look("h2", sighting("h2", VmState.SHUT_OFF)))
    assert where(found) == AT_REST
    assert found.cluster.doubts == ()
    assert [(old.vm, old.host, old.lives_on) for old in found.stale] == [("web", "h2", "h1")]


def test_a_guest_defined_twice_and_active_nowhere_stays_where_it_was_and_is_doubted() -> None:
    before = picture(look("h1"), look("h2", sighting("h2", VmState.SHUT_OFF)))
    off = look("h1", sighting("h1", VmState.SHUT_OFF)), look("h2", sighting("h2", VmState.SHUT_OFF))
    found = picture(*off, memory=before.memory)
    assert where(found) == ("h2", None, VmState.SHUT_OFF)
    assert [(doubt.subject, doubt.kind) for doubt in found.cluster.doubts] == [("vm:web", "clash")]


def test_a_guest_that_has_gone_from_everywhere_is_looked_for_once_more() -> None:
    before = picture(look("h1", sighting("h1")), look("h2"))
    now = {"h1": look("h1"), "h2": look("h2")}
    assert suspects(now, (), before.memory, {})
    assert picture(*now.values(), memory=before.memory).cluster.vms == ()


# -- silence


def test_a_host_that_falls_silent_keeps_its_guests_and_they_count_as_busy() -> None:
    before = picture(look("h1", sighting("h1")), look("h2"))
    found = picture(look("h2"), silent=("h1",), memory=before.memory)
    assert where(found) == ("h1", None, VmState.UNKNOWN)
    assert found.cluster.vms[0].need(CPU) == 2
    host = found.cluster.host("h1")
    assert (host.state, host.cpu_cores, host.cpu_used_cores) == (HostState.UNREACHABLE, 16, None)
    assert [(doubt.subject, doubt.kind) for doubt in found.cluster.doubts] == [("host:h1", "unreachable")]


def test_its_guests_are_kept_however_often_it_is_silent() -> None:
    memory = picture(look("h1", sighting("h1")), look("h2")).memory
    for _ in range(3):
        found = picture(look("h2"), silent=("h1",), memory=memory)
        memory = found.memory
    assert where(found) == ("h1", None, VmState.UNKNOWN)
    assert found.cluster.host("h1").id == "00000000-0000-4000-8000-0000000000h1"


def test_a_guest_that_arrives_from_a_silent_host_stays_in_flight() -> None:
    before = picture(look("h1", sighting("h1")), look("h2"))
    arriving = look("h2", sighting("h2", VmState.PAUSED, Part.INCOMING))
    assert where(picture(arriving, silent=("h1",), memory=before.memory)) == ON_ITS_WAY


def test_a_guest_that_left_for_a_host_now_silent_is_kept() -> None:
    before = picture(look("h1", sighting("h1")), look("h2", sighting("h2", VmState.PAUSED, Part.INCOMING)))
    assert where(picture(look("h1"), silent=("h2",), memory=before.memory)) == ("h2", None, VmState.UNKNOWN)


def test_a_host_never_seen_has_what_the_site_file_says() -> None:
    site = SiteFile(
        cluster="c",
        platform={"kind": "libvirt"},  # type: ignore[arg-type]
        hosts=(SiteHost(name="h1"), SiteHost(name="h2", capacity=Capacity(cpu_cores=8.0, memory_mib=1024.0))),
    )
    hosts = assemble(site, NOON, seen(silent=("h1", "h2")), NOTHING, {}).cluster.hosts
    assert [(host.cpu_cores, host.memory_mib, host.state) for host in hosts] == [
        (0, 0, HostState.UNREACHABLE),
        (8, 1024, HostState.UNREACHABLE),
    ]


# -- doubts about readings


def test_readings_that_are_missing_or_absurd_are_doubted_and_count_as_busy() -> None:
    host = look("h1", sighting("h1"), sighting("h1", id="b", name="db"))
    guests = {(WEB, 1): GuestRate(absurd="it seems to use 99.0 cores")}
    found = picture(host, look("h2"), rates={"h1": Rates(1.0, guests=guests), "h2": Rates(absurd="backwards")}).cluster
    assert [(doubt.subject, doubt.kind) for doubt in found.doubts] == [
        ("host:h2", "absurd"),
        ("vm:web", "absurd"),
        ("vm:db", "missing"),
    ]
    assert [vm.need(CPU) for vm in found.vms] == [2, 2]


def test_two_entries_that_lead_to_one_hypervisor_are_found_out() -> None:
    found = picture(look("h1", uuid="u"), look("h2", uuid="u"), look("h3")).cluster
    assert found.doubted == {"host:h1", "host:h2"}


# -- what a guest is


def test_guests_of_one_name_are_all_told_apart() -> None:
    twins = sighting("h1"), sighting("h1", id="bbbbbbbb-0000-4000-8000-000000000001"), sighting("h1", id="c", name="db")
    assert [vm.name for vm in picture(look("h1", *twins)).cluster.vms] == ["db", "web~aaaaaaaa", "web~bbbbbbbb"]


def test_guests_whose_uuids_begin_alike_are_told_apart_by_all_of_it() -> None:
    twin = "aaaaaaaa-0000-4000-8000-000000000002"
    names = [vm.name for vm in picture(look("h1", sighting("h1"), sighting("h1", id=twin))).cluster.vms]
    assert names == [f"web~{WEB}", f"web~{twin}"]


def test_how_a_guest_may_move() -> None:
    local = Definition(2, 2048, CpuMode.CUSTOM, (), (Disk("vda", None, "/srv/a.raw"),), {}, None)
    guests = (
        sighting("h1", id="a", name="a-runs"),
        sighting("h1", VmState.SHUT_OFF, id="b", name="b-off"),
        sighting("h1", id="c", name="c-local", definition=local),
    )
    vms = picture(look("h1", *guests)).cluster.vms
    assert [(vm.movable, vm.storage) for vm in vms] == [
        (Movable.LIVE, "shared"),
        (Movable.COLD, "shared"),
        (Movable.LIVE, "local"),  # as far as the policy copies disks
    ]
    assert vms[2].why_not == "its disk /srv/a.raw is on this host alone"


def test_a_guest_whose_disk_would_be_copied_is_as_dear_as_its_disk() -> None:
    local = Definition(2, 2048, CpuMode.CUSTOM, (), (Disk("vda", None, "/srv/a.raw"),), {}, None)
    (vm,) = picture(look("h1", replace(sighting("h1", definition=local), disk_gib=20.0))).cluster.vms
    assert vm.dear == 1 + 20 * 1024 / vm.memory_mib and vm.why_dear == "its disk would be copied"


def test_a_guest_goes_only_to_hosts_that_can_give_its_cpu() -> None:
    cpu = CpuAsked("kvm", "x86_64", "pc", "<cpu/>")
    here = look("h1", sighting("h1", definition=replace(PLAIN, cpu=cpu)))
    rate = {"h1": Rates(1.0, "", {(WEB, 1): GuestRate(cores=1.0)})}
    everywhere = Seen({"h1": here}, {}, rate, {cpu: {"new": True, "newer": True}})
    assert everywhere.able_hosts(cpu) is None
    assert Seen({"h1": here}, {}, rate, {cpu: {"old": False, "new": True}}).able_hosts(cpu) == ("new",)
    assert everywhere.able_hosts(CpuAsked("kvm", "x86_64", "q35", "<cpu/>")) is None, "nobody was asked"
