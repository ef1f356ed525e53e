"""Answers about prices, for the documentation."""

from __future__ import annotations

from pydantic import BaseModel, Field


class OwnElasticities(BaseModel):
    """Of the products whose price moved: the middle one, and the ends of eight in ten."""

    low: float | None
    median: float | None
    high: float | None


class Visits(BaseModel):
    elasticity: float = Field(description="of trips to the price level of the usual basket")
    standard_error: float


class Rule(BaseModel):
    rule: str = Field(description="as in the file of rules")
    limit: float | list[int] = Field(description="of `parity` the number of links")
    reached: float = Field(
        description="of `index` the price level, of `most_changes` the number of changes, of the "
        "others how many prices or links stand at the limit, of `endings` how many keep it"
    )
    binds: bool


class Plan(BaseModel):
    """Prices worth charging, as a whole; money and units are those of a week."""

    changed: int
    profit_pence: float = Field(description="expected at today's prices")
    new_profit_pence: float
    usual_gain: float | None = Field(
        description="share by which profit grows at the prices usually paid in the last half year; "
        "null where nothing is earned at these"
    )
    units: float
    new_units: float
    rules: list[Rule]
    caution: str


class PricesOut(BaseModel):
    start: int = Field(description="last week of the receipts that this was learned from")
    weeks: int = Field(description="for which a new price is held")
    evidence: str = Field(description="how often prices moved")
    products: int = Field(description="with an answer")
    least_trips: int = Field(description="with a product, for it to have one")
    rest_on: dict[str, int] = Field(description="products by what their elasticity rests on")
    own: OwnElasticities
    cross_identifiable: bool = Field(
        description="whether it can be told which products replace each other"
    )
    substitutes: float = Field(
        description="share of the pairs of a finest category that are substitutes at 5 %; chance "
        "makes .05 of unrelated ones"
    )
    visits: Visits
    plan: Plan | None = Field(description="null: none was made")


class Rival(BaseModel):
    product: str
    elasticity: float = Field(description="of the units of the product asked about to its price")
    low: float | None
    high: float | None


class PlannedPrice(BaseModel):
    unit_cost_pence: float | None = Field(description="null: it keeps its price")
    new_price_pence: float
    new_units_a_week: float = Field(description="expected when all of the plan holds")
    gain_pence: float = Field(description="expected profit a week beyond today's")


class ProductPricesOut(BaseModel):
    product: str
    elasticity: float | None = Field(
        description="of its units to its own price: -2 is 2 % fewer for 1 % more; null: not known"
    )
    low: float | None = Field(description="the middle 90 % of what receipts leave open")
    high: float | None
    rests_on: str = Field(
        description="`own sales`; `typical product`: what others do; `price never moved`, "
        "`too few sales` or `sold by weight`: nothing is known"
    )
    weeks_with_a_move: int | None = Field(description="by 5 % or more, in some zone of prices")
    standard_deviation_of_log_price: float | None
    price_pence: float | None = Field(description="today's regular one, the mean over stores")
    units_a_week: float | None
    rivals: list[Rival] = Field(description="of its need, whose price moves its units most")
    plan: PlannedPrice | None = Field(description="null: there is no plan, or it is not in it")


class PriceChange(PlannedPrice):
    product: str
    price_pence: float
    units_a_week: float


class PricePlanOut(BaseModel):
    changes: list[PriceChange] = Field(description="that earn most first")
    more: bool
