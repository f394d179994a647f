"""A real web hook on this machine, as a chat has one: it takes what it is sent, refuses it, or never answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hook:
    """What came, and how it answers: with a status, or, while it is None, not at all."""

    def __init__(self) -> None:
        self.status: int | None = 200
        self.got: list[dict[str, Any]] = []
        self.asked = 0
        self.changed = threading.Condition()
        self.may_answer = threading.Event()
        self.port = 0

    @property
    def url(self) -> str:
        return f"json://ann:hunter22@127.0.0.1:{self.port}/secret-path"

    @property
    def titles(self) -> list[str]:
        return [each["title"] for each in self.got]

    def waits_for(self, number: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.got) >= number, timeout=60), self.got

    def is_asked(self, times: int = 1) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.asked >= times, timeout=60)

    def takes(self, body: dict[str, Any]) -> int:
        with self.changed:
            self.asked += 1
            self.changed.notify_all()
            status = self.status
        if status is None:
            self.may_answer.wait(60)
            status = self.status or 200
        with self.changed:
            if status == 200:
                self.got.append(body)
            self.changed.notify_all()
        return status


@contextmanager
def a_hook() -> Iterator[Hook]:
    """Serve a web hook until the block ends."""
    hook = Hook()

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(hook.takes(body))
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    hook.port = server.server_address[1]
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield hook
    finally:
        hook.may_answer.set()
        server.shutdown()
        server.server_close()
