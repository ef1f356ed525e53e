"""What is known of a chain from its records up to a week, in one file without code in it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from simulator.tensor_file import TensorFile
from trainer.commands.errors import InputError

FILE = TensorFile(
    "retailsim.learned_world.2", "learned world", "python -m simulator.policy learn writes them"
)


@dataclass(frozen=True)
class Knowledge:
    """N products in the order of their codes, K needs, H customers with a card, G segments of
    price sensitivity, S weeks of history. Prices are pence; logs of prices are relative to `usual`.
    """

    code: np.ndarray
    """(N, bytes) uint8 product codes, padded with 0."""
    group: np.ndarray
    """(N,) category that a lever moves."""
    listed: np.ndarray
    """(N,) first regular price."""
    amount: np.ndarray
    """(N,) what a unit is in units of the price: 1, or kilograms of goods sold by weight."""
    charged: np.ndarray
    """(N,) what is paid over list price x amount: some formats are dearer."""
    usual: np.ndarray
    """(N,) the usual price, the median of the weeks."""
    regular: np.ndarray
    """(N, S) regular prices, `depth` (N, S) of promotions (the mean of regions) and `funding` (N,
    S), the share of a depth that suppliers pay."""
    depth: np.ndarray
    funding: np.ndarray
    cost: np.ndarray
    """(N, S) unit costs."""
    on_sale: np.ndarray
    """(N,) bool: sold in the last weeks."""
    need: np.ndarray
    """(N,), and `share`, `switching`, `quantity` and `further` (N,) as of `PriceResponse`; products
    outside its panel stand for themselves."""
    share: np.ndarray
    switching: np.ndarray
    quantity: np.ndarray
    further: np.ndarray
    of_need: np.ndarray
    """(4,) v, d and p of `simulator.prices.response`, and the effect on visits."""
    switches: np.ndarray
    """(1,) bool as of `PriceResponse`."""
    units_a_trip: np.ndarray
    """(N,)"""
    reference: np.ndarray
    """(K,) reference prices and `stock` (K,) after the history."""
    stock: np.ndarray
    segment: np.ndarray
    """(H,), and `factor` (G,) of all effects on customers of each."""
    factor: np.ndarray
    rate: np.ndarray
    """(H,) trips a week at usual prices."""
    basket: np.ndarray
    """(H, N) share of each product in what a usual basket costs."""
    learnt: np.ndarray
    """(H,) log price level of the usual basket that a customer has learnt."""
    likes: np.ndarray
    """(H, N) trips with a product for each trip, at usual prices."""
    strangers: np.ndarray
    """(1,) anonymous trips for each trip with a card."""
    traffic: np.ndarray
    """(52,) log trips over the year's mean, by week after the history."""
    season: np.ndarray
    """(N, 52) likewise of a product's sales for each trip."""
    noise: np.ndarray
    """(1,) standard deviation of the log of a product's weekly sales beyond a Poisson's."""
    units: np.ndarray
    """(N, S) units sold, estimated for all tills; `trips` (S,) and `revenue` (S,) pounds."""
    trips: np.ndarray
    revenue: np.ndarray
    last_trip: np.ndarray
    """(H,) week."""
    spend: np.ndarray
    """(H,) pounds a week, smoothed, after the history."""
    bought: np.ndarray
    """(H, N) week of the last purchase."""
    coupon: np.ndarray
    """(C,) product of each coupon of a trial, none without one; `coupon_depth` (1,) the share that
    they take off, and the response of `coupon_response`: `coupon_lift` (segments,), `coupon_taken`
    (C,)."""
    coupon_depth: np.ndarray
    coupon_lift: np.ndarray
    coupon_taken: np.ndarray
    cache: str
    """Digest of the tensor cache that it was learnt from."""

    @property
    def start(self) -> int:
        """S, the last week of the history."""
        return self.cost.shape[1]

    def save(self, path: Path) -> None:
        """Write the file."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self)}
        FILE.write(path, {k: v for k, v in arrays.items() if k != "cache"}, {"cache": self.cache})

    @classmethod
    def load(cls, path: Path) -> Knowledge:
        """Read what `save` wrote. Raises InputError for any other file."""
        arrays, facts = FILE.read(path)
        found = arrays | facts
        if unknown := sorted({f.name for f in fields(cls)} ^ found.keys()):
            raise InputError(f"{path}: {unknown[0]} is missing or unknown: learn it again")
        return cls(**found)
