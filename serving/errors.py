"""What a client is told when something is wrong: one line, in one shape, never a stack trace.

{"error": {"code": "unknown_customer", "message": "...", "field": "customer"}}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json
from starlette.responses import Response

RETRY = {"retry-after": "1"}


class ApiError(Exception):
    """Something that a client is told.

    Args:
        status: of HTTP.
        code: a word that programs can compare.
        message: one line that says what is wrong and what to do.
        field: of the request, dotted, where there is one.
    """

    def __init__(self, status: int, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.field = status, code, field

    def body(self) -> dict[str, Any]:
        """As JSON values."""
        return {"error": {"code": self.code, "message": str(self), "field": self.field}}

    def response(self) -> Response:
        """As an answer; with Retry-After where the client should ask again."""
        headers = RETRY if self.status == 503 else None
        return json_response(self.body(), self.status, headers)


def overloaded() -> ApiError:
    """More than can be answered is waiting."""
    return ApiError(503, "overloaded", "too many requests are waiting: ask again in a second")


def invalid(message: str, field: str | None = None) -> ApiError:
    """A value that cannot be used."""
    return ApiError(422, "invalid", " ".join(message.split()), field)


def of_validation(errors: Sequence[dict[str, Any]]) -> ApiError:
    """The first of pydantic's errors; values of the request are not repeated."""
    first = errors[0]
    place = [str(part) for part in first["loc"] if part not in ("body", "query", "path")]
    field = ".".join(place) or None
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "json_invalid":
        return ApiError(400, "not_json", "the body is not JSON", None)
    if first["type"] == "model_attributes_type" and not place:
        return invalid("expected a JSON object, and the header Content-Type: application/json")
    if first["type"] == "string_pattern_mismatch":
        message = "expected text without control characters"
    return invalid(f"{field}: {message}" if field else message, field)


def json_response(
    content: Any, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """JSON of plain values."""
    return Response(to_json(content), status, headers, media_type="application/json")
