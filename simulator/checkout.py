"""The checkout: what goes into the baskets of planned trips, and what is paid for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simulator.basket_sizes import BasketSizeLaw
from simulator.baskets import Swap, fill
from simulator.coupon_hands import Hands
from simulator.draws import chosen, uniforms
from simulator.item_calibration import ItemCalibration
from simulator.price_effects import PriceEffects
from simulator.quantities import Portions, Quantities
from simulator.receipts import Receipts
from trainer.cache.reader import TensorCache
from trainer.cache.schema import CONTEXT
from trainer.features.calendar import EPOCH
from trainer.features.plans import FinishedTrip, TripPlan
from trainer.features.shelf_prices import ShelfPrices
from trainer.model.state import CustomerState
from trainer.model.world_model import WorldModel

SIZE, QUANTITY, PORTION, MORE = 20, 21, 22, 23
"""What a number is drawn for."""


@dataclass(frozen=True)
class Trip:
    """One finished trip."""

    week: int
    trip: FinishedTrip
    paid: np.ndarray
    """(items,) pence for all units of each."""
    key: tuple[int, int, int]
    """What tells it apart for `simulator.draws`: customer, day, and which of their trips on it."""
    coupon: np.ndarray
    """(items,) numbers of the coupons that were used, from 1; 0 for none."""
    coupon_pence: np.ndarray
    """(items,) what they took off."""

    @property
    def customer(self) -> int:
        """Whose it is."""
        return self.key[0]


@dataclass(frozen=True)
class BasketLaws:
    """What is counted of baskets in the history, and never changes."""

    sizes: BasketSizeLaw
    items: ItemCalibration
    quantities: Quantities
    portions: Portions

    @classmethod
    def of(cls, model: WorldModel, cache: TensorCache, start: int) -> BasketLaws:
        """Of the weeks of a cache up to the start."""
        return cls(
            BasketSizeLaw(cache, start), ItemCalibration(model, cache, start),
            Quantities(cache, start), Portions(cache, start),
        )  # fmt: skip


@dataclass(frozen=True)
class Checkout:
    """The checkout of one simulation."""

    model: WorldModel
    laws: BasketLaws
    prices: ShelfPrices
    effects: PriceEffects | None
    """Of planned prices."""
    hands: Hands | None
    """Who holds which coupon, where there are any."""
    segments: Callable[[np.ndarray], np.ndarray]
    """Price-sensitivity labels of customers."""
    seed: int

    def trips(
        self, states: list[CustomerState], plans: list[TripPlan], week: int, on_sale: np.ndarray,
        swap: Swap | None, keys: tuple[np.ndarray, ...],
    ) -> list[Trip | None]:  # fmt: skip
        """Planned trips (n) as they end; None where prices leave nothing in the basket.

        states: as of before the trips. on_sale (V,) bool: the week's tokens. swap: for what is
        missing or new. keys: customer, day and number (n,) each, as of `Trip.key`.
        """
        chances = self.laws.sizes.chances(
            np.array([plan.kind for plan in plans]), [state.features.log for state in states]
        )
        sizes = chosen(chances, uniforms(self.seed, SIZE, *keys))
        sizes = np.minimum(sizes, np.count_nonzero(on_sale))
        stores = np.array([plan.store for plan in plans])
        weights, reminders = None, None
        if self.effects is not None:
            groups = self.segments(keys[0])
            weights = self.effects.log_weights(stores, week, groups).exp()
        if self.hands is not None:
            weights, reminders = self.hands.weights(keys[0], stores, week, weights)
        baskets = fill(
            self.model, self.laws.items, states, plans, sizes, week, on_sale, self.seed, keys,
            weights, swap, reminders,
        )  # fmt: skip
        asked, sizes = sizes, np.array([len(basket) for basket in baskets])
        tokens = np.concatenate(baskets)
        of_trip = np.repeat(np.arange(len(plans)), sizes)
        of_items = (*(key[of_trip] for key in keys), tokens)

        def uniform(attempt: int, rows: np.ndarray) -> np.ndarray:
            return uniforms(self.seed, QUANTITY, *(key[rows] for key in of_items), attempt)

        of_size = np.array([plan.kind[0] for plan in plans])
        quantities = self.laws.quantities.draw(
            tokens, of_trip, of_size, uniform, sizes / np.maximum(asked, 1)
        )
        portions = self.laws.portions.draw(tokens, uniforms(self.seed, PORTION, *of_items))
        stores = stores[of_trip]
        if self.effects is not None:
            more = self.effects.unit_factors(tokens, stores, week)
            quantities = np.floor(quantities * more + uniforms(self.seed, MORE, *of_items))
            quantities = np.maximum(quantities, 1).astype(np.int64)
        pence = self.prices.at(tokens, stores, week).astype(np.float32)
        paid = np.rint(pence[:, 0].astype(np.float64) * quantities * portions).astype(np.int64)
        lines = [tokens, quantities, pence, paid, *np.zeros((2, len(tokens)), np.int64)]
        if self.hands is not None:
            lines[4:] = self.hands.used(keys[0][of_trip], tokens, paid / quantities, week)
        parts = [np.split(part, sizes.cumsum()[:-1]) for part in lines]
        return [
            Trip(
                week,
                FinishedTrip(plan, token, units, int(own.sum()), pence=price),
                own,
                key,
                *coupon,
            )  # fmt: skip
            if len(token)
            else None
            for plan, key, token, units, price, own, *coupon in zip(
                plans, zip(*(each.tolist() for each in keys), strict=True), *parts, strict=True
            )
        ]


def receipts(found: list[Trip]) -> Receipts:
    """Of finished trips."""
    plans = [each.trip.plan for each in found]
    none = np.empty(0, np.int64)
    coupon = np.concatenate([none, *(each.coupon for each in found)])
    coupon_pence = np.concatenate([none, *(each.coupon_pence for each in found)])
    used = np.flatnonzero(coupon)
    return Receipts(
        customer=np.array([each.customer for each in found], np.int64),
        week=np.array([each.week for each in found], np.int64),
        day=np.array([(plan.date - EPOCH).days for plan in plans], np.int64),
        hour=np.array([plan.hour for plan in plans], np.int64),
        store=np.array([plan.store for plan in plans], np.int64),
        kind=np.array([plan.kind for plan in plans], np.int64).reshape(len(plans), len(CONTEXT)),
        items=np.array([len(each.trip.tokens) for each in found], np.int64),
        token=np.concatenate([none, *(each.trip.tokens for each in found)]),
        quantity=np.concatenate([none, *(e.trip.quantities for e in found)]),
        pence=np.concatenate([none, *(each.paid for each in found)]),
        coupon_line=used, coupon=coupon[used], coupon_pence=coupon_pence[used],
    )  # fmt: skip
