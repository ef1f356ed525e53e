"""What requests say: JSON in which each name stands once, and queries of known names alone."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from serving.errors import invalid


class EachNameOnce(APIRoute):
    """A route that refuses a body in which an object has a name twice, of whose values the last
    would silently be taken, and below `/v1/` a query that has one twice, or one that it does not
    know. Whoever checks or measures the server may ask `/health?anything`."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:
        """What answers, given the request."""
        answer = super().get_route_handler()
        known = [part.alias for part in self.dependant.query_params]
        is_checked = self.path.startswith("/v1/")

        async def answered(request: Request) -> Response:
            if is_checked:
                _check_query(request, known)
            return await answer(_Checked(request.scope, request.receive))

        return answered


def _check_query(request: Request, known: list[str]) -> None:
    names = [name for name, _ in request.query_params.multi_items()]
    for name in names:
        if name not in known:
            allowed = f"known are {', '.join(known)}" if known else "there are none here"
            raise invalid(f"{name!r:.80} is unknown in the query: {allowed}", name)
        if names.count(name) > 1:
            raise invalid(f"{name!r} stands more than once in the query", name)


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
