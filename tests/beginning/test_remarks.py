"""What is wrong with a new site is said of the host that it is about, with the way out."""

from __future__ import annotations

from typing import Any

from balancer.beginning.finding import BmcFound, Found
from balancer.beginning.remarks import Remark, Weight, remarks, shared_paths
from balancer.domain.site_file import SiteFile
from balancer.formats import read_text
from balancer.platforms.libvirt.capabilities import HostFacts
from balancer.platforms.libvirt.probing import HostFound, Pool

UUIDS = {"hv1": "11111111-2222-3333-4444-555555555501", "hv2": "11111111-2222-3333-4444-555555555502"}


def site(uri: str = "qemu+tcp://{}/system", **more: str) -> SiteFile:
    entries = [{"name": name, "uri": uri.format(name), **more} for name in UUIDS]
    written = {"schema": "balancer.site/1", "cluster": "c", "platform": {"kind": "libvirt"}, "hosts": entries}
    return read_text(str(written), SiteFile, "a test")


def hypervisor(name: str, **other: Any) -> HostFound:
    facts = HostFacts(other.pop("uuid", UUIDS[name]), "EPYC", other.pop("digest", "same"))
    usual: dict[str, Any] = {"hostname": name, "libvirt": "9.0.0", "hypervisor": "QEMU 7.2.0", "cpus": 8}
    usual |= {"memory_mib": 65536.0, "guests": 0, "pools": (), "networks": ("br0",)}
    return HostFound(facts=facts, **usual | other)


def found(bmcs: dict[str, BmcFound] | None = None, **hosts: HostFound) -> Found:
    seen = {name: hypervisor(name) for name in UUIDS} | hosts
    own = {name: BmcFound("on", uuid) for name, uuid in UUIDS.items()}
    return Found(seen, {}, own | (bmcs or {}))


def said(about: Found, of: SiteFile | None = None) -> list[tuple[str, Weight]]:
    return [(remark.host, remark.weight) for remark in remarks(of or site(), about)]


def test_a_site_where_all_is_well_is_remarked_on_by_nothing() -> None:
    assert remarks(site(), found()) == ()


def test_exchanged_bmcs_are_told_with_whose_they_are() -> None:
    swapped = {"hv1": BmcFound("on", UUIDS["hv2"]), "hv2": BmcFound("on", UUIDS["hv1"])}
    assert remarks(site(), found(swapped)) == (
        Remark("hv1", Weight.FAULT, "its BMC is hv2's: exchange the two addresses"),
        Remark("hv2", Weight.FAULT, "its BMC is hv1's: exchange the two addresses"),
    )


def test_a_bmc_of_a_strange_machine_has_to_be_proven_and_one_that_says_off_is_another_s() -> None:
    assert said(found({"hv1": BmcFound("on", None)})) == [("hv1", Weight.WARNING)]
    assert said(found({"hv1": BmcFound("off", UUIDS["hv1"])})) == [("hv1", Weight.FAULT)]


def test_hosts_that_libvirt_could_not_tell_apart_are_a_fault() -> None:
    (remark,) = remarks(site(), found({"hv2": BmcFound("on", UUIDS["hv1"])}, hv2=hypervisor("hv2", uuid=UUIDS["hv1"])))
    assert remark.weight is Weight.FAULT
    assert "hv2 has it too" in remark.words and "host_uuid" in remark.words


def test_other_hosts_have_to_find_their_way() -> None:
    assert said(found(), site("qemu+ssh://root@{}/system")) == [("hv1", Weight.WARNING), ("hv2", Weight.WARNING)]
    assert said(found(), site("qemu+ssh://root@{}/system", peer_uri="qemu+tls://x/system")) == []
    assert said(found(), site("qemu+unix:///system?socket=/{}")) == [("hv1", Weight.FAULT), ("hv2", Weight.FAULT)]
    lost = hypervisor("hv1", hostname="localhost.localdomain")
    assert said(found(hv1=lost)) == [("hv1", Weight.FAULT)]
    assert said(found(hv1=lost), site(migration_uri="tcp://192.0.2.1")) == []


def test_different_cpus_and_versions_are_a_warning_about_all() -> None:
    assert said(found(hv2=hypervisor("hv2", digest="other"))) == [("", Weight.WARNING)]
    assert said(found(hv2=hypervisor("hv2", hypervisor="QEMU 8.0.0"))) == [("", Weight.WARNING)]


def test_only_a_network_makes_a_directory_shared_for_certain() -> None:
    def pools(kind: str, *volumes: str) -> tuple[Pool, ...]:
        return (Pool("p", kind, "/srv/guests", 1000, frozenset(volumes)),)

    def of(one: tuple[Pool, ...], two: tuple[Pool, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return shared_paths(found(hv1=hypervisor("hv1", pools=one), hv2=hypervisor("hv2", pools=two)))

    assert of(pools("netfs"), pools("netfs")) == (("/srv/guests",), ())
    assert of(pools("netfs"), ()) == ((), ())
    assert of(pools("dir", "web.img"), pools("dir", "web.img")) == ((), ("/srv/guests",))
    assert of(pools("dir", "web.img"), pools("dir", "mail.img")) == ((), ())
    assert of(pools("dir"), pools("dir")) == ((), ())
