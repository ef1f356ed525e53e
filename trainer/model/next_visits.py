"""The next visits of customers in use: chances of one thing after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer.cache.schema import CONTEXT
from trainer.features.circumstances import Circumstances
from trainer.features.customers import CustomerFeatures
from trainer.features.plans import UNKNOWN_STORE
from trainer.features.tensors import map_tensors
from trainer.features.visits import (
    HORIZON,
    TAIL,
    OwnTrips,
    RecordedDays,
    days_after,
    find_stores,
    own_trips,
)  # fmt: skip
from trainer.model.embeddings import StoreEmbedding
from trainer.model.visits import VisitHead


@dataclass(frozen=True)
class StoreChances:
    """Where the next trips of n customers go."""

    customer: Tensor
    """(C,) int64 which of the n customers, ascending."""
    identity: Tensor
    """(C,) int64 a store where they were before: row + 1; 0 for all outside the vocabulary."""
    p: Tensor
    """(C,) its probability."""
    new: Tensor
    """(n,) probability of a store where the customer never was."""


class NextVisits:
    """What the next trips of n customers will be: made by `WorldModel.next_visits`.

        visits = model.next_visits(states)
        visits.days                               on which day, counted from the last trip
        visits.stores(dates)                      where, if on these dates
        visits.hours(dates, stores)               when, if there
        visits.kind(dates, stores, hours)         of which size
        visits.kind(dates, stores, hours, size)   of which sensitivity, and so on

    Each is given what comes before it. Their product is the probability of a visit.
    """

    def __init__(
        self, head: VisitHead, embedding: StoreEmbedding, x: Tensor,
        customers: Sequence[CustomerFeatures],
    ) -> None:  # fmt: skip
        """x (n, d) outputs of the encoder after the last trips of the customers."""
        self._head, self._embedding, self._x = head, embedding, x
        self._customers, self._chain = customers, customers[0].chain
        logs = [customer.log.trips for customer in customers]
        self._lengths = np.array([len(log) for log in logs])
        log = np.concatenate(logs)
        self._trips = Circumstances(
            *(log[name].astype(np.int64) for name in ("day", "hour", "store", "kind"))
        )
        self._last = self._lengths.cumsum() - 1
        self._days = self._calendar(int(self._trips.day[self._last].max()) + HORIZON)

    @cached_property
    def hazards(self) -> Tensor:
        """(n, TAIL + 1) float64 probabilities of coming on the day of the last trip, the day after
        and so on, and on each later one, given that the customer has not come before it."""
        return self._hazards(self._trips.day[self._last])

    def hazards_since(self, dates: Sequence[date]) -> Tensor:
        """The same of customers who have come once more, on these dates, of which nothing else is
        known. Raises ValueError as `stores`."""
        until = self._indices(dates)
        self._reach(int(until.max()) + HORIZON)
        return self._hazards(until)

    @cached_property
    def days(self) -> Tensor:
        """(n, HORIZON + 1) probabilities that the next trip is on the day of the last one, the day
        after, and so on."""
        return self._from_last[0]

    @cached_property
    def later(self) -> Tensor:
        """(n,) probability that it is later."""
        return self._from_last[1]

    @cached_property
    def each_later(self) -> Tensor:
        """(n,) probability of each later day, given that the customer has not come before it."""
        return self.hazards[:, -1].to(self._x)

    @cached_property
    def _from_last(self) -> tuple[Tensor, Tensor]:
        days, later = self.days_from([0] * len(self._x))
        return days.to(self._x), later.to(self._x)

    @torch.no_grad()
    def _hazards(self, start: np.ndarray) -> Tensor:
        """Of customers whose last trips were on days (n,), with the rhythm of those known."""
        start = start - self._days.first
        days = days_after(
            start, start + TAIL, np.zeros(len(start), bool),
            np.ones(start.max() + TAIL + 1, bool),
        )  # fmt: skip
        own = own_trips(self._lengths, self._trips, self._last, start, self._days)
        weekday = torch.from_numpy(self._days.calendar["weekday"])
        days, own, weekday = self._here((days, own, weekday))
        logit = self._head.hazards(self._x, days, own, self._vectors(), weekday)
        return logit.view(len(self._x), TAIL + 1).double().sigmoid()

    def days_from(self, first: Sequence[int]) -> tuple[Tensor, Tensor]:
        """On which day, if not before one: float64 probabilities (n, HORIZON + 1) of this day, the
        day after, and so on, and (n,) of any later one. first (n,) days after the last trips."""
        gap = torch.as_tensor(first)[:, None] + torch.arange(HORIZON + 1)
        hazard = self.hazards.gather(1, self._here(gap.clamp(0, TAIL)))
        stays = (1 - hazard).cumprod(1)
        before = torch.cat([torch.ones_like(stays[:, :1]), stays[:, :-1]], 1)
        return hazard * before, stays[:, -1]

    @torch.no_grad()
    def stores(self, dates: Sequence[date]) -> StoreChances:
        """Where, if the next trips are on these dates, one per customer. Raises ValueError for a
        date before a customer's last trip."""
        context, own, _ = self._on(dates)
        log_own, log_new = self._head.log_stores(context, own)
        return StoreChances(own.store_visit, own.identity, log_own.exp(), log_new.exp())

    @torch.no_grad()
    def hours(self, dates: Sequence[date], stores: Sequence[int]) -> Tensor:
        """At which hour, (n, 24) probabilities: dates as for `stores`; stores, rows of the chain's
        or `UNKNOWN_STORE`, one per customer. Raises ValueError for others, too."""
        context, own, same_day = self._on(dates)
        known, weight = self._known(context, own, stores)
        earliest = torch.from_numpy(np.where(same_day, self._trips.hour[self._last], 0))
        return self._head.hour_logits(known, own, weight, self._here(earliest)).softmax(1)

    @torch.no_grad()
    def kind(
        self, dates: Sequence[date], stores: Sequence[int], hours: Tensor, *codes: Tensor
    ) -> Tensor:
        """Of which kind, (n, codes) probabilities of codes 1 onwards of the next column of
        `CONTEXT`: that after those of `codes`, (n,) each, 0 where unknown. hours (n,), 0 to 23.
        Raises ValueError for others, and what `hours` raises."""
        if len(codes) >= len(CONTEXT):
            raise ValueError(f"codes: at most {len(CONTEXT) - 1} of {', '.join(CONTEXT)}")
        context, own, _ = self._on(dates)
        known, _ = self._known(context, own, stores)
        for number, code in enumerate((hours, *codes)):
            choices = self._head.chosen[number].num_embeddings - 1
            if number == 0:
                code = self._whole("hours", code, choices - 1)
            else:
                code = self._whole(CONTEXT[number - 1], code, choices) - 1
            known = self._head.with_chosen(known, number, self._here(code))
        return self._head.columns[1 + len(codes)](known).softmax(1)

    def _on(self, dates: Sequence[date]) -> tuple[Tensor, OwnTrips, np.ndarray]:
        """Context, own trips, and whether it is the day of the last trip."""
        until = self._indices(dates)
        gap = until - self._trips.day[self._last]
        self._reach(int(until.max()))
        until = until - self._days.first
        own = own_trips(self._lengths, self._trips, self._last, until, self._days)
        own, until, gaps = self._here(
            (own, torch.from_numpy(until), torch.from_numpy(gap).clamp_max(TAIL))
        )
        return self._head.context(self._x, self._vectors(), until, gaps), own, gap == 0

    def _indices(self, dates: Sequence[date]) -> np.ndarray:
        """(n,) days of the calendar, none before the customer's last trip."""
        if len(dates) != len(self._customers):
            raise ValueError(f"dates: expected {len(self._customers)}, not {len(dates)}")
        for day in dates:
            if not isinstance(day, date) or isinstance(day, datetime):
                raise ValueError(f"dates: expected a datetime.date without a time, not {day!r}")
        until = np.array([self._chain.calendar.day(day).index for day in dates])
        gap = until - self._trips.day[self._last]
        if (gap < 0).any():
            raise ValueError(
                f"dates: {dates[int(gap.argmin())]} lies before the customer's last trip"
            )
        return until

    def _reach(self, last: int) -> None:
        """Know the calendar up to a day."""
        if last >= self._days.first + len(self._days.recorded):
            self._days = self._calendar(last)

    def _known(
        self, context: Tensor, own: OwnTrips, stores: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """What hour and kind are predicted from, and the weights of earlier trips."""
        rows = self._whole("stores", stores, len(self._chain.stores) - 1, UNKNOWN_STORE).numpy()
        identity = self._chain.stores.identity(rows)
        place = torch.from_numpy(find_stores(map_tensors(own, Tensor.cpu), identity[:, 2]))
        figures = torch.from_numpy(self._chain.stores.figures(rows))
        vectors = self._embedding(*self._here((*torch.from_numpy(identity).unbind(1), figures)))
        place = self._here(place)
        weight = self._head.at_store(context, own, place)
        return self._head.known(context, vectors, place >= 0, own, weight), weight

    def _whole(self, name: str, values: Any, highest: int, lowest: int = 0) -> Tensor:
        """Whole numbers, one per customer, (n,) int64 on the CPU."""
        n = len(self._customers)
        numbers = torch.as_tensor(values).cpu()
        if numbers.shape != (n,) or numbers.is_floating_point() or numbers.is_complex():
            raise ValueError(f"{name}: expected {n} whole numbers, not {values!r}")
        if ((numbers < lowest) | (numbers > highest)).any():
            raise ValueError(f"{name}: expected {lowest} to {highest}, not {values!r}")
        return numbers.long()

    def _calendar(self, last: int) -> RecordedDays:
        first = int(self._trips.day.min())
        columns = self._chain.calendar.columns(first, last + 1)
        return RecordedDays(columns, first, np.ones(last + 1 - first, bool), last)

    def _vectors(self) -> Tensor:
        """(days, h) of the days of the calendar."""
        columns = {name: torch.from_numpy(values) for name, values in self._days.calendar.items()}
        return self._head.calendar(self._here(columns))

    def _here(self, part):
        return map_tensors(part, lambda tensor: tensor.to(self._x.device))
