"""Households: how often, where and what they buy. Nothing here changes from week to week."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import shape
from .catalogue import Catalogue
from .config import ChainConfig
from .draw import cumulate, interpolate, normal_quantile, pick, stream, within
from .stores import Stores

# Price sensitivity: leaning to LA, middle, leaning to UM, by the weights of the price tiers.
CLASSES = ("AZ", "CT", "BG")
CLASS_SHARE = np.array([0.27, 0.43, 0.30])
CLASS_TIER = np.array([[1.75, 1.0, 0.45], [1.0, 1.0, 1.0], [0.45, 1.0, 1.6]])
# Products drawn for a repertoire, including repeated draws.
FAVOURITES = 100


@dataclass(frozen=True)
class Households:
    """One element per household: first those with a card, then the anonymous ones."""

    known: int
    """Number of households with a card."""
    code: np.ndarray
    """Number in CUST_CODE, ascending, for the known ones only."""
    sensitivity: np.ndarray
    """Index into `CLASSES`."""
    quiet: np.ndarray
    """Whether the household is in segment DY."""
    lifestage: np.ndarray
    """Index into `shape.LIFESTAGES`."""
    region: np.ndarray
    """Region of all its stores."""
    rate: np.ndarray
    """Trips per ordinary active week."""
    first_week: np.ndarray
    last_week: np.ndarray
    away: np.ndarray
    """Week of the year at which two weeks of holiday start."""
    basket: np.ndarray
    """Standard normal score of its basket size."""
    loyalty: np.ndarray
    """Probability that an item comes from the household's own repertoire."""
    focus: np.ndarray
    """Mission mix, shape (households, 4)."""
    store_start: np.ndarray
    """Offsets into the next two, shape (households + 1,)."""
    store: np.ndarray
    store_weight: np.ndarray
    favourite_start: np.ndarray
    """Offsets into the remaining arrays, shape (households + 1,)."""
    favourite: np.ndarray
    """Product."""
    favourite_weight: np.ndarray
    cycle: np.ndarray
    """Purchase cycle in weeks."""
    phase: np.ndarray
    """Phase of the purchase cycle in radians."""
    drift: np.ndarray
    """Angular speed of the slow change of taste, radians a week."""
    drift_phase: np.ndarray


def class_popularity(catalogue: Catalogue) -> np.ndarray:
    """Base shares of products by price-sensitivity class, shape (3, products)."""
    weight = catalogue.popularity * CLASS_TIER[:, catalogue.tier]
    return weight / weight.sum(1, keepdims=True)


def _spread(rng, rank, step):
    """Uniform numbers, evenly spread over any stretch of ranks (a Kronecker sequence).

    A few households make most trips. With independent draws of their traits, the average basket of
    a chain of a few hundred customers would vary a lot from seed to seed.
    """
    return (rank * step + rng.random()) % 1.0


def _activity(rng, count, weeks):
    """Rate and active span. Light shoppers appear late and short-lived by chance alone."""
    u = rng.random(count)
    trips = interpolate(shape.TRIPS, u, log=True)
    first = np.where(rng.random(count) < 0.20, rng.integers(1, weeks + 1, count), 1)
    last = np.where(rng.random(count) < 0.11, rng.integers(1, weeks + 1, count), weeks)
    first, last = np.minimum(first, last), np.maximum(first, last)
    # Weeks away and the quiet Christmas cost about 5 % of an active household's trips.
    span = np.maximum(last - first + 1, 0.35 * weeks)
    rate = np.minimum(trips * weeks / 117 * 1.05 / span, 9.0)
    return u < shape.QUIET, first, last, rate


def _stores(rng, region, stores: Stores):
    """Stores of the home region, most trips to the first, the rest falling off by rank."""
    count = region.size
    length = np.clip(rng.geometric(0.11, count), 1, 24)
    order = np.argsort(stores.region, kind="stable")
    first = np.searchsorted(stores.region[order], np.arange(stores.regions + 1))
    opened = np.where(stores.first_week == 1, stores.size, 0.0)[order]
    start, stop = first[region], first[region + 1]
    # Stratified, so that every store gets shoppers in proportion to its size.
    u = np.empty(count)
    homes = np.bincount(region)
    step = (within(homes) + rng.random(count)) / np.repeat(homes, homes)
    u[np.argsort(region + rng.random(count))] = step
    primary = pick(cumulate(opened), start, stop, u)
    owner = np.repeat(np.arange(count), length)
    rank = within(length)
    secondary = pick(
        cumulate(stores.size[order]), start[owner], stop[owner], rng.random(owner.size)
    )
    at = order[np.where(rank == 0, primary[owner], secondary)]
    loyal = np.clip(rng.beta(3.6, 1.25, count), 0.2, 0.995)[owner]
    tail = np.where(rank > 0, 0.85**rank, 0.0)
    spread = np.maximum(np.bincount(owner, tail), 1e-9)[owner]
    weight = np.where(rank == 0, loyal, (1 - loyal) * tail / spread)
    return _merge(owner, at, weight, stores.first_week.size, count)


def _merge(owner, item, weight, items, owners):
    """Sum the weights of equal (owner, item), sorted by both: offsets by owner, items, weights."""
    key = owner.astype(np.int64) * items + item
    unique, inverse = np.unique(key, return_inverse=True)
    total = np.bincount(inverse, weight)
    start = np.searchsorted(unique, np.arange(owners + 1, dtype=np.int64) * items)
    return start, unique % items, total


def _favourites(rng, sensitivity, catalogue: Catalogue):
    """A personal repertoire: products drawn by popularity, re-ranked by category taste.

    Draws are with replacement, so that averaged over households the weights of products are
    their base shares.
    """
    count, products = sensitivity.size, catalogue.need.size
    deps = int(catalogue.dep.max()) + 1
    size = np.clip(rng.lognormal(np.log(FAVOURITES), 0.35, count), 15, 250).astype(int)
    owner = np.repeat(np.arange(count), size)
    total = cumulate(class_popularity(catalogue))
    row = sensitivity[owner] * products
    item = pick(total, row, row + products, rng.random(owner.size)) - row
    taste = rng.lognormal(-0.5, 1.0, (count, deps))[owner, catalogue.dep[item]]
    taste *= rng.lognormal(-0.5, 1.0, (count, len(shape.GROUPS)))[owner, catalogue.group[item]]
    weight = (within(size) + 3.0) ** -0.8 * taste
    return _merge(owner, item, weight, products, count)


def build_households(config: ChainConfig, catalogue: Catalogue, stores: Stores) -> Households:
    """Draw the households of a chain; anonymous ones make about a quarter of all trips."""
    rng = stream(config.seed, "households")
    known = config.customers
    count = known + max(round(known * 0.35), 1)
    quiet, first, last, rate = _activity(rng, count, config.weeks)
    expected = rate * (last - first + 1)
    goal = expected[:known].sum() * shape.ANONYMOUS_TRIPS / (1 - shape.ANONYMOUS_TRIPS)
    rate[known:] *= goal / expected[known:].sum()

    attraction = np.bincount(stores.region, stores.size, minlength=stores.regions) ** 0.3
    region = rng.choice(stores.regions, count, p=attraction / attraction.sum())
    rank = np.argsort(np.argsort(expected, kind="stable"), kind="stable")
    sensitivity = np.searchsorted(np.cumsum(CLASS_SHARE)[:-1], _spread(rng, rank, 5**0.5))
    score = normal_quantile(np.clip(_spread(rng, rank, 2**0.5), 1e-4, 1 - 1e-4))
    lifestage = rng.choice(len(shape.LIFESTAGES), count, p=shape.LIFESTAGE_SHARE)
    shift = np.array([0.0, 0.03, -0.12, 0.25, -0.05, -0.12, 0.08])[lifestage]
    shift = shift - 0.06 * (np.arange(count) >= known)
    store_start, store, store_weight = _stores(rng, region, stores)
    start, favourite, weight = _favourites(rng, sensitivity, catalogue)
    pairs = favourite.size
    return Households(
        known=known,
        code=np.sort(rng.choice(min(10 * known + 9, 9_999_999), known, replace=False)) + 1,
        sensitivity=sensitivity, quiet=quiet, lifestage=lifestage,
        region=region, rate=rate, first_week=first, last_week=last,
        away=rng.integers(0, 52, count), basket=score + shift,
        loyalty=rng.beta(6.2, 2.1, count),
        focus=rng.dirichlet(np.array([5.2, 2.0, 2.7, 0.44]), count),
        store_start=store_start, store=store, store_weight=store_weight,
        favourite_start=start, favourite=favourite, favourite_weight=weight,
        cycle=rng.choice([1, 2, 3, 4, 6, 8, 12], pairs).astype(float),
        phase=rng.uniform(0, 2 * np.pi, pairs),
        drift=2 * np.pi / rng.uniform(80, 300, pairs),
        drift_phase=rng.uniform(0, 2 * np.pi, pairs),
    )  # fmt: skip
