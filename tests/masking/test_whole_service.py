"""A whole service whose BMCs and servers repeat the secrets that they are shown: nobody else ever reads one."""

from __future__ import annotations

import base64
import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.masking.talkative import IN_THE_URL, SECRETS
from tests.web.running import Served, served
from tests.web.served import TOKENS, token_of

WRONG_TOKEN = "balancer_" + "wrong-0123456789" * 3
PAGES = (
    "/",
    "/plan",
    "/runs",
    "/hosts",
    "/guests",
    "/power",
    "/policy",
    "/policy/remarks",
    "/history",
    "/audit",
    "/metrics",
    "/login",
)


class Talkative(BaseHTTPRequestHandler):
    """Refuses everybody, with all that they have said."""

    shown: list[str] = []

    def do_GET(self) -> None:
        shown = self.headers.get("Authorization", "")
        self.shown.append(shown)
        word = shown.partition(" ")[2]
        body = f'{{"error": "{word.replace(chr(34), "")} and {shown} are not welcome", "message": "{shown}"}}'.encode()
        self.send_response(401, f"not {word}"[:60].encode("ascii", "replace").decode())
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    talking = ThreadingHTTPServer(("127.0.0.1", 0), Talkative)
    threading.Thread(target=talking.serve_forever, daemon=True).start()
    yield talking.server_address[1]
    talking.shutdown()
    talking.server_close()


def test_no_secret_is_read_anywhere(server: int, tmp_path: Path) -> None:
    with served(tmp_path, "tests.masking.talkative", str(server)) as service:
        said = [*answers(service), *processes(service.process.pid)]
        service.waits_for(lambda: "h1: looking: {'bmc'" in service.log.read_text())
        said += [
            service.as_("ada").get(path).content for path in ("/status", f"{service.url}/", f"{service.url}/metrics")
        ]
        assert service.leaves_with() == 0, service.log.read_text()
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and "secrets" not in path.parts}
    kept |= {path: gzip.decompress(said) for path, said in kept.items() if path.suffix == ".gz"}

    everywhere = b"\n".join([*kept.values(), *said])
    # They were shown where they belong, and what came of it was told: else all below would prove nothing.
    assert (tmp_path / "asked").exists()
    assert {shown.partition(" ")[0] for shown in Talkative.shown} >= {"Bearer", "Token"}
    assert b"login with ******** refused" in everywhere
    for words in (
        b"by a fault of the balancer's own",
        b"ValueError: {'bmc'",
        b"h1: looking: {'bmc'",
        b"it said {'bmc'",
    ):
        assert words in kept[service.log]
    assert {path.name for path, content in kept.items() if content} >= {"balancer.db", "log", "health.json"}

    found = [
        f"{what} in {place}"
        for place, content in [*kept.items(), *((f"answer {number}", each) for number, each in enumerate(said))]
        for what, forms in secret_forms().items()
        if any(form in content for form in forms)
    ]
    assert found == []


def secret_forms() -> dict[str, set[bytes]]:
    secrets = {**SECRETS, "url": IN_THE_URL, "wrong": WRONG_TOKEN} | {name: token_of(name) for name in TOKENS}
    return {
        name: {
            secret.encode(),
            quote(secret, safe="").encode(),
            base64.b64encode(secret.encode()),
            base64.b64encode(f"ann:{secret}".encode()),
            repr(secret)[1:-1].encode(),
        }
        for name, secret in secrets.items()
    }


def answers(service: Served) -> list[bytes]:
    """Read each page and each part of the API, and ask for what has to fail; returns all that was answered."""
    with service.as_("ada") as api, httpx.Client(base_url=service.url, timeout=30, trust_env=False) as browser:
        paths = [path for path, known in api.get("/openapi.json").json()["paths"].items() if "get" in known]
        plan = api.get("/plan").json()["id"]
        filled = [path.format(name="h1" if "hosts" in path else "a", plan_id=plan) for path in paths]
        got = [
            api.get(f"{service.url}{path}") for path in (*filled, *PAGES, "/hosts/h1", "/guests/a", f"/plans/{plan}")
        ]
        assert {each.status_code for each in got} <= {200, 303, 404}
        for host in ("h1", "h2", "h3"):
            got += [api.post(f"/hosts/{host}/{action}") for action in ("power-test", "wake")]
        got.append(api.post("/policy/try", json={"policy": "mode: act\nx: 1\n"}))
        got.append(browser.post("/login", data={"token": WRONG_TOKEN}))
        got.append(browser.get("/api/v1/status", headers={"Authorization": f"Bearer {WRONG_TOKEN}"}))
        got.append(browser.get(f"/hosts?token={WRONG_TOKEN}"))
        service.waits_for(lambda: "power test" in api.get("/audit").text)
        got += [api.get(path) for path in ("/audit", "/power", "/events", "/status")]
        got.append(api.get(f"{service.url}/audit"))
        return [f"{each.headers}".encode() + each.content for each in got]


def processes(pid: int) -> Iterator[bytes]:
    """Yield the command lines of a process and of all that it has started."""
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from processes(int(child))
    yield Path(f"/proc/{pid}/cmdline").read_bytes()
