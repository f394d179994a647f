"""When a promise is in force: within a window of the policy, or outside of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from pydantic import Field, GetJsonSchemaHandler, model_serializer, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from balancer.domain.value import Name, Value


class When(Value):
    """Within a window (`when: night`), or outside of it (`when: {not: night}`)."""

    during: Name | None = Field(default=None, description="a window of the policy")
    not_: Name | None = Field(default=None, alias="not", description="a window of the policy: in force outside of it")

    @model_validator(mode="before")
    @classmethod
    def _from_a_name(cls, given: Any) -> Any:
        if not isinstance(given, str | dict | When):
            raise ValueError("is not the name of a window; write `when: night` or `when: {not: night}`")
        return {"during": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _names_one_window(self) -> Self:
        if (self.during is None) == (self.not_ is None):
            raise ValueError("names no window; write `when: night` or `when: {not: night}`")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string"}, handler(core)]}

    @model_serializer
    def _as_written(self) -> str | dict[str, str]:
        return self.during or {"not": self.not_ or ""}

    @property
    def window(self) -> str:
        return self.during or self.not_ or ""

    def is_in_force(self, is_open: Callable[[str], bool]) -> bool:
        """Whether the promise counts, given which windows are open."""
        return is_open(self.window) is (self.not_ is None)

    def __str__(self) -> str:
        return self.during or f"not {self.not_}"
