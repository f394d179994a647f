"""What is remembered of each host: cordoned, asleep by us, proven to wake, proven to be its BMC's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, select, true, update

from balancer.store.boots import note_boot
from balancer.store.database import Database
from balancer.store.tables import marks


class CordonedBy(StrEnum):
    """Who closed a host to guests; the balancer lifts its own cordons alone."""

    BALANCER = "balancer"
    OPERATOR = "operator"


class ProofMethod(StrEnum):
    """How a BMC was proven to be its host's own."""

    GUID = "guid"
    WITNESSED = "witnessed"


@dataclass(frozen=True)
class Cordon:
    """A host that takes no guests: since when, by whom, why."""

    since: datetime
    by: CordonedBy
    why: str


@dataclass(frozen=True)
class Quarantine:
    """A host that left the power scheme until it is tested again: since when, why."""

    since: datetime
    why: str


@dataclass(frozen=True)
class IdentityProof:
    """That the BMC at this address, with this GUID, switches the machine with this hypervisor UUID."""

    at: datetime
    method: ProofMethod
    address: str
    guid: str | None
    uuid: str | None

    def covers(self, address: str, guid: str | None, uuid: str | None) -> bool:
        """Whether it is still about this BMC and this machine: a changed address, GUID or hypervisor UUID voids it."""
        return (self.address, self.guid) == (address, guid) and uuid is not None and self.uuid == uuid


@dataclass(frozen=True)
class HostMarks:
    """All that is remembered of one host."""

    host: str
    cordon: Cordon | None = None
    asleep_since: datetime | None = None
    wake_proven_at: datetime | None = None
    boot_seconds: float | None = None  # nineteen of twenty boots took no longer
    quarantine: Quarantine | None = None
    identity: IdentityProof | None = None

    @property
    def asleep_by_us(self) -> bool:
        return self.asleep_since is not None

    @property
    def is_lost(self) -> bool:
        """Whether it was to wake and did not: it sleeps by our hand, and has left the power scheme."""
        return self.asleep_by_us and self.quarantine is not None


class Marks:
    """The marks of all hosts. Setting a mark that is set already changes nothing, so it may be done again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, host: str) -> HostMarks:
        """Return what is remembered of a host."""
        with self._database.reading(f"read the marks of {host}") as connection:
            row = connection.execute(select(marks).where(marks.c.host == host)).one_or_none()
        return HostMarks(host) if row is None else _marks(row)

    def all(self) -> Mapping[str, HostMarks]:
        """Return what is remembered, by host."""
        with self._database.reading("read the marks") as connection:
            return marks_in(connection)

    def cordon(self, host: str, why: str, at: datetime, by: CordonedBy = CordonedBy.BALANCER) -> None:
        """Close a host to guests; a cordon that stands already stays whose it is."""
        is_open = marks.c.cordoned_since.is_(None)
        self._set(host, only_if=is_open, cordoned_since=at, cordoned_by=by, cordoned_why=why)

    def uncordon(self, host: str, by: CordonedBy = CordonedBy.BALANCER) -> bool:
        """Open a host to guests; False where it stays closed, since the balancer lifts no operator's cordon."""
        mine = true() if by is CordonedBy.OPERATOR else marks.c.cordoned_by == CordonedBy.BALANCER
        self._set(host, only_if=mine, cordoned_since=None, cordoned_by=None, cordoned_why=None)
        return self.of(host).cordon is None

    def fell_asleep(self, host: str, at: datetime) -> None:
        """Remember that the balancer put a host to sleep, so that it may wake it."""
        self._set(host, only_if=marks.c.asleep_since.is_(None), asleep_since=at)

    def woke(self, host: str) -> None:
        """Remember that a host is awake again."""
        self._set(host, asleep_since=None)

    def prove_wake(self, host: str, at: datetime, boot_seconds: float | None = None) -> None:
        """Remember that a host was seen to wake, and how long it took beside its boots of before."""
        self._set(host, wake_proven_at=at)
        if boot_seconds is not None:
            with self._database.writing(f"note a boot of {host}") as connection:
                slow = note_boot(connection, host, at, boot_seconds)
                connection.execute(update(marks).where(marks.c.host == host).values(boot_seconds=slow))

    def prove_identity(self, host: str, proof: IdentityProof) -> None:
        """Remember whose BMC it is."""
        self._set(
            host,
            identity_at=proof.at,
            identity_method=proof.method,
            identity_address=proof.address,
            identity_guid=proof.guid,
            identity_uuid=proof.uuid,
        )

    def quarantine(self, host: str, why: str, at: datetime) -> None:
        """Take a host out of the power scheme until it is tested again; its wake is proven no longer."""
        self._set(host, quarantined_since=at, quarantined_why=why, wake_proven_at=None)

    def release(self, host: str) -> None:
        """Take a host back into the power scheme."""
        self._set(host, quarantined_since=None, quarantined_why=None)

    def _set(self, host: str, only_if: ColumnElement[bool] | None = None, **values: Any) -> None:
        here = marks.c.host == host
        with self._database.writing(f"mark {host}") as connection:
            if connection.execute(select(marks.c.host).where(here)).one_or_none() is None:
                connection.execute(insert(marks).values(host=host))
            wanted = here if only_if is None else here & only_if
            connection.execute(update(marks).where(wanted).values(**values))


def marks_in(connection: Connection) -> Mapping[str, HostMarks]:
    """Return what is remembered, by host."""
    return {row.host: _marks(row) for row in connection.execute(select(marks))}


def _marks(row: Row[Any]) -> HostMarks:
    return HostMarks(
        host=row.host,
        cordon=_cordon(row),
        asleep_since=row.asleep_since,
        wake_proven_at=row.wake_proven_at,
        boot_seconds=row.boot_seconds,
        quarantine=Quarantine(row.quarantined_since, row.quarantined_why) if row.quarantined_since else None,
        identity=_identity(row),
    )


def _cordon(row: Row[Any]) -> Cordon | None:
    if row.cordoned_since is None:
        return None
    return Cordon(row.cordoned_since, CordonedBy(row.cordoned_by), row.cordoned_why)


def _identity(row: Row[Any]) -> IdentityProof | None:
    if row.identity_at is None:
        return None
    method = ProofMethod(row.identity_method)
    return IdentityProof(row.identity_at, method, row.identity_address, row.identity_guid, row.identity_uuid)
