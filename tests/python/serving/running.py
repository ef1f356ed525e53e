"""A server in a thread of the test, reached over HTTP; and questions to it."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import httpx
import pytest
import uvicorn

from serving.app import create_app
from serving.batcher import Job
from serving.engine import Engine
from serving.refusals import refusing
from serving.service import Service
from trainer.cache.reader import TensorCache

AFTER = "2006-03-10"
"""A day after all of the toy chain's trips."""


class Running:
    """A server; a context."""

    def __init__(
        self, service: Service, key: str | None = None, only_loopback: bool = True
    ) -> None:
        self.service = service
        self.app = create_app(service, key, only_loopback)
        self._server = uvicorn.Server(
            uvicorn.Config(
                self.app,
                log_config=None,
                access_log=False,
                lifespan="on",
                server_header=False,
                date_header=False,
                http=refusing(service),
            )
        )
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.client = httpx.Client(base_url=self.url, timeout=30)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )

    def __enter__(self) -> Running:
        self._thread.start()
        while not self._server.started:
            self._thread.join(0.005)
            assert self._thread.is_alive()
        return self

    def __exit__(self, *_: Any) -> None:
        self.client.close()
        self._server.should_exit = True
        self._thread.join()

    def ask(self, path: str, status: int = 200, **body: Any) -> Any:
        """What a question is answered; the status must be this."""
        response = self.client.post(path, json=body)
        assert response.status_code == status, response.text
        return response.json()

    def get(self, path: str, status: int = 200) -> Any:
        """The same for what is read."""
        response = self.client.get(path)
        assert response.status_code == status, response.text
        return response.json()

    def refused(self, path: str, status: int, **body: Any) -> tuple[str, str | None]:
        """Code and field of an error, whose shape is checked."""
        error = self.ask(path, status, **body)
        assert error.keys() == {"error"} and error["error"].keys() == {"code", "message", "field"}
        assert "\n" not in error["error"]["message"]
        return error["error"]["code"], error["error"]["field"]


def by_hand(service: Service, *requests: Any) -> list[Any]:
    """Results of requests that the model's thread is given as one batch, or exceptions."""
    results: dict[int, Any] = {}
    done = threading.Condition()

    def finish(pairs: Any) -> None:
        with done:
            results.update({id(job): result for job, result in pairs})
            done.notify_all()

    loop = asyncio.new_event_loop()
    jobs = [Job(request, loop.create_future()) for request in requests]
    engine: Engine = service.engine
    engine._finish = finish
    engine.work(jobs)
    with done:
        assert done.wait_for(lambda: len(results) == len(jobs), timeout=30)
    loop.close()
    return [results[id(job)] for job in jobs]


def receipt(customer: str = "C1", trip_id: str = "t1", **changes: Any) -> dict[str, Any]:
    """A finished trip."""
    usual = {
        "customer": customer, "trip_id": trip_id, "date": AFTER, "hour": 11, "store": "STORE001",
        "items": [{"product": "PRD0001"}, {"product": "PRD0005", "quantity": 2}],
        "spend_pence": 250,
    }  # fmt: skip
    return usual | changes


def made_up_prices(cache: TensorCache) -> dict[str, Any]:
    """What `python -m simulator.prices` might have found, with a plan."""
    codes = [code.decode() for code in cache["products.code"][:3].tolist()]
    rows = [
        {
            "product": code, "category": "CL1", "department": "D1", "need": 0,
            "share_of_need": 0.5, "elasticity": value, "low": value - 0.5, "high": value + 0.5,
            "rests_on": of, "weeks_with_a_move": 4, "standard_deviation_of_log_price": 0.1,
            "price_pence": 100, "units_a_week": 20.0, "rivals": [],
            "unit_cost_pence": 60.0, "new_price_pence": new, "new_units_a_week": 18.0,
            "gain_pence": new - 100.0,
        }
        for code, value, of, new in zip(
            codes, (-2.0, -1.5, 0.0), ("own sales", "typical product", "price never moved"),
            (105, 109, 100), strict=True,
        )
    ]  # fmt: skip
    rows[0]["rivals"] = [{"product": codes[1], "elasticity": 0.4, "low": 0.2, "high": 0.6}]
    return {
        "format": 2, "cache_digest": cache.digest, "start": 4, "weeks": 26,
        "evidence": "in training weeks 1-3 the price of 2 of 3 products moved", "least_trips": 100,
        "needs": 2, "substitutes": 0.3, "switches": True,
        "rest_on": {"own sales": 1, "typical product": 1, "price never moved": 1},
        "own": {"low": -2.0, "median": -1.75, "high": -1.5},
        "visits": {"elasticity": -0.5, "standard_error": 0.2}, "products": rows, "pairs": [],
        "plan": {
            "changed": 2, "profit_before": 1000.0, "profit_after": 1014.0, "usual_gain": 0.01,
            "units_before": 60.0,
            "units_after": 54.0, "rules_text": None,
            "rules": [{"rule": "most_move", "limit": 0.1, "reached": 1.0, "binds": True}],
        },
    }  # fmt: skip


def same(one, other):
    """Assert that answers are equal up to the rounding of sums."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            same(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            same(a, b)
    elif isinstance(one, float):
        assert one == pytest.approx(other, abs=1e-5)
    else:
        assert one == other
