"""Say in words why a text is no YAML, and at which line to look."""

from __future__ import annotations

import re
from datetime import date

from ruamel.yaml.error import MarkedYAMLError, YAMLError

NO_COLON = "write `key: value`, with a space after the colon"


def yaml_words(cause: MarkedYAMLError, text: str) -> tuple[str, int | None, str]:  # noqa: PLR0911, PLR0912 - a table
    """Return what is wrong, on which line (from 1), and what to write instead."""
    problem = str(cause.problem or cause.context or cause)
    here = cause.problem_mark.line + 1 if cause.problem_mark else None
    began = cause.context_mark.line + 1 if cause.context_mark else here
    line = _line(text, here)
    if "\\t" in problem or "tab" in problem.lower():
        return "a tab stands where YAML wants spaces", here, "indent with spaces"
    if problem.startswith("found duplicate key"):
        words = problem.split(" with value", maxsplit=1)[0].replace("found duplicate", "the")
        return f"{words} stands twice", here, "keep one of them"
    if line.startswith("```"):
        return "a line of Markdown stands here", here, "take the lines with ``` out"
    if re.match(r"\s*-[^\s-]", line):
        return "no space follows the dash", here, "write `- ` before an entry of a list"
    if problem.startswith("mapping values are not allowed"):
        hint = "indent this line like the one above, or put a value that has a colon in quotes"
        return "a colon stands where none may", here, hint
    if problem.startswith("could not find expected ':'"):
        return f"`{_line(text, began).strip()[:40]}` has no colon", began, NO_COLON
    if "another document" in problem:
        return "a second document begins", here, "take `---` out; one file is one document"
    if problem.startswith("found undefined alias"):
        name = problem.rpartition(" ")[2].strip("'\"")
        if "*" in line and (name.endswith(("*", "-")) or f"[*{name}" in line.replace(" ", "")):
            return f"`*{name}` is read as a reference to another value", here, f'a pattern stands in quotes: "*{name}"'
        return f"`*{name}` stands for nothing", here, f"write `&{name}` before the value that it is to repeat"
    if problem.startswith(("expected ',' or", "expected the node content, but found")) or "flow" in str(cause.context):
        return "a bracket that opens here is not closed", began, "look for the missing `}` or `]`, or a missing comma"
    if "quoted scalar" in str(cause.context):
        return "a quote that opens here is not closed", began, "close it on the same line"
    if "expected <block end>" in problem:
        hint = "entries of one list, and keys of one block, begin in the same column"
        return "this line is indented otherwise than the one that it belongs to", here, hint
    if "could not determine a constructor" in problem:
        return f"the tag `{_tag(problem)}` is not known", here, "write the value itself"
    if "unhashable key" in problem:
        return "`{{` opens a block within a block", here, "was a template not filled in?"
    if "scanning an alias" in str(cause.context) or "cannot start any token" in problem:
        found = line[cause.problem_mark.column] if "token" in problem and cause.problem_mark else "*"
        return f"a value cannot begin with `{found}`", here, "put it in quotes"
    return f"is not valid YAML: {problem}", here, "look at the indentation and quotes around this line"


def other_words(cause: YAMLError | ValueError | OverflowError, text: str) -> tuple[str, int | None, str]:
    """Return what is wrong with a text that YAML cannot even take apart."""
    words = str(cause).splitlines()[0]
    for number, line in enumerate(text.splitlines(), 1):
        for found in re.findall(r"\b\d{4}-\d{1,2}-\d{1,2}\b", line):
            if not _exists(found):
                return f"{found} is no day of the calendar", number, "write 2026-12-24"
    if "unacceptable character" in words:
        return "has characters that no text has", None, "is it the right file?"
    return f"is not valid YAML: {words}", None, ""


def _line(text: str, number: int | None) -> str:
    lines = text.splitlines()
    return lines[number - 1] if number and number <= len(lines) else ""


def _tag(problem: str) -> str:
    found = re.search(r"'([^']*)'", problem)
    return found[1].replace("tag:yaml.org,2002:", "!!") if found else "!"


def _exists(day: str) -> bool:
    year, month, number = map(int, day.split("-"))
    try:
        date(year, month, number)
    except ValueError:
        return False
    return True
