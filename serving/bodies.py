"""Bodies of requests: JSON in which each name stands once."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException


class EachNameOnce(APIRoute):
    """A route that refuses a body in which an object has a name twice: of the two values the last
    would silently be taken."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:
        """What answers, given the request."""
        answer = super().get_route_handler()

        async def answered(request: Request) -> Response:
            return await answer(_Checked(request.scope, request.receive))

        return answered


class _Checked(Request):
    async def json(self) -> Any:
        return json.loads(await self.body(), object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise HTTPException(422, f"{name!r} stands more than once")
        found[name] = value
    return found
