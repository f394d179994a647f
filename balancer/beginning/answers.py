"""The answers that `init` asks for, and the site that they describe."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from balancer.beginning.named import Named, filled, hosts_named, spread
from balancer.domain.site_file import SiteFile
from balancer.errors import Fault, InputError
from balancer.formats import read_text

BmcKind = Literal["ipmi", "redfish"]


@dataclass(frozen=True)
class Answers:
    """What somebody says about a new site. Empty where it is left out."""

    cluster: str
    hosts: str
    uri: str
    peer_uri: str
    migration_uri: str
    bmc: str
    bmc_kind: BmcKind
    bmc_user: str
    secret: str
    store: str


def described(answers: Answers) -> SiteFile:
    """Return the site that these answers describe; InputError where they do not go together."""
    named = hosts_named(answers.hosts)
    bmcs = _bmcs(answers, named)
    entries = [_entry(answers, host, bmcs.get(host.name)) for host in named]
    site = {
        "schema": "balancer.site/1",
        "cluster": answers.cluster,
        "platform": {"kind": "libvirt"},
        "hosts": entries,
        "store": answers.store,
    }
    # JSON is YAML: the answers pass the same door as a file, and its faults are told in the same words.
    return read_text(json.dumps(site), SiteFile, "your answers")


def _entry(answers: Answers, host: Named, bmc: Mapping[str, Any] | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": host.name, "uri": host.uri or filled(answers.uri, host, "the URI")}
    if answers.peer_uri:
        entry["peer_uri"] = filled(answers.peer_uri, host, "the peers' URI")
    if answers.migration_uri:
        entry["migration_uri"] = filled(answers.migration_uri, host, "the migration URI")
    return entry | ({"bmc": bmc} if bmc else {})


def _bmcs(answers: Answers, named: tuple[Named, ...]) -> dict[str, dict[str, Any]]:
    """Return the BMC of each host: by a pattern over all, or by a list in the hosts' order."""
    if answers.bmc in {"", "none"}:
        return {}
    if not answers.bmc_user:
        raise InputError([Fault("the BMCs", "nobody is named who may ask them", "say --bmc-user")])
    written = list(spread(answers.bmc))
    if len(written) == 1 and "{" in written[0]:
        written = [filled(written[0], host, "the BMCs' addresses") for host in named]
    if len(written) != len(named):
        what = f"{len(written)} addresses for {len(named)} hosts"
        raise InputError(
            [Fault("the BMCs", what, "one for each, in the hosts' order, or a pattern such as {host}-bmc")]
        )
    return {host.name: _bmc(answers, host, where) for host, where in zip(named, written, strict=True)}


def _bmc(answers: Answers, host: Named, where: str) -> dict[str, Any]:
    address, port = _address_and_port(where)
    bmc = {"kind": answers.bmc_kind, "address": address} | ({"port": port} if port else {})
    return bmc | {"user": answers.bmc_user, "secret_ref": f"file:{filled(answers.secret, host, 'the secret')}"}


def _address_and_port(where: str) -> tuple[str, int | None]:
    """Read host:port; what has several colons and no brackets is an IPv6 address."""
    address, colon, port = where.rpartition(":")
    if colon and port.isdigit() and (":" not in address or address.startswith("[")):
        return address.strip("[]"), int(port)
    return where.strip("[]"), None
