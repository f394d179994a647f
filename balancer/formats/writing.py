"""Write frozen values as files that other tools read."""

from __future__ import annotations

import hashlib
import json

from balancer.domain.value import Value


def to_json(value: Value, indent: int | None = 2) -> str:
    """Write a value as JSON, in the order of its fields; what is not known is left out."""
    data = value.model_dump(mode="json", by_alias=True, exclude_none=True)
    return json.dumps(data, indent=indent, ensure_ascii=False)


def digest_of(value: Value) -> str:
    """Return a short digest that is equal exactly for equal values."""
    text = value.model_dump_json(by_alias=True, exclude_defaults=True)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()[:16]
