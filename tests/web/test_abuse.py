"""Paths, bodies and headers that nobody means well with, at each route; clients that are slow on purpose, in crowds."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from select import select

import pytest
from fastapi.routing import APIRoute

from balancer.store.tokens import Role
from balancer.web import api, forms, pages
from balancer.web import serving as server
from balancer.web.guarding import MOST_BYTES
from balancer.web.looks import Looks
from balancer.web.serving import Address, serving
from tests.web.stage import Browser, Stage, stage
from tests.web.test_attacks import connected, is_well, said

STATUS = "/api/v1/status"
FORM, JSON = "application/x-www-form-urlencoded", "application/json"


def posts(site: Stage) -> dict[str, bool]:
    """Return the path of each route that is posted to, filled in, and whether it reads a body; the API's need not."""
    looks = Looks(site.door, is_secure=False)
    routers = api.router(site.door), pages.router(site.door, looks), forms.router(site.door, looks)
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    values = {"name": "h2", "plan_id": site.plan.id, "answer": "approve"}
    paths = {
        route.path.format(**values): route.body_field is not None or not route.path.startswith("/api")
        for route in routes
        if "POST" in (route.methods or ())
    }
    assert len(paths) > 20 and "/login" in paths and "/api/v1/policy/try" in paths
    return paths


def test_ten_megabytes_are_refused_by_each_route_that_takes_a_body(fresh: Stage) -> None:
    admin, much = fresh.as_(Role.ADMIN), b"x" * 10 * 2**20
    for path, takes_a_body in posts(fresh).items():
        headers = {"Content-Type": JSON if path.startswith("/api") else FORM}
        assert admin.post(path, content=much, headers=headers).status_code == 413, path
        if takes_a_body:
            unannounced = (much[: MOST_BYTES // 4] for _ in range(5))
            assert admin.post(path, content=unannounced, headers=headers).status_code == 413, path
    assert admin.get(STATUS).status_code == 200
    assert not fresh.store.audit.latest()


DEEP = 200_000
BODIES = [
    (JSON, b"[" * DEEP),
    (JSON, b"[" * DEEP + b"]" * DEEP),
    (JSON, b'{"why":' * DEEP),
    (JSON, b'{"policy": "' + b"[" * DEEP + b'"}'),
    (JSON, b'{"policy": "' + b"{a: " * 50_000 + b'"}'),
    (JSON, b'{"policy": "a: &a [x,x,x]\\nb: &b [*a,*a,*a]\\nc: &c [*b,*b,*b]\\nd: [*c,*c,*c]"}'),
    (JSON, b'{"why": "\\u0000\\ud800"}'),
    (JSON, b'{"why": 1e999999}'),
    (JSON, b"\xff\xfe\x00"),
    (JSON, b""),
    ("", b'{"why": "x"}'),
    ("text/plain", b'{"why": "x"}'),
    ("application/xml", b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>"),
    ("application/json; charset=utf-7", b'{"why": "x"}'),
    ("multipart/form-data", b"--x\r\n"),
    ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=why\r\n\r\n" * 2000),
    (FORM, b"&".join(b"k%d=v" % number for number in range(20_000))),
    (FORM, b"%ff%fe=%00&why=%00"),
]


@pytest.mark.parametrize(
    "number", [pytest.param(each, marks=pytest.mark.long if each % 6 else ()) for each in range(len(BODIES))]
)
def test_no_body_makes_the_server_fail(number: int, fresh: Stage) -> None:
    kind, body = BODIES[number]
    browser = fresh.browser(Role.ADMIN)
    headers = {"X-CSRF-Token": browser.csrf()} | ({"Content-Type": kind} if kind else {})
    for path in posts(fresh):
        if path not in {"/logout", "/login"} and not path.endswith("/replay"):
            answer = browser.client.post(path, content=body, headers=headers, follow_redirects=False)
            assert answer.status_code < 500 or answer.status_code == 503, (path, answer.text[:200])
    assert fresh.as_(Role.ADMIN).get(STATUS).status_code == 200


# -- on the wire, where no client of good will tidies up what is sent


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, str]]:
    with pytest.MonkeyPatch.context() as patch, stage(tmp_path_factory.mktemp("abused")) as built:
        patch.setattr(server, "MOST_CONNECTIONS", 24)
        with serving(built.door, Address("127.0.0.1", 0)) as served:
            yield built, served


ROOTS = ("/static/", "/hosts/", "/guests/", "/plans/", "/history/", "/api/v1/cycles/", "/api/v1/hosts/", "/")
TRICKS = (
    "../../../../etc/passwd",
    "%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "..%2f..%2f..%2fetc%2fpasswd",
    "..%252f..%252fetc%252fpasswd",
    "..%c0%af..%c0%afetc/passwd",
    "..\\..\\..\\etc\\passwd",
    "..%5c..%5cetc%5cpasswd",
    "....//....//etc/passwd",
    "./%2e/./",
    "//etc/passwd",
    "%2fetc%2fpasswd",
    "%00",
    "balancer.css%00.html",
    "%0d%0aSet-Cookie:%20a=b",
    "%",
    "%zz",
    "%ff%fe",
    "a" * 8000,
    "%2e" * 5000,
    "/" * 8000,
    "a/" * 4000,
    "~root",
    "..;/..;/",
    "app.py",
    "../app.py",
)


@pytest.mark.parametrize("root", ROOTS)
def test_no_path_leads_out_of_what_is_served(root: str, wire: tuple[Stage, str]) -> None:
    token = wire[0].secrets[Role.ADMIN]
    for trick in TRICKS:
        first, rest = asked(wire[1], f"GET {root}{trick} HTTP/1.1", f"Authorization: Bearer {token}")
        status = int(first.split()[1]) if first else 400
        assert status < 500, trick
        assert b"root:x:" not in rest and b"from __future__" not in rest, trick
        assert b"\r\nset-cookie: a=b" not in rest.lower(), trick
    assert is_well(wire[1])


@pytest.mark.parametrize(
    "line", ["GET http://evil.example/ HTTP/1.1", "GET * HTTP/1.1", "OPTIONS * HTTP/1.1", "CONNECT a:1 HTTP/1.1",
             "TRACE / HTTP/1.1", "DELETE / HTTP/1.1", "G\x00T / HTTP/1.1", "GET  / HTTP/1.1"]
)  # fmt: skip
def test_no_method_and_no_form_of_address_is_answered_that_is_not_meant(line: str, wire: tuple[Stage, str]) -> None:
    first, _ = asked(wire[1], line, f"Authorization: Bearer {wire[0].secrets[Role.ADMIN]}")
    assert not first or first.split()[1].startswith((b"4", b"3")) or line.startswith("GET http"), first
    assert is_well(wire[1])


def test_no_header_makes_the_server_fail(wire: tuple[Stage, str]) -> None:
    for headers in (
        ["X-A: " + "a" * 60_000],
        [f"X-{number}: a" for number in range(5000)],
        ["Cookie: balancer_session=" + "a" * 30_000],
        ["Cookie: " + "; ".join(f"c{number}=v" for number in range(3000))],
        ["Authorization: Bearer " + "a" * 30_000],
        ["Authorization: Bearer \xff\xfe"],
        ["Cookie: balancer_session=\xff"],
        ["Accept-Language: " + "a,;q=" * 5000],
        ["If-None-Match: \xff", "Range: bytes=0-18446744073709551616"],
        ["Range: bytes=" + ",".join(f"{number}-" for number in range(5000))],
        ["X-Forwarded-For: 127.0.0.1", "X-Forwarded-User: root", "X-Forwarded-Proto: https"],
    ):
        for path in ("/", STATUS, "/static/balancer.css"):
            first, _ = asked(wire[1], f"GET {path} HTTP/1.1", *headers)
            assert not first or first.split()[1][:1] in b"234", (headers[0][:40], first)
            assert path == "/static/balancer.css" or b" 200 " not in first, "nobody was let in"
    assert is_well(wire[1])


def asked(url: str, line: str, *headers: str) -> tuple[bytes, bytes]:
    """Send a request as it is; returns the first line and the rest of what is said, empty where it was hung up on."""
    text = "\r\n".join([line, "Host: 127.0.0.1", *headers, "Connection: close", "", ""])
    with connected(url) as connection:
        try:
            connection.sendall(text.encode("latin-1"))
            first, _, rest = said(connection).partition(b"\r\n")
        except OSError:
            return b"", b""
        return first, rest


BEGUN = [
    b"",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
    b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: " + FORM.encode() + b"\r\nContent-Length: 9999\r\n\r\n",
]


@pytest.mark.parametrize("begun", BEGUN)
def test_a_crowd_of_slow_clients_that_come_again_keeps_nobody_out(begun: bytes, wire: tuple[Stage, str]) -> None:
    stop = threading.Event()
    crowd = [threading.Thread(target=drip, args=(wire[1], begun, stop), daemon=True) for _ in range(40)]
    for each in crowd:
        each.start()
    try:
        time.sleep(1.0)
        assert [is_well(wire[1]) for _ in range(10)] == [True] * 10
    finally:
        stop.set()
        for each in crowd:
            each.join(10)
    assert is_well(wire[1])


def drip(url: str, begun: bytes, stop: threading.Event) -> None:
    """Hold a connection with a byte now and then, and come back as soon as it is lost."""
    while not stop.is_set():
        try:
            with connected(url) as connection:
                connection.sendall(begun)
                while not stop.wait(0.2):
                    connection.sendall(b"x")
                    if select([connection], [], [], 0)[0]:
                        break  # hung up on, or told so
        except OSError:
            pass
        stop.wait(0.5)


def test_forms_take_no_more_than_they_need(fresh: Stage) -> None:
    browser: Browser = fresh.browser(Role.ADMIN)
    status, _ = browser.post("/pause", why="w" * 500_000)
    assert status in {303, 422}
    assert all(len(entry.what) < 2000 for entry in fresh.store.audit.latest())
