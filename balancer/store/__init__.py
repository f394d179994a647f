"""What the balancer remembers: what it began, what it knows of each host, who may act, what was done and spent."""

from __future__ import annotations

from datetime import datetime

from balancer.store.accounts import Accounts
from balancer.store.audit import Audit
from balancer.store.boots import Boots
from balancer.store.cycles import Cycles
from balancer.store.database import Database, open_database
from balancer.store.drains import Drains
from balancer.store.endings import Endings
from balancer.store.equipment import Equipments
from balancer.store.failures import Failures
from balancer.store.glance import Glance, glance
from balancer.store.halts import Halts
from balancer.store.journal import Journal
from balancer.store.lease import Lease
from balancer.store.marks import Marks
from balancer.store.memory import Memory
from balancer.store.notices import Notices
from balancer.store.past_migrations import PastMigrations
from balancer.store.power_tests import PowerTests
from balancer.store.proposals import Proposals
from balancer.store.reservations import Reservations
from balancer.store.sightings import Sightings
from balancer.store.tokens import Tokens


class Store:
    """One cluster's memory. Nothing is done to the cluster while it cannot be written."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.journal = Journal(database)
        self.marks = Marks(database)
        self.boots = Boots(database)
        self.equipment = Equipments(database)
        self.power_tests = PowerTests(database)
        self.lease = Lease(database)
        self.audit = Audit(database)
        self.memory = Memory(database)
        self.drains = Drains(database)
        self.accounts = Accounts(database)
        self.past_migrations = PastMigrations(database)
        self.reservations = Reservations(database)
        self.endings = Endings(database, self.journal)
        self.failures = Failures(database)
        self.halts = Halts(database)
        self.sightings = Sightings(database)
        self.proposals = Proposals(database)
        self.tokens = Tokens(database)
        self.cycles = Cycles(database)
        self.notices = Notices(database)

    def glance(self, now: datetime) -> Glance:
        """Read what a look at the world has to know of the past, as it is at one instant."""
        return glance(self._database, now)

    def close(self) -> None:
        self._database.close()


def open_store(url: str, cluster: str = "", password: str | None = None) -> Store:
    """Open the store of a cluster; StoreError where it cannot be, or is another cluster's or version's."""
    return Store(open_database(url, cluster, password))


__all__ = ["Store", "open_store"]
