"""Around the routes: who may ask, how much, how long it took, and what is said of faults."""

from __future__ import annotations

import hmac
import logging
import re
import sqlite3
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException

from serving.errors import ApiError, overloaded
from serving.limits import BODY_BYTES
from serving.metrics import Metrics

log = logging.getLogger("retailsim.serving")
CLOSED = ("/v1/", "/metrics", "/openapi.json")
"""Answered with the key alone. The page's files hold nothing."""
LOOPBACK = re.compile(rb"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]+)?", re.IGNORECASE)
"""Hosts that a browser on this machine may name. Any other is a page whose own name points here,
to read what it may not."""

TOO_LARGE = f"a body has at most {BODY_BYTES} bytes"

Receive = Callable[[], Awaitable[dict[str, Any]]]


class Guard:
    """ASGI middleware.

    Args:
        app: what is guarded.
        metrics: where requests are counted.
        key: demanded as `Authorization: Bearer KEY` where it is not None.
        only_loopback: whether requests must name one of `LOOPBACK` as their host.
        is_full: whether a question would be refused; then its body is not read.
    """

    def __init__(
        self, app: Any, metrics: Metrics, key: str | None, only_loopback: bool,
        is_full: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._app, self._metrics, self._is_full = app, metrics, is_full
        self._key = None if key is None else key.encode()
        self._only_loopback = only_loopback

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 0

        async def sent(message: dict[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            self._check(scope)
            await self._app(scope, _bounded(receive), sent)
        except ApiError as error:
            self._metrics.refused.labels(error.code).inc()
            await error.response()(scope, receive, sent)
        except Exception as error:
            told = fault(error)
            if not status:
                await told.response()(scope, receive, sent)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            taken = time.perf_counter() - start
            self._metrics.latency.labels(route, str(status)).observe(taken)

    def _check(self, scope: dict[str, Any]) -> None:
        headers = dict(scope["headers"])
        if self._only_loopback and not LOOPBACK.fullmatch(headers.get(b"host", b"")):
            raise ApiError(421, "host", "this server answers for 127.0.0.1 and localhost alone")
        if self._key is not None and scope["path"].startswith(CLOSED):
            kind, _, given = headers.get(b"authorization", b"").partition(b" ")
            if kind.lower() != b"bearer" or not hmac.compare_digest(given.strip(), self._key):
                raise ApiError(401, "key", "expected the header Authorization: Bearer KEY")
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > BODY_BYTES:
            raise ApiError(413, "too_large", TOO_LARGE)
        if scope["method"] == "POST" and self._is_full():
            raise overloaded()


def _bounded(receive: Receive) -> Receive:
    """A body without a length is counted as it comes."""
    received = 0

    async def bounded() -> dict[str, Any]:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > BODY_BYTES:
            raise HTTPException(413, TOO_LARGE)
        return message

    return bounded


def fault(error: Exception) -> ApiError:
    """What a client is told of an error that is not theirs; the log says more."""
    if isinstance(error, sqlite3.Error):
        log.error("store: %s", error)
        return ApiError(503, "store", "the store cannot be read or written: try again later")
    log.error(
        "fault: %s: %s", type(error).__name__, error, exc_info=log.isEnabledFor(logging.DEBUG)
    )
    return ApiError(500, "fault", "a fault of the server, not of the request: see its log")
