"""States of customers in memory, made from what the cache and the store hold. For one thread.

A state is the cache's past of the customer, if any, and the logged trips after it. A saved state
spares the work, where it was made by the same weights from the same cache; anything else is made
anew. So no checkpoint, no cache and no damage to a saved state makes a trip disappear.
"""

from __future__ import annotations

import json
import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from serving.chain import ServedChain
from serving.errors import ApiError
from serving.schemas import Receipt, Segments
from serving.store import SavedState, Store
from trainer.model.state import CustomerState
from trainer.model.world_model import WorldModel

WORTH_SAVING = 16
"""Trips that are not in the saved state when a state leaves memory; fewer are read again sooner
than a state is written."""


@dataclass
class Live:
    """A state in memory."""

    state: CustomerState
    logged: int = 0
    """Number of the last logged trip in it."""
    unsaved: int = 0
    """Trips in it that are not in the saved state."""


class Customers:
    """The latest customers' states.

    Args:
        served: their chain.
        store: where trips are logged.
        model: whose states they are.
        most: states in memory.
    """

    def __init__(self, served: ServedChain, store: Store, model: WorldModel, most: int) -> None:
        self._served, self._store, self._model, self._most = served, store, model, most
        self._made_by = f"{model.fingerprint}:{served.digest}"
        self._live: OrderedDict[str, Live] = OrderedDict()

    def __len__(self) -> int:
        """States in memory."""
        return len(self._live)

    def latest(self, most: int) -> list[str]:
        """Those in memory who were asked about last."""
        return list(self._live)[-most:]

    def get(self, customers: Iterable[str]) -> dict[str, Live]:
        """States of those customers who are known, all of them made at once where needed."""
        found, cold = {}, []
        for customer in dict.fromkeys(customers):
            if (live := self._live.get(customer)) is None:
                cold.append(customer)
            else:
                self._live.move_to_end(customer)
                found[customer] = live
        if cold:
            made = self._make(cold)
            self._live |= made
            found |= made
        return found

    def is_recorded(self, customer: str) -> bool:
        """Whether the cache has a past of the customer, which they did not have forgotten."""
        about = self._store.customer(customer)
        return self._served.knows(customer) and not (about and about.forgotten)

    def catch_up(self) -> None:
        """Observe what was logged since by others than this object."""
        for customer, live in list(self._live.items()):
            try:
                self._catch_up(customer, live, self._served.knows(customer))
            except sqlite3.Error:
                self.drop(customer)  # whoever asks next is told

    def add(self, customer: str, segments: Segments) -> Live:
        """A customer who has no trips yet."""
        live = self._live[customer] = Live(self._new(segments))
        return live

    def drop(self, customer: str) -> None:
        """Leave a customer's state out of memory, unsaved."""
        self._live.pop(customer, None)

    def drop_all(self) -> None:
        """Leave all states out of memory, unsaved."""
        self._live.clear()

    def trim(self, generation: int) -> None:
        """Move the states that were not asked about for longest out of memory, where there are too
        many; what is worth it is saved."""
        surplus = [self._live.popitem(last=False) for _ in range(len(self._live) - self._most)]
        if surplus:
            self._save(surplus, generation)

    def save_all(self, generation: int) -> None:
        """Save all that is worth it."""
        self._save(list(self._live.items()), generation)

    def strange(self, segments: Segments, receipts: Sequence[Receipt]) -> CustomerState:
        """The state of a stranger with this past. Raises ValueError, and what
        `ServedChain.finished` raises, for a past that cannot be."""
        state = self._new(segments)
        for receipt in receipts:
            trip, _ = self._served.finished(receipt)
            if trip is not None:
                state.observe(trip)
        return state

    def _new(self, segments: Segments) -> CustomerState:
        return CustomerState(self._served.chain, self._served.segments(segments))

    def _make(self, customers: Sequence[str]) -> dict[str, Live]:
        """States of those who are known and not in memory."""
        made: dict[str, Live] = {}
        recorded: list[str] = []
        for customer in customers:
            if (saved := self._saved(customer)) is not None:
                made[customer] = saved
            elif self.is_recorded(customer):
                recorded.append(customer)
            elif (about := self._store.customer(customer)) is not None:
                segments = json.loads(about.segments)
                made[customer] = Live(self._new(Segments.model_validate(segments)))
        if recorded:
            states = self._served.states_of(recorded)
            for customer, state in zip(recorded, states, strict=True):
                made[customer] = Live(state, unsaved=state.features.trips)
        for customer, live in made.items():
            self._catch_up(customer, live, customer in recorded)
        self._model.encode([live.state for live in made.values()])
        return made

    def _saved(self, customer: str) -> Live | None:
        saved = self._store.state(customer, self._made_by)
        if saved is None:
            return None
        try:
            state = CustomerState.from_bytes(saved.state, self._served.chain)
        except ValueError:
            return None  # damaged: made anew
        return Live(state, saved.covered)

    def _catch_up(self, customer: str, live: Live, is_recorded: bool) -> None:
        """Observe the logged trips that are not in a state."""
        for trip in self._store.trips(customer, live.logged):
            live.logged = trip.number
            if is_recorded and self._served.has_recorded(trip.trip_id):
                continue  # a newer cache has it, too
            try:
                finished, _ = self._served.finished(Receipt.model_validate_json(trip.content))
                if finished is not None:
                    live.state.observe(finished)
                    live.unsaved += 1
            except (ApiError, ValueError):
                continue  # a newer cache goes further, or lacks its labels: it stays in the log

    def _save(self, items: Sequence[tuple[str, Live]], generation: int) -> None:
        worth = [(customer, live) for customer, live in items if live.unsaved >= WORTH_SAVING]
        self._model.encode([live.state for _, live in worth])
        for customer, live in worth:
            saved = SavedState(customer, self._made_by, live.logged, live.state.to_bytes())
            self._store.writer.save(saved, generation)
            live.unsaved = 0
