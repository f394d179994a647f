"""Certificates that are refused: which host, what is wrong with it, and the way out."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from balancer.errors import PlatformError
from tests.lab.certificates import DAY, Authority, Certificate, write_client

libvirt = pytest.importorskip("libvirt")

from balancer.platforms.libvirt.link import HostLink  # noqa: E402  after the skip

Server = Callable[[Certificate], int]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Something that speaks TLS, with the certificate that is given to it; returns its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(identity: Certificate) -> int:
        pair = tmp_path / "server.pem"
        pair.write_bytes(identity.certificate + identity.key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair)

        def take_visitors() -> None:
            for visitor in iter_visitors(listener):
                with suppress(OSError), context.wrap_socket(visitor, server_side=True) as inside:
                    inside.recv(1)

        threading.Thread(target=take_visitors, daemon=True).start()
        return int(listener.getsockname()[1])

    yield serve
    listener.close()


def iter_visitors(listener: socket.socket) -> Iterator[socket.socket]:
    """Each visitor, until the door is closed."""
    with suppress(OSError):
        while True:
            yield listener.accept()[0]


OURS = Authority("ours")


@pytest.mark.parametrize(
    ("identity", "why"),
    [
        (OURS.issue("h1", lifetime=-DAY), "certificate has expired"),
        (Authority("another").issue("h1"), "unable to get local issuer certificate"),
        (OURS.issue("h1", address="192.0.2.1"), "certificate is not valid for '127.0.0.1'"),
    ],
)
def test_what_is_wrong_with_a_hosts_certificate_is_said(
    tmp_path: Path, server: Server, identity: Certificate, why: str
) -> None:
    said = refusal(server(identity), write_client(tmp_path / "pki", OURS.certificate, OURS.issue("balancer")))
    assert said.startswith("h1: look: its certificate is refused: ")
    assert why in said
    assert said.endswith("be signed by the authority in this machine's cacert.pem)")


def test_a_certificate_of_our_own_that_has_expired_is_named(tmp_path: Path, server: Server) -> None:
    expired = write_client(tmp_path / "pki", OURS.certificate, OURS.issue("balancer", lifetime=-DAY))
    said = refusal(server(OURS.issue("h1")), expired)
    assert said == f"h1: look: The client certificate {expired}/clientcert.pem has expired (have it issued anew)"


def test_a_directory_without_certificates_is_named(tmp_path: Path, server: Server) -> None:
    said = refusal(server(OURS.issue("h1")), tmp_path / "nothing")
    assert f"Cannot read CA certificate '{tmp_path}/nothing/cacert.pem'" in said
    assert "into the directory that `pkipath` in its `uri` names" in said


def refusal(port: int, pki: Path) -> str:
    link = HostLink("h1", f"qemu+tls://127.0.0.1:{port}/system?pkipath={pki}", 10)
    try:
        with pytest.raises(PlatformError) as refused:
            link.ask("look", lambda _: None)
    finally:
        link.close()
    return str(refused.value)
