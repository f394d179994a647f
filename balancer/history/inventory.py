"""What guests and hosts were, and where guests lived: written down when it changes, so that it stays small."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from balancer.domain.cluster import Cluster
from balancer.history.tables import inventory

GUEST, PLACE, HOST = "guest", "place", "host"
OF_A_GUEST: Final = frozenset(
    {"name", "id", "vcpus", "memory_mib", "storage", "disk_gib", "cpu_models", "movable", "why_not", "labels"}
    | {"autostart", "networks", "pools"}
)
OF_A_HOST: Final = frozenset(
    {"name", "id", "cpu_cores", "memory_mib", "reserved", "labels", "cpu_model", "networks", "pools", "power"}
    | {"migration_mib_per_s", "may_sleep", "state", "asleep_by_us"}
)


@dataclass(frozen=True)
class Inventory:
    """Facts by key, as they stand in snapshots; places are hosts by the key of a guest."""

    guests: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    hosts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class InventoryBook:
    """Writes down what has changed since it was last written."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str] | None = None

    def note(self, connection: sa.Connection, cluster: Cluster) -> None:
        """Write down what is new; what is missing is gone only where nothing is in doubt."""
        known = _last(connection) if self._known is None else self._known
        now = {(kind, key): json.dumps(facts, sort_keys=True) for kind, key, facts in _facts(cluster)}
        at = cluster.taken_at.timestamp()
        rows: list[dict[str, object]] = [
            {"at": at, "kind": kind, "key": key, "facts": json.loads(text)}
            for (kind, key), text in now.items()
            if known.get((kind, key)) != text
        ]
        gone = [] if cluster.doubts else [which for which in known if which not in now]
        rows += [{"at": at, "kind": kind, "key": key, "facts": None} for kind, key in gone]
        if rows:
            connection.execute(sa.insert(inventory), rows)
        self._known = {which: text for which, text in (known | now).items() if which not in gone}


def _facts(cluster: Cluster) -> Iterator[tuple[str, str, object]]:
    for vm in cluster.vms:
        yield GUEST, vm.key, vm.model_dump(mode="json", include=set(OF_A_GUEST), exclude_defaults=True)
        if vm.is_active:
            yield PLACE, vm.key, vm.host
    for host in cluster.hosts:
        yield HOST, host.name, host.model_dump(mode="json", include=set(OF_A_HOST), exclude_defaults=True)


def _last(connection: sa.Connection) -> dict[tuple[str, str], str]:
    found = connection.execute(sa.select(inventory.c.kind, inventory.c.key, inventory.c.facts).order_by(inventory.c.id))
    last = {(row.kind, row.key): row.facts for row in found}
    return {which: json.dumps(facts, sort_keys=True) for which, facts in last.items() if facts is not None}


def inventory_at(connection: sa.Connection, at: float) -> Inventory:
    """Return what was there at a moment."""
    chosen = sa.select(inventory).where(inventory.c.at <= at).order_by(inventory.c.id)
    last = {(row.kind, row.key): row.facts for row in connection.execute(chosen)}
    of: dict[str, dict[str, Any]] = {GUEST: {}, PLACE: {}, HOST: {}}
    for (kind, key), facts in last.items():
        if facts is not None:
            of[kind][key] = facts
    return Inventory(of[GUEST], of[PLACE], of[HOST])


def prune(connection: sa.Connection, oldest: float) -> None:
    """Drop what was over before the oldest reading that is kept: what held then, and what came later, stays."""
    row = inventory.c
    held = sa.select(sa.func.max(row.id)).where(row.at <= oldest).group_by(row.kind, row.key)
    is_over = sa.or_(row.id.not_in(held), row.facts.is_(sa.null()))
    connection.execute(sa.delete(inventory).where(row.at <= oldest, is_over))
