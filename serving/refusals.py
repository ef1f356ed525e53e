"""Refusing what cannot be answered, before it becomes a task of the event loop.

Under overload refusals are most of what a server does, and what they cost is taken from answers.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.errors import overloaded
from serving.service import Service


def refusing(service: Service) -> type[HttpToolsProtocol]:
    """uvicorn's protocol, but a POST is answered with `overloaded` as soon as its head is read,
    where as many requests are under way as may wait and be worked on.

    Requests that have been read but do not wait yet count, or all that come at once would find
    room. Where a connection has something else under way `Guard` refuses, and so does the batcher
    what asks several questions.
    """
    most = service.bounds.waiting + service.bounds.batch
    refused = service.metrics.refused.labels("overloaded")
    response = overloaded().response()
    head = b"".join(b"%b: %b\r\n" % pair for pair in response.raw_headers)
    said = b"HTTP/1.1 503 Service Unavailable\r\n" + head + b"\r\n" + response.body
    answered = SimpleNamespace(response_complete=True, message_event=asyncio.Event())

    class Refusing(HttpToolsProtocol):
        def on_headers_complete(self) -> None:
            before = self.cycle or answered
            if (
                (len(self.tasks) >= most or service.batcher.is_full)
                and self.parser.get_method() == b"POST"
                and self.parser.should_keep_alive()
                and before.response_complete
            ):
                self.cycle = before  # since it is complete the body is ignored
                refused.inc()
                self.transport.write(said)
                self.on_response_complete()
            else:
                super().on_headers_complete()

    return Refusing
