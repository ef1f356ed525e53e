"""What is known of a chain from its records up to a week, in one file without code in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from trainer.commands.errors import InputError

FORMAT = "retailsim.learned_world.1"
LARGEST = 1 << 30
"""Bytes of the largest file that is read."""


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

    @property
    def start(self) -> int:
        """S, the last week of the history."""
        return self.cost.shape[1]

    def save(self, path: Path) -> None:
        """Write the file: arrays and a mark."""
        arrays = {f.name: np.ascontiguousarray(getattr(self, f.name)) for f in fields(self)}
        save_file(arrays, path, {"format": FORMAT, "digest": _digest(arrays)})

    @classmethod
    def load(cls, path: Path) -> Knowledge:
        """Read what `save` wrote. Raises InputError for any other file."""
        if not path.is_file():
            raise InputError(f"{path}: there is no such file; python -m simulator.policy learn")
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path}: larger than {LARGEST >> 20} MB")
        try:
            with safe_open(path, "np") as file:
                if (file.metadata() or {}).get("format") != FORMAT:
                    raise InputError(
                        f"{path} is no learned world: python -m simulator.policy learn"
                    )
                found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                digest = file.metadata().get("digest")
        except SafetensorError as error:
            raise InputError(f"{path} cannot be read ({error})") from None
        wanted = {f.name for f in fields(cls)}
        if wanted != found.keys():
            lacks = ", ".join(sorted(wanted ^ found.keys()))
            raise InputError(f"{path}: {lacks} missing or unknown: learn it again")
        if digest != _digest(found):
            raise InputError(f"{path} is damaged or of an earlier version: learn it again")
        return cls(**found)


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Of names, types, shapes and values."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        found.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        found.update(np.ascontiguousarray(arrays[name]).tobytes())
    return found.hexdigest()
