"""Requests and answers: what they hold, within which bounds, with examples.

Codes and labels are those of the raw data. Unknown fields are refused.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    create_model,
    model_validator,
)

from serving.limits import (
    BASKET,
    HISTORY,
    LISTED,
    PRODUCTS,
    REQUESTS,
    TEXT,
)
from trainer.features.plans import MOST

PRINTABLE = r"^[^\x00-\x1f\x7f]+$"
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _day(value: Any) -> date:
    if not isinstance(value, str) or not DATE.fullmatch(value):
        raise ValueError("expected a date like 2008-07-15")
    return date.fromisoformat(value)


Text = Annotated[str, StringConstraints(min_length=1, max_length=TEXT, pattern=PRINTABLE)]
Day = Annotated[
    date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})
]  # fmt: skip
Hour = Annotated[int, Field(strict=True, ge=0, le=23, description="hour of the day")]
Label = Text | None


class Strict(BaseModel):
    """A request, or a part of one."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Kind(Strict):
    """The kind of a trip, as far as it is known: labels of the chain, see `/v1/model`."""

    size: Label = None
    sensitivity: Label = None
    type: Label = None
    focus: Label = None


class Segments(Strict):
    """A customer's segments; a label that the chain does not have counts as unknown."""

    price_sensitivity: Label = None
    lifestage: Label = None


class Item(Strict):
    """A line of a receipt."""

    product: Text
    quantity: Annotated[int, Field(strict=True, ge=1, le=MOST)] = 1
    category: Text | None = Field(
        None, description="finest category, for a product that the model does not know"
    )


class Receipt(Strict):
    """A finished trip."""

    date: Day
    hour: Hour
    store: Text
    kind: Kind = Kind()
    items: Annotated[list[Item], Field(min_length=1, max_length=BASKET)]
    spend_pence: Annotated[int, Field(strict=True, ge=0, le=MOST)]

    @model_validator(mode="after")
    def _each_product_once(self) -> Receipt:
        check_once("items", [item.product for item in self.items])
        return self


class FinishedTripIn(Receipt):
    """A finished trip of a customer."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "customer": "CUST0000000001",
                    "trip_id": "994100100000001",
                    "date": "2008-07-08",
                    "hour": 11,
                    "store": "STORE00001",
                    "kind": {"size": "M", "focus": "Fresh"},
                    "items": [
                        {"product": "PRD0900001", "quantity": 1},
                        {"product": "PRD0900007", "quantity": 2},
                    ],
                    "spend_pence": 431,
                }
            ]
        }
    )
    customer: Text
    trip_id: Annotated[Text, Field(description="of all trips of the chain; a trip counts once")]
    segments: Segments = Field(Segments(), description="read with a customer's first trip only")


class History(Strict):
    """The past of a customer whom the service does not know; nothing of it is kept."""

    segments: Segments = Segments()
    trips: Annotated[list[Receipt], Field(max_length=HISTORY, description="in order of time")]


class Who(Strict):
    """Of whom: one of the two."""

    customer: Text | None = None
    history: History | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Who:
        if (self.customer is None) == (self.history is None):
            raise ValueError("give either customer or history")
        return self


class Planned(Who):
    """When, where and for what they come next."""

    date: Day
    hour: Hour
    store: Text | None = Field(None, description="left out: that of the last trip")
    kind: Kind = Kind()


class NextBasketIn(Planned):
    """What will the customer buy?"""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "customer": "CUST0000000001",
                    "date": "2008-07-15",
                    "hour": 18,
                    "store": "STORE00001",
                    "kind": {"size": "M"},
                    "products": 5,
                },
                {
                    "history": {
                        "trips": [
                            {
                                "date": "2008-07-08",
                                "hour": 11,
                                "store": "STORE00001",
                                "items": [{"product": "PRD0900001"}],
                                "spend_pence": 120,
                            }
                        ]
                    },
                    "date": "2008-07-15",
                    "hour": 18,
                },
            ]
        }
    )
    products: Annotated[
        int, Field(strict=True, ge=1, le=PRODUCTS, description="how many, likeliest first")
    ] = 10
    among: Literal["all", "repeat", "new"] = Field(
        "all", description="all products, those bought before, or the others"
    )


class CompletionIn(NextBasketIn):
    """What else, beside what is in the basket already?"""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "customer": "CUST0000000001",
                    "date": "2008-07-15",
                    "hour": 18,
                    "basket": ["PRD0900001", "PRD0900007"],
                }
            ]
        }
    )
    basket: Annotated[list[Text], Field(min_length=1, max_length=BASKET)]

    @model_validator(mode="after")
    def _each_product_once(self) -> CompletionIn:
        check_once("basket", self.basket)
        return self


class ExplainIn(Planned):
    """What speaks for a product?"""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "customer": "CUST0000000001",
                    "date": "2008-07-15",
                    "hour": 18,
                    "product": "PRD0900001",
                }
            ]
        }
    )
    basket: Annotated[list[Text], Field(max_length=BASKET)] = []
    product: Text

    @model_validator(mode="after")
    def _each_product_once(self) -> ExplainIn:
        check_once("basket", self.basket)
        return self


class NextVisitIn(Who):
    """When, where and of which kind? What the question gives is taken as given; the rest is the
    likeliest."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"customer": "CUST0000000001"}]})
    not_before: Day | None = Field(
        None,
        description="first day on which the customer may come; left out: the first that can be "
        "asked about, or that of the last trip",
    )
    date: Day | None = None
    store: Text | None = None
    hour: Hour | None = None


def check_once(name: str, codes: list[str]) -> None:
    """Raise ValueError for a code that is there twice."""
    if len(set(codes)) < len(codes):
        raise ValueError(f"{name}: a product is there more than once")


def _several(request: type[Strict], title: str) -> type[Strict]:
    """A request that holds several."""
    many = Annotated[list[request], Field(min_length=1, max_length=REQUESTS)]
    about = f"Up to {REQUESTS} requests, each answered as if it were alone."
    made = create_model(title, __base__=Strict, __doc__=about, requests=(many, ...))
    examples = request.model_config["json_schema_extra"]["examples"]
    made.model_config["json_schema_extra"] = {"examples": [{"requests": examples}]}
    return made


NextBasketsIn = _several(NextBasketIn, "NextBasketsIn")
CompletionsIn = _several(CompletionIn, "CompletionsIn")
NextVisitsIn = _several(NextVisitIn, "NextVisitsIn")
FinishedTripsIn = _several(FinishedTripIn, "FinishedTripsIn")


# Answers: documentation only. They are made of plain values, which pydantic would check again.


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
