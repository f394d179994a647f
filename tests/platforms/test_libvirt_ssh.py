"""SSH as the way in: a program beside us that asks nobody, says why it gave up, and does not outlast its use."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from balancer.errors import PlatformError

libvirt = pytest.importorskip("libvirt")

from balancer.platforms.libvirt import library  # noqa: E402  after the skip
from balancer.platforms.libvirt.link import HostLink  # noqa: E402
from balancer.platforms.libvirt.ssh import asking_nobody  # noqa: E402


class Ssh:
    """Stands in for ssh: notes how it was called, then does as it is told."""

    def __init__(self, directory: Path, does: str) -> None:
        self._called, self._program = directory / "called", directory / "ssh"
        self._program.write_text(f'#!/bin/sh\necho "$$ $@" >>{self._called}\n{does}\n')
        self._program.chmod(0o755)
        self.uri = f"qemu+ssh://nobody@h1.invalid/system?command={self._program}"

    @property
    def arguments(self) -> list[str]:
        return self._called.read_text().split()[1:]

    def is_running(self) -> bool:
        """Whether any of them is still there, be it as a zombie."""
        pids = [line.split()[0] for line in self._called.read_text().splitlines()]
        return any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.fixture
def hanging(tmp_path: Path) -> Ssh:
    return Ssh(tmp_path, "exec sleep 300")


def test_ssh_is_started_without_a_terminal_to_ask_at(tmp_path: Path) -> None:
    ssh = Ssh(tmp_path, "exit 1")
    with pytest.raises(PlatformError):
        HostLink("h1", ssh.uri, 5).ask("look", lambda _: None)
    assert "BatchMode=yes" in ssh.arguments


def test_what_a_uri_says_of_the_terminal_itself_stays() -> None:
    assert asking_nobody("qemu+ssh://h1/system") == "qemu+ssh://h1/system?no_tty=1"
    assert asking_nobody("qemu+ssh://h1/system?keyfile=k&no_tty=0") == "qemu+ssh://h1/system?keyfile=k&no_tty=0"
    assert asking_nobody("qemu+tls://h1/system") == "qemu+tls://h1/system"


@pytest.mark.parametrize(
    ("complaint", "way_out"),
    [
        ("Host key verification failed.", "enter the host's key into the known_hosts"),
        ("root@h1: Permission denied (publickey).", "see that the host accepts the SSH key"),
        ("ssh: Could not resolve hostname h1: Name or service not known", "make its name known on this machine"),
        ("ssh: connect to host h1 port 22: No route to host", "see that the host is on"),
    ],
)
def test_why_ssh_gave_up_is_said_with_a_way_out(tmp_path: Path, complaint: str, way_out: str) -> None:
    # A real ssh needs longer than libvirt does for its first words; what a shorter one said would be lost.
    ssh = Ssh(tmp_path, f"head -c 28 >/dev/null; echo '{complaint}' >&2; exit 255")
    with pytest.raises(PlatformError) as refused:
        HostLink("h1", ssh.uri, 5).ask("look", lambda _: None)
    assert refused.value.subject == "h1"
    assert complaint in refused.value.cause
    assert way_out in refused.value.way_out


def test_a_line_that_is_closed_while_ssh_hangs_leaves_neither_program_nor_thread(hanging: Ssh) -> None:
    link = HostLink("h1", hanging.uri, deadline_seconds=0.5)
    with pytest.raises(PlatformError, match=r"no answer within 0\.5 s"):
        link.ask("look", lambda _: None)
    assert hanging.is_running()
    link.close()
    assert soon(lambda: not hanging.is_running() and not link.is_working)


def test_ssh_that_does_not_come_through_is_ended_and_the_line_is_free_again(
    hanging: Ssh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "OPENING_SECONDS", 1.0)
    link = HostLink("h1", hanging.uri, deadline_seconds=10)
    for _ in range(2):
        with pytest.raises(PlatformError, match=r"ssh has not come through to its libvirtd within 1 s \(see that the"):
            link.ask("look", lambda _: None)
    assert soon(lambda: not hanging.is_running())
    link.close()


def soon(happened: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 5
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.02)
    return happened()
