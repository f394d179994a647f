"""Parts of a policy: sections of which each may be absent, and how one is laid over another."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, create_model

from balancer.domain.value import Value


class Written(Value):
    """Something that knows what was written of it."""

    def written(self) -> dict[str, Any]:
        """Return what was written, without defaults."""
        return self.model_dump(exclude_unset=True, by_alias=True)


def part_of(sections: type[Value], name: str, doc: str) -> type[Value]:
    """Return the kind of value whose keys are those of `sections`, none of them with a default of its own."""
    fields: dict[str, Any] = {
        key: (
            Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation,
            Field(default=None, description=field.description, examples=field.examples),
        )
        for key, field in sections.model_fields.items()
    }
    return create_model(name, __base__=Written, __doc__=doc, **fields)


def deep(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Lay one block over another: blocks are joined key by key, anything else is replaced."""
    joined = dict(under)
    for key, value in over.items():
        below = under.get(key)
        joined[key] = deep(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return joined
