"""Trying settings: each a rehearsal, several at a time, and each done once however often a search is interrupted."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from balancer import __version__
from balancer.domain.plan import Mode
from balancer.domain.tuned import Figures
from balancer.errors import Fault, InputError
from balancer.formats import digest_of, read_text
from balancer.policy import load_policy
from balancer.rehearsal import Rehearsal
from balancer.simulation.laying import Laid


@dataclass(frozen=True)
class Trial:
    """A policy file and the part of the record that it is tried on."""

    policy: Path
    part: str


class Kept:
    """Figures by what they are figures of, in a file that grows line by line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, Figures] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                self._take(line)

    def _take(self, line: str) -> None:
        try:
            said = json.loads(line)
            self._known[said["key"]] = read_text(json.dumps(said["figures"]), Figures, str(self.path))
        except (ValueError, KeyError, TypeError, InputError):
            return  # the line that was being written when the power went

    def find(self, key: str) -> Figures | None:
        return self._known.get(key)

    def add(self, key: str, figures: Figures) -> None:
        self._known[key] = figures
        line = json.dumps({"key": key, "figures": figures.model_dump(mode="json")})
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as cause:
            raise InputError([Fault(str(self.path), f"cannot be written: {cause.strerror}", "name another")]) from None


class Trials:
    """Rehearses policy files on parts of a record, in as many processes as there may be."""

    def __init__(self, parts: Mapping[str, Laid], seed: int, kept: Kept, workers: int) -> None:
        self._parts, self._seed, self._kept = parts, seed, kept
        self._prints = {name: fingerprint(laid) for name, laid in parts.items()}
        self._pool = (
            ProcessPoolExecutor(
                workers, multiprocessing.get_context("spawn"), initializer=_take_parts, initargs=(dict(parts), seed)
            )
            if workers > 1
            else None
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, what: object, where: object) -> None:
        if self._pool is None:
            return
        if kind is not None:  # nobody waits for what is not wanted any more
            for child in multiprocessing.active_children():
                child.terminate()
        self._pool.shutdown(wait=kind is None, cancel_futures=True)

    def figures(self, trials: Sequence[Trial], tell: Callable[[], None] = lambda: None) -> list[Figures]:
        """Return the figures of trials in their order. `tell` is called as each is there."""
        keys = [self._key(trial) for trial in trials]
        missing = {key: trial for key, trial in zip(keys, trials, strict=True) if self._kept.find(key) is None}
        for _ in range(len(keys) - len(missing)):
            tell()
        if self._pool is None:
            for key, trial in missing.items():
                self._kept.add(key, rehearsed(self._parts[trial.part], trial.policy, self._seed))
                tell()
        else:
            self._in_the_pool(self._pool, missing, tell)
        found = [self._kept.find(key) for key in keys]
        return [each for each in found if each is not None]

    def _in_the_pool(self, pool: ProcessPoolExecutor, missing: Mapping[str, Trial], tell: Callable[[], None]) -> None:
        running: dict[Future[Figures], str] = {
            pool.submit(_try, trial.part, trial.policy): key for key, trial in missing.items()
        }
        for done in as_completed(running):
            self._kept.add(running[done], done.result())
            tell()

    def _key(self, trial: Trial) -> str:
        laid = self._parts[trial.part]
        policy = load_policy(trial.policy, laid.name).model_copy(update={"name": "tried"})
        return f"{__version__}/{digest_of(policy)}/{self._prints[trial.part]}/{self._seed}"


def rehearsed(laid: Laid, policy: Path, seed: int) -> Figures:
    """Return what a policy file does on a part of a record, whatever its mode is."""
    with tempfile.TemporaryDirectory(prefix="balancer-rehearsal-") as state:
        acting = load_policy(policy, laid.name).in_mode(Mode.ACT)
        return Figures.of(Rehearsal(laid, acting, Path(state), seed).run())


def fingerprint(laid: Laid) -> str:
    """Return a digest of all that a rehearsal's outcome hangs on besides its policy and seed."""
    said = hashlib.sha256(laid.needs.tobytes())
    rest = (laid.name, laid.begin, laid.step_seconds, laid.hosts, laid.sizes, sorted(laid.homes.items()))
    guests = [(guest.name, guest.vcpus, guest.memory_mib) for guest in laid.guests]
    asleep = None if laid.asleep is None else sorted(laid.asleep)
    said.update(repr((rest, guests, asleep, laid.copying_share, laid.failures, laid.is_strict)).encode())
    return said.hexdigest()[:24]


_parts: dict[str, Laid] = {}
_seeds: list[int] = []


def _take_parts(parts: dict[str, Laid], seed: int) -> None:
    """Give a new process the record once, and not with each trial."""
    _parts.update(parts)
    _seeds[:] = [seed]


def _try(part: str, policy: Path) -> Figures:
    return rehearsed(_parts[part], policy, _seeds[0])
