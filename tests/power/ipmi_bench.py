"""A bench of BMCs that speak IPMI: ipmi_sim on a loopback port."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from balancer.power.ipmi import IpmiSwitch
from tests.power.bmc_bench import GUID, PASSWORD, USER, BmcBench

LAN_CONF = """\
name "{name}"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 {port}
    priv_limit admin
    allowed_auths_admin none md2 md5 straight
    guid {guid}
  endlan
  chassis_control "{directory}/chassis.sh 0x20"
  user 1 true "" "" user 10 none md2 md5 straight
  user 2 true "{user}" "{password}" admin 10 none md2 md5 straight
  user 3 true "guest" "{password}" user 10 none md2 md5 straight
"""
HOST_EMU = """\
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
sel_enable 0x20 1000 0x0a
mc_enable 0x20
"""
# RMCP presence ping (IPMI 2.0, 13.2.3): whoever answers it is up.
PRESENCE_PING = bytes.fromhex("0600ff06000011be80000000")


def skip_without_ipmi_sim() -> None:
    """Leave the test out where there is no ipmi_sim; on CI that is a failure."""
    if shutil.which("ipmi_sim"):
        return
    if os.environ.get("CI") == "true":
        pytest.fail("ipmi_sim is missing: apt install openipmi")
    pytest.skip("ipmi_sim is missing: apt install openipmi")


@dataclass
class Bench(BmcBench):
    """One BMC that speaks IPMI."""

    guid: str = GUID

    def start(self) -> None:
        """Start the BMC and wait until it answers."""
        words = {"name": "bench", "port": self.port, "guid": self.guid.replace("-", ""), "directory": self.directory}
        (self.directory / "lan.conf").write_text(LAN_CONF.format(**words, user=USER, password=PASSWORD))
        (self.directory / "host.emu").write_text(HOST_EMU)
        self.make_machine()
        command = ["ipmi_sim", "-n", "-c", "lan.conf", "-f", "host.emu", "-s", str(self.directory)]
        self._bmc = subprocess.Popen(
            command, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._wait_until_it_answers()

    def _wait_until_it_answers(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(0.2)
            asking.connect(("127.0.0.1", self.port))
            for _ in range(100):
                try:
                    asking.send(PRESENCE_PING)
                    asking.recv(64)
                except OSError:
                    time.sleep(0.05)
                else:
                    return
        raise RuntimeError("ipmi_sim does not answer")

    def switch(
        self,
        host: str = "hv1",
        user: str = USER,
        password: str = PASSWORD,
        *,
        privilege: str | None = None,
        cipher: int | None = None,
        deadline_seconds: float = 15,
    ) -> IpmiSwitch:
        return IpmiSwitch(
            host,
            "127.0.0.1",
            self.port,
            user,
            SecretStr(password),
            privilege=privilege,
            cipher=cipher,
            deadline_seconds=deadline_seconds,
        )


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        return int(holder.getsockname()[1])


@contextmanager
def bench(directory: Path, guid: str = GUID) -> Iterator[Bench]:
    """Start a BMC on a free port; it is gone afterwards."""
    skip_without_ipmi_sim()
    bmc = Bench(directory, free_udp_port(), guid)
    try:
        bmc.start()
        yield bmc
    finally:
        bmc.stop()
