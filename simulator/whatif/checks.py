"""Whether a scenario is one that these receipts can tell anything about."""

from __future__ import annotations

import numpy as np

from simulator.coupon_answers import check_told
from simulator.planned_prices import PriceChange
from simulator.scenario import Scenario
from trainer.cache.reader import TensorCache
from trainer.commands.errors import InputError
from trainer.features.price_evidence import PriceEvidence, price_evidence
from trainer.features.shelf_prices import ShelfPrices

STORES_AT_ONCE, SHELVES_AT_ONCE = 1024, 1 << 16
"""Bounds on the memory of the search for a price that changes."""
ROUNDING = 0.5
"""Pence: planned prices are whole ones, and the median of several stores may not be."""


def check(cache: TensorCache, scenario: Scenario, first: int, last: int) -> PriceEvidence | None:
    """What receipts tell of prices, where a scenario changes any; first, last: simulated weeks.

    Raises InputError for a scenario that changes nothing in these weeks, for one that changes
    prices or has coupons where prices never moved, or display or mailer where none are known, and
    for coupons of which nobody says who uses them, a customer would have two on a product, or that
    make it cost nothing.
    """
    for name in ("display", "mailer"):
        asked = any(getattr(each, name) for each in scenario.prices)
        if asked and not (cache[f"promotions.{name}"] > 0).any():
            raise InputError(
                f"prices: {name}: these receipts hold none, so that nothing can be said of what it "
                "does: leave it out"
            )
    weeks = range(first, last + 1)
    others = [
        *(entry_weeks for _, entry_weeks in (*scenario.closed_stores, *scenario.delisted)),
        *(entry_weeks for count, entry_weeks in scenario.new_customers if count),
        *scenario.coupons,
    ]
    opens = [each.week for each in (*scenario.opened_stores, *scenario.launched)]
    others_change = (
        any(each.first <= last and each.last >= first for each in others)
        or any(week <= last for week in opens)
        or scenario.closed_days
    )
    asks = [name for name in ("prices", "coupons") if getattr(scenario, name)]
    prices = ShelfPrices.from_cache(cache, last_week=first - 1) if asks else None
    prices_change = any(_reprices(cache, prices, each, weeks) for each in scenario.prices)
    if not others_change and not prices_change:
        raise InputError(f"the scenario changes nothing in weeks {first}-{last}")
    if not asks:
        return None
    evidence = price_evidence(cache)
    if not evidence.can_tell:
        raise InputError(
            f"{asks[0]}: these receipts cannot tell how demand answers to prices: "
            f"{evidence.words()}. Leave the {' and '.join(asks)} out of the scenario; delistings, "
            "launches, stores, days and customers can be told without"
        )
    _check_coupons(cache, scenario, prices)
    return evidence if scenario.prices else None


def _check_coupons(cache: TensorCache, scenario: Scenario, prices: ShelfPrices) -> None:
    check_told(scenario.coupons, scenario.trial)
    shelf = scenario.planned(prices)
    stores = np.arange(cache.rows("stores"))
    turns = {week for price in scenario.prices for week in (price.first, price.last + 1)}
    for number, each in enumerate(scenario.coupons, start=1):
        for before, other in enumerate(scenario.coupons[: number - 1], start=1):
            both = (each.token & other.token).any() and (each.customer & other.customer).any()
            if both and each.first <= other.last and other.first <= each.last:
                raise InputError(
                    f"coupons, entry {number}: a customer would have two coupons on a product in "
                    f"the same week, this one and that of entry {before}"
                )
        weeks = np.array([each.first, *filter(each.good, turns)])
        for token in np.flatnonzero(each.token) if each.pence is not None else ():
            pence = shelf.at(np.array(token), stores, weeks[:, None])[..., 0].min(axis=0)
            if pence.min() <= each.pence:
                code = cache["products.code"][token - 1].decode()
                raise InputError(
                    f"coupons, entry {number}: off: {each.pence / 100:.2f} is not below the price "
                    f"of {code}, {pence.min() / 100:.2f} in {(pence <= each.pence).sum():,} stores"
                )


def _reprices(cache: TensorCache, prices: ShelfPrices, change: PriceChange, weeks: range) -> bool:
    """Whether any shelf has another price for it in these weeks, or is announced. Prices of weeks
    to come are those last seen, so one week is enough."""
    week = max(change.first, weeks[0])
    if week > min(change.last, weeks[-1]):
        return False
    if change.display or change.mailer:
        return True
    token = np.flatnonzero(change.token[: cache.products + 1])
    store = np.flatnonzero(change.store)
    for begin in range(0, len(store), STORES_AT_ONCE):
        some = store[begin : begin + STORES_AT_ONCE]
        step = max(SHELVES_AT_ONCE // len(some), 1)
        for row in range(0, len(token), step):
            pence = prices.at(token[row : row + step, None], some, np.array(week))[..., 0]
            if (np.abs(change.of(pence) - pence) > ROUNDING).any():
                return True
    return False
