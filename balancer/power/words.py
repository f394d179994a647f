"""What an operator reads when a BMC does not do what it was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """What went wrong and what to do about it; `{address}`, `{user}`, `{deadline}` and `{text}` are filled in."""

    cause: str
    way_out: str = ""


Meanings = Sequence[tuple[tuple[str, ...], Words]]
"""Fragments of what a library says, and what they mean; the first line with one that occurs wins."""


def meaning_of(text: str, meanings: Meanings) -> Words | None:
    """Find the words for a text; None where no line fits."""
    said = text.casefold()
    return next((words for fragments, words in meanings if any(part in said for part in fragments)), None)
