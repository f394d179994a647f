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
    for block in (schema, *schema.get("$defs", {}).values()):
        _explain(block)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _explain(block: dict[str, Any]) -> None:
    """Give editors what the code says only once: a default is an example, a kind means what its class says."""
    for key, about in block.get("properties", {}).items():
        if key == "kind" and "const" in about:
            about.setdefault("description", block.get("description", ""))
            about.setdefault("examples", [about["const"]])
        if about.get("default") is not None and "examples" not in about:
            about["examples"] = [about["default"]]
