"""The guests of the embedded site: a web shop, the office that runs it, and what engineers keep beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from balancer.domain.vm import Movable
from balancer.simulation.curves import Habit, always, evening_shop, nightly, office_hours
from balancer.simulation.machines import GuestSpec

GIB = 1024.0

SHOPPERS = Habit(evening_shop, idle=0.12, busy=0.72, wobble=0.15)
ORDERS = Habit(evening_shop, idle=0.14, busy=0.62)
OFFICE = Habit(office_hours, idle=0.05, busy=0.65, wobble=0.2)
BUILDS = Habit(office_hours, idle=0.04, busy=0.25, spikes=0.3)
NIGHT_WORK = Habit(nightly, idle=0.02, busy=0.42)
STEADY = Habit(always, idle=0.0, busy=0.12)
IDLE = Habit(office_hours, idle=0.05, busy=0.15, spikes=0.03)


@dataclass(frozen=True)
class Kind:
    """Guests that are alike: `name-1`, `name-2`, ..."""

    name: str
    count: int
    vcpus: int
    memory_gib: int
    habit: Habit
    labels: Mapping[str, str]
    dirty_mib_per_s: float = 20.0
    why_never: str = ""  # why it cannot be moved, where it cannot
    apart: bool = False  # they start in different racks, as the policy wants them


FLEET: tuple[Kind, ...] = (
    Kind("db-orders", 2, 16, 64, ORDERS, {"app": "shop", "tier": "db"}, dirty_mib_per_s=180, apart=True),
    Kind("db-customers", 2, 12, 48, ORDERS, {"app": "shop", "tier": "db"}, dirty_mib_per_s=120, apart=True),
    Kind("db-catalogue", 2, 12, 48, ORDERS, {"app": "shop", "tier": "db"}, dirty_mib_per_s=90, apart=True),
    Kind("search", 6, 8, 24, SHOPPERS, {"app": "shop", "tier": "search"}, dirty_mib_per_s=60),
    Kind("cache", 6, 4, 20, SHOPPERS, {"app": "shop", "tier": "cache"}, dirty_mib_per_s=140),
    Kind("web", 32, 4, 8, SHOPPERS, {"app": "shop", "tier": "web"}),
    Kind("api", 24, 4, 8, SHOPPERS, {"app": "shop", "tier": "api"}),
    Kind("payment", 4, 4, 8, ORDERS, {"app": "shop", "tier": "payment"}),
    Kind("queue", 3, 4, 16, ORDERS, {"app": "shop", "tier": "queue"}, dirty_mib_per_s=60),
    Kind("mail", 4, 4, 16, OFFICE, {"app": "office", "tier": "mail"}, dirty_mib_per_s=40),
    Kind("files", 3, 4, 16, OFFICE, {"app": "office", "tier": "files"}, dirty_mib_per_s=50),
    Kind("wiki", 2, 4, 8, OFFICE, {"app": "office", "tier": "web"}),
    Kind("erp", 2, 8, 48, OFFICE, {"app": "office", "tier": "db"}, dirty_mib_per_s=80),
    Kind("desk", 30, 4, 6, OFFICE, {"app": "office", "tier": "desktop"}),
    Kind("ci", 16, 8, 10, BUILDS, {"app": "build", "tier": "runner"}, dirty_mib_per_s=100),
    Kind("git", 1, 8, 24, OFFICE, {"app": "build", "tier": "git"}),
    Kind("batch", 10, 8, 12, NIGHT_WORK, {"app": "reports", "tier": "batch"}, dirty_mib_per_s=80),
    Kind("backup", 2, 4, 8, NIGHT_WORK, {"app": "infra", "tier": "backup"}, dirty_mib_per_s=100),
    Kind("log", 4, 4, 16, SHOPPERS, {"app": "infra", "tier": "log"}, dirty_mib_per_s=60),
    Kind("metrics", 3, 4, 16, STEADY, {"app": "infra", "tier": "metrics"}, dirty_mib_per_s=40),
    Kind("dns", 3, 2, 2, STEADY, {"app": "infra", "tier": "dns"}, apart=True),
    Kind("ldap", 2, 2, 4, STEADY, {"app": "infra", "tier": "ldap"}, apart=True),
    Kind("vpn", 2, 2, 4, OFFICE, {"app": "infra", "tier": "vpn"}),
    Kind(
        "licence", 1, 2, 4, STEADY, {"app": "office", "tier": "licence"}, why_never="a USB key of its host is its own"
    ),
    Kind("pbx", 1, 2, 4, OFFICE, {"app": "office", "tier": "phone", "pinned": "yes"}),
    Kind("test", 34, 2, 4, IDLE, {"app": "test", "tier": "test"}),
)


def guests_of(kind: Kind, seed: int) -> Iterator[GuestSpec]:
    """Return all guests of a kind; one alone has no number."""
    for number in range(1, kind.count + 1):
        name = kind.name if kind.count == 1 else f"{kind.name}-{number}"
        yield GuestSpec(
            name,
            kind.vcpus,
            kind.memory_gib * GIB,
            kind.habit.of(name, kind.vcpus, seed),
            kind.labels,
            kind.dirty_mib_per_s,
            Movable.NEVER if kind.why_never else Movable.LIVE,
            kind.why_never or None,
            autostart=True,
        )
