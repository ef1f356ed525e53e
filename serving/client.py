"""A client of `python -m serving`, from the standard library alone.

client = Client("http://127.0.0.1:8000")
client.next_basket(customer="CUST0000000055", date="2008-07-15", hour=18)["products"]
client.tell(customer=..., trip_id=..., date=..., hour=..., store=..., items=[...], spend_pence=...)
"""

from __future__ import annotations

import json
import time
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urljoin
from urllib.request import Request, urlopen

TRIES = 5
LONGEST_WAIT = 5.0
"""Seconds between two tries, at most, whatever the server asks for."""


class Refused(Exception):
    """What the server says is wrong.

    Attributes:
        status: of HTTP. code: a word to compare. field: of the request, or None.
    """

    def __init__(self, status: int, code: str, message: str, field: str | None) -> None:
        super().__init__(message)
        self.status, self.code, self.field = status, code, field


class Client:
    """Questions as `docs/serving.md` and `/openapi.json` describe them, answers as plain values.

    What is refused because too much is waiting (503) is asked again, `TRIES` times in all, after
    the time that the server names. Telling a trip twice counts it once, so that is safe too.

    Args:
        url: of the server. key: its API key, where it demands one.
        seconds: to wait for an answer.

    Every method raises `Refused`, or OSError where no answer comes.
    """

    def __init__(self, url: str, key: str | None = None, seconds: float = 30.0) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"url: expected http:// or https://, not {url!r}")
        self._url, self._seconds = url.rstrip("/") + "/", seconds
        self._headers = {"Content-Type": "application/json"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"

    def next_basket(self, **question: Any) -> dict[str, Any]:
        """The likeliest products of the next trip."""
        return self._ask("POST", "v1/next-basket", question)

    def completion(self, **question: Any) -> dict[str, Any]:
        """What else will be in a basket."""
        return self._ask("POST", "v1/completion", question)

    def explain(self, **question: Any) -> dict[str, Any]:
        """What speaks for a product."""
        return self._ask("POST", "v1/explain", question)

    def next_visit(self, **question: Any) -> dict[str, Any]:
        """When, where and of which kind the next trip will be."""
        return self._ask("POST", "v1/next-visit", question)

    def tell(self, **trip: Any) -> dict[str, Any]:
        """Tell a finished trip; it is on disk when this returns."""
        return self._ask("POST", "v1/trips", trip)

    def customer(self, code: str, trips: int = 20) -> dict[str, Any]:
        """What is known of a customer, with their latest trips."""
        return self._ask("GET", f"v1/customers/{quote(code, '')}?{urlencode({'trips': trips})}")

    def forget(self, code: str) -> dict[str, Any]:
        """Forget a customer."""
        return self._ask("DELETE", f"v1/customers/{quote(code, '')}")

    def model(self) -> dict[str, Any]:
        """The model that answers, and the chain's codes and labels."""
        return self._ask("GET", "v1/model")

    def prices(self) -> dict[str, Any]:
        """How demand answers to prices as a whole, and what a plan is expected to bring."""
        return self._ask("GET", "v1/prices")

    def prices_of(self, product: str) -> dict[str, Any]:
        """How demand answers to the price of a product."""
        return self._ask("GET", f"v1/prices/{quote(product, '')}")

    def price_plan(self, skip: int = 0, limit: int = 100) -> dict[str, Any]:
        """Prices worth charging, those that are expected to earn most first."""
        return self._ask("GET", f"v1/price-plan?{urlencode({'skip': skip, 'limit': limit})}")

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = Request(urljoin(self._url, path), data, self._headers, method=method)
        tries = 0
        while True:
            try:
                with urlopen(request, timeout=self._seconds) as response:
                    return json.load(response)
            except HTTPError as error:
                tries += 1
                wait, refused = _told(error)
                if wait is None or tries == TRIES:
                    raise refused from None
                time.sleep(wait)
            except HTTPException as error:
                raise URLError(f"{self._url}: {error}") from None


def _told(error: HTTPError) -> tuple[float | None, Refused]:
    """After how many seconds to ask again, if at all, and what the server said."""
    wait = None
    if error.code == 503 and (asked := error.headers.get("Retry-After", "")).isdigit():
        wait = min(float(asked), LONGEST_WAIT)
    try:
        told = json.load(error)["error"]
        return wait, Refused(error.code, told["code"], told["message"], told["field"])
    except (ValueError, KeyError, TypeError):
        return wait, Refused(error.code, "unknown", f"HTTP {error.code}: {error.reason}", None)
