"""Which storage pools and networks a host had before it was put to sleep: it is not ready before it has them again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, insert, select

from balancer.domain.host import Host
from balancer.store.database import Database
from balancer.store.tables import equipment


@dataclass(frozen=True)
class Equipment:
    """What guests find on a host."""

    pools: frozenset[str] = frozenset()
    networks: frozenset[str] = frozenset()

    @classmethod
    def of(cls, host: Host) -> Equipment:
        return cls(frozenset(host.pools or ()), frozenset(host.networks or ()))

    def lacking_on(self, host: Host) -> str:
        """Say which of it a host does not have (yet); empty where it has all."""
        here = Equipment.of(host)
        lacking = [f"storage pool {name}" for name in sorted(self.pools - here.pools)]
        lacking += [f"network {name}" for name in sorted(self.networks - here.networks)]
        return ", ".join(lacking[:5])


NOTHING: Final = Equipment()


class Equipments:
    """What each host had when it was last asked to shut down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, host: str, had: Equipment) -> None:
        """Remember what a host has before it goes."""
        with self._database.writing(f"note what {host} has") as connection:
            connection.execute(delete(equipment).where(equipment.c.host == host))
            row = {"host": host, "pools": json.dumps(sorted(had.pools)), "networks": json.dumps(sorted(had.networks))}
            connection.execute(insert(equipment).values(**row))

    def of(self, host: str) -> Equipment:
        """Return what a host had before it went; nothing where it never did."""
        with self._database.reading(f"read what {host} had") as connection:
            row = connection.execute(select(equipment).where(equipment.c.host == host)).one_or_none()
        if row is None:
            return NOTHING
        return Equipment(frozenset(json.loads(row.pools)), frozenset(json.loads(row.networks)))
