"""What is known of customers on a day, and stays what it is while they are simulated from there.

Shape letters: n customers, E their trips so far, G = `TAIL` + 1 days since a trip.
"""

from __future__ import annotations

import numpy as np

from trainer.features.visits import TAIL

WINDOW = 63
"""Days for which it holds: those of the weeks that the gate judges."""
RATES = (28, 91, 364)
"""Days before in which trips are counted."""
KNOWN = (
    *(f"log trips a week in {days} days" for days in RATES), "log weeks since the first",
    "log days since the last", "log trips expected", "log-odds while away", "log-odds of a return",
)  # fmt: skip
"""What is known. The last three are the model's: of the trips of a `WINDOW`, of each of its days if
the customer does not come, and of coming again within `RETURN` days of a trip."""
RETURN = 28


def known(hazards: np.ndarray, customer: np.ndarray, back: np.ndarray) -> np.ndarray:
    """(n, KNOWN) float64.

    Args:
        hazards: (n, G) chances of coming so many days after the last trip, if not before.
        customer: (E,) whose each trip is, ascending; everybody has one.
        back: (E,) days from each trip to the day from which on customers are simulated, positive.
    """
    hazards = np.clip(hazards, 1e-6, 1 - 1e-6)
    trips = np.bincount(customer)
    last = trips.cumsum() - 1
    since, age = back[last], back[last - trips + 1]
    rates = [np.log((np.bincount(customer, back <= days) + 0.5) / (days / 7 + 1)) for days in RATES]
    away = np.minimum(since[:, None] + np.arange(WINDOW), TAIL)
    away = np.take_along_axis(hazards, away, 1)
    first, again = _of_next(away), _of_next(hazards[:, 1:WINDOW])
    comes = first.copy()
    # The renewal equation: a day's chance by the day of the trip before.
    for day in range(1, WINDOW):
        comes[:, day] += (comes[:, :day] * again[:, day - 1 :: -1]).sum(1)
    expected = comes.sum(1) / (1 - hazards[:, 0])  # several a day
    back_soon = np.clip(again[:, :RETURN].sum(1), 1e-6, 1 - 1e-6)
    return np.stack(
        [
            *rates, np.log(age / 7), np.log(since), np.log(expected),
            _log_odds(away).mean(1), _log_odds(back_soon),
        ],
        axis=1,
    )  # fmt: skip


def _of_next(hazards: np.ndarray) -> np.ndarray:
    """(n, days) chances that the next trip is on each day, of hazards (n, days)."""
    stays = (1 - hazards).cumprod(1)
    return hazards * np.concatenate([np.ones_like(stays[:, :1]), stays[:, :-1]], 1)


def _log_odds(p: np.ndarray) -> np.ndarray:
    return np.log(p / (1 - p))
