"""Words as YAML that neither YAML nor Ansible takes for anything else."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence

PIECE = 100  # characters of a scalar on one line: longer lines are none that a linter or a person likes
_OPTION = re.compile("--[a-z0-9-]*[a-z0-9]")
_OPENING = set("{#")  # without these nothing is a template, nor `#jinja2:`, which says what begins one
_ESCAPED = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}


def data(text: str, indent: int) -> str:
    """Return a scalar that is never a template; what is too long for a line goes on in the next, `indent` deeper.

    Only what could be one gets the tag `!unsafe`: Ansible reads `!unsafe "0"` as if it stood bare, as a number.
    """
    characters = [_escaped(each) for each in text]
    pieces = [characters[at : at + PIECE] for at in range(0, len(characters), PIECE)]
    # The blanks that begin a line do not count, unless the first is escaped.
    lines = ["".join(["\\ ", *piece[1:]] if at and piece[0] == " " else piece) for at, piece in enumerate(pieces)]
    tag = "!unsafe " if _OPENING.intersection(text) else ""
    return tag + '"' + ("\\\n" + " " * indent).join(lines) + '"'


def listed(texts: Sequence[str], indent: int) -> str:
    """Return a list of such scalars, one a line; options stay as one types them."""
    return "\n".join(f"{' ' * indent}- {text if _OPTION.fullmatch(text) else data(text, indent + 2)}" for text in texts)


def comment(text: str) -> Iterator[str]:
    """Return a comment: no line break of a name ends it."""
    shown = "".join(each if each.isprintable() else _escaped(each) for each in text)
    yield from (f"# {line}" for line in textwrap.wrap(shown, PIECE, break_on_hyphens=False))


def _escaped(character: str) -> str:
    if character in _ESCAPED:
        return _ESCAPED[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
