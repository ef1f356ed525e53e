"""When, where and of which kind trips were."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from trainer.features.trips import Trips


@dataclass(frozen=True)
class Circumstances:
    """Those of the T trips of a batch."""

    day: np.ndarray
    """(T,) days, ascending within a timeline."""
    hour: np.ndarray
    """(T,) of the day."""
    store: np.ndarray
    """(T,) store row + 1; 0 is unknown and matches nothing."""
    kind: np.ndarray
    """(T, 4) true codes of the trip context; 0 is unknown and matches nothing."""

    @classmethod
    def of(cls, trips: Trips) -> Circumstances:
        """Those of a batch's trips."""
        calendar = trips.calendar
        return cls(
            calendar["day"].numpy(), calendar["hour"].numpy(), trips.store[:, -1].numpy(),
            trips.context.numpy(),
        )  # fmt: skip

    @classmethod
    def logged(cls, trips: np.ndarray) -> Circumstances:
        """Those of trips (T,) of dtype `trainer.features.trip_log.TRIP`."""
        return cls(*(trips[f.name].astype(np.int64) for f in fields(cls)))
