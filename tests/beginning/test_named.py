"""Hosts as people type them."""

from __future__ import annotations

import pytest

from balancer.beginning.named import Named, filled, hosts_named
from balancer.errors import InputError


def test_a_range_is_spread_on_both_sides_and_keeps_its_zeros() -> None:
    found = hosts_named("hv[08-10]=192.0.2.[18-20], gold")
    assert [(host.name, host.address) for host in found] == [
        ("hv08", "192.0.2.18"),
        ("hv09", "192.0.2.19"),
        ("hv10", "192.0.2.20"),
        ("gold", "gold"),
    ]


def test_a_whole_uri_names_its_host() -> None:
    (host,) = hosts_named("qemu+tls://hv7.example/system")
    assert host == Named("hv7.example", "hv7.example", "7", "qemu+tls://hv7.example/system")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "names no host"),
        ("hv1,hv1", "named twice"),
        ("hv[3-1]", "run backwards"),
        ("hv[1-3]=10.0.0.[1-2]", "not equally long"),
        ("hv[1-99999999]", "too long"),
        ("rack one", "is no name of a host"),
    ],
)
def test_what_cannot_be_read_is_said(typed: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        hosts_named(typed)


def test_a_pattern_is_filled_and_what_it_lacks_is_said() -> None:
    (host,) = hosts_named("hv07=192.0.2.7")
    assert filled("{host}.{address}.{number}.{n}", host, "it") == "hv07.192.0.2.7.07.7"
    with pytest.raises(InputError, match=r"\{rack\}: is no such place"):
        filled("{rack}", host, "it")
    with pytest.raises(InputError, match="gold ends in no number"):
        filled("10.0.0.{n}", hosts_named("gold")[0], "it")
