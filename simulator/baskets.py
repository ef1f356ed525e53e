"""What is in the baskets: items drawn one after the other, each given those already in.

The decoder is trained to predict hidden items from any visible ones, so that any order of drawing
is one of its model (Hoogeboom et al., Autoregressive diffusion models, 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from simulator.coupon_hands import Reminders
from simulator.draws import race, uniforms
from simulator.item_calibration import ItemCalibration
from simulator.item_figures import Before
from trainer.batches.growing_baskets import GrowingBaskets
from trainer.features.plans import TripPlan
from trainer.model.state import CustomerState
from trainer.model.world_model import WorldModel

ITEM, KEPT = 10, 11
"""What a number is drawn for."""
AT_ONCE = 64
"""Baskets that are filled together."""
SAME_ANSWER = 4
"""For each so many items in a basket, one more item is drawn by the same chances as the next."""


class Swap(NamedTuple):
    """What is bought instead of products that are missing, and beside new ones."""

    missing: np.ndarray
    """(V,) bool: tokens that are not on sale but that customers would buy."""
    moved: Callable[[Tensor], Tensor]
    """Chances (n, V) from those of all that is on sale or missing."""


def fill(
    model: WorldModel, calibration: ItemCalibration, states: Sequence[CustomerState],
    plans: Sequence[TripPlan], sizes: np.ndarray, week: int, on_sale: np.ndarray,
    seed: int, keys: tuple[np.ndarray, ...], price_weights: Tensor | None = None,
    swap: Swap | None = None, reminders: Reminders | None = None,
) -> list[np.ndarray]:  # fmt: skip
    """Tokens of the items of n baskets of a week, ascending.

    sizes (n,): how many items each has, at most as many as are on sale;
    on_sale (V,) bool: tokens of products that can be bought. keys (n,) each: what tells the
    baskets apart, for `draws`. price_weights (n, V): by which prices multiply the chance of each
    product; baskets get longer or shorter by as much as all chances together do, down to no item.
    So they do by a swap, and by reminders, which come with price_weights.
    """
    found: list[np.ndarray] = [np.empty(0, np.int64)] * len(plans)
    by_size = np.argsort(sizes, kind="stable")  # baskets of a batch grow to its largest
    for start in range(0, len(by_size), AT_ONCE):
        rows = by_size[start : start + AT_ONCE]
        drawn = _fill(
            model, calibration, [states[row] for row in rows], [plans[row] for row in rows],
            sizes[rows], week, on_sale, seed, [key[rows] for key in keys],
            None if price_weights is None else price_weights[rows], swap,
            None if reminders is None else reminders.of(rows),
        )  # fmt: skip
        for row, tokens in zip(rows, drawn, strict=True):
            found[row] = np.sort(tokens)
    return found


def _fill(
    model, calibration, states, plans, sizes, week, on_sale, seed, keys, price_weights, swap,
    reminders,
) -> list[np.ndarray]:  # fmt: skip
    """Tokens of each basket in the order in which they are drawn."""
    trips, questions = model.questions(states, plans)
    before = Before.of(questions)
    baskets = GrowingBaskets(questions, [state.features for state in states])
    stores = np.array([plan.store for plan in plans])
    prices = states[0].chain.prices
    thought_of = on_sale if swap is None else on_sale | swap.missing
    barred = torch.where(torch.from_numpy(thought_of), 0.0, -torch.inf).repeat(len(plans), 1)
    drawn = np.empty((len(plans), 0), np.int64)
    of_week = calibration.in_week(week, seed)
    size = int(sizes.max())
    while (step := drawn.shape[1]) < size:
        logits = model.answer_questions(trips, baskets.questions).logits
        row = torch.arange(len(plans)).repeat_interleave(step)
        inside = calibration.assortment.inside(row, torch.from_numpy(drawn).flatten(), len(plans))
        p = calibration.p(logits, barred, before, inside, step, of_week)
        if reminders is not None:
            p = reminders.added(p, price_weights)
        elif price_weights is not None:
            p = p * price_weights
        if swap is not None:
            p = swap.moved(p)
        if step == 0 and not (price_weights is None and swap is None):
            sizes = _answered(sizes, p.sum(1).numpy(), on_sale, seed, keys)
            size = int(sizes.max())
            if not size:
                break
        more = min(1 + step // SAME_ANSWER, size - step)
        new = race(p, more, seed, ITEM, *keys, step)
        barred.scatter_(1, new, -torch.inf)
        for each in new.unbind(1) if step + more < size else ():
            pence = prices.at(each.numpy(), stores, week).astype(np.float32)
            baskets.add(each, torch.from_numpy(pence))
        drawn = np.concatenate([drawn, new.numpy()], axis=1)
    return [tokens[:each] for tokens, each in zip(drawn, sizes, strict=True)]


def _answered(sizes, factor, on_sale, seed, keys) -> np.ndarray:
    """(n,) sizes of baskets times factors (n,), on average: each item stays, goes, or brings
    another one, whatever the others do."""
    row = np.repeat(np.arange(len(sizes)), sizes)
    place = np.arange(len(row)) - np.repeat(sizes.cumsum() - sizes, sizes)
    u = uniforms(seed, KEPT, *(key[row] for key in keys), place)
    kept = np.bincount(row, np.floor(factor[row] + u), len(sizes)).astype(np.int64)
    return np.minimum(kept, np.count_nonzero(on_sale))
