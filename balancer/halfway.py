"""A rehearsal that is half done: all that it hangs on is kept, so that it goes on as if it had not been stopped.

Kept at the end of a step in which nothing is under way: the world and its clock, what the platform remembers of hosts
that are silent, store and history, the diary of the forecasts, the pace of looks, and what was found so far.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import numpy as np
from pydantic import Field

from balancer import __version__
from balancer.demand.diary import Diary
from balancer.domain.host import Host
from balancer.domain.rehearsed import Oddity, RehearsedStep
from balancer.domain.value import Count, Value
from balancer.domain.vm import Vm
from balancer.formats import digest_of, read, to_json
from balancer.platforms.simulated import SimulatedPlatform
from balancer.policy import Policy
from balancer.simulation.laying import Laid
from balancer.simulation.machines import GuestState, Phase, SimGuest
from balancer.simulation.recorded import RecordedWorld
from balancer.simulation.world import Casualty
from balancer.site import Site
from balancer.virtual_time import Pace

KEPT, NEW, OLD = "kept", "kept.new", "kept.old"
STORE, HISTORY, DIARY, HALFWAY = "balancer.db", "history.db", "diary.npz", "halfway.json"
DATABASES: Final = (STORE, HISTORY)


class HostHalfway(Value):
    """What a host is doing, and since when."""

    phase: Phase
    since: float
    never_boots: bool = False


class GuestHalfway(Value):
    """Where a guest is."""

    host: str
    state: GuestState


class Halfway(Value):
    """What of a rehearsal is kept beside its databases."""

    hosts: dict[str, HostHalfway]
    guests: dict[str, GuestHalfway]
    waiting: tuple[str, ...] = ()
    casualties: tuple[tuple[datetime, str, str, str], ...] = ()
    oddities: tuple[Oddity, ...] = ()
    seen_hosts: tuple[Host, ...] = ()
    seen_guests: tuple[Vm, ...] = ()
    diary_last: int
    diary_keys: tuple[str, ...] = ()
    pace: Annotated[Pace, Field(description="when it is looked and glanced next")]
    steps: tuple[RehearsedStep, ...] = ()
    moves: dict[str, Count] = {}
    alarms: tuple[str, ...] = ()


def name_of(laid: Laid, policy: Policy, seed: int) -> str:
    """Return the name of the folder that a rehearsal is kept in: another record, policy or seed has another one."""
    guests = [(g.name, g.vcpus, g.memory_mib, g.dirty_mib_per_s, g.storage, g.disk_gib, g.movable) for g in laid.guests]
    homes, asleep = sorted(laid.homes.items()), None if laid.asleep is None else sorted(laid.asleep)
    facts = (laid.begin, laid.step_seconds, laid.hosts, guests, homes, asleep, laid.copying_share, laid.failures)
    what = hashlib.sha256(repr((*facts, laid.is_strict, digest_of(policy), seed, __version__)).encode())
    what.update(np.ascontiguousarray(laid.needs).tobytes())
    return f"{policy.name.replace('/', '-')}-{what.hexdigest()[:12]}"


def is_quiet(site: Site, world: RecordedWorld) -> bool:
    """Whether nothing is under way that would have to be kept in mid-course."""
    return not site.runners and not world.transit.under_way and not list(site.acting.store.journal.unsettled())


def begin_in(folder: Path) -> Halfway | None:
    """Lay out the databases as they were kept; fresh ones, and None, where nothing was."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in DATABASES:
        for file in (name, f"{name}-wal", f"{name}-shm"):
            (folder / file).unlink(missing_ok=True)
    kept = next((folder / name for name in (KEPT, OLD) if (folder / name / HALFWAY).exists()), None)
    if kept is None:
        return None
    for name in DATABASES:
        shutil.copyfile(kept / name, folder / name)
    return read(kept / HALFWAY, Halfway)


def keep(folder: Path, halfway: Halfway, diary: Diary) -> None:
    """Keep a rehearsal: what was kept before is there until all of it is written."""
    new, kept, old = (folder / name for name in (NEW, KEPT, OLD))
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    for name in DATABASES:
        with closing(sqlite3.connect(folder / name)) as live, closing(sqlite3.connect(new / name)) as copy:
            live.backup(copy)
    np.savez_compressed(new / DIARY, cores=diary.cores)
    (new / HALFWAY).write_text(to_json(halfway), encoding="utf-8")
    shutil.rmtree(old, ignore_errors=True)
    if kept.exists():
        kept.rename(old)
    new.rename(kept)
    shutil.rmtree(old, ignore_errors=True)


def diary_in(folder: Path, halfway: Halfway) -> Diary:
    """Return the diary that was kept."""
    kept = next(folder / name for name in (KEPT, OLD) if (folder / name / DIARY).exists())
    with np.load(kept / DIARY) as arrays:
        return Diary(halfway.diary_keys, halfway.diary_last, arrays["cores"])


# -- the world


def world_halfway(world: RecordedWorld) -> dict[str, object]:
    """Return what of a world is kept."""
    return {
        "hosts": {
            name: HostHalfway(phase=host.phase, since=host.since, never_boots=host.never_boots)
            for name, host in world.hosts.items()
        },
        "guests": {name: GuestHalfway(host=each.host, state=each.state) for name, each in world.guests.items()},
        "waiting": tuple(world.waiting),
        "casualties": tuple((each.at, each.vm, each.host, each.why) for each in world.casualties),
        "oddities": tuple(world.oddities),
    }


def take_up_world(world: RecordedWorld, halfway: Halfway) -> None:
    """Make a world what it was; its guests in the order in which they came."""
    specs = {guest.name: guest for guest in world.laid.guests}
    with world.settled():
        for name, kept in halfway.hosts.items():
            host = world.hosts[name]
            host.phase, host.since, host.never_boots = kept.phase, kept.since, kept.never_boots
        for name, where in halfway.guests.items():
            world.guests[name] = SimGuest(specs[name], where.host, where.state)
        world.waiting = dict.fromkeys(halfway.waiting)
        world.casualties = [Casualty(*each) for each in halfway.casualties]
        world.oddities = list(halfway.oddities)


# -- what is remembered


def site_halfway(site: Site) -> dict[str, object]:
    """Return what of a site is in no database."""
    platform, diary = site.acting.platform, site.diary_so_far
    hosts, guests = platform.last_seen if isinstance(platform, SimulatedPlatform) else ((), ())
    return {
        "seen_hosts": hosts,
        "seen_guests": guests,
        "diary_last": diary.last,
        "diary_keys": diary.keys,
    }


def take_up_site(site: Site, halfway: Halfway, diary: Diary) -> None:
    """Let a site remember what it knew."""
    platform = site.acting.platform
    if isinstance(platform, SimulatedPlatform):
        platform.last_seen = (halfway.seen_hosts, halfway.seen_guests)
    site.go_on_with(diary)
