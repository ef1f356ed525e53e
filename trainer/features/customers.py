"""Features of customers before a trip, computed trip by trip, without a cache.

`trainer.features.trips` computes the same for whole timelines of a cache; tests check that both are
equal to the bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import numpy as np
import torch

from trainer.features.as_of import AggregatedTrip, CustomerAggregates
from trainer.features.calendar import EPOCH, Day
from trainer.features.chain import Chain
from trainer.features.columns import AFFINITY_COLUMNS, HISTORY_COLUMNS, read_numbers
from trainer.features.plans import UNKNOWN_STORE, FinishedTrip, TripPlan
from trainer.features.trip_log import TripLog
from trainer.features.trips import Items, Trips


class CustomerFeatures:
    """One customer: segments, aggregates by week, recent trips, and the time of the last trip.

    Args:
        chain: its surroundings.
        segments: codes of price sensitivity and lifestage, 0 unknown (`Chain.segments`). Raises
            ValueError for others.
    """

    def __init__(self, chain: Chain, segments: tuple[int, int] = (0, 0)) -> None:
        self.chain, self.segments = chain, chain.check_segments(segments)
        self.aggregates = CustomerAggregates(chain.label_counts, chain.settings.as_of)
        self.log = TripLog.empty()
        self.trips = 0
        """Number of finished trips, including those dropped from the log."""
        self.last: tuple[date, int] | None = None
        """Date and hour of the last finished trip."""

    def observe(self, trip: FinishedTrip) -> None:
        """Add a finished trip. Raises ValueError where it lies before the last one, or is of a kind
        that the chain does not have."""
        plan, chain = trip.plan, self.chain
        self.check_order(plan)
        chain.check_kind(plan.kind)
        day = chain.calendar.day(plan.date)
        stores = np.array([plan.store])
        _, region, identity = chain.stores.identity(stores)[0].tolist()
        self.aggregates.observe(
            AggregatedTrip(
                day=(plan.date - EPOCH).days,
                week=day.week,
                # All unknown stores count as one, which is none of the others.
                store=len(chain.stores) if plan.store == UNKNOWN_STORE else plan.store,
                region=region,
                kind=plan.kind,
                spend_pence=trip.spend_pence,
                products=trip.identities,
                departments=chain.departments[trip.tokens],
                quantities=trip.quantities,
                store_order=(
                    None if plan.store == UNKNOWN_STORE else int(chain.store_order[plan.store])
                ),
            )
        )
        self.log = self.log.append(day.index, plan.hour, identity, plan.kind, trip.tokens)
        self.last, self.trips = (plan.date, plan.hour), self.trips + 1

    def check_order(self, plan: TripPlan) -> None:
        """Raise ValueError where a trip lies before the last finished one."""
        if self.last is not None and (plan.date, plan.hour) < self.last:
            raise ValueError(
                f"a trip on {plan.date} at {plan.hour} h lies before the customer's last one, on "
                f"{self.last[0]} at {self.last[1]} h: trips are observed in order of time"
            )

    def copy(self) -> CustomerFeatures:
        """An independent copy."""
        copied = CustomerFeatures(self.chain, self.segments)
        copied.aggregates, copied.log = self.aggregates.copy(), self.log
        copied.trips, copied.last = self.trips, self.last
        return copied

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays that `from_arrays` reads."""
        day, hour = (-1, -1) if self.last is None else ((self.last[0] - EPOCH).days, self.last[1])
        return {
            "clock": np.array([self.trips, day, hour], np.int64),
            "segments": np.array(self.segments, np.int64),
            **{f"log.{name}": values for name, values in self.log.to_arrays().items()},
            **{f"aggregates.{n}": values for n, values in self.aggregates.to_arrays().items()},
        }

    @classmethod
    def from_arrays(cls, chain: Chain, arrays: Mapping[str, np.ndarray]) -> CustomerFeatures:
        """Raises KeyError or ValueError for arrays that are not those of a customer."""
        trips, day, hour = arrays["clock"].tolist()
        customer = cls(chain, tuple(arrays["segments"].tolist()))
        aggregates = _part(arrays, "aggregates.")
        customer.aggregates = CustomerAggregates.from_arrays(
            aggregates, chain.label_counts, chain.settings.as_of
        )
        customer.log = TripLog.from_arrays(_part(arrays, "log."))
        customer.trips = trips
        customer.last = None if day < 0 else (EPOCH + timedelta(day), hour)
        return customer


def _part(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {n.removeprefix(prefix): values for n, values in arrays.items() if n.startswith(prefix)}


def describe(customers: Sequence[CustomerFeatures], plans: Sequence[TripPlan]) -> Trips:
    """Features of the next trip of each of n customers: `Trips` of n rows.

    Raises ValueError for no customers, customers of several chains, a plan that lies before the
    customer's last trip or outside the calendar, or a kind or store out of range.
    """
    if not customers:
        raise ValueError("customers: at least one is needed")
    chain = customers[0].chain
    if any(customer.chain is not chain for customer in customers):
        raise ValueError("customers: all must be of one and the same Chain")
    days: list[Day] = []
    for customer, plan in zip(customers, plans, strict=True):
        if not isinstance(plan, TripPlan):
            raise ValueError(f"plans: expected TripPlan, found {type(plan).__name__}")
        customer.check_order(plan)
        chain.check_kind(plan.kind)
        days.append(chain.calendar.day(plan.date))
    known = np.stack(
        [
            customer.aggregates.as_of(day.week, chain.calendar.first_day(day.week))
            for customer, day in zip(customers, days, strict=True)
        ]
    )
    gaps = [
        -1 if customer.last is None else (plan.date - customer.last[0]).days
        for customer, plan in zip(customers, plans, strict=True)
    ]
    stores = np.array([plan.store for plan in plans])
    calendar = {name: [day.features[name] for day in days] for name in days[0].features} | {
        "hour": [plan.hour for plan in plans],
        "day": [day.index for day in days],
        "days_since_previous": gaps,
    }
    numbers = torch.from_numpy
    return Trips(
        segments=torch.tensor([customer.segments for customer in customers]),
        history=numbers(read_numbers(known, HISTORY_COLUMNS, slice(None))),
        affinity=numbers(read_numbers(known, AFFINITY_COLUMNS, slice(None))),
        at_primary=numbers(
            (known["customer_weeks.primary_store"] == stores + 1) & (stores != UNKNOWN_STORE)
        ),
        history_weight=numbers(known["customer_weeks.history_weight"].copy()),
        has_history=numbers(known["customer_weeks.trips"] > 0),
        calendar={name: torch.tensor(values) for name, values in calendar.items()},
        store=numbers(chain.stores.identity(stores)),
        operations=numbers(chain.stores.figures(stores)),
        context=torch.tensor([plan.kind for plan in plans]),
        row=torch.full((len(plans),), -1),
    )


def priced_items(trip: FinishedTrip, chain: Chain) -> Items:
    """The items of one finished trip, with their prices. Raises ValueError for tokens of no item,
    or a product that is there twice."""
    chain.check_items("tokens", trip.tokens)
    pence = chain.item_prices(trip.plan, trip.tokens, trip.pence)
    return Items(
        trip=torch.zeros(len(trip.tokens), dtype=torch.long),
        token=torch.from_numpy(trip.tokens.astype(np.int64)),
        pence=torch.from_numpy(np.array(pence, np.float32)),
    )
