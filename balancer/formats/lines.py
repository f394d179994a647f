"""Find the line on which a value stands in a YAML or JSON text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError


class Lines:
    """Looks up lines by path, e.g. `("constraints", 2, "vms")`. Parts of a path that the text lacks are passed over."""

    def __init__(self, text: str) -> None:
        try:
            self._root: Any = YAML(typ="safe", pure=True).compose(text)
        except (YAMLError, RecursionError):
            self._root = None

    def of(self, path: Sequence[str | int]) -> int | None:
        """Return the line (from 1) of the deepest part of the path that is there; None for a text without lines."""
        node, line = self._root, 1
        for part in path:
            if node is None:
                return None
            found = _inside(node, part)
            if found is not None:
                line, node = found
        return line if self._root is not None else None


def _inside(node: Any, part: str | int) -> tuple[int, Any] | None:
    if isinstance(part, int):
        children = node.value if node.id == "sequence" else []
        return (children[part].start_mark.line + 1, children[part]) if part < len(children) else None
    if node.id != "mapping":
        return None
    for key, value in node.value:
        if key.value == part:
            return key.start_mark.line + 1, value
    return None
