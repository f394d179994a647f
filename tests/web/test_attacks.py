"""The real server under rough treatment: slow clients, clients that say nothing, nonsense; the service goes on."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import structlog.testing
from starlette.types import Message

from balancer.web import live
from balancer.web import serving as server
from balancer.web.serving import Address, serving
from tests.web.stage import Stage, stage


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, str]]:
    with pytest.MonkeyPatch.context() as patch, stage(tmp_path_factory.mktemp("attacked")) as built:
        patch.setattr(server, "SECONDS_FOR_HEADERS", 1.0)
        patch.setattr("balancer.web.guarding.SECONDS_FOR_A_BODY", 1.0)
        with serving(built.door, Address("127.0.0.1", 0)) as served:
            yield built, served


def connected(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((str(parts.hostname), parts.port or 0), timeout=10)


def said(connection: socket.socket) -> bytes:
    """Return all that the server says until it hangs up."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


HEAD = b"POST /api/v1/pause HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
FORM = b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"


def is_well(url: str) -> bool:
    with connected(url) as connection:
        connection.sendall(b"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        return b"200 OK" in said(connection).split(b"\r\n", 1)[0]


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "])
def test_who_says_nothing_or_half_a_request_is_hung_up_on(begun: bytes, url: tuple[Stage, str]) -> None:
    with connected(url[1]) as connection:
        connection.sendall(begun)
        since = time.monotonic()
        said(connection)
        assert time.monotonic() - since < 5
    assert is_well(url[1])


def test_who_drips_a_second_request_is_hung_up_on(url: tuple[Stage, str]) -> None:
    with connected(url[1]) as connection:
        connection.sendall(b"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert connection.recv(9) == b"HTTP/1.1 "
        time.sleep(0.3)
        connection.sendall(b"GET / HT")
        since = time.monotonic()
        assert b"HTTP/1.1 " not in said(connection)
        assert time.monotonic() - since < 5


def test_a_body_that_does_not_come_is_not_waited_for(url: tuple[Stage, str]) -> None:
    with connected(url[1]) as connection:
        token = next(iter(url[0].secrets.values()))
        connection.sendall(HEAD + f"Authorization: Bearer {token}\r\nContent-Length: 100\r\n\r\n{{".encode())
        since = time.monotonic()
        answer = said(connection)
        assert b" 408 " in answer.split(b"\r\n", 1)[0]
        assert time.monotonic() - since < 5
    assert is_well(url[1])


def test_who_leaves_in_the_midst_of_a_body_is_no_fault_of_the_servers(url: tuple[Stage, str]) -> None:
    with structlog.testing.capture_logs() as logs:
        with connected(url[1]) as connection:
            connection.sendall(FORM + b"Content-Length: 100\r\n\r\ntoken=")
            time.sleep(0.3)
        assert is_well(url[1])
    assert logs == []


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,  # a TLS hello
        b"GET / HTTP/1.1\r\n" + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_nonsense_is_refused(sent: bytes, url: tuple[Stage, str]) -> None:
    with connected(url[1]) as connection:
        try:
            connection.sendall(sent)
            first = said(connection).split(b"\r\n", 1)[0]
        except OSError:
            first = b""  # hung up on, in the midst of it
        assert not first or b" 4" in first
    assert is_well(url[1])


def test_a_crowd_of_silent_clients_keeps_nobody_out(url: tuple[Stage, str]) -> None:
    crowd = [connected(url[1]) for _ in range(server.MOST_CONNECTIONS + 40)]
    try:
        time.sleep(3)
        assert is_well(url[1])
    finally:
        for each in crowd:
            each.close()


def test_who_asks_for_news_and_has_left_before_they_begin_takes_nobodys_place(url: tuple[Stage, str]) -> None:
    said: list[Message] = []

    async def gone() -> Message:
        return {"type": "http.disconnect"}

    async def slowly(message: Message) -> None:
        await asyncio.sleep(0)
        said.append(message)

    async def ask() -> None:
        scope = {"type": "http", "asgi": {"spec_version": "2.3"}, "method": "GET", "path": "/live", "headers": []}
        await live.stream(url[0].door, lambda runs: "")(scope, gone, slowly)

    for _ in range(2 * live.MOST_OPEN):
        asyncio.run(ask())
    assert 503 not in [message.get("status") for message in said]


def test_an_address_that_is_taken_is_said(url: tuple[Stage, str], tmp_path: Path) -> None:
    parts = urlsplit(url[1])
    with stage(tmp_path) as other, pytest.raises(OSError), serving(other.door, Address("127.0.0.1", parts.port or 0)):
        pass
