"""Bounds of requests and of the process. What lies beyond them is refused in one line."""

from __future__ import annotations

BODY_BYTES = 1 << 20
"""Of the body of a request."""
TEXT = 64
"""Characters of a code or a label."""
PRODUCTS = 100
"""Products in an answer."""
BASKET = 300
"""Items of a basket."""
HISTORY = 100
"""Trips of a stranger's history."""
REQUESTS = 64
"""Requests in a batch of them."""
LISTED = 1000
"""Codes in an answer that lists them."""
TRIPS_SHOWN = 200
"""Trips in a description of a customer."""
DAYS_AHEAD = 3 * 366
"""Days after the chain's calendar on which a trip may be."""

BATCH = 64
"""Questions that the model answers at once."""
WAITING = 256
"""Questions that may wait for the model. More are refused at once."""
SECONDS = 10.0
"""A question that has waited for longer is refused."""
LIVE = 4096
"""States of customers in memory."""
WARMED = 256
"""States that are ready before a new checkpoint takes over: of the latest customers."""
