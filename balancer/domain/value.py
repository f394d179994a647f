"""The base of every value that is read from or written to a file."""

from __future__ import annotations

import difflib
import inspect
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

OF_EVERY_PROMISE = {"kind", "name", "hard", "when"}  # no hint to where a key belongs
MOST_LISTED = 12  # known keys; more of them hide what is wrong

Amount = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
"""A quantity that cannot be negative; a word, a NaN or an infinity is refused."""

Share = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
"""A part of a whole, 0 to 1."""

Count = Annotated[int, Field(strict=True, ge=0)]
Flag = StrictBool
Name = Annotated[str, StringConstraints(min_length=1, max_length=256, strip_whitespace=True)]
Moment = AwareDatetime
"""A point in time; without a time zone it is refused."""

SecretRef = Annotated[str, StringConstraints(pattern=r"^(file|env):[A-Za-z0-9_.\-]+$")]
"""Where a secret is: `file:NAME` in the secrets directory, or `env:NAME`."""


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
            {"type": unknown_key(str(key), known, cls._sections_with(str(key))), "loc": (str(key),), "input": value}
            for key, value in data.items()
            if key not in known and not str(key).startswith("x-")
        ]

    @classmethod
    def _sections_with(cls, key: str) -> list[str]:
        """Return the blocks below this one in which a key would be known."""
        sections = {name: field.annotation for name, field in cls.model_fields.items()}
        if key in OF_EVERY_PROMISE:
            return []
        return [
            name
            for name, kind in sections.items()
            if inspect.isclass(kind) and issubclass(kind, Value) and key in kind.known_keys()
        ]

    @classmethod
    def known_keys(cls) -> set[str]:
        """Return the keys that a file may use here."""
        fields = cls.model_fields
        return set(fields) | {field.alias for field in fields.values() if field.alias}


def unknown_key(key: str, known: set[str], sections: list[str] | None = None) -> PydanticCustomError:
    """Name an unknown key, and where it belongs, or the known one that it resembles most."""
    names = sorted(name for name in known if not name.endswith("_"))
    near = difflib.get_close_matches(key.lower().replace("-", "_"), names, n=1)
    listed = f"known here: {', '.join(names)}" if len(names) <= MOST_LISTED else "docs/policy.md lists the keys"
    hint = f"did you mean `{near[0]}`?" if near else listed
    if sections:
        hint = f"it belongs under {' or '.join(f'`{name}`' for name in sections[:2])}"
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
