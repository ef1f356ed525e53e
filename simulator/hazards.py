"""On which days customers come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from simulator.outlook import KNOWN, known
from simulator.visit_calibration import VisitCalibration
from trainer.features.calendar import EPOCH
from trainer.features.visits import TAIL
from trainer.model.state import CustomerState
from trainer.model.world_model import WorldModel


class Hazards:
    """Of n customers, the chances of coming on each day, given their state as of an earlier one.

    What comes after that day counts as days and trips only (`simulator.visit_calibration`), so the
    chances do not depend on baskets.
    """

    def __init__(self, model: WorldModel, calibration: VisitCalibration) -> None:
        self._model, self._calibration = model, calibration
        self._states: list[CustomerState] = []
        self._p = np.empty((0, TAIL + 1))
        self._known = np.empty((0, len(KNOWN)))
        self._first, self._last, self._trips = (np.empty(0, np.int64) for _ in range(3))

    def copy(self) -> Hazards:
        """An independent copy."""
        copied = Hazards(self._model, self._calibration)
        copied._states = list(self._states)
        copied._p, copied._known = self._p.copy(), self._known.copy()
        copied._first, copied._last = self._first.copy(), self._last.copy()
        copied._trips = self._trips.copy()
        return copied

    def begin(self, who: np.ndarray, states: Sequence[CustomerState], first: np.ndarray) -> None:
        """Customers (n,), new ones next to those known, are as in these states, which have to stay
        as they are, before the days first (n,), in days since 1970-01-01."""
        more = int(who.max()) + 1 - len(self._states)
        if more > 0:
            self._states += list(states[-more:])
            self._p, self._known = (np.pad(a, ((0, more), (0, 0))) for a in (self._p, self._known))
            self._first, self._last, self._trips = (
                np.pad(a, (0, more)) for a in (self._first, self._last, self._trips)
            )
        for row, state in zip(who, states, strict=True):
            self._states[row] = state
        self._p[who] = self._model.next_visits(states).hazards.numpy()
        self._first[who], self._trips[who] = first, 0
        self._last[who] = [(state.features.last[0] - EPOCH).days for state in states]
        days = [state.features.log.trips["day"].astype(np.int64) for state in states]
        customer = np.repeat(np.arange(len(days)), [len(each) for each in days])
        last = np.array([each[-1] for each in days])
        back = (first - self._last[who] + last)[customer] - np.concatenate(days)
        self._known[who] = known(self._p[who], customer, back)

    def came(self, who: np.ndarray, day: np.ndarray) -> None:
        """Customers (n,) come on a day."""
        visits = self._model.next_visits([self._states[row] for row in who])
        dates = [EPOCH + timedelta(int(each)) for each in day]
        self._p[who] = visits.hazards_since(dates).numpy()
        self._last[who] = day
        self._trips[who] += 1

    def on(self, who: np.ndarray, day: np.ndarray, week: int) -> np.ndarray:
        """Chances (n,) of coming on days of a week, given that they have not come after their last
        trip and before that day."""
        gap = day - self._last[who]
        return self._calibration.chances(
            self._p[who, gap.clip(0, TAIL)], gap, day - self._first[who], self._trips[who],
            self._known[who], week,
        )  # fmt: skip
