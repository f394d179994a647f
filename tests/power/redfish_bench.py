"""A bench of BMCs that speak Redfish: sushy-tools' emulator on a loopback port."""

from __future__ import annotations

import importlib.util
import ipaddress
import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from balancer.power.redfish import RedfishSwitch
from tests.power.bmc_bench import GUID, PASSWORD, USER, BmcBench

EMULATOR = Path(__file__).with_name("redfish_emulator.py")


def skip_without_emulator() -> None:
    """Leave the test out where there is no emulator; on CI that is a failure."""
    if all(importlib.util.find_spec(name) for name in ("sushy", "sushy_tools", "bcrypt")):
        return
    if os.environ.get("CI") == "true":
        pytest.fail("the Redfish emulator is missing: pip install sushy sushy-tools")
    pytest.skip("the Redfish emulator is missing: pip install sushy sushy-tools")


@dataclass
class Bench(BmcBench):
    """One BMC that speaks Redfish. systems: the UUIDs of what the BMC manages; the machine is the first."""

    systems: tuple[str, ...] = (GUID,)
    watts: float | None = 143.0

    @property
    def certificate(self) -> Path:
        return self.directory / "bmc.pem"

    @property
    def log(self) -> str:
        return (self.directory / "bmc.log").read_text()

    def start(self) -> None:
        """Start the BMC and wait until it answers."""
        self.make_machine()
        make_certificate(self.certificate, self.directory / "bmc.key")
        (self.directory / "htpasswd").write_text(f"{USER}:{hash_of(PASSWORD)}\n")
        (self.directory / "config.json").write_text(json.dumps(self._config()))
        with (self.directory / "bmc.log").open("w") as log:
            command = [sys.executable, str(EMULATOR), str(self.directory / "config.json")]
            self._bmc = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._wait_until_it_listens()

    def _config(self) -> dict[str, object]:
        systems = [
            {"uuid": one, "name": f"node-{number}", "power_state": "On", "nics": []}
            for number, one in enumerate(self.systems)
        ]
        measured = {} if self.watts is None else {"watts": self.watts}
        return {
            "SUSHY_EMULATOR_FAKE_DRIVER": True,
            "SUSHY_EMULATOR_FAKE_SYSTEMS": systems,
            "SUSHY_EMULATOR_STATE_DIR": str(self.directory),
            "SUSHY_EMULATOR_AUTH_FILE": str(self.directory / "htpasswd"),
            "program": str(self.directory / "chassis.sh"),
            "port": self.port,
            "certificate": str(self.certificate),
            "key": str(self.directory / "bmc.key"),
            **measured,
        }

    def _wait_until_it_listens(self) -> None:
        for _ in range(400):
            if listens(self.port):
                return
            time.sleep(0.05)
        raise RuntimeError(f"the Redfish emulator does not answer: {self.log}")

    def switch(
        self,
        user: str = USER,
        password: str = PASSWORD,
        *,
        system: str | None = None,
        verify: bool | str | None = None,
        deadline_seconds: float = 30,
    ) -> RedfishSwitch:
        return RedfishSwitch(
            "hv1",
            "127.0.0.1",
            self.port,
            user,
            SecretStr(password),
            system=system,
            verify=str(self.certificate) if verify is None else verify,
            deadline_seconds=deadline_seconds,
        )


def listens(port: int) -> bool:
    """Whether somebody takes connections at a port of this machine."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def hash_of(password: str) -> str:
    import bcrypt

    hashed: bytes = bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds=4))
    return hashed.decode()


def make_certificate(certificate: Path, key_file: Path) -> None:
    """Make a certificate for 127.0.0.1 that nobody signed but itself, as BMCs come with."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"bmc-{uuid.uuid4().hex[:8]}")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def free_tcp_port() -> int:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        return int(holder.getsockname()[1])


@contextmanager
def bench(directory: Path, systems: tuple[str, ...] = (GUID,), watts: float | None = 143.0) -> Iterator[Bench]:
    """Start a BMC on a free port; it is gone afterwards."""
    skip_without_emulator()
    bmc = Bench(directory, free_tcp_port(), systems, watts)
    try:
        bmc.start()
        yield bmc
    finally:
        bmc.stop()
