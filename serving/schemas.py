"""Requests: what they hold, within which bounds, with examples.

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
