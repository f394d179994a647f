"""SSH to the lab's hosts with throw-away keys, past the machine's own configuration of SSH."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from .hosts import Host

SHADOW = "root:*:19000:0:99999:7:::\nsshd:!:19000::::::\n"
"""Nobody has a password; root may come in by key, which sshd refuses to one whose account is locked."""


def write_files(hosts: Iterable[Host], client: Path) -> None:
    """For each host an sshd with a key of its own, and for the machine a key that all of them accept."""
    client.mkdir(mode=0o700)
    accepted = new_key(client / "key")
    known = [f"{host.address} {write_host(host, accepted)}" for host in hosts]
    (client / "known_hosts").write_text("".join(line + "\n" for line in known))
    write_program(client / "ssh", client / "known_hosts")


def write_host(host: Host, accepted: str) -> str:
    """Write an sshd's files; returns its public key."""
    directory = host.directory / "ssh"
    directory.mkdir()
    (directory / "shadow").write_text(SHADOW)
    (directory / "authorized_keys").write_text(accepted + "\n")
    public = new_key(directory / "host_key")
    (directory / "sshd_config").write_text(f"""\
ListenAddress {host.address}
HostKey {directory}/host_key
AuthorizedKeysFile {directory}/authorized_keys
AuthenticationMethods publickey
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
UseDNS no
PidFile none
""")
    return public


def new_key(path: Path) -> str:
    """Write a private key; returns the public one as a line."""
    key = ed25519.Ed25519PrivateKey.generate()
    form = serialization.PrivateFormat.OpenSSH
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    openssh = serialization.Encoding.OpenSSH
    return key.public_key().public_bytes(openssh, serialization.PublicFormat.OpenSSH).decode()


def write_program(path: Path, known_hosts: Path) -> None:
    """An `ssh` for `?command=` in a URI: libvirt has no parameter for the file of known hosts."""
    options = f"-F none -o UserKnownHostsFile={known_hosts} -o GlobalKnownHostsFile=/dev/null -o IdentitiesOnly=yes"
    path.write_text(f'#!/bin/sh\nexec ssh {options} -o IdentityAgent=none "$@"\n')
    os.chmod(path, 0o755)
