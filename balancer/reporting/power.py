"""What is known of each host's power: what it says now, what has been proven of it, how its last switching went."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Group
from rich.table import Table
from rich.text import Text

from balancer.domain.units import in_words

SECONDS_A_DAY = 86400.0
WORDS_OF_BMCS = ("on", "off", "unknown")
TITLES = (
    "host",
    "BMC says",
    "hypervisor",
    "asleep since",
    "wake proven",
    "boots within",
    "last switched",
    "last power test",
    "left the power scheme",
)


@dataclass(frozen=True)
class HostPower:
    """One host. `boot_seconds` is what nineteen of twenty of its last `boots` did not exceed."""

    host: str
    bmc_says: str
    answers: bool
    asleep_since: datetime | None = None
    wake_proven_at: datetime | None = None
    boot_seconds: float | None = None
    boots: int = 0
    last: str = ""
    last_at: datetime | None = None
    quarantined_since: datetime | None = None
    quarantined_why: str = ""
    tested_at: datetime | None = None
    test_result: str = ""
    test_words: str = ""

    @property
    def bmc_is_heard(self) -> bool:
        """Whether its BMC said something about its power; else `bmc_says` is why it did not."""
        return self.bmc_says in WORDS_OF_BMCS


def power_text(hosts: Sequence[HostPower], now: datetime) -> Group:
    """Draw what is known, a row a host; below it what is wrong with BMCs, hosts and tests."""
    complaints = [Text(said, style="yellow") for host in hosts for said in _complaints(host)]
    return Group(power_table(hosts, now), *([Text("")] if complaints else []), *complaints)


def power_table(hosts: Iterable[HostPower], now: datetime) -> Table:
    """Draw what is known, a row a host."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in TITLES:
        table.add_column(title)
    for host in hosts:
        table.add_row(
            host.host,
            host.bmc_says if host.bmc_is_heard else "cannot be asked",
            "answers" if host.answers else "silent",
            f"{host.asleep_since:%Y-%m-%d %H:%M}" if host.asleep_since else "",
            _age(host.wake_proven_at, now),
            f"{in_words(host.boot_seconds)} ({host.boots})" if host.boot_seconds is not None else "",
            f"{host.last_at:%Y-%m-%d %H:%M} {host.last}" if host.last_at else "",
            _test(host, now),
            f"{host.quarantined_since:%Y-%m-%d %H:%M}" if host.quarantined_since else "",
        )
    return table


def _complaints(host: HostPower) -> Iterator[str]:
    if not host.bmc_is_heard:
        yield host.bmc_says
    if host.quarantined_since is not None:
        yield f"{host.host} left the power scheme: {host.quarantined_why}; when mended: balancer power test {host.host}"
    elif host.test_result == "failed":
        yield f"{host.host} was not tested: {host.test_words}"


def _test(host: HostPower, now: datetime) -> str:
    return f"{_age(host.tested_at, now)} {host.test_result}" if host.tested_at is not None else ""


def _age(proven: datetime | None, now: datetime) -> str:
    if proven is None:
        return "never"
    days = (now - proven).total_seconds() / SECONDS_A_DAY
    return f"{proven:%Y-%m-%d %H:%M} ({days:.0f} d ago)"


def power_json(hosts: Iterable[HostPower], now: datetime) -> str:
    """Say the same for programs; the age of a proof in days."""
    return json.dumps([_facts(host, now) for host in hosts], indent=2)


def _facts(host: HostPower, now: datetime) -> dict[str, object]:
    proven = host.wake_proven_at
    return {
        "host": host.host,
        "bmc_says": host.bmc_says,
        "hypervisor_answers": host.answers,
        "asleep_since": _moment(host.asleep_since),
        "wake_proven_at": _moment(proven),
        "proof_age_days": None if proven is None else round((now - proven).total_seconds() / SECONDS_A_DAY, 2),
        "boot_seconds_p95": host.boot_seconds,
        "boots": host.boots,
        "last": host.last or None,
        "last_at": _moment(host.last_at),
        "tested_at": _moment(host.tested_at),
        "test_result": host.test_result or None,
        "test_words": host.test_words or None,
        "quarantined_since": _moment(host.quarantined_since),
        "quarantined_why": host.quarantined_why or None,
    }


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
