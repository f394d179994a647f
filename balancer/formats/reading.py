"""Read a YAML or JSON file into a frozen value; say everything that is wrong with it, with lines."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from balancer.domain.value import Value
from balancer.errors import Fault, InputError
from balancer.formats.faults import fault_from
from balancer.formats.lines import Lines, Steps, as_written
from balancer.formats.syntax import other_words, yaml_words

V = TypeVar("V", bound=Value)
PlaceOf = Callable[[Sequence[str | int]], tuple[str, Steps]]
"""Where a part of a value stands, `file:line`, and its path as that file has it."""

MOST_BYTES = 256 * 2**20  # a snapshot of 200,000 guests has some 60 MiB
MOST_DEPTH = 60
_BEING_COUNTED = -1
MOST_NODES = 20_000_000  # counted with aliases expanded: a YAML bomb is refused before it is unfolded


def read(path: Path, kind: type[V], error: type[InputError] = InputError, most_bytes: int = MOST_BYTES) -> V:
    """Read a file as one of our values. Raises `error` with every fault found: file, line, what, and what to write."""
    return read_text(text_of(path, error, most_bytes), kind, str(path), error)


def text_of(path: Path, error: type[InputError] = InputError, most_bytes: int = MOST_BYTES) -> str:
    """Return the text of a file that is there, is UTF-8 and is no larger than anybody writes."""
    name = str(path)
    try:
        if path.stat().st_size > most_bytes:
            raise error([Fault(name, f"is larger than {most_bytes // 2**20} MiB", "is it the right file?")])
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise error([Fault(name, "there is no such file")]) from None
    except UnicodeDecodeError as cause:
        raise error([Fault(name, f"is not UTF-8 text (byte {cause.start})", "save it as UTF-8")]) from None
    except OSError as cause:
        raise error([Fault(name, f"cannot be read: {cause.strerror}")]) from None


def read_text(text: str, kind: type[V], name: str, error: type[InputError] = InputError) -> V:
    """Read a text as one of our values; `name` is what its faults are reported under."""
    data = data_of(text, kind, name, error)
    lines: list[Lines] = []  # looked up only when there is a fault: it is slow for snapshots of many MiB

    def place_of(path: Sequence[str | int]) -> tuple[str, Steps]:
        if not lines:
            lines.append(Lines(text))
        line = lines[0].of(path)
        return (f"{name}:{line}" if line else name), as_written(path, data)

    return value_of(data, kind, name, place_of, error)


def data_of(
    text: str, kind: type[Value], name: str, error: type[InputError] = InputError, most_nodes: int = MOST_NODES
) -> dict[str, Any]:
    """Return what a text says, before it is looked at closely: a block of keys that names our format."""
    try:
        data = _parse(text, most_nodes)
    except _CannotParse as cause:
        raise error([Fault(f"{name}:{cause.line}" if cause.line else name, cause.what, cause.instead)]) from None
    return _of_our_format(data, kind, name, text, error)


def value_of(
    data: dict[str, Any], kind: type[V], name: str, place_of: PlaceOf, error: type[InputError] = InputError
) -> V:
    """Make one of our values of what a file says; `place_of` knows where in which file each part stands."""
    try:
        return kind.model_validate(data)
    except ValidationError as failed:
        said = [each for each in failed.errors(include_url=False) if each["type"] != "invalid_key"]
        faults = {fault_from(each, *place_of(each["loc"]), kind): None for each in said}
        raise error(sorted(faults, key=by_line)) from None
    except RecursionError:
        raise error([Fault(name, "is nested too deeply")]) from None


class _CannotParse(Exception):
    def __init__(self, what: str, line: int | None = None, instead: str = "") -> None:
        super().__init__(what)
        self.what, self.line, self.instead = what, line, instead


def _parse(text: str, most_nodes: int) -> Any:
    try:
        data = _parse_json(text) if text.lstrip()[:1] == "{" else _parse_yaml(text)
        if _expanded_size(data, {}) > most_nodes:
            raise _CannotParse("its aliases unfold to more than anybody wrote", instead="write the values out")
    except RecursionError:
        raise _CannotParse("is nested too deeply") from None
    return data


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_each_key_once)
    except json.JSONDecodeError as cause:
        # `{a: 1}` is YAML too, and people write it; only when YAML refuses it as well is the JSON fault the news.
        try:
            return _parse_yaml(text)
        except _CannotParse:
            raise _CannotParse(
                f"is not valid JSON: {cause.msg.lower()}",
                cause.lineno,
                "look at the commas and quotes around this line",
            ) from None


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _CannotParse(f"the key `{twice}` stands twice in one block", instead="keep one of them")
    return data


def _parse_yaml(text: str) -> Any:
    try:
        return YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as cause:
        raise _CannotParse(*yaml_words(cause, text)) from None
    except (YAMLError, ValueError, OverflowError) as cause:
        raise _CannotParse(*other_words(cause, text)) from None


def _expanded_size(data: Any, seen: dict[int, int], depth: int = 0) -> int:
    """Count the values with aliases unfolded, each shared part counted from memory and never walked twice."""
    if not isinstance(data, dict | list):
        return 1
    if depth > MOST_DEPTH:
        raise _CannotParse("is nested too deeply", instead=f"nobody needs more than {MOST_DEPTH} levels")
    known = seen.get(id(data))
    if known == _BEING_COUNTED:
        raise _CannotParse("a block contains itself through an alias", instead="write the values out")
    if known is None:
        seen[id(data)] = _BEING_COUNTED
        inside = data.values() if isinstance(data, dict) else data
        seen[id(data)] = 1 + sum(_expanded_size(part, seen, depth + 1) for part in inside)
    return seen[id(data)]


def _of_our_format(data: Any, kind: type[Value], name: str, text: str, error: type[InputError]) -> dict[str, Any]:
    field = kind.model_fields.get("schema_")
    wanted = str(field.default) if field else ""
    if not isinstance(data, dict):
        what = "is empty" if data is None else f"is {_plainly(data)}, not a block of keys"
        raise error([Fault(name, what, f"begin with `schema: {wanted}`" if wanted else "")])
    if not field or data.get("schema") == wanted:
        return data
    given = data.get("schema")
    line = Lines(text).of(("schema",)) if "schema" in data else 1
    family, _, version = wanted.rpartition("/")
    if isinstance(given, str) and given.startswith(f"{family}/"):
        what = f"is written for version {given.rpartition('/')[2]} of {family}, this program knows version {version}"
        raise error([Fault(f"{name}:{line}", what, "use the program that wrote it, or a later one")])
    if isinstance(given, str) and (other := re.fullmatch(r"balancer\.(\w+)/\d+", given)):
        what = f"is a {other[1]} ({given}), and a {family.removeprefix('balancer.')} is wanted"
        raise error([Fault(f"{name}:{line}", what, "is it the right file?")])
    what = f"has the schema {given!r}" if given is not None else "does not say which schema it follows"
    raise error([Fault(f"{name}:{line}", what, f"write `schema: {wanted}` first")])


def _plainly(data: Any) -> str:
    return "a list" if isinstance(data, list) else f"the single value {str(data)[:40]!r}"


def by_line(fault: Fault) -> tuple[str, int, str]:
    """Order faults as somebody reads: file by file, from the top."""
    line = fault.place.rpartition(":")[2]
    return (fault.place.rpartition(":")[0], int(line) if line.isdigit() else 0, fault.what)
