"""The four labels of a basket, computed from its items as the publisher does.

The rules were inferred from LGSR and agree with its labels: size for every basket (one or two units
S, three to nine M, ten or more L), type for 99 % of them, mission for 91 %. The publisher's price
tiers are not in the data; the rule for price sensitivity gives LGSR's shares by number of items.
"""

from __future__ import annotations

import numpy as np

from . import shape

SIZES = ("S", "M", "L")
TYPES = ("Small Shop", "Top Up", "Full Shop", "XX")
MISSIONS = ("Fresh", "Grocery", "Mixed", "Nonfood", "XX")
SENSITIVITIES = ("LA", "MM", "UM", "XX")
# Product groups from which on a basket is a top-up or a full shop, and units likewise.
TOP_UP_GROUPS, FULL_GROUPS, TOP_UP_UNITS, FULL_UNITS = 4, 8, 10, 15
# Share of spend that makes a basket Fresh, Grocery or Nonfood.
DOMINANT = np.array([0.63, 0.62, 0.67])
# Share of items in the value (premium) tier that makes a basket LA (UM), if it is the larger.
TIER_ITEMS = 0.25
# Classes of items that name a mission: Fresh, Grocery, Nonfood.
CLASSES = 3


def label(basket, baskets, units, spend, group, mission, tier) -> tuple[np.ndarray, ...]:
    """Labels of each basket from its items.

    `basket` (0..baskets-1), `units`, `spend` in pence, `group`, `mission` (class of the item) and
    `tier` (0, 1, 2) have one element per item. Returns indices into `SIZES`, `SENSITIVITIES`,
    `TYPES` and `MISSIONS`, one element per basket.
    """
    groups = len(shape.GROUPS)
    known = mission != shape.UNCLASSIFIED
    pairs = np.unique((basket * groups + group)[known])
    value, premium = (np.bincount(basket, known & (tier == t), baskets) for t in (0, 2))
    return decide(
        np.bincount(basket, units, baskets),
        np.bincount(pairs // groups, minlength=baskets),
        [np.bincount(basket, spend * (mission == c), baskets) for c in range(CLASSES)],
        np.bincount(basket, known, baskets),
        value,
        premium,
    )


def decide(units, groups, spend, items, value, premium) -> tuple[np.ndarray, ...]:
    """Labels of baskets from their totals, arrays that broadcast.

    All but `units` are of items of a known class: distinct product groups, spend in pence of each
    of the `CLASSES`, items, and those in the value and in the premium tier.
    """
    size = np.digitize(units, [2.5, 9.5])

    kind = np.where((groups >= TOP_UP_GROUPS) | (units >= TOP_UP_UNITS), 1, 0)
    kind = np.where((groups >= FULL_GROUPS) & (units >= FULL_UNITS), 2, kind)

    counted = spend[0] + spend[1] + spend[2]
    focus = np.full(counted.shape, MISSIONS.index("Mixed"))
    for part, dominant, name in zip(spend, DOMINANT, ("Fresh", "Grocery", "Nonfood"), strict=True):
        focus = np.where(part / np.maximum(counted, 1) >= dominant, MISSIONS.index(name), focus)

    price = np.where((value > premium) & (value >= TIER_ITEMS * items), 0, 1)
    price = np.where((premium > value) & (premium >= TIER_ITEMS * items), 2, price)

    unlabelled = counted == 0
    return (
        size,
        np.where(unlabelled, SENSITIVITIES.index("XX"), price),
        np.where(unlabelled, TYPES.index("XX"), kind),
        np.where(unlabelled, MISSIONS.index("XX"), focus),
    )
