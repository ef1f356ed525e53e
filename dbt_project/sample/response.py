"""Elasticities of the week itself, from expected purchases.

What comes to mind in a week depends on no price of it (visits.py). Given that, the purchases that a
price change brings are known in expectation, product by product: the probability that product i
replaces what was thought of, times the probability of buying it, times the expected quantity. So
elasticities need no draws of choices, and a few weeks give every product's with a small error. Left
out are complements and coupons; re-running (counterfactual.py) has them, and what a change does in
later weeks.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from . import shape
from .actions import Actions
from .households import CLASSES
from .levels import STEP, Elasticities, estimate, levels_of, priced
from .memory import Memory
from .offer import Offer, affordable
from .setting import KINDS, Setting
from .visits import Outing, go_out
from .world import World

MULTIPLE = float(shape.MULTIPLES @ shape.MULTIPLE_SHARE / shape.MULTIPLE_SHARE.sum())
"""Mean number of units where several are bought."""


def expected_units(s: Setting, m: Memory, offer: Offer, out: Outing) -> np.ndarray:
    """Expected units by price-sensitivity class and product, (classes, N)."""
    b, c, t = s.behaviour, s.catalogue, out.thoughts
    need, products = c.need[t.product], c.need.size
    # Thoughts of one need on one trip share the household, its memory and the prices it meets.
    _, first, group = np.unique(t.trip * s.needs + need, return_index=True, return_inverse=True)
    who, need = out.household[t.trip[first]], need[first]
    region, sensitivity = s.households.region[who], s.sensitivity[who].astype(float)
    row = (region * KINDS + s.kind[who]) * products
    low = offer.rivals[row + s.start[need]]
    per_rival = 1 / np.maximum(offer.rivals[row + s.start[need + 1]] - low, 1e-300)
    cell = who * s.needs + need
    reference, wish = m.reference[cell], 1 - np.clip(m.pantry[cell], -1, 1)
    stock_up = b.stock_up * s.economy.storable[need] * sensitivity
    size = np.diff(s.start)[need]

    keep = offer.keep[row[group] + s.at[t.product]].astype(float)
    # Of those whose product is missing, some stand by for a substitute.
    there = offer.available[region[group], t.product]
    moved = (1 - keep) * np.where(there, 1.0, b.stand_by)

    total = np.zeros(len(CLASSES) * products)
    for number in range(int(size.max(initial=0))):
        place = s.start[need] + np.minimum(number, size - 1)
        i = s.by_need[place]
        of_moved = (offer.rivals[row + place + 1] - offer.rivals[row + place]) * per_rival
        ratio = offer.log_ratio[region, i]
        gap = ratio - reference
        appeal = sensitivity * (np.where(gap > 0, b.loss, b.deal) * gap + b.need * ratio)
        rate = np.exp(-appeal) * affordable(ratio) * wish
        chosen = moved * of_moved[group] + np.where(i[group] == t.product, keep, 0)
        rate_of = rate[group]
        extra = np.clip((rate_of - 1) * t.share, 0, 1)
        bought = chosen * np.where(t.wanted, np.minimum(rate_of, 1), extra)
        # A product counts once in a basket.
        never = np.exp(np.bincount(group, np.log1p(-np.minimum(bought, 1 - 1e-12))))
        several = np.minimum(c.multiple[i] * np.exp(stock_up * np.maximum(-gap, 0)), 1)
        units = (1 - never) * (1 + (MULTIPLE - 1) * several) * (number < size)
        total += np.bincount(s.households.sensitivity[who] * products + i, units, total.size)
    return total.reshape(len(CLASSES), products)


def week_elasticities(world: World, weeks: int) -> dict[str, Elasticities]:
    """Elasticities of a week's units to its regular prices, by level (levels.py).

    The world is lived on by `weeks` weeks of its plan; standard errors are from the differences
    between them. Raises InputError where fewer weeks are left.
    """
    s = world.setting
    levels = levels_of(s)
    units: dict[str, list] = {name: [] for name in levels}
    steps: dict[str, list] = {name: [] for name in levels}
    for _ in range(weeks):
        plan = world.plan()
        _, offer, _ = world.offer(plan)
        memory = world.memory.copy()
        out = go_out(s, memory, offer, world.week, world.run)
        for name, level in levels.items():
            sides = [
                _moved(world, plan, memory, out, sign * side)
                for sign in level.signs
                for side in (STEP, -STEP)
            ]
            shape = len(level.signs), 2
            units[name].append(np.stack([u for u, _ in sides]).reshape(*shape, len(CLASSES), -1))
            log = np.stack([r for _, r in sides]).reshape(*shape, -1)
            steps[name].append(log[:, 0] - log[:, 1])
        world.step()
    return {
        name: estimate(level, np.stack(units[name]), np.stack(steps[name]), 1)
        for name, level in levels.items()
    }


def _moved(world: World, plan: Actions, memory: Memory, out: Outing, log: np.ndarray):
    """Expected units (classes, N) at other regular prices, and the logs of these (N,)."""
    regular = priced(plan.regular, np.exp(log))
    _, offer, _ = world.offer(replace(plan, regular=regular))
    return expected_units(world.setting, memory, offer, out), np.log(regular)
