"""The routes, and what OpenAPI says of them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from serving import answer_schemas as a
from serving import schemas as s
from serving.bodies import EachNameOnce
from serving.errors import ApiError, json_response, of_validation
from serving.guard import Guard, fault
from serving.limits import LISTED, TEXT, TRIPS_SHOWN
from serving.price_routes import price_routes
from serving.requests import Describe, Forget, Observe
from serving.service import Service

PAGE = Path(__file__).parent / "page"
"""What a browser is shown."""
ABOUT = """What customers will buy next, when and where, from a trained model and receipts.

Codes and labels are those of the raw data. Whatever is wrong is answered as
`{"error": {"code", "message", "field"}}`: 400 a body that is not JSON, 401 a missing key, 404 an
unknown customer or product, 409 what contradicts what is known, 413 too large a body, 421 a `Host`
that is not the loopback's, 422 a value that cannot be used, 503 with `Retry-After` more than can be
answered.
"""
CODES = {400: "not_json", 404: "no_such_route", 405: "no_such_method", 413: "too_large"}
"""Of errors that routing raises."""
Limit = Annotated[int, Query(ge=1, le=LISTED)]
Prefix = Annotated[str, Query(max_length=TEXT)]
QUESTION_ERRORS = (400, 401, 404, 409, 413, 421, 422, 503)


def create_app(service: Service, key: str | None = None, only_loopback: bool = True) -> FastAPI:
    """The application. It starts and stops the service, and reads the checkpoint again on SIGHUP.

    key: see `Guard`.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.start()
        loop, swaps = asyncio.get_running_loop(), set()

        def swap() -> None:
            task = loop.create_task(service.swap())
            swaps.add(task)
            task.add_done_callback(swaps.discard)

        with suppress(RuntimeError, ValueError):  # not the main thread: a test's
            loop.add_signal_handler(signal.SIGHUP, swap)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        yield
        await asyncio.gather(*swaps)
        await loop.run_in_executor(None, service.stop)

    app = FastAPI(
        title="RetailSim", summary="Next baskets over HTTP", description=ABOUT, version="1",
        lifespan=lifespan, docs_url=None, redoc_url=None,
    )  # fmt: skip
    app.router.route_class = EachNameOnce
    app.add_middleware(
        Guard, metrics=service.metrics, key=key, only_loopback=only_loopback,
        is_full=lambda: service.batcher.is_full,
    )  # fmt: skip
    _handle_errors(app)
    asker = _Asker(service)
    _questions(app, asker)
    _customers(app, asker)
    _codes(app, service)
    price_routes(app, service)
    _operations(app, service)
    app.mount("/page", StaticFiles(directory=PAGE, html=True))

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return RedirectResponse("page/")

    return app


class _Asker:
    """Answers of the model's thread as responses."""

    def __init__(self, service: Service) -> None:
        self._batcher = service.batcher

    async def one(self, request: Any) -> Response:
        """To one request."""
        try:
            return json_response(await self._batcher.ask(request))
        except Exception as error:
            return _told(error).response()

    async def several(self, requests: Sequence[Any]) -> Response:
        """To several, each by itself."""
        try:
            asked = self._batcher.submit(requests)
        except ApiError as error:
            return error.response()
        found = await asyncio.gather(*asked, return_exceptions=True)
        return json_response(
            {
                "answers": [
                    _told(each).body() if isinstance(each, Exception) else each for each in found
                ]
            }
        )


def _told(error: Exception) -> ApiError:
    return error if isinstance(error, ApiError) else fault(error)


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(RequestValidationError)
    async def of_request(_: Request, error: RequestValidationError) -> Response:
        return of_validation(error.errors()).response()

    @app.exception_handler(HTTPException)
    async def of_routing(_: Request, error: HTTPException) -> Response:
        code = CODES.get(error.status_code, "invalid")
        response = ApiError(error.status_code, code, str(error.detail).lower()).response()
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(ApiError)
    async def of_api(_: Request, error: ApiError) -> Response:
        return error.response()


def _questions(app: FastAPI, asker: _Asker) -> None:
    def post(path: str, answer: type, summary: str) -> Any:
        return app.post(
            path, summary=summary, response_model=answer, tags=["questions"],
            responses=a.errors(*QUESTION_ERRORS),
        )  # fmt: skip

    @post("/v1/next-basket", a.BasketOut, "The likeliest products of the next trip")
    async def next_basket(question: s.NextBasketIn) -> Response:
        return await asker.one(question)

    @post("/v1/next-baskets", a.BasketsOut, "Several next baskets")
    async def next_baskets(questions: s.NextBasketsIn) -> Response:
        return await asker.several(questions.requests)

    @post("/v1/completion", a.BasketOut, "What else will be in a basket")
    async def completion(question: s.CompletionIn) -> Response:
        return await asker.one(question)

    @post("/v1/completions", a.BasketsOut, "Several completions")
    async def completions(questions: s.CompletionsIn) -> Response:
        return await asker.several(questions.requests)

    @post("/v1/explain", a.ExplainOut, "What speaks for a product")
    async def explain(question: s.ExplainIn) -> Response:
        """The parts of its score (they add up to the logit), and the trips on which the customer
        bought it."""
        return await asker.one(question)

    @post("/v1/next-visit", a.NextVisitOut, "When, where and of which kind the next trip will be")
    async def next_visit(question: s.NextVisitIn) -> Response:
        """One thing after the other, each given those before it."""
        return await asker.one(question)

    @post("/v1/next-visits", a.NextVisitsOut, "Several next visits")
    async def next_visits(questions: s.NextVisitsIn) -> Response:
        return await asker.several(questions.requests)

    @post("/v1/trips", a.TripOut, "Tell a finished trip")
    async def trip(finished: s.FinishedTripIn) -> Response:
        """Acknowledged when it is on disk. The same trip told again is answered as the first time;
        another trip of the same id, one that the cache has, and one before the customer's last are
        refused (409)."""
        return await asker.one(Observe(finished))

    @post("/v1/trips/batch", a.TripsOut, "Tell several finished trips")
    async def trips(finished: s.FinishedTripsIn) -> Response:
        """In their order. Each is acknowledged or refused by itself."""
        return await asker.several([Observe(each) for each in finished.requests])


def _customers(app: FastAPI, asker: _Asker) -> None:
    errors = a.errors(401, 404, 421, 422, 503)

    @app.get(
        "/v1/customers/{customer:path}", summary="What is known of a customer", tags=["customers"],
        response_model=a.CustomerOut, responses=errors,
    )  # fmt: skip
    async def customer(
        customer: s.Text, trips: Annotated[int, Query(ge=0, le=TRIPS_SHOWN)] = 20
    ) -> Response:
        return await asker.one(Describe(customer, trips))

    @app.delete(
        "/v1/customers/{customer:path}", summary="Forget a customer", tags=["customers"],
        response_model=a.ForgottenOut, responses=errors,
    )  # fmt: skip
    async def forget(customer: s.Text) -> Response:
        """Trips that were told and the state are deleted; what the cache has is not read again."""
        return await asker.one(Forget(customer))


def _codes(app: FastAPI, service: Service) -> None:
    def codes(known: Sequence[str], prefix: str, after: str, limit: int) -> Response:
        found = [code for code in known if code.startswith(prefix) and code > after]
        return json_response({"codes": found[:limit], "more": len(found) > limit})

    served = service.served  # its rows are in the order of first weeks
    known_customers, products = sorted(served.customers), sorted(served.products[1:].tolist())

    @app.get(
        "/v1/customers", summary="Codes of recorded customers", tags=["codes"],
        response_model=a.CodesOut, responses=a.errors(401, 421, 422),
    )  # fmt: skip
    async def customers(prefix: Prefix = "", after: Prefix = "", limit: Limit = 100) -> Response:
        return codes(known_customers, prefix, after, limit)

    @app.get(
        "/v1/products", summary="Codes of products", tags=["codes"],
        response_model=a.CodesOut, responses=a.errors(401, 421, 422),
    )  # fmt: skip
    async def products_(prefix: Prefix = "", after: Prefix = "", limit: Limit = 100) -> Response:
        return codes(products, prefix, after, limit)


def _operations(app: FastAPI, service: Service) -> None:
    @app.get(
        "/v1/model", summary="The model that answers", tags=["operation"],
        response_model=a.ModelOut, responses=a.errors(401, 421),
    )  # fmt: skip
    async def model() -> Response:
        checkpoint, since = service.engine.current
        served = service.served
        return json_response(
            {
                "weights": checkpoint.weights_digest,
                "loaded": since.isoformat(timespec="seconds"),
                "products": len(served.products) - 1,
                "stores": served.stores,
                "categories": served.chain.vocabulary.categories,
                "customers": len(served.customers),
                "first_date": served.first_date.isoformat(),
                "last_date": served.last_date.isoformat(),
                "labels": {name: list(labels) for name, labels in served.chain.labels.items()},
                "prices_moved": served.price_evidence.can_tell,
                "prices": service.prices is not None,
            }
        )

    @app.get("/health", summary="Whether the process answers", tags=["operation"],
             response_model=a.Health, responses=a.errors(421))  # fmt: skip
    async def health() -> Response:
        return json_response({"status": "ok"})

    @app.get("/ready", summary="Whether questions are answered", tags=["operation"],
             response_model=a.Health, responses=a.errors(421, 503))  # fmt: skip
    async def ready() -> Response:
        if not service.batcher.is_alive:
            return ApiError(503, "not_ready", "the model's thread does not run").response()
        return json_response({"status": "ready"})

    @app.get("/metrics", summary="Metrics for Prometheus", tags=["operation"],
             response_class=PlainTextResponse, responses=a.errors(401, 421))  # fmt: skip
    async def metrics() -> Response:
        return PlainTextResponse(service.metrics.text(), media_type="text/plain; version=0.0.4")
