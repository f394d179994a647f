"""Write the policy reference from the code: `python docs/make_reference.py`. Tests hold what it writes to the code.

It also writes the JSON Schema that editors use, and copies the ready policies into the package.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from balancer.constraints import KINDS as CONSTRAINTS
from balancer.constraints import Constraint
from balancer.domain.value import Value
from balancer.formats import json_schema
from balancer.objectives import KINDS as OBJECTIVES
from balancer.policy.dial import DIAL, MEANING
from balancer.policy.document import PolicyDocument
from balancer.policy.model import Scheduled
from balancer.policy.windows import Window

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "policy.md"
READY = ROOT / "policies"
SHIPPED = ROOT / "balancer" / "policy" / "ready"
HEAD = """# Policy reference

Made from the code by `python docs/make_reference.py`. `balancer explain KIND` says the same in a terminal, `balancer
schema policy` prints the JSON Schema for editors, and `balancer check FILE` finds every fault of a file. A first line
such as `# yaml-language-server: $schema=policy.schema.json` makes editors use the schema (a copy is
[policies/policy.schema.json](../policies/policy.schema.json)). `balancer policy show` prints the policy in force, now
or at any moment, with the line that each value came from.

The file opens with `schema: balancer.policy/1`. Keys that begin with `x-` are kept and ignored; other unknown keys
are refused. It is YAML 1.2: `no`, `on` and `22:00` are texts.
"""

DIAL_HEAD = """## Aggressiveness

`aggressiveness: 1` to `5` sets a handful of values at once. What the file writes itself always wins; a file that
turns the dial overrules what the files that it extends wrote in these places.
"""

LAYERS = """## Files that build on others

`extends: base.yaml` (relative to the file) or `extends: balanced` (a ready policy by name) lays this file over
another one, which may extend a third. Blocks are joined key by key, values and lists are replaced. Constraints are
joined: one with the `name` of an inherited one takes its place, `remove: [NAME]` leaves an inherited one out.
Schedules are joined, the inherited entries first. `name` is not inherited. Each fault names the file and line where
the faulty value stands.

    schema: balancer.policy/1
    extends: balanced
    remove: [bound-to-room-a]
    headroom: {cpu: 0.70}
    clusters:
      lab: {mode: act, aggressiveness: 5}
      production: {budget: {moves: 5}}

`clusters` says what single clusters are to have otherwise, in the same way, so that one file serves several.
"""

TIME = """## Time

`windows` names stretches of time. A schedule says which sections hold while a window is open, and `when: night` or
`when: {not: night}` on a constraint says that it counts only then. Where windows overlap, the later entry of the
schedule wins, key by key, and `balancer check` says so. The policy in force is asked for when planning and again
before each step; a freeze that begins stops new steps, and what runs may end.

    time_zone: Europe/Rome
    holidays: ["01-01", "12-25", 2026-04-06]
    windows:
      night: {days: [mon-fri], from: 22:00, to: 06:00}       # into the next day
      days-off: {days: [sat, sun, holidays]}
      backup: {cron: "30 2 * * *", minutes: 90}
    schedule:
      - {during: night, set: {objectives: {least_power: {weight: 1.0}}, headroom: {cpu: 0.85}}}
      - {during: backup, set: {freeze: all}}

Where the clock is changed a window is as long as any reading of it: it starts at the first of two equal hours and
ends at the last, and what lies in a lost hour starts at the jump and keeps its length.
"""

RELOAD = """## Changing a policy while the service runs

The service reads a changed file, or a changed file that it extends, before the next cycle, and logs in one sentence
what is different; SIGHUP makes it read at once. A file with a fault is refused: each fault is logged, `balancer
health` says so, and the old policy stays in force.
"""


def reference() -> str:
    """Return the whole reference as Markdown."""
    kinds = [_kind(kind, _name(kind)) for kind in CONSTRAINTS]
    wishes = [_kind(kind, kind.kind) for kind in OBJECTIVES]
    sections = [
        _section(name, field.annotation)
        for name, field in PolicyDocument.model_fields.items()
        if inspect.isclass(field.annotation)
        and issubclass(field.annotation, Value)
        and name not in {"headroom", "objectives"}
    ]
    parts = [HEAD, "## Promises\n", *kinds, "## Wishes\n", *wishes, "## Everything else\n", _top(), *sections]
    return "\n".join([*parts, _time(), f"{DIAL_HEAD}\n{_dial()}", LAYERS, RELOAD])


def _time() -> str:
    tables = f"### windows\n\n{_meaning(Window)}\n\n{_table(Window)}\n### schedule\n\n{_meaning(Scheduled)}\n"
    return f"{TIME}\n{tables}\n{_table(Scheduled)}"


def _dial() -> str:
    levels = range(1, 6)
    head = ["| sets | " + " | ".join(map(str, levels)) + " |", "|---|" + "---|" * len(levels)]
    meaning = "| meaning | " + " | ".join(MEANING) + " |"
    rows = [
        f"| `{path}` | " + " | ".join("" if value is None else f"{value:g}" for value in values) + " |"
        for path, values in DIAL.items()
    ]
    return "\n".join([*head, meaning, *rows, ""])


def _meaning(model: Any) -> str:
    return inspect.getdoc(model) or ""


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
        _row(field.alias or name, field)
        for name, field in PolicyDocument.model_fields.items()
        if not (inspect.isclass(field.annotation) and issubclass(field.annotation, Value))
    ]
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows, ""])


def _table(model: Any) -> str:
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *_rows(model), ""])


def _rows(model: Any, within: str = "") -> list[str]:
    """Return a row a key; keys of a section within a section are written `section.key`."""
    rows = []
    for name, field in model.model_fields.items():
        if inspect.isclass(field.annotation) and issubclass(field.annotation, Value):
            rows += _rows(field.annotation, f"{within}{name}.")
        elif name != "kind":
            rows.append(_row(f"{within}{field.alias or name}", field))
    return rows


def _row(name: str, field: Any) -> str:
    absent = field.default is None or field.default is PydanticUndefined
    default = "" if absent else f"`{_said(field.default)}`"
    meaning = (field.description or "").replace("|", "\\|")  # a bare one would begin the next column
    return f"| `{name}` | {default} | {meaning} |"


def _said(default: Any) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return f"[{', '.join(map(str, default))}]"
    return str(getattr(default, "value", default))


def made_files() -> dict[Path, str]:
    """Return every file that is made from others, with what it has to say."""
    schema = json.dumps(json_schema(PolicyDocument), indent=1, ensure_ascii=False) + "\n"
    copies = {SHIPPED / path.name: path.read_text(encoding="utf-8") for path in sorted(READY.glob("*.yaml"))}
    return {TARGET: reference(), READY / "policy.schema.json": schema, **copies}


if __name__ == "__main__":
    for path, text in made_files().items():
        path.write_text(text, encoding="utf-8")
