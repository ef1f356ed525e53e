"""How strongly shoppers, costs and the manager of the responsive chain behave.

docs/chain.md has the formulas in which these numbers stand, and where they come from.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from trainer.commands.errors import InputError

SHARES = {
    "memory", "learning", "forgetting", "reminder", "forming", "fading", "stand_by", "missing",
    "demand_memory", "cost_memory", "review",
}  # fmt: skip
"""Parameters that are shares or chances: at most 1."""


@dataclass(frozen=True)
class Behaviour:
    """Parameters of the responsive chain. All but `market` are at least 0; weeks are the unit of
    time."""

    spread: float = 0.35
    """Standard deviation of the log price sensitivity of households within a class."""
    need: float = 0.4
    """Elasticity of buying in a need at all to a lasting change of its price."""
    deal: float = 0.5
    """The like for a price below the household's reference price, on top."""
    loss: float = 0.7
    """The like for a price above it: losses count more than gains."""
    feature: float = 0.3
    """Log weight in the choice within a need that a promotion adds beyond its price."""
    memory: float = 0.25
    """Weight of a newly seen price in the reference price of a need."""
    stock_up: float = 2.5
    """Elasticity of buying several at once to a price below the reference price, storable goods."""
    room: float = 3.0
    """Purchases of a need that the pantry holds at most."""
    visits: float = 1.5
    """Elasticity of the number of trips to the price image."""
    learning: float = 0.12
    """Weight of a trip's prices in the price image."""
    forgetting: float = 0.02
    """Share of the price image forgotten in a week without a trip."""
    market: float = -0.02
    """Log price level of competitors, relative to the chain's first prices."""
    leaving: float = 0.001
    """Chance in a week that a household is lost, at the market's price level."""
    leaving_price: float = 10.0
    """Elasticity of that chance to the price image."""
    returning: float = 0.01
    """Chance in a week that a lost household comes back, at the market's price level."""
    habit: float = 0.8
    """Relative weight that a fully formed habit adds to a product of the repertoire."""
    forming: float = 0.12
    """Share of the way to a full habit that one purchase makes."""
    fading: float = 0.03
    """Share of a habit lost in a week."""
    adopted: float = 1.5
    """Weight of a fully formed habit for a product outside the repertoire, in average products of
    it."""
    reminder: float = 0.6
    """Chance that a deep coupon for what a household always needs brings the product to mind."""
    stand_by: float = 0.45
    """Chance that a household whose product is missing takes a substitute."""
    missing: float = 0.01
    """Chance that a product is out of stock in a region and week; doubled by a promotion."""
    demand_shock: float = 0.1
    """Standard deviation of the weekly innovation of a sub-commodity's log demand."""
    demand_memory: float = 0.8
    """What is left of a demand shock a week later."""
    commodity_cost: float = 0.015
    """Standard deviation of the weekly innovation of a commodity's log unit cost."""
    product_cost: float = 0.02
    """The like of a product's, beside its commodity's."""
    cost_memory: float = 0.96
    """What is left of a cost shock a week later."""
    margin_low: float = 0.22
    margin_high: float = 0.36
    """Range of the products' margins at first prices and costs, shares of the price."""
    pass_through: float = 0.8
    """Share of a cost shock that the manager's target price follows."""
    surge: float = 0.45
    """How far the target price follows demand that the manager sees coming (log on log)."""
    clearance: float = 1.5
    """How much likelier slow sales make a promotion (log odds for each log unit of sales)."""
    in_season: float = 0.3
    """How much likelier demand that the manager sees coming makes a promotion."""
    review: float = 0.05
    """Chance in a week that the manager reviews a product's regular price."""

    def __post_init__(self) -> None:
        """Raises InputError naming the first value that makes no sense."""
        for field in fields(self):
            name, value = field.name, getattr(self, field.name)
            low, high = (-10, 10) if name == "market" else (0, 1 if name in SHARES else 100)
            if not low <= value <= high:
                raise InputError(f"{name} must be from {low} to {high}, not {value}")
        if not self.margin_low <= self.margin_high < 1:
            raise InputError("margin_low must not exceed margin_high, and both are below 1")
