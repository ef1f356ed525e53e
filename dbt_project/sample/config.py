"""The size of a synthetic chain."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from trainer.commands.errors import InputError

HEADERS = ("classic", "new")
FORMATS = ("csv", "parquet")
BEHAVIOURS = ("responsive", "independent")
PRICINGS = ("managed", "random")
CHOICES = {
    "header": HEADERS, "format": FORMATS, "behaviour": BEHAVIOURS, "pricing": PRICINGS,
}  # fmt: skip
RANGES = {
    "customers": (1, 9_000_000),
    # Two for each product group.
    "products": (62, 99_999),
    "stores": (1, 99_999),
    "weeks": (1, 520),
    "seed": (0, 2**63 - 1),
}
"""Smallest and largest value."""


@dataclass(frozen=True)
class ChainConfig:
    """Everything that decides the content of a synthetic chain.

    The same values give the same bytes on every run and for every number of workers.
    """

    customers: int = 150
    """Households with a loyalty card; the quietest may never shop within the span."""
    products: int = 600
    """Products in the catalogue, those launched late included."""
    stores: int = 20
    """Stores, those opened late included; up to twelve regions, about five stores or more each."""
    weeks: int = 117
    """Weeks, from 200607 (Monday 10 April 2006) on."""
    seed: int = 7
    """Root of every random stream."""
    header: str = "classic"
    """Names of the two segment columns: `classic` is seg_1 and seg_2, `new` is
    CUST_PRICE_SENSITIVITY and CUST_LIFESTAGE."""
    format: str = "csv"
    """File format of the weekly transactions: `csv` or `parquet`."""
    replay_from: int | None = None
    """First week (1-based) in which trips of known customers are copies of their earlier ones."""

    behaviour: str = "responsive"
    """`responsive` households answer to prices in all they do and remember (`world.py`);
    `independent` weeks need nothing of each other, and prices only move purchases within a need."""
    pricing: str = "managed"
    """Who sets the prices of the responsive chain: `managed`, by demand, season and cost; `random`,
    by nothing, the unconfounded twin. Independent weeks have random prices."""

    def __post_init__(self) -> None:
        """Raises ValueError naming the first value out of range."""
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise InputError(f"{name} must be a whole number from {low} to {high}, not {value}")
        for name, allowed in CHOICES.items():
            if (value := getattr(self, name)) not in allowed:
                raise InputError(f"{name} must be one of {', '.join(allowed)}, not {value}")
        if self.replay_from is not None and not 2 <= self.replay_from <= self.weeks:
            raise InputError(
                f"replay-from must be a week from 2 to {self.weeks}, not {self.replay_from}"
            )


def written(config: ChainConfig) -> dict:
    """A configuration as chain.json holds it. Chains of independent weeks have no more than they
    had when there were no others."""
    values = asdict(config)
    if config.behaviour == "independent":
        del values["behaviour"], values["pricing"]
    return values


def read(values: dict) -> ChainConfig:
    """The configuration that `written` gave."""
    return ChainConfig(**{"behaviour": "independent", **values})
