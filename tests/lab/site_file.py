"""Writes the lab down as balancer.site/1, and the BMC passwords as files beside it."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from . import bmc
from .hosts import Host

CAPACITY = {"cpu_cores": 2, "memory_mib": 1024}
"""What each host claims to have: the machine's own figures would let every guest fit everywhere."""


def host_entry(host: Host) -> dict[str, Any]:
    return {
        "name": host.name,
        "uri": host.uri,
        "peer_uri": host.uri,
        "migration_uri": f"tcp://{host.address}",
        "bmc": {
            "kind": "ipmi",
            "address": "127.0.0.1",
            "port": bmc.factory_port(host),
            "user": bmc.USER,
            "secret_ref": f"file:{host.name}-bmc",
        },
        "may_sleep": True,
        "capacity": CAPACITY,
    }


def write(path: Path, hosts: Iterable[Host], changes: Mapping[str, Mapping[str, Any]], **top: Any) -> None:
    """`changes` are merged into the entries of the hosts they name; a None removes a key."""
    entries = [without_none({**host_entry(host), **changes.get(host.name, {})}) for host in hosts]
    sections = {"schema": "balancer.site/1", "cluster": "lab", "platform": {"kind": "libvirt"}, **top}
    lines = [f"{key}: {json.dumps(value)}" for key, value in without_none(sections).items()]
    # JSON on one line is YAML, so no YAML library is needed here.
    lines += ["hosts:", *(f"  - {json.dumps(entry)}" for entry in entries)]
    path.write_text("\n".join(lines) + "\n")


def without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def write_secrets(directory: Path, hosts: Iterable[Host]) -> None:
    directory.mkdir(mode=0o700)
    for host in hosts:
        secret = directory / f"{host.name}-bmc"
        secret.touch(mode=0o600)
        secret.write_text(bmc.PASSWORD)
