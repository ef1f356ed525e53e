"""What tests of the responsive chain share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dbt_project.sample import Actions


def lines(result, but=()) -> list[tuple]:
    """Household, store, day, hour, product, quantity and spend of receipt lines, some left out."""
    r = result.receipts
    trips = (r.household, r.store, r.day, r.hour)
    columns = [x[r.trip] for x in trips] + [r.product, r.quantity, r.spend]
    return [row for row in zip(*(c.tolist() for c in columns), strict=True) if row[4] not in but]


def at_price(plan: Actions, factor) -> Actions:
    """A plan at other regular prices."""
    return replace(plan, regular=np.maximum(np.rint(plan.regular * factor), 1).astype(int))


def without_promotions(plan: Actions) -> Actions:
    """A plan with regular prices alone."""
    return replace(plan, depth=np.zeros(plan.regular.size))
