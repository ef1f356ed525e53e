"""The catalogue: hierarchy, popularity, prices, needs of substitutes, complements, seasons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import shape
from .calendar import WEEKS_A_YEAR, holidays
from .config import ChainConfig
from .draw import cumulate, interpolate, pick, stream, within

# Share of sales in the value tier, and in the premium tier.
TIER_SHARE = 0.162


@dataclass(frozen=True)
class Catalogue:
    """One element per product, in product-code order, unless said otherwise."""

    cl: np.ndarray
    """PROD_CODE_10, from 0."""
    dep: np.ndarray
    """PROD_CODE_20, from 0."""
    group: np.ndarray
    """PROD_CODE_30, from 0."""
    department: np.ndarray
    """PROD_CODE_40, from 1."""
    mission: np.ndarray
    """Class of the item in the rule for a basket's mission: `shape.FRESH` and so on."""
    need: np.ndarray
    """Cluster of substitutes inside one sub-commodity, from 0."""
    popularity: np.ndarray
    """Share of items at base prices once every product is on sale; sums to 1."""
    price: np.ndarray
    """First shelf price in pence; of random-weight products, pence per kilogram."""
    tier: np.ndarray
    """Price tier within the commodity: 0 value, 1 middle, 2 premium."""
    random_weight: np.ndarray
    """Whether quantity 1 stands for a weighed portion."""
    portion: np.ndarray
    """Median portion in kilograms, 0 where not random-weight."""
    elasticity: np.ndarray
    """eps of the choice within the need, positive."""
    first_week: np.ndarray
    """First week on sale."""
    multiple: np.ndarray
    """Probability that more than one unit is bought."""
    partner: np.ndarray
    """Complement that a purchase of this product may bring into the basket, -1 for none."""
    pull: np.ndarray
    """Probability that it does, 0 for none."""
    season: np.ndarray
    """Multiplier of demand, shape (sub-commodities, weeks)."""
    bag: int
    """The carrier bag: nearly free, launched early, and the most popular product afterwards."""


def _allocate(total: int, share: np.ndarray) -> np.ndarray:
    """Whole numbers of at least one that sum to `total`, in proportion to `share`."""
    count = np.floor(share * total).astype(int)
    count = np.maximum(count, 1)
    order = np.argsort(-(share * total - count), kind="stable")
    while count.sum() < total:
        count[order[: total - count.sum()]] += 1
    while count.sum() > total:
        count[np.argmax(count)] -= 1
    return count


def _split(rng: np.random.Generator, products: int, parts: int) -> np.ndarray:
    """Part number of each of `products`: every part has one, sizes are uneven."""
    extra = rng.choice(parts, products - parts, p=rng.dirichlet(np.full(parts, 1.5)))
    return np.sort(np.concatenate([np.arange(parts), extra]))


def _hierarchy(rng: np.random.Generator, products: int) -> dict[str, np.ndarray]:
    group, cl, dep, need = [], [], [], []
    next_cl = next_dep = next_need = 0
    counts = _allocate(products, shape.GROUP_PRODUCTS / shape.GROUP_PRODUCTS.sum())
    for g, size in enumerate(counts):
        parts = int(min(shape.GROUP_CL[g], -(-size // 5)))
        inside = _split(rng, size, parts)
        deps = int(min(shape.GROUP_DEP[g], parts))
        dep_of = np.sort(np.arange(parts) % deps)
        group.append(np.full(size, g))
        cl.append(inside + next_cl)
        dep.append(dep_of[inside] + next_dep)
        for part in range(parts):
            left = int((inside == part).sum())
            while left:
                take = int(rng.integers(2, 9))
                take = left if left - take < 2 and left <= 8 else min(take, left)
                need.append(np.full(take, next_need))
                left, next_need = left - take, next_need + 1
        next_cl, next_dep = next_cl + parts, next_dep + deps
    return {
        "group": np.concatenate(group), "cl": np.concatenate(cl),
        "dep": np.concatenate(dep), "need": np.concatenate(need),
    }  # fmt: skip


def _popularity(rng: np.random.Generator, group: np.ndarray) -> np.ndarray:
    """Shares that follow LGSR's rank curve and, nearly, its shares by product group."""
    size = group.size
    curve = np.diff(interpolate(shape.POPULARITY, np.arange(size + 1) / size))
    curve = np.sort(np.minimum(curve, 0.04))[::-1]
    curve /= curve.sum()
    target = shape.GROUP_SHARE / np.maximum(np.bincount(group, minlength=len(shape.GROUPS)), 1)
    score = np.log(target[group]) + rng.normal(0, 1.3, size)
    popularity = np.empty(size)
    for _ in range(30):
        popularity[np.argsort(-score, kind="stable")] = curve
        now = np.bincount(group, popularity, minlength=shape.GROUP_SHARE.size)
        score += 0.5 * np.log(shape.GROUP_SHARE / np.maximum(now, 1e-9))[group]
    return popularity


def _prices(rng: np.random.Generator, group: np.ndarray, popularity: np.ndarray) -> np.ndarray:
    """Pence, with LGSR's quantiles over products; popular products are cheaper."""
    size = group.size
    score = np.log(shape.GROUP_PRICE)[group] + rng.normal(0, 0.55, size)
    score -= 0.22 * (np.log(popularity) - np.log(popularity).mean())
    rank = (np.argsort(np.argsort(score, kind="stable"), kind="stable") + 0.5) / size
    return np.maximum(np.round(100 * interpolate(shape.PRICE, rank, log=True)), 1).astype(np.int64)


def _tiers(dep: np.ndarray, price: np.ndarray, popularity: np.ndarray) -> np.ndarray:
    """By price within the commodity: the value and the premium tier each get `TIER_SHARE` of all
    sales."""
    order = np.lexsort((price, dep))
    running = np.cumsum(popularity[order])
    total = np.bincount(dep, popularity)
    before = (np.cumsum(total) - total)[dep[order]]
    at = (running - popularity[order] / 2 - before) / total[dep[order]]
    place = np.empty(dep.size)
    place[order] = at
    by_place = np.argsort(place, kind="stable")
    middle = np.cumsum(popularity[by_place]) - popularity[by_place] / 2
    tier = np.empty(dep.size, dtype=np.int64)
    tier[by_place] = np.digitize(middle, [TIER_SHARE, 1 - TIER_SHARE])
    return tier


def _first_weeks(rng: np.random.Generator, config: ChainConfig, popularity) -> np.ndarray:
    """Most products from week 1; launches thin out and a few fall into the last weeks.

    The most popular 2 % are on sale from the start: one late bestseller would shift the shares of
    everything else.
    """
    span = config.weeks
    u = rng.random(config.products)
    at = np.interp(u, [0, 0.20, 0.245, 0.25, 1], [0.02, 0.4, 0.81, 1.0, 1.0])
    late = (u < 0.25) & (popularity < np.quantile(popularity, 0.98))
    return np.where(late, np.clip(np.ceil(at * span), 1, span), 1).astype(np.int64)


def _random_weight(rng, department, popularity) -> np.ndarray:
    """Fresh products, whose number and share of items are both near LGSR's."""
    flag = np.zeros(department.size, dtype=bool)
    fresh = np.flatnonzero((department == 2) & (popularity < 0.02))
    if fresh.size == 0:
        return flag
    wanted = max(round(shape.RANDOM_WEIGHT_PRODUCTS * department.size), 1)
    noise = rng.gumbel(size=fresh.size)
    for tilt in np.linspace(0, 1.5, 31):
        key = tilt * np.log(popularity[fresh]) + noise
        chosen = fresh[np.argsort(-key, kind="stable")[:wanted]]
        if popularity[chosen].sum() >= shape.RANDOM_WEIGHT_ROWS:
            break
    flag[chosen] = True
    return flag


def _season(rng: np.random.Generator, size: int, weeks: int) -> np.ndarray:
    """Yearly wave plus holiday peaks per sub-commodity, shape (sub-commodities, weeks)."""
    amplitude = np.where(rng.random(size) < 0.5, rng.uniform(0.05, 0.5, size), 0.03)
    peak = rng.uniform(0, WEEKS_A_YEAR, size)
    week = np.arange(1, weeks + 1)
    log = amplitude[:, None] * np.cos(2 * np.pi * (week - peak[:, None]) / WEEKS_A_YEAR)
    strength = {name: np.array([holidays(int(w))[name] for w in week]) for name in holidays(1)}
    for name, (share, low, high) in {
        "christmas": (0.15, 0.3, 1.1), "easter": (0.06, 0.3, 1.0), "summer": (0.12, 0.2, 0.7),
    }.items():  # fmt: skip
        bump = np.where(rng.random(size) < share, rng.uniform(low, high, size), 0.0)
        log += bump[:, None] * strength[name]
    return np.exp(log)


def _complements(rng, cl, popularity, first_week) -> tuple[np.ndarray, np.ndarray]:
    """About one product in 25 has a complement, from another sub-commodity."""
    size = cl.size
    partner, pull = np.full(size, -1), np.zeros(size)
    wanted = max(size // 25, 3)
    eligible = np.flatnonzero((first_week == 1) & (popularity < 0.01))
    weight = np.sqrt(popularity[eligible])
    chosen = rng.choice(
        eligible, min(wanted, eligible.size), replace=False, p=weight / weight.sum()
    )
    total = cumulate(np.where((first_week == 1) & (popularity < 0.004), np.sqrt(popularity), 0.0))
    n = chosen.size
    complement = pick(total, np.zeros(n, int), np.full(n, size), rng.random(n))
    good = (complement >= 0) & (cl[chosen] != cl[complement]) & ~np.isin(complement, chosen)
    partner[chosen[good]] = complement[good]
    pull[chosen[good]] = rng.uniform(0.10, 0.35, n)[good]
    return partner, pull


def pairs_of_needs(need: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All ordered pairs of products of one need, a product with itself included, need by need."""
    order = np.argsort(need, kind="stable")
    size = np.bincount(need)
    start = np.cumsum(size) - size
    count = size[need[order]]
    second = order[np.repeat(start[need[order]], count) + within(count)]
    return np.repeat(order, count), second


def build_catalogue(config: ChainConfig) -> Catalogue:
    """Draw the catalogue of a chain."""
    rng = stream(config.seed, "catalogue")
    tree = _hierarchy(rng, config.products)
    popularity = _popularity(rng, tree["group"])
    department = shape.GROUP_DEPARTMENT[tree["group"]]
    price = _prices(rng, tree["group"], popularity)
    first_week = _first_weeks(rng, config, popularity)
    mission = shape.GROUP_CLASS[tree["group"]].copy()

    in_group = np.flatnonzero(tree["group"] == shape.BAG_GROUP)
    bag = int(in_group[np.argmax(popularity[in_group])])
    mission[tree["cl"] == tree["cl"][bag]] = shape.UNCLASSIFIED
    price[bag] = 1
    first_week[bag] = max(round(0.17 * config.weeks), 1)

    weighed = _random_weight(rng, department, popularity)
    weighed[bag] = False
    portion = np.where(weighed, np.clip(rng.lognormal(-0.7, 0.5, config.products), 0.08, 2.5), 0)
    # The price quantiles are those of a portion; the price per kilogram follows from it.
    per_kg = np.maximum(np.round(price / np.where(weighed, portion, 1)), 20)
    price = np.where(weighed, per_kg, price).astype(np.int64)
    tier = _tiers(tree["dep"], np.where(weighed, price * portion, price), popularity)
    elasticity = np.clip(rng.lognormal(np.log(2.2), 0.35, config.products), 0.8, 4.5)
    multiple = np.clip(0.19 * rng.lognormal(-0.15, 0.55, config.products), 0.02, 0.7)
    multiple[bag] = 0.45
    partner, pull = _complements(rng, tree["cl"], popularity, first_week)
    season = _season(rng, int(tree["cl"].max()) + 1, config.weeks)

    # Product codes say nothing about the hierarchy, as in LGSR.
    order = rng.permutation(config.products)
    place = np.argsort(order)
    partner = np.where(partner >= 0, place[partner], -1)
    return Catalogue(
        cl=tree["cl"][order], dep=tree["dep"][order], group=tree["group"][order],
        department=department[order], mission=mission[order], need=tree["need"][order],
        popularity=popularity[order], price=price[order], tier=tier[order],
        random_weight=weighed[order], portion=portion[order], elasticity=elasticity[order],
        first_week=first_week[order], multiple=np.where(weighed, 0, multiple)[order],
        partner=partner[order], pull=pull[order], season=season, bag=int(place[bag]),
    )  # fmt: skip
