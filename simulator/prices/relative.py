"""Log prices relative to what is usual."""

from __future__ import annotations

import numpy as np

from simulator.prices.panel import Panel


def relative_prices(panel: Panel, last_week: int) -> np.ndarray:
    """(P, Z, last_week) log of each product's price over its usual one in the zone, the median of
    the weeks up to the last in which it was seen.

    Where a week shows no price, it is what other zones show of that week, and else that of the week
    before: promotions usually run everywhere.
    """
    seen = panel.is_observed[:, :, :last_week]
    log = np.log(np.maximum(panel.pence[:, :, :last_week], 1))
    usual = np.nanmedian(np.where(seen | ~seen.any(2, keepdims=True), log, np.nan), axis=2)
    relative = np.where(seen, log - usual[:, :, None], 0.0)
    zones = seen.sum(1)
    elsewhere = relative.sum(1) / np.maximum(zones, 1)
    known = seen | (zones > 0)[:, None, :]
    relative = np.where(seen, relative, elsewhere[:, None, :])
    weeks = np.where(known, np.arange(last_week), 0)
    return np.take_along_axis(relative, np.maximum.accumulate(weeks, axis=2), axis=2)
