"""A throw-away certificate authority, in the files that libvirt looks for."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Certificate:
    """A certificate with its key, both as PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """Signs what the lab needs; nobody outside the lab trusts it."""

    def __init__(self, name: str = "balancer lab") -> None:
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._own = self._sign(self._name, self._key, DAY, x509.BasicConstraints(ca=True, path_length=0))

    @property
    def certificate(self) -> bytes:
        """What others have to know to trust it."""
        return self._own.public_bytes(serialization.Encoding.PEM)

    def issue(self, name: str, address: str = "127.0.0.1", lifetime: datetime.timedelta = DAY) -> Certificate:
        """Sign for a host or a client; one with a negative lifetime has expired already."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        places = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ipaddress.ip_address(address))])
        key = ec.generate_private_key(ec.SECP256R1())
        signed = self._sign(subject, key, lifetime, x509.BasicConstraints(ca=False, path_length=None), places)
        return Certificate(signed.public_bytes(serialization.Encoding.PEM), pem(key))

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        lifetime: datetime.timedelta,
        *extensions: x509.ExtensionType,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - 2 * DAY).not_valid_after(now + lifetime)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(self._key, hashes.SHA256())


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def write_client(directory: Path, trusted: bytes, client: Certificate) -> Path:
    """What `?pkipath=DIRECTORY` in a URI makes libvirt use."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "cacert.pem").write_bytes(trusted)
    write_pair(directory, "client", client)
    return directory


def write_host(directory: Path, trusted: bytes, host: Certificate) -> None:
    """What a host finds in its /etc/pki: it is a server, and a client of the others when it hands a guest over."""
    (directory / "CA").mkdir(parents=True)
    (directory / "CA/cacert.pem").write_bytes(trusted)
    for part in ("server", "client"):
        write_pair(directory / "libvirt", part, host)
    write_qemu(directory / "qemu", trusted, host)


def write_qemu(directory: Path, trusted: bytes, host: Certificate) -> None:
    """What QEMU itself encrypts a migration with; it has names of its own for the same things."""
    directory.mkdir()
    (directory / "ca-cert.pem").write_bytes(trusted)
    for part in ("server", "client"):
        (directory / f"{part}-cert.pem").write_bytes(host.certificate)
        key = directory / f"{part}-key.pem"
        key.touch(mode=0o600)
        key.write_bytes(host.key)


def write_pair(directory: Path, part: str, pair: Certificate) -> None:
    """The certificate, and its key where libvirt looks for it: beside it, or in `private`."""
    directory.mkdir(exist_ok=True)
    (directory / f"{part}cert.pem").write_bytes(pair.certificate)
    place = directory / "private" if directory.name == "libvirt" else directory
    place.mkdir(exist_ok=True)
    key = place / f"{part}key.pem"
    key.touch(mode=0o600)
    key.write_bytes(pair.key)
