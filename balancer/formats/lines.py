"""Find the line on which a value stands in a YAML or JSON text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

Steps = tuple[str | int, ...]
"""Keys and places in lists, counted from 0, from the top of a file down to a value."""


class Lines:
    """Looks up lines by path, e.g. `("constraints", 2, "vms")`. Parts of a path that the text lacks are passed over."""

    def __init__(self, text: str) -> None:
        try:
            self._root: Any = YAML(typ="safe", pure=True).compose(text)
        except (YAMLError, RecursionError):
            self._root = None

    def of(self, path: Sequence[str | int]) -> int | None:
        """Return the line (from 1) of the deepest part of the path that is there; None for a text without lines."""
        if self._root is None:
            return None
        node, line = self._root, 1
        for part in path:
            found = _inside(node, part)
            if found is not None:
                line, node = found
        return line


def as_written(path: Sequence[str | int], data: Any) -> Steps:
    """Return a path as the file has it: the validator puts the kind of a constraint in between."""
    said: list[str | int] = []
    for part in path:
        if isinstance(data, dict) and part not in data and data.get("kind") == part:
            continue
        said.append(part)
        data = child_of(data, part)
    return tuple(said)


def child_of(data: Any, part: str | int) -> Any:
    """Return what stands under a key or at a place of a list; None where there is nothing."""
    if isinstance(data, dict):
        return data.get(part)
    if isinstance(data, list) and isinstance(part, int) and part < len(data):
        return data[part]
    return None


def spoken(path: Sequence[str | int]) -> str:
    """Say a path as people do: `constraints[2].vms`; lists are counted from 1."""
    said = ""
    for part in path:
        if isinstance(part, int):
            said += f"[{part + 1}]"
        elif part != "schema_":
            said += f".{part}" if said else part
    return said


def _inside(node: Any, part: str | int) -> tuple[int, Any] | None:
    if isinstance(part, int) and node.id == "sequence":
        children = node.value
        return (children[part].start_mark.line + 1, children[part]) if part < len(children) else None
    if node.id != "mapping":
        return None
    for key, value in node.value:
        if key.value == part or (isinstance(part, int) and key.value == str(part)):
            return key.start_mark.line + 1, value
    return _merged_in(node, part)


def _merged_in(node: Any, part: str | int) -> tuple[int, Any] | None:
    """Look under `<<:`, where YAML lets one block take over another's keys."""
    for key, value in node.value:
        if key.value == "<<":
            blocks = value.value if value.id == "sequence" else [value]
            return next((found for block in blocks if (found := _inside(block, part)) is not None), None)
    return None
