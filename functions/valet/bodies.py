"""What a request says, as a model: pydantic's part of the edge, for the functions that use it.

Apart from the HTTP edge, because serving MCP must not wait for pydantic's import.
"""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from valet.errors import BadRequest


class Body(BaseModel):
    """What a route accepts: no unknown fields, no guessing at types."""

    model_config = ConfigDict(extra="forbid", strict=True, str_max_length=2000)

    @classmethod
    def read(cls, value: object) -> Self:
        """Raises BadRequest, naming the fields that are wrong, never their values."""
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise BadRequest(describe(error), code="invalid_request") from None


def describe(error: ValidationError) -> str:
    """What is wrong with a body, field by field; never with the values, which may be secrets."""
    wrong = [
        f"{'.'.join(str(part) for part in issue['loc']) or 'body'}: {issue['msg']}"
        for issue in error.errors(include_url=False, include_input=False, include_context=False)[:5]
    ]
    return "; ".join(wrong)[:1000]
