"""What can go wrong, by who can answer it.

    BalancerError
      InputError        a file that somebody wrote: names file, line and what to write instead
        PolicyError       ... the author of the policy
      SiteError         the site: names host, operation and cause; the cycle reports it and tries again next time
        PlatformError     ... a hypervisor
        PowerError        ... a BMC
        StoreError        ... the journal's own database
        HistoryError      ... a history server
        NoticeError       ... somewhere that messages go to
      MissingExtra      an optional library is not installed: says which extra to install

Anything else is a fault of ours and keeps its traceback.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from balancer.masking import masked


class Prospect(StrEnum):
    """Whether it is worth trying again what has failed."""

    NEVER_HERE = "never here"  # neither time nor another try helps: this guest, on that host, as both are
    LATER = "later"  # something is busy, full or away for the moment
    UNKNOWN = "unknown"  # nobody can tell


class BalancerError(Exception):
    """Something that an operator can answer."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Python's own way would call the class with the sentence alone, where it wants what the sentence is made of.
        return _again, (type(self), self.args), self.__dict__


def _again(kind: type[BalancerError], args: tuple[Any, ...]) -> BalancerError:
    """Make an error that was raised in another process once more."""
    error = kind.__new__(kind)
    error.args = args
    return error


@dataclass(frozen=True)
class Fault:
    """One thing wrong in a file: where it stands, what it is, and what to write instead."""

    place: str  # "policy.yaml:12"
    what: str
    instead: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.what}" + (f"; {self.instead}" if self.instead else "")


class InputError(BalancerError):
    """A file cannot be used; carries every fault found in it, not the first alone."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


class PolicyError(InputError):
    """A policy cannot be used."""


class SiteError(BalancerError):
    """Something at the site did not work: which host, what was tried, why it failed, what to do."""

    def __init__(self, subject: str, operation: str, cause: str, way_out: str = "") -> None:
        # What others say about a failure goes from here into logs, pages, audit and journal.
        operation, cause = masked(operation), masked(cause)
        super().__init__(f"{subject}: {operation}: {cause}" + (f" ({way_out})" if way_out else ""))
        self.subject = subject
        self.operation = operation
        self.cause = cause
        self.way_out = way_out


class PlatformError(SiteError):
    """A hypervisor did not do, or did not answer, what it was asked; `prospect`: whether it may, another time."""

    def __init__(
        self, subject: str, operation: str, cause: str, way_out: str = "", prospect: Prospect = Prospect.UNKNOWN
    ) -> None:
        super().__init__(subject, operation, cause, way_out)
        self.prospect = prospect


class PowerError(SiteError):
    """A BMC did not do, or did not answer, what it was asked."""


class StoreError(SiteError):
    """The store (journal, marks) cannot be read or written; nothing is done without it."""


class HistoryError(SiteError):
    """A history server did not answer; readings wait in the embedded store meanwhile."""


class NoticeError(SiteError):
    """A message did not arrive, or an Alertmanager did not answer; it is tried again, and nothing waits for it."""


class MissingExtra(BalancerError):
    """An optional library is missing."""

    def __init__(self, wanted_for: str, extra: str) -> None:
        super().__init__(f"{wanted_for} needs a package that is not installed: .venv/bin/pip install -e '.[{extra}]'")
        self.extra = extra
