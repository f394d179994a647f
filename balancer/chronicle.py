"""The cycles of the past: a line each in the store, to be searched; the last ones whole in files, to be replayed."""

from __future__ import annotations

import gzip
import re
from datetime import datetime
from pathlib import Path

from balancer.cycle import Cycle
from balancer.domain.host import CPU
from balancer.errors import InputError
from balancer.formats import read_text, to_json
from balancer.policy import Policy
from balancer.saved import SavedCycle, saved_cycle
from balancer.store import Store
from balancer.store.cycles import CycleLine

DIRECTORY = "cycles"
MOST_FILES = 300
MOST_BYTES = 200 * 2**20
A_PLAN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,80}")


class Chronicle:
    """Keeps cycles, and gives them back. One balancer writes into a state directory."""

    def __init__(self, store: Store, state: Path) -> None:
        self._store, self._directory = store, state / DIRECTORY

    def keep(self, cycle: Cycle, policy: Policy) -> None:
        """Keep a cycle: the newest whole, of older ones what their line says. OSError where it cannot be written."""
        self._store.cycles.add(_line_of(cycle))
        self._directory.mkdir(mode=0o700, exist_ok=True)
        path, new = self._file(cycle.plan.id), self._directory / ".new"
        new.write_bytes(gzip.compress(to_json(saved_cycle(cycle, policy)).encode(), compresslevel=3))
        new.replace(path)
        self._tidy()

    def saved(self, plan_id: str) -> SavedCycle | None:
        """Return a whole cycle; None where it is not kept, or not any more."""
        if not A_PLAN_ID.fullmatch(plan_id):
            return None
        return _read(self._file(plan_id))

    def is_whole(self, plan_id: str) -> bool:
        """Whether a cycle can be replayed."""
        return bool(A_PLAN_ID.fullmatch(plan_id)) and self._file(plan_id).exists()

    def _file(self, plan_id: str) -> Path:
        return self._directory / f"{plan_id}.json.gz"

    def _tidy(self) -> None:
        files = sorted(self._directory.glob("*.json.gz"), key=lambda path: path.stat().st_mtime, reverse=True)
        size_bytes = 0
        for place, path in enumerate(files):
            size_bytes += path.stat().st_size
            if place >= MOST_FILES or size_bytes > MOST_BYTES:
                path.unlink(missing_ok=True)


def _line_of(cycle: Cycle) -> CycleLine:
    seen, plan = cycle.seen, cycle.plan
    return CycleLine(
        plan_id=plan.id,
        at=seen.taken_at,
        sentence=cycle.sentence,
        mode=plan.mode,
        moves=plan.summary.moves,
        hosts_on=sum(host.is_on for host in seen.hosts),
        watts=seen.watts(),
        imbalance=seen.imbalance(CPU),
        gap=plan.summary.gap,
        doubts=len(seen.doubts),
    )


def kept_cycles(state: Path, since: datetime, until: datetime) -> tuple[SavedCycle, ...]:
    """Return the whole cycles of (since, until] that a state directory keeps, oldest first."""
    found = (_read(path) for path in (state / DIRECTORY).glob("*.json.gz"))
    within = (saved for saved in found if saved is not None and since < saved.snapshot.taken_at <= until)
    return tuple(sorted(within, key=lambda saved: saved.snapshot.taken_at))


def _read(path: Path) -> SavedCycle | None:
    try:
        return read_text(gzip.decompress(path.read_bytes()).decode(), SavedCycle, path.name)
    except (OSError, EOFError, InputError):  # one that an other version wrote, or that was cut off by a full disk
        return None
