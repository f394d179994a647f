"""The base of every value that is read from or written to a file."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    StrictBool,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

Amount = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
"""A quantity that cannot be negative; a word, a NaN or an infinity is refused."""

Share = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
"""A part of a whole, 0 to 1."""

Count = Annotated[int, Field(strict=True, ge=0)]
Flag = StrictBool
Name = Annotated[str, StringConstraints(min_length=1, max_length=256, strip_whitespace=True)]
Moment = AwareDatetime
"""A point in time; without a time zone it is refused."""


class Value(BaseModel):
    """A frozen value. Unknown keys are refused by name, keys that begin with `x-` are kept and ignored."""

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        populate_by_name=True,
        json_schema_extra={"additionalProperties": False, "patternProperties": {"^x-": {}}},
    )

    @model_validator(mode="wrap")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any, build: ModelWrapValidatorHandler[Self]) -> Self:
        """Report unknown keys together with whatever else is wrong, so that one reading finds all faults."""
        unknown = cls._unknown_keys(data)
        try:
            value = build(data)
        except ValidationError as failed:
            if not unknown:
                raise
            raise ValidationError.from_exception_data(cls.__name__, [*unknown, *_restated(failed)]) from None
        if unknown:
            raise ValidationError.from_exception_data(cls.__name__, unknown)
        return value

    @classmethod
    def _unknown_keys(cls, data: Any) -> list[InitErrorDetails]:
        if not isinstance(data, dict):
            return []
        known = cls.known_keys()
        return [
            {"type": unknown_key(str(key), known), "loc": (str(key),), "input": value}
            for key, value in data.items()
            if key not in known and not str(key).startswith("x-")
        ]

    @classmethod
    def known_keys(cls) -> set[str]:
        """Return the keys that a file may use here."""
        fields = cls.model_fields
        return set(fields) | {field.alias for field in fields.values() if field.alias}


def unknown_key(key: str, known: set[str]) -> PydanticCustomError:
    """Name an unknown key and the known one that it resembles most."""
    near = difflib.get_close_matches(key, sorted(known), n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(sorted(known))}"
    return PydanticCustomError("unknown_key", "unknown key `{key}`, {hint}", {"key": key, "hint": hint})


def _restated(failed: ValidationError) -> list[InitErrorDetails]:
    return [
        {
            "type": PydanticCustomError(error["type"], error["msg"], error.get("ctx")),
            "loc": error["loc"],
            "input": error["input"],
        }
        for error in failed.errors(include_url=False)
    ]
