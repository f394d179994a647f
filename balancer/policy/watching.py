"""A policy file that may be changed while the service runs: a good one replaces the old, a bad one is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from balancer.domain.plan import Mode
from balancer.errors import Fault, PolicyError
from balancer.policy.changes import said_change
from balancer.policy.loading import Loaded, digest, load
from balancer.policy.model import Policy


@dataclass(frozen=True)
class Reading:
    """What a look at the files brought: the policy in force, and what became of a change."""

    policy: Policy
    changed: str = ""  # one sentence; empty where nothing has
    refused: tuple[Fault, ...] = ()  # why the files as they are now are not in force
    is_news: bool = False  # whether any of that is new since the last look


class WatchedPolicy:
    """The policy in force and the files that it came from. Reading touches nothing; `look` says what is new."""

    def __init__(self, path: Path | None, cluster: str | None = None, mode: Mode | None = None) -> None:
        """Read the files; PolicyError where they are bad: nothing starts under a policy that cannot be read."""
        self._path, self._cluster, self._mode = path, cluster, mode
        self.loaded = loaded = self._load()
        self._files: Mapping[Path, str] = loaded.files or {}
        self.policy = self._said(loaded)
        self.refused: tuple[Fault, ...] = ()

    def look(self, is_told_to: bool = False) -> Reading:
        """Read the files again if any has changed, or if one was refused, or because somebody says so."""
        if not (is_told_to or self.refused or self._differs()):
            return Reading(self.policy)
        try:
            loaded = self._load()
        except PolicyError as wrong:
            was, self.refused = self.refused, tuple(wrong.faults)
            return Reading(self.policy, refused=self.refused, is_news=is_told_to or self.refused != was)
        old, self.policy, self.loaded = self.policy, self._said(loaded), loaded
        is_mended, self.refused, self._files = bool(self.refused), (), loaded.files or {}
        changed = said_change(old, self.policy)
        return Reading(self.policy, changed, is_news=bool(changed) or is_mended or is_told_to)

    @property
    def path(self) -> Path | None:
        """The file that is watched, or the name of a ready policy; None where the default policy is in force."""
        return self._path

    def _load(self) -> Loaded:
        return load(self._path, self._cluster)

    def _said(self, loaded: Loaded) -> Policy:
        return loaded.policy if self._mode is None else loaded.policy.in_mode(self._mode)

    def _differs(self) -> bool:
        return any(_digest_of(path) != known for path, known in self._files.items())


def _digest_of(path: Path) -> str:
    try:
        return digest(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError):
        return ""  # equals no digest: `load` will say what is wrong with it
