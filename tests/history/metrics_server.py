"""A real history server for the tests: VictoriaMetrics on a loopback port."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from datetime import datetime
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest


def skip_without_victoria_metrics() -> None:
    """Leave the test out where there is no server; on CI that is a failure."""
    if shutil.which("victoria-metrics"):
        return
    if os.environ.get("CI") == "true":
        pytest.fail("victoria-metrics is missing: apt install victoria-metrics")
    pytest.skip("victoria-metrics is missing: apt install victoria-metrics")


class MetricsServer:
    """A server that can be down, and comes back with what it had."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{holder.getsockname()[1]}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        address = self.url.removeprefix("http://")
        command = ["victoria-metrics", f"-storageDataPath={self._directory}", f"-httpListenAddr={address}"]
        # By default it hides the last 30 s from queries, and keeps a month.
        command += ["-search.latencyOffset=0s", "-retentionPeriod=100y", "-search.disableCache"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                with urlopen(f"{self.url}/health", timeout=1):
                    return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("victoria-metrics does not answer")

    def stop(self) -> None:
        """Let it go down in good order."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def samples(self, metric: str, since: datetime, until: datetime) -> list[tuple[float, float]]:
        """Return the raw samples of a metric: seconds since 1970, and value."""
        with urlopen(f"{self.url}/internal/force_flush", timeout=5):
            pass
        question = {"match[]": metric, "start": since.timestamp(), "end": until.timestamp()}
        with urlopen(f"{self.url}/api/v1/export?{urlencode(question)}", timeout=5) as said:
            series = [json.loads(line) for line in said.read().splitlines()]
        return sorted(
            (at / 1000, value) for one in series for at, value in zip(one["timestamps"], one["values"], strict=True)
        )
