"""What hosts took day by day, under which tariff; which wakes came late; what BMCs measured at which load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import bindparam, func, insert, select, update

from balancer.domain.energy import Energy, Wakes
from balancer.domain.fitting import Drawn
from balancer.domain.plan import Action
from balancer.domain.tariff import Tariff
from balancer.store.database import Database
from balancer.store.journal import EntryState
from balancer.store.tables import accounts, counted, draws, journal, late_wakes

LOADS = 10  # readings are kept by tenths of CPU share


@dataclass(frozen=True)
class DayOfHost:
    """What one host took on one day under one tariff."""

    day: date
    host: str
    tariff: Tariff
    energy: Energy


class Accounts:
    """The ledger. It grows by a row a host, day and tariff."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, at: datetime, spent: Mapping[str, Energy], tariff: Tariff) -> None:
        """Add what each host took up to a moment; it counts for that moment's day in UTC."""
        with self._database.writing("keep the energy accounts") as connection:
            key = {"day": at.date().isoformat(), "tariff": tariff.text}
            here = (accounts.c.day == key["day"]) & (accounts.c.tariff == key["tariff"])
            known = set(connection.execute(select(accounts.c.host).where(here)).scalars())
            parts = {host: dict(zip(_COLUMNS, energy.parts, strict=True)) for host, energy in spent.items()}
            begun = [{**key, "host": host, **parts[host]} for host in parts if host not in known]
            if begun:
                connection.execute(insert(accounts), begun)
            # All hosts by one statement: to write one for each takes a second for some hundreds of hosts.
            grown = [{"of_host": host, **_as_more(parts[host])} for host in parts if host in known]
            if grown:
                more = {name: accounts.c[name] + bindparam(more) for name, more in zip(_COLUMNS, _MORE, strict=True)}
                of_host = accounts.c.host == bindparam("of_host")
                connection.execute(update(accounts).where(here, of_host).values(more), grown)
            if not connection.execute(update(counted).values(at=at)).rowcount:
                connection.execute(insert(counted).values(one=1, at=at))

    def counted_until(self) -> datetime | None:
        """Return up to when the accounts are kept; None where they are not begun."""
        with self._database.reading("read the energy accounts") as connection:
            return connection.execute(select(counted.c.at)).scalar_one_or_none()

    def between(self, first: date, last: date) -> tuple[DayOfHost, ...]:
        """Return what was taken from one day to another, both of them too, by day and host."""
        days = accounts.c.day.between(first.isoformat(), last.isoformat())
        question = select(accounts).where(days).order_by(accounts.c.day, accounts.c.host, accounts.c.tariff)
        with self._database.reading("read the energy accounts") as connection:
            return tuple(
                DayOfHost(
                    date.fromisoformat(row.day),
                    row.host,
                    Tariff.of(row.tariff),
                    Energy(*(getattr(row, name) for name in _COLUMNS)),
                )
                for row in connection.execute(question)
            )

    def note_late(self, at: datetime) -> None:
        """Remember that hosts which are being woken now are needed already."""
        waking = (journal.c.action == Action.POWER_ON) & (journal.c.state == EntryState.BEGUN)
        with self._database.writing("note late wakes") as connection:
            known = select(late_wakes.c.entry)
            for entry in connection.execute(select(journal.c.id).where(waking, journal.c.id.not_in(known))).scalars():
                connection.execute(insert(late_wakes).values(entry=entry, at=at))

    def wakes_between(self, since: datetime, until: datetime) -> Wakes:
        """Count the wakes that began in [since, until)."""
        begun = (journal.c.action == Action.POWER_ON) & (journal.c.at >= since) & (journal.c.at < until)
        is_late = journal.c.id.in_(select(late_wakes.c.entry))
        with self._database.reading("count the wakes") as connection:

            def count(*conditions: object) -> int:
                found = connection.execute(select(func.count()).select_from(journal).where(begun, *conditions))  # type: ignore[arg-type]
                return int(found.scalar_one())

            done = journal.c.state == EntryState.DONE
            return Wakes(count(done, ~is_late), count(done, is_late), count(journal.c.state == EntryState.FAILED))

    def note_draw(self, host: str, cpu_share: float, watts: float) -> None:
        """Remember what a host's BMC measured at a load."""
        load = min(int(cpu_share * LOADS), LOADS - 1)
        with self._database.writing("keep what BMCs measured") as connection:
            here = (draws.c.host == host) & (draws.c.load == load)
            grown = {
                "readings": draws.c.readings + 1,
                "cpu_share": draws.c.cpu_share + cpu_share,
                "watts": draws.c.watts + watts,
            }
            if not connection.execute(update(draws).where(here).values(grown)).rowcount:
                first = {"host": host, "load": load, "readings": 1, "cpu_share": cpu_share, "watts": watts}
                connection.execute(insert(draws).values(first))

    def drawn(self) -> dict[str, tuple[Drawn, ...]]:
        """Return what BMCs measured, by host."""
        with self._database.reading("read what BMCs measured") as connection:
            rows = connection.execute(select(draws).order_by(draws.c.host, draws.c.load)).all()
        found: dict[str, tuple[Drawn, ...]] = {}
        for row in rows:
            mean = Drawn(row.cpu_share / row.readings, row.watts / row.readings, row.readings)
            found[row.host] = (*found.get(row.host, ()), mean)
        return found


def _as_more(parts: Mapping[str, float]) -> dict[str, float]:
    return {f"more_{name}": part for name, part in parts.items()}


_COLUMNS = ("kwh", "kwh_all_on", "kwh_alone", "kwh_measured", "kwh_modelled", "hours_on", "hours_asleep")
_MORE = tuple(f"more_{name}" for name in _COLUMNS)
