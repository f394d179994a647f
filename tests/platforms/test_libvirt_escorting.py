"""When a migration that is under way is switched to post-copy, or its guest stopped; and what it is begun with."""

from __future__ import annotations

from typing import Any

import pytest

from balancer.domain.migration import MigrationKind, MigrationOptions
from balancer.domain.placement import Move
from balancer.domain.site_file import SiteHost
from balancer.platforms.base import MigrationOrder
from balancer.platforms.libvirt.escorting import Act, Passes, next_act, seen

MIB = 1024**2


def order(kind: MigrationKind = "live", mib_per_s: float | None = None, **options: Any) -> MigrationOrder:
    return MigrationOrder(Move("web", "hv1", "hv2"), "id", kind, mib_per_s, MigrationOptions(**options))


def job(iteration: int, left_mib: float, sent_mib: float = 100.0, mib_per_s: float = 50.0) -> dict[str, Any]:
    return {
        "memory_iteration": iteration,
        "memory_remaining": left_mib * MIB,
        "memory_processed": sent_mib * MIB,
        "memory_bps": mib_per_s * MIB,
    }


def acts(of: MigrationOrder, *jobs: dict[str, Any]) -> list[Act]:
    """What is done after each look at a migration that nobody has touched yet."""
    passes, done = Passes(), []
    for each in jobs:
        passes = seen(each, passes)
        done.append(next_act(of, passes))
    return done


def test_plain_live_migrations_are_left_alone() -> None:
    assert acts(order(), job(1, 100), job(9, 100)) == [Act.NOTHING] * 2


def test_post_copy_begins_after_one_pass_where_copying_is_known_not_to_keep_up() -> None:
    assert acts(order(post_copy=True), job(0, 100), job(1, 10), job(2, 80)) == [Act.NOTHING, Act.NOTHING, Act.SWITCH]


def test_where_it_only_stands_by_copying_gets_more_time() -> None:
    helped = order(post_copy=True, auto_converge=True)
    assert acts(helped, job(2, 80), job(3, 80), job(4, 80)) == [Act.NOTHING, Act.NOTHING, Act.SWITCH]


def test_a_guest_is_stopped_when_a_pass_begins_and_what_is_left_fits_into_the_stop() -> None:
    warm = order("warm", stop_seconds=2.0)
    assert acts(warm, job(1, 400), job(1, 90)) == [Act.NOTHING] * 2, "what it wrote meanwhile is not in these 90"
    assert acts(warm, job(1, 400), job(2, 90)) == [Act.NOTHING, Act.STOP]
    assert acts(warm, job(2, 150), job(2, 90), job(3, 99)) == [Act.NOTHING, Act.NOTHING, Act.STOP]


def test_without_a_speed_no_stop_can_be_promised() -> None:
    assert acts(order("warm", stop_seconds=60.0), job(2, 1, mib_per_s=0)) == [Act.NOTHING]


def test_what_was_sent_is_counted_disks_included() -> None:
    assert seen({**job(1, 5, sent_mib=10), "disk_processed": 32 * MIB}, Passes()).copied_mib == 42


@pytest.mark.parametrize(
    ("options", "flag"),
    [
        ({"auto_converge": True}, "AUTO_CONVERGE"),
        ({"post_copy": True}, "POSTCOPY"),
        ({"copy_storage": "all"}, "NON_SHARED_DISK"),
        ({"copy_storage": "incremental"}, "NON_SHARED_INC"),
        ({"compression": True}, "COMPRESSED"),
        ({"parallel": 4}, "PARALLEL"),
        ({"tls": True}, "TLS"),
    ],
)
def test_each_option_is_one_flag_and_no_order_is_ever_unsafe(options: dict[str, Any], flag: str) -> None:
    libvirt = pytest.importorskip("libvirt")
    from balancer.platforms.libvirt.terms import flags_of

    plain, wanted = flags_of(order(), True), flags_of(order(**options), True)
    assert wanted & ~plain == getattr(libvirt, f"VIR_MIGRATE_{flag}")
    assert not wanted & libvirt.VIR_MIGRATE_UNSAFE
    assert wanted & libvirt.VIR_MIGRATE_PEER2PEER


def test_a_persistent_guest_leaves_one_definition_and_a_transient_one_none() -> None:
    libvirt = pytest.importorskip("libvirt")
    from balancer.platforms.libvirt.terms import flags_of

    both = libvirt.VIR_MIGRATE_PERSIST_DEST | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
    for kind in ("live", "warm", "cold"):
        assert flags_of(order(kind), True) & both == both
        assert flags_of(order(kind), False) & both == 0


def test_post_copy_is_held_to_the_same_speed() -> None:
    libvirt = pytest.importorskip("libvirt")
    from balancer.platforms.libvirt.terms import parameters_of

    target = SiteHost(name="hv2", migration_uri="tcp://10.0.0.2")
    found = parameters_of(order(mib_per_s=80.0, post_copy=True, parallel=4), target)
    assert found == {
        libvirt.VIR_MIGRATE_PARAM_URI: "tcp://10.0.0.2",
        libvirt.VIR_MIGRATE_PARAM_BANDWIDTH: 80,
        libvirt.VIR_MIGRATE_PARAM_BANDWIDTH_POSTCOPY: 80,
        libvirt.VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS: 4,
    }
    assert parameters_of(order("cold", mib_per_s=80.0), target) == {}
