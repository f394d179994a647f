"""Hosts that a packet wakes: what is sent, and what silence may mean."""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from balancer.errors import PowerError
from balancer.power.base import PowerState
from balancer.power.magic_packet import TIMES, send_magic_packet
from balancer.power.wake_on_lan import SuspendSwitch, WakeOnLanSwitch, Wire

MAC = "52:54:00:12:34:56"


@contextmanager
def listener() -> Iterator[int]:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()
        yield int(door.getsockname()[1])


@contextmanager
def a_hole() -> Iterator[int]:
    """A port that takes no more connections and refuses none: as silent as a host that is off."""
    with socket.socket() as door, socket.socket() as one, socket.socket() as other:
        door.bind(("127.0.0.1", 0))
        door.listen(0)
        port = int(door.getsockname()[1])
        for each in (one, other):
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        yield port


def switch(port: int, silence_means_off: bool = False) -> WakeOnLanSwitch:
    return WakeOnLanSwitch("hv1", Wire(MAC, "127.0.0.1", f"127.0.0.1:{port}", silence_means_off), {})


def test_the_packet_is_what_network_cards_wait_for() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as card:
        card.bind(("127.0.0.1", 0))
        card.settimeout(5)
        send_magic_packet("hv1", "52-54-00-12-34-56", "127.0.0.1", card.getsockname()[1])
        for _ in range(TIMES):
            assert card.recv(200) == b"\xff" * 6 + bytes([0x52, 0x54, 0x00, 0x12, 0x34, 0x56]) * 16


def test_a_packet_that_cannot_be_sent_names_the_key_to_correct() -> None:
    with pytest.raises(PowerError, match=r"hv1: waking it over the LAN: .*broadcast"):
        send_magic_packet("hv1", MAC, "not-an-address.invalid")


def test_who_answers_is_on() -> None:
    with listener() as port:
        assert switch(port).state() is PowerState.ON


def test_who_refuses_is_on_as_well() -> None:
    with listener() as port:
        pass
    assert switch(port, silence_means_off=True).state() is PowerState.ON


def test_silence_is_not_known_unless_the_site_file_says_what_it_means() -> None:
    with a_hole() as port:
        assert switch(port).state() is PowerState.UNKNOWN
        assert switch(port, silence_means_off=True).state() is PowerState.OFF


def test_a_packet_switches_nothing_off() -> None:
    with listener() as port, pytest.raises(PowerError, match="not supported: there is none"):
        switch(port).shut_down()


def test_a_hypervisor_that_cannot_suspend_says_so() -> None:
    if importlib.util.find_spec("libvirt") is None:
        pytest.skip("libvirt-python is missing: pip install 'balancer[libvirt]'")
    with listener() as port:
        wire = Wire(MAC, "127.0.0.1", f"127.0.0.1:{port}", silence_means_off=True)
        with pytest.raises(PowerError, match=r"hv1: suspending it to RAM: .*not supported"):
            SuspendSwitch("hv1", wire, {}, "test:///default", 3600).shut_down()
