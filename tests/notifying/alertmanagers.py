"""Alertmanagers to be silent: a stand-in that takes what API v2 says and nothing else, and a real one."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest

REAL = "prometheus-alertmanager"
PATIENCE_SECONDS = 60.0

POSTABLE = {
    "type": "object",
    "required": ["matchers", "startsAt", "endsAt", "createdBy", "comment"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string"},
        "startsAt": {"type": "string", "format": "date-time"},
        "endsAt": {"type": "string", "format": "date-time"},
        "createdBy": {"type": "string", "minLength": 1},
        "comment": {"type": "string", "minLength": 1},
        "matchers": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["name", "value", "isRegex"],
                "additionalProperties": False,
                "properties": {
                    "name": {"type": "string", "pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$"},
                    "value": {"type": "string"},
                    "isRegex": {"type": "boolean"},
                    "isEqual": {"type": "boolean"},
                },
            },
        },
    },
}
"""`postableSilence` of api/v2/openapi.yaml; what a real one checks beside it (names, empty comments) as well."""


@dataclass
class Running:
    """An Alertmanager, and how to look into it."""

    url: str
    authorization: list[str | None]
    asked: list[str]

    def silences(self, state: str = "active") -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.url}/api/v2/silences", timeout=10) as answer:
            return [each for each in json.loads(answer.read()) if each["status"]["state"] == state]

    def alert(self, **labels: str) -> None:
        """Let an alert fire."""
        data = json.dumps([{"labels": {"alertname": "InstanceDown", **labels}}]).encode()
        request = urllib.request.Request(f"{self.url}/api/v2/alerts", data, {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=10).close()

    def heard(self) -> set[str]:
        """Return the instances whose alerts nobody silences."""
        question = f"{self.url}/api/v2/alerts?silenced=false&inhibited=false"
        with urllib.request.urlopen(question, timeout=10) as answer:
            return {each["labels"]["instance"] for each in json.loads(answer.read())}


@contextmanager
def a_stand_in() -> Iterator[Running]:
    """Serve a small Alertmanager: its silences have the life that a real one gives them."""
    kept: dict[str, dict[str, Any]] = {}
    running = Running("", [], [])

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._note()
            match self.path:
                case "/api/v2/silences":
                    self._say(200, [each | {"status": {"state": _state(each)}} for each in kept.values()])
                case "/api/v2/status":
                    self._say(200, {"versionInfo": {"version": "0.0.0"}})
                case _:
                    self._say(404, "not found")

        def do_POST(self) -> None:
            self._note()
            said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                jsonschema.validate(said, POSTABLE)
            except jsonschema.ValidationError as wrong:
                return self._say(400, wrong.message)
            if _at(said["endsAt"]) <= max(datetime.now(UTC), _at(said["startsAt"])):
                return self._say(400, "bad silence: end time in the past")
            before = kept.get(said.get("id", ""))
            if said.get("id") and before is None:
                return self._say(404, "silence not found")
            return self._say(200, {"silenceID": _put(kept, before, said)})

        def do_DELETE(self) -> None:
            self._note()
            found = kept.get(self.path.removeprefix("/api/v2/silence/"))
            if found is None or _state(found) == "expired":
                return self._say(500, "silence not found or expired already")
            found["endsAt"] = datetime.now(UTC).isoformat()
            return self._say(200, None)

        def _note(self) -> None:
            running.authorization.append(self.headers["Authorization"])
            running.asked.append(f"{self.command} {self.path.partition('/api/v2/')[2].partition('/')[0]}")

        def _say(self, status: int, words: object) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"" if words is None else json.dumps(words).encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    running.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()


def _put(kept: dict[str, dict[str, Any]], before: dict[str, Any] | None, said: dict[str, Any]) -> str:
    """Change a silence in place where that is allowed; else the old one ends and a new one begins."""
    may_change = before is not None and _state(before) != "expired" and before["matchers"] == said["matchers"]
    if before is not None and may_change and _at(before["startsAt"]) == _at(said["startsAt"]):
        before.update(said)
        return str(before["id"])
    if before is not None and _state(before) != "expired":
        before["endsAt"] = datetime.now(UTC).isoformat()
    number = str(uuid.uuid4())
    starts = max(datetime.now(UTC), _at(said["startsAt"]))
    kept[number] = {**said, "id": number, "startsAt": starts.isoformat(), "updatedAt": starts.isoformat()}
    return number


def _state(silence: dict[str, Any]) -> str:
    if _at(silence["endsAt"]) <= datetime.now(UTC):
        return "expired"
    return "pending" if _at(silence["startsAt"]) > datetime.now(UTC) else "active"


def _at(moment: str) -> datetime:
    return datetime.fromisoformat(moment)


@contextmanager
def a_real_one(folder: Path) -> Iterator[Running]:
    """Start a real Alertmanager with nobody to tell."""
    program = shutil.which(REAL)
    if program is None:
        pytest.skip(f"{REAL} is missing: tests/notifying/install.sh")
    (folder / "alertmanager.yml").write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        program,
        f"--config.file={folder}/alertmanager.yml",
        f"--storage.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    running = Running(f"http://127.0.0.1:{port}", [], [])
    log = folder / "log"
    with log.open("wb") as written, subprocess.Popen(command, stdout=written, stderr=written) as process:
        try:
            _wait_until_it_answers(running, process, log)
            yield running
        finally:
            process.kill()


def _wait_until_it_answers(running: Running, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            running.silences()
            return
        except OSError:
            assert process.poll() is None and time.monotonic() < give_up, log.read_text()
            time.sleep(0.1)
