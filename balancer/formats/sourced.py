"""Values together with where they were written, so that what is joined from several files still knows its lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from balancer.formats.lines import Lines, Steps, as_written


@dataclass(frozen=True)
class Document:
    """One file: its name in messages, and its lines."""

    name: str
    lines: Lines

    def place(self, path: Sequence[str | int]) -> str:
        line = self.lines.of(path)
        return f"{self.name}:{line}" if line else self.name


@dataclass(frozen=True)
class Sourced:
    """A value as it stands in a file: a scalar, or a block or list of more of them."""

    value: Any  # a scalar, a dict of Sourced or a list of Sourced
    document: Document
    path: Steps

    @classmethod
    def of(cls, data: Any, document: Document, path: Steps = ()) -> Sourced:
        """Remember of every part of `data` where in a document it stands."""
        if isinstance(data, dict):
            return cls({key: cls.of(part, document, (*path, key)) for key, part in data.items()}, document, path)
        if isinstance(data, list):
            return cls([cls.of(part, document, (*path, n)) for n, part in enumerate(data)], document, path)
        return cls(data, document, path)

    @property
    def plain(self) -> Any:
        """The value alone."""
        if isinstance(self.value, dict):
            return {key: part.plain for key, part in self.value.items()}
        return [part.plain for part in self.value] if isinstance(self.value, list) else self.value

    @property
    def place(self) -> str:
        return self.document.place(self.path)

    def find(self, path: Sequence[str | int]) -> Sourced | None:
        """Return what stands at a path; None where nothing does."""
        found: Sourced | None = self
        for part in path:
            found = found.inside(part) if found is not None else None
        return found

    def inside(self, part: str | int) -> Sourced | None:
        """Return what stands under a key or at a place of a list."""
        if isinstance(self.value, dict):
            return self.value.get(part)
        known = isinstance(self.value, list) and isinstance(part, int) and part < len(self.value)
        return self.value[part] if known else None

    def place_of(self, path: Sequence[str | int]) -> tuple[str, Steps]:
        """Return file and line of the deepest part of a path that is there, and the path as that file has it."""
        steps, deepest, rest = as_written(path, self.plain), self, 0
        for depth, part in enumerate(steps):
            inside = deepest.inside(part)
            if inside is None:
                break
            deepest, rest = inside, depth + 1
        written = (*deepest.path, *steps[rest:])
        return deepest.document.place(written), written

    def block(self) -> dict[str, Sourced]:
        """Return the parts of a block; none where it is something else."""
        return self.value if isinstance(self.value, dict) else {}

    def items(self) -> list[Sourced]:
        """Return the parts of a list; none where it is something else."""
        return self.value if isinstance(self.value, list) else []

    def with_parts(self, **parts: Sourced) -> Sourced:
        """Return the block with some of its parts replaced."""
        return Sourced({**self.block(), **parts}, self.document, self.path)

    def without(self, *keys: str) -> Sourced:
        """Return the block without some of its parts."""
        kept = {key: part for key, part in self.block().items() if key not in keys}
        return Sourced(kept, self.document, self.path)


Join = Callable[[Sourced, Sourced], Sourced]


def laid_over(under: Sourced, over: Sourced, joins: dict[str, Join] | None = None) -> Sourced:
    """Lay one block over another: blocks are joined key by key, anything else is replaced; `joins` has exceptions."""
    if not (isinstance(under.value, dict) and isinstance(over.value, dict)):
        return over
    joined = dict(under.value)
    for key, part in over.value.items():
        below = under.value.get(key)
        if below is None:
            joined[key] = part
        else:
            joined[key] = (joins or {}).get(str(key), laid_over)(below, part)
    return Sourced(joined, over.document, over.path)
