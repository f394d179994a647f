"""The door: files become frozen values here, or a list of everything that is wrong with them."""

from balancer.formats.reading import read, read_text
from balancer.formats.schemas import json_schema
from balancer.formats.writing import digest_of, to_json

__all__ = ["digest_of", "json_schema", "read", "read_text", "to_json"]
