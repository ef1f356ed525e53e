"""The chain that a server works for: its cache, and what requests say, in tokens and codes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import numpy as np

from serving.errors import invalid
from serving.limits import DAYS_AHEAD
from serving.schemas import Kind, Receipt, Segments
from trainer.cache.reader import TensorCache
from trainer.cache.schema import CONTEXT
from trainer.commands.errors import InputError
from trainer.features.calendar import EPOCH, training_days
from trainer.features.chain import Chain
from trainer.features.chain_sales import chain_sales_after
from trainer.features.plans import FinishedTrip, TripPlan
from trainer.features.price_evidence import price_evidence
from trainer.features.shelf_prices import ShelfPrices
from trainer.model.state import CustomerState, recorded_states
from trainer.next_baskets.basket_sizes import BasketSizes


class ServedChain:
    """A chain as its cache has it when the weeks up to one are over.

    Args:
        cache: the tensor cache.
        last_week: the last week that is over; the last of the cache if left out.

    Raises InputError for a last week that the cache does not have.
    """

    def __init__(self, cache: TensorCache, last_week: int | None = None) -> None:
        weeks = int(cache["trips.week"].max())
        self.last_week = weeks if last_week is None else last_week
        if not 1 <= self.last_week <= weeks:
            raise InputError(f"--until-week: expected 1 to {weeks}, not {last_week}")
        self.cache = cache
        prices = ShelfPrices.from_cache(cache)
        self.chain = Chain(cache, chain_sales_after(cache, self.last_week), prices)
        self.first_date = EPOCH + timedelta(self.chain.calendar.first_day(self.last_week + 1))
        self.last_date = EPOCH + timedelta(int(cache["days.date"][-1]) + DAYS_AHEAD)
        self.price_evidence = price_evidence(cache)
        """Whether prices moved, so that it can be asked what other prices would do."""
        self.products = np.array([""] + _texts(cache["products.code"]), dtype=object)
        """(N + 1,) product codes by token."""
        self.stores = _texts(cache["stores.code"])
        self.customers = _texts(cache["customers.code"])
        self._row = {code: row for row, code in enumerate(self.customers)}
        finest = cache["categories.level"] == 0
        self._category = {
            code: row for row, code in enumerate(_texts(cache["categories.code"])) if finest[row]
        }
        self._offsets = cache["customers.trip_offsets"].astype(np.int64)
        self._trip_ids = np.sort(cache["trips.basket_id"][cache["trips.week"] <= self.last_week])
        self.sizes = BasketSizes(cache, self.last_week)

    @cached_property
    def digest(self) -> str:
        """What states depend on beside weights and logged trips."""
        return f"{self.cache.digest}:{self.last_week}"

    def knows(self, customer: str) -> bool:
        """Whether the cache has the customer."""
        return customer in self._row

    def recorded(self, customer: str) -> np.ndarray:
        """Rows of a recorded customer's trips up to the last week, in order of time."""
        rows = self._rows(customer)
        return rows[self.cache["trips.week"][rows] <= self.last_week]

    def has_recorded(self, trip_id: str) -> bool:
        """Whether a trip up to the last week, of whichever customer, has this id."""
        known, sought = self._trip_ids, trip_id.encode()
        if len(sought) > known.itemsize:
            return False
        place = np.searchsorted(known, np.array(sought, known.dtype))
        return bool(place < len(known) and known[place] == sought)

    def states_of(self, customers: Sequence[str]) -> list[CustomerState]:
        """The states of recorded customers when the last week is over."""
        rows = [self._row[customer] for customer in customers]
        return recorded_states(self.chain, self.cache, rows, self.last_week)

    def segments(self, segments: Segments) -> tuple[int, int]:
        """Their codes."""
        return self.chain.segments(segments.price_sensitivity or "", segments.lifestage or "")

    def kind(self, kind: Kind, field: str = "kind") -> tuple[int, int, int, int]:
        """Its codes. Raises ApiError for a label that the chain does not have."""
        labels = {name: label for name in CONTEXT if (label := getattr(kind, name)) is not None}
        try:
            return self.chain.kind(**labels)
        except ValueError as error:
            name = str(error).partition(":")[0]
            raise invalid(f"{field}.{error}", f"{field}.{name}") from None

    def tokens(self, codes: Sequence[str]) -> tuple[list[int], list[str]]:
        """Tokens of the known products among codes, and the others."""
        known, others = [], []
        for code in codes:
            try:
                known += self.chain.tokens([code]).tolist()
            except KeyError:
                others.append(code)
        return known, others

    def finished(self, receipt: Receipt) -> tuple[FinishedTrip | None, list[str]]:
        """A finished trip, and the products that it leaves out: those that are not known, nor are
        their categories. None where nothing is left. Raises ApiError for what cannot be."""
        tokens, quantities, left_out = [], [], []
        for item in receipt.items:
            known, _ = self.tokens([item.product])
            category = self._category.get(item.category)
            if not known and category is None:
                left_out.append(item.product)
                continue
            tokens += known or [self.chain.vocabulary.fallback(category)]
            quantities.append(item.quantity)
        if not tokens:
            return None, left_out
        plan = TripPlan(
            receipt.date, receipt.hour, self.chain.store(receipt.store), self.kind(receipt.kind)
        )
        finished = FinishedTrip(plan, np.array(tokens), np.array(quantities), receipt.spend_pence)
        return finished, left_out

    def labels(self, kind: Sequence[int]) -> dict[str, str | None]:
        """Labels of a kind of trip; None where it is unknown."""
        return {
            name: self.chain.labels[name][code - 1] if code else None
            for name, code in zip(CONTEXT, kind, strict=True)
        }

    def codes(self, tokens: np.ndarray) -> list[str | None]:
        """Product codes of tokens (n,); None for the fallback of a category."""
        is_product = self.chain.vocabulary.is_product(tokens)
        return np.where(is_product, self.products[np.where(is_product, tokens, 0)], None).tolist()

    def later(self, customer: str, most: int) -> list[dict[str, Any]]:
        """What a recorded customer bought after the last week: the first trips of it."""
        cache, offsets = self.cache, self.cache["trips.item_offsets"]
        calendar, first_day = self.chain.calendar, training_days(self.cache).start
        rows = self._rows(customer)
        rows = rows[cache["trips.week"][rows] > self.last_week][:most]
        return [
            {
                "date": calendar.date(int(cache["trips.day"][row]) - first_day).isoformat(),
                "hour": int(cache["trips.hour"][row]),
                "store": self.chain.store_code(int(cache["trips.store"][row])),
                "kind": self.labels([int(cache[f"trips.{name}"][row]) for name in CONTEXT]),
                "products": self.codes(cache["items.token"][offsets[row] : offsets[row + 1]]),
            }
            for row in rows
        ]

    def check_date(self, day: date, field: str = "date") -> None:
        """Raise ApiError for a date that the model cannot be asked about."""
        if not self.first_date <= day <= self.last_date:
            raise invalid(
                f"{field}: expected {self.first_date} to {self.last_date}, not {day}", field
            )

    def check_latest(self, day: date, field: str) -> None:
        """Raise ApiError for a date after the last one of the chain's calendar."""
        if day > self.last_date:
            raise invalid(f"{field}: expected {self.last_date} at the latest", field)

    def _rows(self, customer: str) -> np.ndarray:
        row = self._row[customer]
        return np.arange(self._offsets[row], self._offsets[row + 1])


def _texts(codes: np.ndarray) -> list[str]:
    return [code.decode() for code in codes.tolist()]
