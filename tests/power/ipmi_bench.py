"""A bench of BMCs: ipmi_sim on a loopback port, and a machine that is a file saying whether it has power."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydantic import SecretStr

from balancer.power.ipmi import IpmiSwitch

GUID = "a1234567-89ab-cdef-a123-456789abcdef"
USER, PASSWORD = "admin", "s3cret-word"

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
# The machine: `power` holds 0 or 1, `wishes` what was asked of it. Its operating system obeys a soft shutdown.
CHASSIS = """\
#!/bin/sh
cd "$(dirname "$0")" || exit 1
case "$2 $3 $4" in
    "get power "*) echo "power:$(cat power)" ;;
    "set power "*) echo "power $4" >>wishes; echo "$4" >power ;;
    "set shutdown 1") echo shutdown >>wishes; echo 0 >power ;;
    *) echo "$3:0" ;;
esac
exit 0
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
class Bench:
    """One BMC and its machine."""

    directory: Path
    port: int
    guid: str = GUID
    _bmc: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start the BMC and wait until it answers."""
        words = {"name": "bench", "port": self.port, "guid": self.guid.replace("-", ""), "directory": self.directory}
        (self.directory / "lan.conf").write_text(LAN_CONF.format(**words, user=USER, password=PASSWORD))
        (self.directory / "host.emu").write_text(HOST_EMU)
        (self.directory / "power").write_text("1\n")
        (self.directory / "wishes").write_text("")
        chassis = self.directory / "chassis.sh"
        chassis.write_text(CHASSIS)
        chassis.chmod(0o755)
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

    def stop(self) -> None:
        """Take the BMC away, frozen or not."""
        if self._bmc is not None:
            self._bmc.kill()
            self._bmc.wait()
            self._bmc = None

    def freeze(self) -> None:
        """Let the BMC take packets and never answer."""
        assert self._bmc is not None
        self._bmc.send_signal(signal.SIGSTOP)

    @property
    def has_power(self) -> bool:
        return (self.directory / "power").read_text().strip() == "1"

    @has_power.setter
    def has_power(self, on: bool) -> None:
        (self.directory / "power").write_text(f"{int(on)}\n")

    @property
    def wishes(self) -> list[str]:
        """What the machine was asked for, in order."""
        return (self.directory / "wishes").read_text().splitlines()

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
