"""One host's line: deadlines that hold, a connection that is opened anew, doors behind which nobody lives."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from balancer.errors import PlatformError
from balancer.platforms.libvirt.knock import knock

libvirt = pytest.importorskip("libvirt")

from balancer.platforms.libvirt.link import HostLink, ask_all  # noqa: E402  after the skip

TEST_DRIVER = "test:///default"  # libvirt's own stand-in for a hypervisor, in this process


@pytest.fixture
def link() -> Iterator[HostLink]:
    link = HostLink("h1", TEST_DRIVER, deadline_seconds=1.0)
    yield link
    link.close()


class Standstill:
    """A question that is not answered before it is let go."""

    def __init__(self) -> None:
        self._go = threading.Event()

    def __call__(self, connection: Any) -> str:
        self._go.wait(30)
        return "at last"

    def let_go(self) -> None:
        self._go.set()


def name_of(connection: Any) -> str:
    return str(connection.getType())


def test_a_question_is_answered(link: HostLink) -> None:
    assert link.ask("ask what it is", name_of) == "TEST"


@pytest.mark.timeout(20)  # if each of them waited its second
def test_a_question_that_takes_too_long_is_given_up_and_the_next_ones_at_once(link: HostLink) -> None:
    stuck = Standstill()
    with pytest.raises(PlatformError, match=r"^h1: look: no answer within 1 s"):
        link.ask("look", stuck)
    threads = threading.active_count()
    for _ in range(60):
        with pytest.raises(PlatformError, match=r"^h1: move: still waiting for an answer to an earlier call \(look, "):
            link.ask("move", name_of)
    assert threading.active_count() == threads
    stuck.let_go()


def test_a_line_that_was_stuck_works_again_and_has_not_done_what_was_given_up(link: HostLink) -> None:
    stuck, done = Standstill(), list[Any]()
    waiting = link.begin("look", stuck)
    late = link.begin("note", done.append)
    with pytest.raises(PlatformError, match="still waiting"):
        late()
    with pytest.raises(PlatformError, match="no answer"):
        waiting()
    stuck.let_go()
    assert _soon(link) == "TEST"
    assert done == []


def _soon(link: HostLink) -> str:
    for _ in range(50):
        try:
            return link.ask("ask what it is", name_of)
        except PlatformError:
            threading.Event().wait(0.1)
    pytest.fail("the line does not recover")


def test_a_connection_that_was_closed_is_opened_anew(link: HostLink) -> None:
    link.ask("hang up", lambda connection: connection.close())
    assert link.ask("ask what it is", name_of) == "TEST"


def test_errors_of_libvirt_name_host_and_operation(link: HostLink) -> None:
    with pytest.raises(PlatformError, match=r"^h1: find it: Domain not found.*moved or undefined meanwhile"):
        link.ask("find it", lambda connection: connection.lookupByName("ghost"))


def test_several_hosts_are_asked_and_one_that_fails_spoils_nothing() -> None:
    links = {"h1": HostLink("h1", TEST_DRIVER, 5.0), "h2": HostLink("h2", "qemu+tcp://127.0.0.1:1/system", 5.0)}
    answers, failures = ask_all(links, "ask what it is", dict.fromkeys(links, name_of))
    assert answers == {"h1": "TEST"}
    assert "h2: ask what it is: Connection refused (see that the host is on" in str(failures["h2"])
    for link in links.values():
        link.close()


# -- the door


def door(answer: Callable[[socket.socket], None]) -> int:
    """Open a door on this machine for one visitor; returns its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener, listener.accept()[0] as visitor:
            answer(visitor)

    threading.Thread(target=serve, daemon=True).start()
    return int(listener.getsockname()[1])


def stand_still(visitor: socket.socket) -> None:
    threading.Event().wait(5)


def hang_up(visitor: socket.socket) -> None:
    visitor.recv(1000)


def test_a_libvirtd_that_stands_still_is_found_out_before_libvirt_goes_in() -> None:
    port = door(stand_still)
    with pytest.raises(TimeoutError, match="takes the connection and does not answer"):
        knock(f"qemu+tcp://127.0.0.1:{port}/system", seconds=0.3)


def test_a_door_that_is_shut_in_the_face_is_no_answer() -> None:
    port = door(hang_up)
    with pytest.raises(ConnectionError, match="hangs up at once"):
        knock(f"qemu+tcp://127.0.0.1:{port}/system")


def test_who_speaks_tls_is_greeted_in_tls() -> None:
    heard = bytearray()

    def greet(visitor: socket.socket) -> None:
        heard.extend(visitor.recv(1000))
        visitor.sendall(b"\x16\x03\x03\x00\x00")

    knock(f"qemu+tls://127.0.0.1:{door(greet)}/system")
    assert heard[0] == 0x16 and heard[5] == 0x01  # a TLS handshake record that holds a client hello


def test_a_socket_behind_which_nobody_answers_is_found_out(tmp_path: Path) -> None:
    path = tmp_path / "libvirt-sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with pytest.raises(TimeoutError, match="takes the connection and does not answer"):
            knock(f"qemu+unix:///system?socket={path}", seconds=0.3)


def test_a_socket_that_is_not_there_is_no_answer(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        knock(f"qemu:///system?socket={tmp_path}/libvirt-sock")


@pytest.mark.parametrize("uri", [TEST_DRIVER, "qemu:///system", "qemu+ssh://root@127.0.0.1:1/system"])
def test_other_ways_in_have_no_door_to_knock_at(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[object] = []
    monkeypatch.setattr(socket, "create_connection", lambda *where, **_: tried.append(where))
    knock(uri)
    assert tried == []
