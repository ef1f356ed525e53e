"""What each household of a synthetic chain does on average, beside what it does in a simulation.

`python -m dbt_project.redraw` writes it from what made the chain.

Shape letters: C customers of the cache, P those with a history, N products, T trips, I items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simulator.fidelity.trip_sets import TripSet
from simulator.fidelity.window import Window
from trainer.commands.errors import InputError

WRITE = "write it with python -m dbt_project.redraw"


@dataclass(frozen=True)
class Households:
    """How often customers come, and with what."""

    trips: np.ndarray
    """(P,) in all judged weeks."""
    held: np.ndarray
    """(P, N) items of each product on a trip; 0 where nothing is known of a customer's trips."""

    @classmethod
    def of_runs(cls, window: Window, runs: Sequence[TripSet]) -> Households:
        """Means over runs; of trips, over all trips of all runs."""
        size, products = len(window.population), window.cache.products
        trips, held = np.zeros(size), np.zeros((size, products))
        for run in runs:
            place = window.place[run.customer]
            trips += np.bincount(place, minlength=size)
            known = window.cache.vocabulary.is_product(run.token)
            cell = place[run.trip[known]] * products + run.token[known] - 1
            held += np.bincount(cell, minlength=size * products).reshape(size, products)
        return cls(trips / len(runs), held / np.maximum(trips, 1)[:, None])


class Truth:
    """The truth of a window's households.

    Attributes:
        households: what they do on average.
        sample: the same, as far as trips tell it that are as many as those up to the start and
            drawn like those of the window: what a history would tell if nothing ever changed.
        runs: the judged weeks, drawn again by what made the chain.

    Raises InputError where the file is no such file, or of another cache or window.
    """

    def __init__(self, path: Path, window: Window) -> None:
        self._window = window
        try:
            with np.load(path, allow_pickle=False) as file:
                found = {name: file[name] for name in file.files}
            cache, start, weeks = (found[name].item() for name in ("cache", "start", "weeks"))
            whole = {name: found[name] for name in ("trips", "sample_trips")}
            of_products = {name: found[name] for name in ("held", "sample_held", "favourite")}
            runs = _runs(found)
        except FileNotFoundError:
            raise InputError(f"{path} does not exist: {WRITE}") from None
        except Exception as error:  # a wrong bit may raise anything
            raise InputError(f"{path} holds no truth ({error}): {WRITE}") from None
        if cache != window.cache.digest:
            raise InputError(f"{path} is of another cache than {window.cache.folder}: {WRITE}")
        last = int(window.weeks[-1])
        if (start, start + weeks) != (window.start, last):
            raise InputError(
                f"{path} is of weeks {start + 1}-{start + weeks}, not {window.start + 1}-{last}: "
                f"{WRITE}, for the same --start and --weeks"
            )
        shape = window.customers, window.cache.products
        if {each.shape for each in whole.values()} != {shape[:1]} or {
            each.shape for each in of_products.values()
        } != {shape}:
            raise InputError(f"{path} holds no truth: {WRITE}")
        self.runs = runs
        who = window.population
        self.households = Households(whole["trips"][who], of_products["held"][who])
        self.sample = Households(whole["sample_trips"][who], of_products["sample_held"][who])
        self._favourite = of_products["favourite"][who].astype(bool)

    def figures(self, found: Households) -> dict[str, float]:
        """`HOUSEHOLDS` of `simulator.fidelity.goals`: each is a mean over households by their true
        number of trips; what is on trips, over those of whom there are some."""
        true, weeks = self.households, len(self._window.weeks)
        weight = true.trips * (found.held.any(1) & true.held.any(1))
        weight = weight / max(weight.sum(), 1e-9)
        items, true_items = found.held.sum(1), true.held.sum(1)
        shares, true_shares = _shares(found.held), _shares(true.held)
        return {
            "trips": found.trips.sum() / len(found.trips) / weeks,
            "trips.error": np.abs(found.trips - true.trips).sum() / true.trips.sum(),
            "items": weight @ items,
            "items.error": weight @ np.abs(items - true_items) / (weight @ true_items),
            "categories": weight @ self._distance(shares, true_shares),
            "products": weight @ _correlations(shares, true_shares),
            "favourites": weight @ (shares * self._favourite).sum(1),
        }

    def _distance(self, shares: np.ndarray, others: np.ndarray) -> np.ndarray:
        """(P,) total variation distance of shares by category."""
        category = self._window.category[1 : shares.shape[1] + 1]
        order = np.argsort(category, kind="stable")
        first = np.flatnonzero(np.diff(category[order], prepend=-1))
        difference = np.add.reduceat((shares - others)[:, order], first, axis=1)
        return np.abs(difference).sum(1) / 2


def _runs(found: dict[str, np.ndarray]) -> list[TripSet]:
    run, items = found["run"], found["items"]
    line = np.repeat(run, items)
    sets = []
    for number in range(int(run.max()) + 1):
        of_trip, of_line = run == number, line == number
        sets.append(
            TripSet.of(
                items=items[of_trip], token=found["product"][of_line] + 1,
                quantity=found["quantity"][of_line],
                **{name: found[name][of_trip] for name in (
                    "customer", "day", "hour", "store", "kind", "spend",
                )},
            )
        )  # fmt: skip
    return sets


def _shares(held: np.ndarray) -> np.ndarray:
    return held / np.maximum(held.sum(1, keepdims=True), 1e-9)


def _correlations(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(P,) correlation over columns; 0 where one does not vary."""
    one, other = (each - each.mean(1, keepdims=True) for each in (one, other))
    size = np.sqrt((one**2).sum(1) * (other**2).sum(1))
    return (one * other).sum(1) / np.maximum(size, 1e-12)
