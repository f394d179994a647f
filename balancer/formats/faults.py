"""Turn what the validator says into what the author of a file can act on."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterator
from datetime import date
from functools import cache
from typing import Any

from balancer.domain.value import OF_EVERY_PROMISE, Value
from balancer.errors import Fault
from balancer.formats.lines import Steps, spoken

SECONDS = {"s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hour": 3600, "d": 86400}
SECONDS |= {"day": 86400}
GIB = {"m": 1 / 1024, "mb": 1 / 1024, "mib": 1 / 1024, "g": 1, "gb": 1, "gib": 1, "t": 1024, "tb": 1024, "tib": 1024}
UNIT_OF_KEY = {"seconds": 1, "minutes": 60, "days": 86400}

OTHER_WORDS = {
    "anti-affinity": "apart",
    "anti_affinity": "apart",
    "antiaffinity": "apart",
    "separate": "apart",
    "affinity": "together",
    "pin": "only_on",
    "pinned": "stay",
    "exclude": "not_on",
    "dry-run": "recommend",
    "dry_run": "recommend",
    "manual": "confirm",
    "partial": "confirm",
    "auto": "act",
    "automatic": "act",
}
"""What other products call it."""

MOST_LISTED = 12


def fault_from(problem: Any, place: str, path: Steps, kind: type[Value]) -> Fault:
    """Say one validation error in the words of the file, with the place where it stands."""
    if problem["type"] == "unknown_key":
        return Fault(place, *_unknown_key(problem, path, kind))
    return Fault(place, *_in_words(problem, path))


def _unknown_key(problem: Any, path: Steps, kind: type[Value]) -> tuple[str, str]:
    key, above = str(path[-1]), spoken(path[:-1])
    what, _, hint = problem["msg"].partition(", ")
    what += f" in {above}" if above else ""
    if above and re.fullmatch(r"\d+", key):
        return what, "write numbers with a point, such as 0.9"
    if ":" in key:
        return what, f"write a space after the colon: `{key.replace(':', ': ', 1)}`"
    homes = _homes(kind).get(key, ())
    if homes and not hint.startswith("it belongs"):
        return what, f"it belongs under {' or '.join(f'`{home}`' for home in homes[:2])}"
    return what, hint


@cache
def _homes(kind: type[Value]) -> dict[str, tuple[str, ...]]:
    """Return under which sections of a format each key stands."""
    found: dict[str, tuple[str, ...]] = {}
    for key, home in _walk(kind, ""):
        found[key] = (*found.get(key, ()), home)
    return found


def _walk(kind: type[Value], above: str) -> Iterator[tuple[str, str]]:
    for name, field in kind.model_fields.items():
        if above and name not in OF_EVERY_PROMISE:
            yield field.alias or name, above
        if inspect.isclass(field.annotation) and issubclass(field.annotation, Value):
            yield from _walk(field.annotation, f"{above}.{name}".lstrip("."))


def _in_words(problem: Any, path: Steps) -> tuple[str, str]:  # noqa: PLR0911, PLR0912 - a table, one line an answer
    kind, given, context = problem["type"], problem["input"], problem.get("ctx", {})
    key, quoted = str(path[-1]) if path else "", f"`{spoken(path)}`" if path else "the file"
    if given is None and kind not in {"missing", "misplaced_when"} and not kind.startswith("union"):
        return f"{quoted} is empty", "write what belongs there, indented below it, or leave the key out"
    match kind:
        case "missing":
            return f"{quoted} is missing", ""
        case "union_tag_invalid":
            known = [tag.strip().strip("'") for tag in str(context["expected_tags"]).split(",")]
            return f"unknown kind `{context['tag']}` in {spoken(path)}", _nearest(str(context["tag"]), known)
        case "union_tag_not_found":
            return f"{quoted} does not say its `kind`", "write `kind: apart`, or another; `balancer explain` lists them"
        case "enum" | "literal_error":
            known = [part.strip().strip("'") for part in str(context["expected"]).replace(" or ", ", ").split(",")]
            return f"{quoted} is {said(given)}", _nearest(str(given), known)
        case "bool_type":
            return f"{quoted} is {said(given)}", _true_or_false(given)
        case "int_from_float" | "int_type" if isinstance(given, float):
            return f"{quoted} is {given:g}, not a whole number", f"write {int(given)} or {int(given) + 1}"
        case "float_type" | "int_type":
            return f"{quoted} is {said(given)}, not a number", _number_hint(given, key)
        case "string_type" if key == "[key]":
            above = spoken(path[:-2])
            return f"`{above}` has the key {said(given)}, not a text", f'write "{plainly(given)}" in quotes'
        case "string_type":
            hint = f'write "{plainly(given)}" in quotes' if _is_scalar(given) else "write one value"
            return f"{quoted} is {said(given)}, not a text", hint
        case "string_too_short":
            return f"{quoted} is empty", "write a name, or leave the key out"
        case "string_too_long":
            return f"{quoted} is longer than {context['max_length']} characters", "shorten it"
        case "tuple_type" | "list_type":
            hint = "begin each entry with a dash: `- ...`" if isinstance(given, dict) else f"write [{plainly(given)}]"
            return f"{quoted} is {said(given)}, not a list", hint
        case "dict_type" | "model_type" | "model_attributes_type" | "dataclass_type":
            return f"{quoted} is {said(given)}, not a block of keys", _block_hint(given, path)
        case "timezone_aware":
            return f"{quoted} has no time zone", "write 2026-01-31T12:00:00Z"
        case "finite_number":
            return f"{quoted} is {given}, which is no amount", "leave the key out where the value is not known"
        case "less_than_equal" if context["le"] == 1 and 2 <= given <= 100:
            return f"{quoted} is {given:g}, and a share is from 0 to 1", f"did you mean {given / 100:g}?"
        case "greater_than_equal" | "less_than_equal":
            bound = "at least" if "ge" in context else "at most"
            return f"{quoted} is {given:g}", f"it must be {bound} {context.get('ge', context.get('le')):g}"
        case "greater_than" | "less_than":
            bound = "more than" if "gt" in context else "less than"
            return f"{quoted} is {given:g}", f"it must be {bound} {context.get('gt', context.get('lt')):g}"
        case "unknown_window" | "misplaced_when":
            return f"{quoted} {problem['msg']}", ""
        case "value_error":
            return f"{quoted} {problem['msg'].removeprefix('Value error, ')}", ""
    return f"{quoted}: {problem['msg'][:1].lower()}{problem['msg'][1:]}", ""


def said(given: Any) -> str:
    """Say a value as its author knows it."""
    if isinstance(given, dict):
        return "a block of keys"
    if isinstance(given, list | tuple):
        return "a list"
    if isinstance(given, str):
        return repr(given) if len(given) <= 40 else repr(given[:37] + "...")
    return plainly(given)


def plainly(given: Any) -> str:
    """Write a scalar as it stands in a file."""
    if given is None:
        return "empty"
    if isinstance(given, bool):
        return str(given).lower()
    return given.isoformat() if isinstance(given, date) else str(given)


def _nearest(given: str, known: list[str]) -> str:
    other = OTHER_WORDS.get(given.lower())
    near = [other] if other in known else difflib.get_close_matches(given.lower(), known, n=1)
    return f"did you mean `{near[0]}`?" if near else f"write one of: {', '.join(known)}"


def _true_or_false(given: Any) -> str:
    word = str(given).lower()
    if word in {"true", "yes", "on", "y", "1"}:
        return "write true"
    return "write false" if word in {"false", "no", "off", "n", "0"} else "write true or false"


def _number_hint(given: Any, key: str) -> str:
    text = given.strip() if isinstance(given, str) else ""
    parts = re.fullmatch(r"(-?\d+(?:[.,]\d+)?)\s*([A-Za-z%]*)", text)
    if not parts:
        return ""
    number, unit = float(parts[1].replace(",", ".")), parts[2].lower()
    if unit == "%":
        return f"write {number / 100:g}"
    if not unit:
        return f"write {number:g}" if "," in text else f"write {number:g} without quotes"
    return _without_unit(number, unit, key)


def _without_unit(number: float, unit: str, key: str) -> str:
    wanted = key.rpartition("_")[2]
    seconds = SECONDS.get(unit) or SECONDS.get(unit.removesuffix("s"))
    if wanted in UNIT_OF_KEY and seconds:
        return f"write {number * seconds / UNIT_OF_KEY[wanted]:g}, the key is in {wanted}"
    if wanted == "gib" and unit in GIB:
        return f"write {number * GIB[unit]:g}, the key is in GiB"
    return f"write {number:g}, without a unit"


def _block_hint(given: Any, path: Steps) -> str:
    if isinstance(given, list):
        return "write `NAME:` and its keys below, without dashes"
    if isinstance(given, str) and (pair := re.fullmatch(r"\s*([\w-]+)\s*[=:]\s*([\w-]+)\s*", given)):
        return f"write {{{pair[1]}: {pair[2]}}}"
    in_constraints = len(path) == 2 and path[0] == "constraints"
    return "write {kind: ..., vms: [...]}" if in_constraints else "write its keys below, indented"


def _is_scalar(given: Any) -> bool:
    return isinstance(given, str | int | float | date) and len(str(given)) < 60
