"""Print the JSON Schema of a format, for editors and other tools."""

from __future__ import annotations

from typing import Any

from balancer.domain.value import Value


def json_schema(kind: type[Value]) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a value as it stands in files."""
    schema = kind.model_json_schema(by_alias=True)
    properties = schema.get("properties", {})
    if "schema" in properties:
        schema["required"] = ["schema", *(key for key in schema.get("required", []) if key != "schema")]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
