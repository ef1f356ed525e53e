"""Answers: what they hold.

Documentation only: they are made of plain values, which pydantic would check again.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, create_model

from serving.limits import LISTED


class Wrong(BaseModel):
    """What is wrong."""

    code: str
    message: str
    field: str | None


class Error(BaseModel):
    """Every answer that is no success."""

    error: Wrong


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route may answer beside its success."""
    return {status: {"model": Error} for status in statuses}


class ProductChance(BaseModel):
    product: str
    p: float = Field(description="calibrated probability that the basket holds it")
    bought: bool = Field(description="whether it was bought on one of the last 1,024 trips")


class KindChances(BaseModel):
    size: dict[str, float]
    sensitivity: dict[str, float]
    type: dict[str, float]
    focus: dict[str, float]


class BasketOut(BaseModel):
    customer: str | None
    products: list[ProductChance]
    expected_items: float = Field(description="items, beside those in the basket")
    kind: KindChances
    trips: int = Field(description="earlier trips of the customer")
    store: str | None = Field(description="null: one that the model does not know")
    left_out: list[str] = Field(description="products of the basket that the model does not know")


class PastTrip(BaseModel):
    date: str
    hour: int
    store: str | None
    kind: dict[str, str | None]


class ExplainOut(BaseModel):
    customer: str | None
    product: str
    p: float
    rank: int = Field(description="among all products, from 1")
    logit: float
    parts: dict[str, float] = Field(description="what the logit is the sum of")
    trips: int
    with_product: int = Field(description="of the last 1,024 trips")
    with_category: int
    usual_gap_days: float | None = Field(description="median between purchases of it")
    bought: list[PastTrip] = Field(description="the latest trips with it, newest first")


class Chance(BaseModel):
    value: str | int | None
    p: float


class NextVisitOut(BaseModel):
    customer: str | None
    after: str = Field(description="date of the last trip")
    days: list[Chance] = Field(description="each day from the first possible one on")
    later: float = Field(description="probability of a day after those")
    date: str
    stores: list[Chance] = Field(description="on that date: known stores of the customer")
    new_store: float = Field(description="probability of a store never visited")
    store: str | None
    hours: list[float] = Field(description="at that store: each hour from 0")
    hour: int
    kind: KindChances = Field(description="each given the likeliest before it")


class TripOut(BaseModel):
    customer: str
    trip_id: str
    number: int = Field(description="of the customer's trips that were told to the service")
    left_out: list[str] = Field(description="products of no known category, which do not count")


class CustomerTrip(PastTrip):
    products: list[str | None] = Field(description="null: one that the model does not know")


class CustomerOut(BaseModel):
    customer: str
    segments: dict[str, str | None]
    trips: int
    recorded: int = Field(description="trips that the cache has; the others were told")
    last: PastTrip | None
    latest: list[CustomerTrip] = Field(description="the latest trips, newest first")
    later: list[CustomerTrip] = Field(
        description="recorded trips after the week until which the service knows; oldest first"
    )


class ForgottenOut(BaseModel):
    customer: str
    forgotten: bool


class CodesOut(BaseModel):
    codes: list[str]
    more: bool = Field(description=f"whether there are more; at most {LISTED} are listed")


class ModelOut(BaseModel):
    weights: str = Field(description="SHA-256 of the file of weights")
    loaded: str = Field(description="when it took over, UTC")
    products: int
    stores: list[str]
    categories: int
    customers: int = Field(description="recorded ones")
    first_date: str = Field(description="the earliest date of a plan")
    last_date: str
    labels: dict[str, list[str]]
    prices_moved: bool = Field(description="whether the receipts can tell what prices do")
    prices: bool = Field(description="whether questions about prices are answered")


class Health(BaseModel):
    status: str


def several_out(answer: type[BaseModel], title: str) -> type[BaseModel]:
    """The answer to several requests."""
    of_each = Annotated[list[answer | Error], Field(description="in the order of requests")]
    return create_model(title, answers=(of_each, ...))


BasketsOut = several_out(BasketOut, "BasketsOut")
NextVisitsOut = several_out(NextVisitOut, "NextVisitsOut")
TripsOut = several_out(TripOut, "TripsOut")
