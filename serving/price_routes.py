"""The routes about prices."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Query
from fastapi.responses import Response

from serving import answer_schemas as a
from serving import price_schemas as p
from serving import schemas as s
from serving.errors import ApiError, json_response
from serving.limits import LISTED
from serving.prices import Prices, none_given
from serving.service import Service

MOST_SKIPPED = 1_000_000


def price_routes(app: FastAPI, service: Service) -> None:
    """Add them. Without prices each answers that none were given, and why."""
    errors, known = a.errors(401, 404, 421, 422), frozenset(service.served.products[1:].tolist())

    def prices() -> Prices:
        if service.prices is None:
            raise none_given(service.served.price_evidence)
        return service.prices

    @app.get(
        "/v1/prices", summary="How demand answers to prices as a whole", tags=["prices"],
        response_model=p.PricesOut, responses=errors,
    )  # fmt: skip
    async def summary() -> Response:
        return json_response(prices().summary())

    @app.get(
        "/v1/price-plan", summary="Prices worth charging", tags=["prices"],
        response_model=p.PricePlanOut, responses=errors,
    )  # fmt: skip
    async def plan(
        skip: Annotated[int, Query(ge=0, le=MOST_SKIPPED)] = 0,
        limit: Annotated[int, Query(ge=1, le=LISTED)] = 100,
    ) -> Response:
        """Under the rules that the plan was made with: `/v1/prices` has them, and what is
        expected."""
        return json_response(prices().changes(skip, limit))

    @app.get(
        "/v1/prices/{product:path}", summary="How demand answers to the price of a product",
        tags=["prices"], response_model=p.ProductPricesOut, responses=errors,
    )  # fmt: skip
    async def of_product(product: s.Text) -> Response:
        found = prices()
        if product not in known:
            raise ApiError(404, "unknown_product", f"no product {product!r}", "product")
        return json_response(found.of(product))
