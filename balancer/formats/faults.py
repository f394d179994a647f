"""Turn what the validator says into what the author of a file can act on."""

from __future__ import annotations

import difflib
from typing import Any

from balancer.errors import Fault
from balancer.formats.lines import Steps, spoken


def fault_from(problem: Any, place: str, path: Steps) -> Fault:
    """Say one validation error in the words of the file, with the place where it stands."""
    what, instead = _in_words(problem, spoken(path))
    return Fault(place, what, instead)


def _in_words(problem: Any, where: str) -> tuple[str, str]:  # noqa: PLR0911, PLR0912 - a table, one line an answer
    kind, given, context = problem["type"], problem["input"], problem.get("ctx", {})
    quoted = f"`{where}`" if where else "the file"
    match kind:
        case "unknown_key":
            what, _, hint = problem["msg"].partition(", ")
            above = where.rpartition(".")[0]
            return f"{what} in {above}" if above else what, hint
        case "missing":
            return f"{quoted} is missing", ""
        case "union_tag_invalid":
            known = [tag.strip().strip("'") for tag in str(context["expected_tags"]).split(",")]
            return f"unknown kind `{context['tag']}` in {where}", _nearest(str(context["tag"]), known)
        case "union_tag_not_found":
            return f"{quoted} does not say its `kind`", "write `kind: apart`, or another; `balancer explain` lists them"
        case "enum" | "literal_error":
            known = [part.strip().strip("'") for part in str(context["expected"]).replace(" or ", ", ").split(",")]
            return f"{quoted} is {given!r}", _nearest(str(given), known)
        case "bool_type":
            return f"{quoted} is {given!r}", "write true or false"
        case "float_type" | "int_type" | "int_from_float":
            return f"{quoted} is {given!r}, not a number", _number_hint(given)
        case "string_type":
            return f"{quoted} is {given!r}, not a text", f'write "{given}" in quotes' if _is_scalar(given) else ""
        case "tuple_type" | "list_type":
            return f"{quoted} is {given!r}, not a list", f"write [{given}]" if _is_scalar(given) else ""
        case "dict_type" | "model_type" | "model_attributes_type" | "dataclass_type":
            return f"{quoted} is {_short(given)}, not a block of keys", ""
        case "timezone_aware":
            return f"{quoted} has no time zone", "write 2026-01-31T12:00:00Z"
        case "finite_number":
            return f"{quoted} is {given}, which is no amount", "leave the key out where the value is not known"
        case "greater_than_equal" | "less_than_equal" | "greater_than" | "less_than":
            return f"{quoted} is {given}", f"it must be {problem['msg'].removeprefix('Input should be ')}"
        case "unknown_window" | "misplaced_when":
            return f"{quoted} {problem['msg']}", ""
        case "value_error":
            return f"{quoted} {problem['msg'].removeprefix('Value error, ')}", ""
    return f"{quoted}: {problem['msg'][:1].lower()}{problem['msg'][1:]}", ""


def _nearest(given: str, known: list[str]) -> str:
    near = difflib.get_close_matches(given.lower(), known, n=1)
    return f"did you mean `{near[0]}`?" if near else f"write one of: {', '.join(known)}"


def _number_hint(given: Any) -> str:
    text = str(given).strip() if isinstance(given, str) else ""
    if text.endswith("%") and text[:-1].strip().replace(".", "", 1).isdigit():
        return f"write {float(text[:-1]) / 100:g}"
    try:
        return f"write {float(text):g} without quotes"
    except ValueError:
        return ""


def _is_scalar(given: Any) -> bool:
    return isinstance(given, str | int | float) and len(str(given)) < 60


def _short(given: Any) -> str:
    text = repr(given)
    return text if len(text) <= 40 else text[:37] + "..."
