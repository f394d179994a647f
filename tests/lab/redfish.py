"""A second BMC for a lab host, which speaks Redfish: sushy-tools' emulator, wired to the same power button."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.power import redfish_bench

from . import bmc
from .commands import wait_until
from .hosts import Host
from .names import MARK


@contextmanager
def redfish_bmc(host: Host, directory: Path) -> Iterator["RedfishBmc"]:
    """Start it; it is gone afterwards. The host keeps its IPMI beside it, as many servers do."""
    beside = RedfishBmc(host, directory)
    directory.mkdir(parents=True)
    redfish_bench.make_certificate(beside.certificate, directory / "bmc.key")
    (directory / "htpasswd").write_text(f"{bmc.USER}:{redfish_bench.hash_of(bmc.PASSWORD)}\n")
    (directory / "config.json").write_text(json.dumps(beside.config()))
    beside.start()
    try:
        yield beside
    finally:
        beside.stop()


class RedfishBmc:
    """One BMC at the TCP port whose UDP twin is the host's IPMI."""

    def __init__(self, host: Host, directory: Path) -> None:
        self.host, self.directory = host, directory
        self.port = bmc.factory_port(host)
        self.certificate = directory / "bmc.pem"
        self._process: subprocess.Popen[bytes] | None = None

    def config(self) -> dict[str, object]:
        system = {"uuid": str(self.host.uuid), "name": self.host.name, "power_state": "On", "nics": []}
        return {
            "SUSHY_EMULATOR_FAKE_DRIVER": True,
            "SUSHY_EMULATOR_FAKE_SYSTEMS": [system],
            "SUSHY_EMULATOR_STATE_DIR": str(self.directory),
            "SUSHY_EMULATOR_AUTH_FILE": str(self.directory / "htpasswd"),
            "program": str(bmc.directory_of(self.host) / "chassis"),
            "port": self.port,
            "certificate": str(self.certificate),
            "key": str(self.directory / "bmc.key"),
        }

    def start(self) -> None:
        name, _, value = MARK.partition("=")
        with (self.directory / "bmc.log").open("a") as log:
            command = [sys.executable, str(redfish_bench.EMULATOR), str(self.directory / "config.json")]
            self._process = subprocess.Popen(
                command, env={**os.environ, name: value}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_until(lambda: redfish_bench.listens(self.port), 30, f"there: the Redfish of {self.host.name}")

    def stop(self) -> None:
        """Pull its network cable, as it were."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def entry(self) -> dict[str, Any]:
        """What the site file says of it."""
        return {
            "kind": "redfish",
            "address": "127.0.0.1",
            "port": self.port,
            "user": bmc.USER,
            "secret_ref": f"file:{self.host.name}-bmc",
            "ca_file": str(self.certificate),
        }
