"""The true answers to the questions of an evaluation: what a trip's hidden items are.

The probability of a product is that a hidden item, drawn at random, is this product, given all that
the question tells and everything about the household (its repertoire, its mix of missions, how much
it buys), which no history reveals. Products in its order have the highest possible R@10 in
expectation, and their likelihood is the highest as well.

All but one of the hidden items and all amounts are drawn; for the last item the probability of the
basket with each product in its place is exact (`law.py`), and so is whether that basket is of the
declared kind. The average over draws is the answer, up to the error of `samples` draws.

Shape letters: N products, W numbers of items wanted, F focuses, S samples.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from math import comb, lgamma

import numpy as np
import torch

from trainer.batches.masking import evaluation_mask

from . import labels, shape
from .baskets import amounts, first_of
from .catalogue import Catalogue
from .draw import cumulate, pick
from .law import DRAWS, WANTED, Law

SAMPLES, PLAIN = 128, 12
"""Draws for an answer, and how many times as many baskets are counted only."""
PATIENCE = 8
"""Times as many draws as are made until one fits the kind of trip."""
FLOOR = 0.03
"""Share of an answer that is spread by the chance of a single draw, for products that no basket
drawn has. On the demo's chain it takes .17 off the NLL with the mission known and .04 off that of
completion, and changes no other."""
PILOT = 20_000
"""Baskets drawn to learn how often those of a size and focus are of a kind."""
BANDS = np.array([1, 2, 3, 4, 5, 7, 9, 10, 13, 17, 22])
"""Numbers of items from which on baskets have these shares in common."""
EVERY = 0.01
"""Added to the share of baskets of a kind, so that every size and focus is drawn."""

Kind = tuple[int, int, int, int]
"""Size, price sensitivity, type and focus of a trip, as `labels.label` numbers them."""


@cache
def hidden_items(items: int) -> int:
    """How many of a basket's items completion hides."""
    token, trip = torch.arange(1, items + 1), torch.zeros(items, dtype=torch.long)
    return int(evaluation_mask(token, trip, torch.zeros(1, dtype=torch.long), seed=0).sum())


class Answers:
    """Answers questions about trips of a chain.

    Args:
        catalogue: of the chain.
        laws: of some trips, to learn how often baskets of a size and focus are of a kind, and draw
            more where they are. Probabilities do not depend on it.
        rng: of these draws.
        samples: draws for an answer.
    """

    def __init__(
        self, catalogue: Catalogue, laws: Sequence[Law], rng: np.random.Generator,
        samples: int = SAMPLES,
    ) -> None:  # fmt: skip
        self._catalogue, self._samples = catalogue, samples
        drawn: dict[Kind | None, np.ndarray] = defaultdict(lambda: np.zeros(laws[0].wanted.shape))
        for law in laws:
            wanted, focus, sets = _baskets(law, law.wanted, max(PILOT // len(laws), 1), rng)
            kinds = zip(*(part.tolist() for part in self._labels(law, sets, rng)), strict=True)
            for cell, kind in zip(zip(wanted - 1, focus, strict=True), kinds, strict=True):
                drawn[kind][cell] += 1
                drawn[None][cell] += 1
        of_band = {kind: np.add.reduceat(count, BANDS - 1, axis=0) for kind, count in drawn.items()}
        size = np.diff(BANDS, append=WANTED.size + 1)
        self._share = {
            kind: np.repeat(count / np.maximum(of_band[None], 1), size, axis=0)
            for kind, count in of_band.items()
        }

    def next_basket(self, law: Law, rng: np.random.Generator, kind: Kind | None = None):
        """Probabilities of the products (N,) of a whole basket: of one drawn from its items.

        kind: of the trip, None where it is not declared.
        """
        chance = law.wanted
        if kind is not None:
            chance = chance * (self._share.get(kind, 0.0) + EVERY)

        def draw(samples: int) -> np.ndarray:
            wanted, focus, sets = _baskets(law, chance, samples * PLAIN, rng)
            weight = law.wanted[wanted - 1, focus] / chance[wanted - 1, focus]
            # Every item of the baskets of this kind: little noise for what many baskets hold.
            fits = weight if kind is None else weight * self._is(law, sets, kind, rng)
            of_item = fits / sets.sum(1)
            counted = of_item @ sets
            # One item, with the probability of each product in its place: for all other products.
            rows = slice(int(rng.integers(PLAIN)), None, PLAIN)
            wanted, focus, sets = wanted[rows], focus[rows], sets[rows]
            _without_one(sets, rng)
            placed = np.zeros(sets.shape)
            given = (wanted[:, None] == WANTED).astype(float)
            for f in np.unique(focus):
                of = focus == f
                placed[of] = law.sets[f].with_one_more(sets[of], given[of])
            placed *= (weight[rows] / np.maximum(placed.sum(1), 1e-300))[:, None]
            if kind is not None:
                placed *= self._fits(law, sets, kind, rng)
            return _combined(counted, (fits * of_item).sum(), placed)

        return self._answer(law, draw)

    def completion(self, law: Law, rng: np.random.Generator, kind: Kind, visible: np.ndarray):
        """Probabilities of the products (N,) of the hidden items, given the visible ones.

        visible: (N,) bool, at least one.
        """
        shown = int(visible.sum())
        sizes = [int(n) for n in WANTED if n - hidden_items(int(n)) == shown]

        def draw(samples: int) -> np.ndarray:
            return sum(self._completed(law, rng, kind, visible, n, samples) for n in sizes)

        return self._answer(law, draw, visible)

    def _answer(self, law: Law, draw, visible: np.ndarray | None = None) -> np.ndarray:
        """Probabilities from sums over draws, made until something fits."""
        samples = self._samples
        while not (found := draw(samples)).any() and samples < PATIENCE * self._samples:
            samples *= 2
        single = law.wanted.sum(0) @ law.rate
        if visible is not None:
            found, single = (np.where(visible, 0.0, part) for part in (found, single))
        found = found / found.sum() if found.any() else single
        return (1 - FLOOR) * found + FLOOR * single / single.sum()

    def _completed(self, law, rng, kind, visible, items, samples) -> np.ndarray:
        """What baskets of a number of items add to the probabilities of `completion` (N,)."""
        hidden = hidden_items(items)
        given = np.where((items <= WANTED) & (2 * items + 2 >= WANTED), law.wanted.T, 0.0)
        first = np.stack(
            [
                s.with_one_more(visible[None], g[None])[0]
                for s, g in zip(law.sets, given, strict=True)
            ]
        )
        if hidden == 1:
            sets = np.repeat(visible[None], samples, axis=0)
            return first.sum(0) * self._fits(law, sets, kind, rng).mean(0) / items
        # Draw the focus as if one item were hidden, then all hidden items but one.
        chance = first.sum(1)
        chance = chance / max(chance.sum(), 1e-300) + 0.1 * given.any(1)
        if not chance.any():
            return np.zeros(visible.size)
        focus, of_focus = _spread(chance, samples, rng)
        found = np.zeros(visible.size)
        for f in np.unique(focus):
            rows = int((focus == f).sum())
            sets, log_q = _hidden_but_one(law.rate[f], visible, items, hidden - 1, rows, rng)
            p = law.sets[f].with_one_more(sets, np.repeat(given[f][None], rows, axis=0))
            p *= np.exp(-log_q - lgamma(hidden))[:, None] / of_focus[f] / samples
            found += (p * self._fits(law, sets, kind, rng)).sum(0)
        return found / (comb(items, hidden) * hidden)

    def _is(self, law: Law, sets: np.ndarray, kind: Kind, rng) -> np.ndarray:
        """Whether baskets (S, N) with amounts drawn are of a kind: (S,) bool."""
        found = zip(self._labels(law, sets, rng), kind, strict=True)
        return np.logical_and.reduce([part == code for part, code in found])

    def _amounts(self, law: Law, product: np.ndarray, draws: tuple[int, ...], rng):
        """Quantity and spend of products, from draws of a shape that broadcasts with them."""
        more, many = rng.random((2, *draws))
        portion = rng.normal(0, 1, draws)
        return amounts(self._catalogue, product, law.price[product], more, many, portion)

    def _labels(self, law: Law, sets: np.ndarray, rng) -> tuple[np.ndarray, ...]:
        """Kinds of baskets (S, N) with amounts drawn: `labels.label`."""
        basket, product = np.nonzero(sets)
        c = self._catalogue
        quantity, spend = self._amounts(law, product, product.shape, rng)
        return labels.label(
            basket, len(sets), quantity, spend, c.group[product], c.mission[product],
            c.tier[product],
        )  # fmt: skip

    def _fits(self, law: Law, others: np.ndarray, kind: Kind, rng) -> np.ndarray:
        """Whether each set with each product added, and amounts drawn, is of a kind: (S, N) bool.

        The same draw decides the amount of whichever product is added.
        """
        c, rows = self._catalogue, len(others)
        basket, product = np.nonzero(others)
        quantity, spend = self._amounts(law, product, product.shape, rng)
        every = np.arange(others.shape[1])
        quantity_of, spend_of = self._amounts(law, every, (rows, 1), rng)
        known = c.mission != shape.UNCLASSIFIED

        def counted(weight: np.ndarray) -> np.ndarray:
            return np.bincount(basket, weight, rows)[:, None]

        groups = np.zeros((rows, len(shape.GROUPS)), bool)
        groups[basket[known[product]], c.group[product[known[product]]]] = True
        new_group = known & ~groups[:, c.group]
        value, premium = (known & (c.tier == tier) for tier in (0, 2))
        found = labels.decide(
            counted(quantity) + quantity_of,
            groups.sum(1)[:, None] + new_group,
            [
                counted(spend * (c.mission[product] == part)) + spend_of * (c.mission == part)
                for part in range(labels.CLASSES)
            ],
            counted(known[product]) + known,
            counted(value[product]) + value,
            counted(premium[product]) + premium,
        )
        return np.logical_and.reduce([a == b for a, b in zip(found, kind, strict=True)])


def _combined(counted: np.ndarray, noise: float, placed: np.ndarray) -> np.ndarray:
    """The mean of two estimates of the same probabilities (N,) with the least variance.

    counted: (N,) sums of weights over items; noise: sum of the squared weights of the items of
    each basket divided by its items. placed: (S, N), summed over S.
    """
    both = [part for part in (counted, placed.sum(0)) if part.any()]
    if len(both) < 2:
        return sum(both, np.zeros(counted.size))
    total = placed.sum()
    deviation = placed - placed.sum(1, keepdims=True) * placed.sum(0) / total
    of_placed = np.square(deviation).sum(0) / total**2
    counted, placed = (part / part.sum() for part in both)
    of_counted = noise / both[0].sum() ** 2 * (counted + placed) / 2
    share = of_placed / np.maximum(of_placed + of_counted, 1e-300)
    return share * counted + (1 - share) * placed


def _spread(chance: np.ndarray, samples: int, rng) -> tuple[np.ndarray, np.ndarray]:
    """Ascending cells of a flattened table, in proportion to their chance but for rounding at
    random, and the chance of each cell: (S,), and (cells,) adding up to 1."""
    chance = chance.ravel() / chance.sum()
    at = np.searchsorted(chance.cumsum(), (np.arange(samples) + rng.random()) / samples)
    return np.minimum(at, chance.size - 1), chance


def _baskets(law: Law, chance: np.ndarray, samples: int, rng):
    """Baskets as the chain draws them, at numbers of items and focuses of a chance (W, F).

    Returns items wanted and focus of each, (S,), and the baskets, (S, N) bool.
    """
    cell, _ = _spread(chance, samples, rng)
    wanted, focus = WANTED[cell // chance.shape[1]], cell % chance.shape[1]
    products = law.rate.shape[1]
    basket = np.repeat(np.arange(samples), DRAWS[wanted - 1])
    row = focus[basket] * products
    drawn = pick(cumulate(law.rate), row, row + products, rng.random(basket.size)) - row
    copies = 1 + (rng.random(drawn.size) < law.pull[drawn])
    source = np.repeat(np.arange(drawn.size), copies)
    second = np.concatenate([[False], source[1:] == source[:-1]])
    product = np.where(second, law.partner[drawn[source]], drawn[source])
    basket = basket[source]
    kept = first_of(basket, product, products, wanted)
    sets = np.zeros((samples, products), bool)
    sets[basket[kept], product[kept]] = True
    return wanted, focus, sets


def _without_one(sets: np.ndarray, rng) -> None:
    """Take an item at random out of each of the sets (S, N)."""
    basket, product = np.nonzero(sets)
    size = sets.sum(1)
    chosen = np.cumsum(size) - size + (rng.random(size.size) * size).astype(int)
    sets[basket[chosen], product[chosen]] = False


def _hidden_but_one(rate, visible, items: int, count: int, samples: int, rng):
    """Sets (S, N) of what is visible and `count` products more, drawn one after the other, and the
    logarithm of the probability of drawing them in this order (S,)."""
    # Products outnumber draws: the chance of being in the basket, not of being drawn next.
    weight = np.where(visible, 0.0, np.expm1(1.2 * items * rate))
    with np.errstate(divide="ignore"):
        key = np.log(weight) + rng.gumbel(size=(samples, rate.size))
    chosen = np.argsort(-key, axis=1)[:, :count]
    sets = np.repeat(visible[None], samples, axis=0)
    sets[np.arange(samples)[:, None], chosen] = True
    drawn = weight[chosen]
    left = weight.sum() - np.cumsum(drawn, axis=1) + drawn
    return sets, np.log(np.maximum(drawn / left, 1e-300)).sum(1)
