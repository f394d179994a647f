"""Write the policy reference from the code: `python docs/make_reference.py`. A test holds docs/policy.md to it."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from balancer.constraints import KINDS as CONSTRAINTS
from balancer.constraints import Constraint
from balancer.domain.value import Value
from balancer.objectives import KINDS as OBJECTIVES
from balancer.policy import Policy

TARGET = Path(__file__).parent / "policy.md"
HEAD = """# Policy reference

Made from the code by `python docs/make_reference.py`. `balancer explain KIND` says the same in a terminal,
`balancer schema policy` prints the JSON Schema for editors, and `balancer check FILE` finds every fault of a file.
A first line such as `# yaml-language-server: $schema=policy.schema.json` makes editors use the schema.

The file opens with `schema: balancer.policy/1`. Keys that begin with `x-` are kept and ignored; other unknown keys are
refused.
"""


def reference() -> str:
    """Return the whole reference as Markdown."""
    kinds = [_kind(kind, _name(kind)) for kind in CONSTRAINTS]
    wishes = [_kind(kind, kind.kind) for kind in OBJECTIVES]
    sections = [
        _section(name, field.annotation)
        for name, field in Policy.model_fields.items()
        if inspect.isclass(field.annotation)
        and issubclass(field.annotation, Value)
        and name not in {"headroom", "objectives"}
    ]
    return "\n".join([HEAD, "## Promises\n", *kinds, "## Wishes\n", *wishes, "## Everything else\n", _top(), *sections])


def _name(kind: type[Constraint]) -> str:
    return str(kind.model_fields["kind"].annotation.__args__[0])  # type: ignore[union-attr]


def _kind(kind: Any, name: str) -> str:
    said = inspect.getdoc(inspect.getmodule(kind)) or ""
    _, _, formula = said.partition("\n\n")
    block = "\n".join(f"    {line}".rstrip() for line in inspect.cleandoc(formula).splitlines())
    meaning = inspect.getdoc(kind) or ""
    example = f"Example: `{kind.example}`\n\n" if kind.example else ""
    return f"### {name}\n\n{meaning}\n\n{block}\n\n{example}{_table(kind) if kind.example else ''}"


def _section(name: str, model: Any) -> str:
    return f"### {name}\n\n{inspect.getdoc(model)}\n\n{_table(model)}"


def _top() -> str:
    rows = [
        _row(name, field)
        for name, field in Policy.model_fields.items()
        if not (inspect.isclass(field.annotation) and issubclass(field.annotation, Value))
        and name not in {"schema_", "constraints"}
    ]
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows, ""])


def _table(model: Any) -> str:
    rows = [_row(name, field) for name, field in model.model_fields.items() if name != "kind"]
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows, ""])


def _row(name: str, field: Any) -> str:
    absent = field.default is None or field.default is PydanticUndefined
    default = "" if absent else f"`{_said(field.default)}`"
    return f"| `{name}` | {default} | {field.description or ''} |"


def _said(default: Any) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return "[]" if default == () else str(getattr(default, "value", default))


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
