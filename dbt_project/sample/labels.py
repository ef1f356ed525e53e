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


def label(basket, baskets, units, spend, group, mission, tier) -> tuple[np.ndarray, ...]:
    """Labels of each basket from its items.

    `basket` (0..baskets-1), `units`, `spend` in pence, `group`, `mission` (class of the item) and
    `tier` (0, 1, 2) have one element per item. Returns indices into `SIZES`, `SENSITIVITIES`,
    `TYPES` and `MISSIONS`, one element per basket.
    """
    total = np.bincount(basket, units, baskets)
    size = np.digitize(total, [2.5, 9.5])

    groups = len(shape.GROUPS)
    known = mission != shape.UNCLASSIFIED
    pairs = np.unique((basket * groups + group)[known])
    distinct = np.bincount(pairs // groups, minlength=baskets)
    kind = np.where((distinct >= TOP_UP_GROUPS) | (total >= TOP_UP_UNITS), 1, 0)
    kind = np.where((distinct >= FULL_GROUPS) & (total >= FULL_UNITS), 2, kind)

    part = np.bincount(basket * 4 + mission, spend, baskets * 4).reshape(baskets, 4)
    counted = part[:, :3].sum(1)
    share = part[:, :3] / np.maximum(counted, 1)[:, None]
    focus = np.full(baskets, MISSIONS.index("Mixed"))
    for item_class, name in enumerate(("Fresh", "Grocery", "Nonfood")):
        focus[share[:, item_class] >= DOMINANT[item_class]] = MISSIONS.index(name)

    items = np.bincount(basket, known, baskets)
    value, premium = (np.bincount(basket, known & (tier == t), baskets) for t in (0, 2))
    price = np.ones(baskets, dtype=np.int64)
    price[(value > premium) & (value >= TIER_ITEMS * items)] = 0
    price[(premium > value) & (premium >= TIER_ITEMS * items)] = 2

    unlabelled = counted == 0
    kind[unlabelled], focus[unlabelled], price[unlabelled] = 3, 4, 3
    return size, price, kind, focus
