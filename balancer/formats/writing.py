"""Write frozen values as files that other tools read."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from balancer.domain.value import Value

_BARE: Final = re.compile(r"^[A-Za-z/][A-Za-z0-9_./+@-]*(:[A-Za-z0-9_./+@-]+)*$")
_LOOKS_LIKE_ANOTHER_TYPE: Final = re.compile(r"^(true|false|yes|no|on|off|null|y|n)$", re.IGNORECASE)


def to_json(value: Value, indent: int | None = 2) -> str:
    """Write a value as JSON, in the order of its fields; what is not known is left out."""
    data = value.model_dump(mode="json", by_alias=True, exclude_none=True)
    return json.dumps(data, indent=indent, ensure_ascii=False)


def digest_of(value: Value) -> str:
    """Return a short digest that is equal exactly for equal values."""
    text = value.model_dump_json(by_alias=True, exclude_defaults=True)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()[:16]


def one_line(value: Any) -> str:
    """Write a value as YAML on one line, the way a person would: bare where that is safe, quoted where it is not."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {one_line(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(one_line, value)) + "]"
    if isinstance(value, str) and _BARE.match(value) and not _LOOKS_LIKE_ANOTHER_TYPE.match(value):
        return value
    return json.dumps(value, ensure_ascii=False)
