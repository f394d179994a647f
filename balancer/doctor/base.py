"""What a check is given, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from balancer.beginning.finding import Found, find
from balancer.domain.site_file import SiteFile
from balancer.errors import BalancerError
from balancer.formats import read
from balancer.policy import Loaded, load
from balancer.settings import Settings
from balancer.site import store_password
from balancer.store import Store
from balancer.store.examining import StoreFound, examine_store


class Standing(StrEnum):
    """How something stands. `unseen`: it could not be looked at from here, and nobody says that it is well."""

    OK = "ok"
    UNSEEN = "unseen"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True)
class Finding:
    """One answer of a check: about what, how it stands, in words, and what to do."""

    standing: Standing
    words: str
    way_out: str = ""
    about: str = ""
    check: str = ""


@dataclass(frozen=True)
class Check:
    """A name and what finds out. A check that has nothing to look at yields nothing."""

    name: str
    find: Callable[[Examined], Iterable[Finding]]

    def made(self, world: Examined) -> list[Finding]:
        """Return its findings under its name; an error in words becomes a fault."""
        found: list[Finding] = []
        try:
            found.extend(self.find(world))
        except BalancerError as failed:
            found.append(Finding(Standing.FAULT, str(failed)))
        return [Finding(each.standing, each.words, each.way_out, each.about, self.name) for each in found]


class Examined:
    """The world that is looked at: each part when it is first asked for, and once. Nothing of it is changed."""

    def __init__(self, settings: Settings, now: datetime, deadline_seconds: float) -> None:
        self.settings, self.now, self.deadline_seconds = settings, now, deadline_seconds

    @cached_property
    def site(self) -> SiteFile | None:
        """The site file; None where none is named, or it cannot be read, which a check of its own says."""
        try:
            return read(self.settings.site, SiteFile) if self.settings.site else None
        except BalancerError:
            return None

    @cached_property
    def policy(self) -> Loaded | None:
        """The policy; None where it cannot be read, which a check of its own says."""
        try:
            return load(self.settings.policy, self.site.cluster if self.site else None)
        except BalancerError:
            return None

    @cached_property
    def found(self) -> Found | None:
        """What hypervisors and BMCs say; None where there is no site of real hosts, or no package to ask them."""
        if self.site is None or self.site.platform.kind != "libvirt":
            return None
        try:
            return find(self.site, self.settings.secrets, self.deadline_seconds)
        except BalancerError:
            return None

    @cached_property
    def store(self) -> StoreFound | None:
        """What is in the store, read and never written; None without a site."""
        if self.site is None:
            return None
        return examine_store(self.site.store, store_password(self.site, self.settings.secrets))

    @property
    def remembered(self) -> Store | None:
        """The store itself, for reading; None where it is not there yet, or not of this version."""
        return self.store.opened if self.store is not None else None

    def close(self) -> None:
        """Let go of the store."""
        if "store" in self.__dict__ and self.remembered is not None:
            self.remembered.close()
