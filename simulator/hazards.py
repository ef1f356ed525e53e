"""On which days customers come."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simulator.visit_calibration import VisitCalibration
from trainer.features.calendar import EPOCH
from trainer.model.next_visits import NextVisits
from trainer.model.state import CustomerState


class Hazards:
    """Of n customers, the chances of coming on each day after their last trip.

    They change with a customer's trips only, so they are kept from week to week.
    """

    def __init__(self, customers: int, days: int, calibration: VisitCalibration) -> None:
        self._calibration = calibration
        self._daily = np.zeros((customers, days))
        self._later = np.zeros(customers)
        self._last = np.zeros(customers, np.int64)

    def copy(self) -> Hazards:
        """An independent copy."""
        copied = Hazards(0, 0, self._calibration)
        copied._daily, copied._later = self._daily.copy(), self._later.copy()
        copied._last = self._last.copy()
        return copied

    def extend(self, customers: int) -> None:
        """Make room for more customers."""
        self._daily = np.pad(self._daily, ((0, customers), (0, 0)))
        self._later, self._last = (np.pad(a, (0, customers)) for a in (self._later, self._last))

    def keep(self, who: np.ndarray, visits: NextVisits, states: Sequence[CustomerState]) -> None:
        """Those of customers (n,) whose last trips are these states'."""
        p = visits.hazards.numpy()
        p = self._calibration.apply(p, [state.features.log for state in states])
        self._daily[who], self._later[who] = p[:, :-1], p[:, -1]
        self._last[who] = [(state.features.last[0] - EPOCH).days for state in states]

    def on(self, who: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Chances (n,) of coming on a day, in days since 1970-01-01, given that they have not come
        after their last trip and before that day."""
        gap = day - self._last[who]
        daily = self._daily[who, gap.clip(0, self._daily.shape[1] - 1)]
        return np.where(gap < self._daily.shape[1], daily, self._later[who])
