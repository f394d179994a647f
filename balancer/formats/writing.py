"""Write frozen values as files that other tools read."""

from __future__ import annotations

import hashlib
import json

from balancer.domain.value import Value


def to_json(value: Value, indent: int | None = 2) -> str:
    """Write a value as JSON with `schema` first; what has its default is left out."""
    data = value.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    field = type(value).model_fields.get("schema_")
    return json.dumps({"schema": field.default, **data} if field else data, indent=indent, ensure_ascii=False)


def digest_of(value: Value) -> str:
    """Return a short digest that is equal exactly for equal values."""
    text = value.model_dump_json(by_alias=True, exclude_defaults=True)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()[:16]
