"""What never changes while a responsive chain is lived: who there is, what there is, what it costs.

Everything is drawn by the same functions as the independent chain's, so a seed gives the same
products, stores and households in both.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .behaviour import Behaviour
from .catalogue import Catalogue, build_catalogue
from .config import ChainConfig
from .demand import KAPPA
from .draw import stream, within
from .economy import Economy, build_economy
from .households import CLASSES, Households, build_households, class_popularity
from .prices import Prices, build_prices
from .stores import Stores, build_stores

# Classes of items by which a repertoire is laid out; the places for adopted products follow.
MISSIONS = 4
ADOPTED = 8
# Standard normal scores of the households of a class, a third of them each.
NODES = np.array([-1.2247449, 0.0, 1.2247449])
_KEPT_WEEKS = 64


@dataclass(frozen=True)
class Repertoire:
    """Products that a household draws from: its favourites by class of item, then places for
    products that it adopts. P pairs of household and product, H households.
    """

    bounds: np.ndarray
    """(H, MISSIONS + 2) first pair of each class, of the places, and of the next household."""
    product: np.ndarray
    """(P,) -1 for a place."""
    weight: np.ndarray
    """(P,) float32; for a place the weight of a fully formed habit."""
    cycle: np.ndarray
    """(P,) float32 radians a week, as `phase`, `drift` and `drift_phase` radians."""
    phase: np.ndarray
    drift: np.ndarray
    drift_phase: np.ndarray
    habit: np.ndarray
    """(P,) float32 what a fully formed habit multiplies the weight by, beside `without`: 1 of a
    favourite and 0 of a place for an adopted product."""
    without: np.ndarray
    key: np.ndarray
    """(favourites,) household x products + product, ascending, with the pair of each in `pair`."""
    pair: np.ndarray
    tilts: dict[int, np.ndarray] = field(default_factory=dict, repr=False)
    """Weights of weeks computed before: they depend on nothing that happens."""

    def tilt(self, week: int) -> np.ndarray:
        """(P,) float32 weights in a week, without habits."""
        if week not in self.tilts:
            if len(self.tilts) >= _KEPT_WEEKS:
                self.tilts.pop(next(iter(self.tilts)))
            wave = 1 + np.float32(0.85) * np.cos(np.float32(week) * self.cycle + self.phase)
            wave *= np.exp(
                np.float32(0.9) * np.cos(np.float32(week) * self.drift + self.drift_phase)
            )
            wave[self.without == 0] = 1.0
            self.tilts[week] = wave * self.weight
        return self.tilts[week]


@dataclass(frozen=True)
class Setting:
    """A responsive chain before its first week."""

    config: ChainConfig
    behaviour: Behaviour
    catalogue: Catalogue
    stores: Stores
    households: Households
    prices: Prices
    """Prices of the unconfounded twin: random steps and promotions."""
    economy: Economy
    repertoire: Repertoire
    kind: np.ndarray
    """(H,) class and sensitivity within it, class x len(NODES) + node."""
    sensitivity: np.ndarray
    """(H,) float32 multiplier of every response to prices, 1 on average."""
    popularity: np.ndarray
    """(classes, N) base shares; `share`, within the need; `need_share`, (classes, K), its own."""
    share: np.ndarray
    need_share: np.ndarray
    favourite: np.ndarray
    """(K,) most popular product of each need."""
    by_need: np.ndarray
    """(N,) products by need, and `start` (K + 1,) the first of each need among them."""
    start: np.ndarray
    at: np.ndarray
    """(N,) position of each product in `by_need`."""
    by_mission: np.ndarray
    """(N,) products by class of item, and `mission_bounds` (MISSIONS + 1,)."""
    mission_bounds: np.ndarray
    unit_price: np.ndarray
    """(N,) first price of a unit or a median portion, pence."""

    @property
    def needs(self) -> int:
        return self.start.size - 1


def _repertoire(h: Households, catalogue: Catalogue, b: Behaviour) -> Repertoire:
    count, products = h.rate.size, catalogue.need.size
    size = np.diff(h.favourite_start)
    owner = np.repeat(np.arange(count), size)
    mission = catalogue.mission[h.favourite]
    order = np.lexsort((np.arange(owner.size), mission, owner))
    # Favourites move up to make room for the places of the households before.
    to = np.arange(owner.size) + owner * ADOPTED
    total = owner.size + count * ADOPTED

    def laid_out(values: np.ndarray, fill: float, kind: type) -> np.ndarray:
        out = np.full(total, fill, dtype=kind)
        out[to] = values[order]
        return out

    each = np.bincount(owner * MISSIONS + mission, minlength=count * MISSIONS)
    each = each.reshape(count, MISSIONS)
    bounds = np.empty((count, MISSIONS + 2), dtype=np.int64)
    bounds[:, 0] = h.favourite_start[:-1] + np.arange(count) * ADOPTED
    bounds[:, 1:-1] = bounds[:, :1] + np.cumsum(each, axis=1)
    bounds[:, -1] = bounds[:, -2] + ADOPTED
    place = np.ones(total, dtype=bool)
    place[to] = False
    weight = laid_out(h.favourite_weight, 0.0, np.float32)
    mean = np.bincount(owner, h.favourite_weight, count) / np.maximum(size, 1)
    weight[place] = np.repeat(b.adopted * mean, ADOPTED)
    pair = np.empty(owner.size, dtype=np.int64)
    pair[order] = to
    return Repertoire(
        bounds=bounds, product=laid_out(h.favourite, -1, np.int64), weight=weight,
        cycle=laid_out(2 * np.pi / h.cycle, 0.0, np.float32),
        phase=laid_out(h.phase, 0.0, np.float32),
        drift=laid_out(h.drift, 0.0, np.float32),
        drift_phase=laid_out(h.drift_phase, 0.0, np.float32),
        habit=np.where(place, 1, b.habit).astype(np.float32), without=(~place).astype(np.float32),
        key=owner * products + h.favourite, pair=pair,
    )  # fmt: skip


def node_sensitivity(behaviour: Behaviour) -> np.ndarray:
    """(nodes,) price sensitivity relative to the class's, whose mean is one."""
    multiplier = np.exp(behaviour.spread * NODES)
    return multiplier / multiplier.mean()


def build_setting(config: ChainConfig, behaviour: Behaviour | None = None) -> Setting:
    """Draw what is fixed. The same in every process that does it."""
    b = behaviour or Behaviour()
    catalogue = build_catalogue(config)
    stores = build_stores(config)
    h = build_households(config, catalogue, stores)
    rng = stream(config.seed, "sensitivity")
    node = rng.permutation(within(np.array([h.rate.size])) % NODES.size)
    multiplier = node_sensitivity(b)
    by_need = np.argsort(catalogue.need, kind="stable")
    at = np.empty_like(by_need)
    at[by_need] = np.arange(by_need.size)
    needs = int(catalogue.need.max()) + 1
    by_mission = np.argsort(catalogue.mission, kind="stable")
    weighed = catalogue.random_weight
    popularity = class_popularity(catalogue)
    start = np.searchsorted(catalogue.need[by_need], np.arange(needs + 1))
    need_share = np.add.reduceat(popularity[:, by_need], start[:-1], axis=1)
    best = np.lexsort((popularity.mean(0)[by_need], catalogue.need[by_need]))
    return Setting(
        config=config, behaviour=b, catalogue=catalogue, stores=stores, households=h,
        prices=build_prices(config, catalogue, stores.regions),
        economy=build_economy(config, catalogue, b),
        repertoire=_repertoire(h, catalogue, b),
        kind=h.sensitivity * NODES.size + node,
        sensitivity=(KAPPA[h.sensitivity] * multiplier[node]).astype(np.float32),
        popularity=popularity, share=popularity / need_share[:, catalogue.need],
        need_share=need_share, favourite=by_need[best[start[1:] - 1]], by_need=by_need,
        start=start, at=at,
        by_mission=by_mission,
        mission_bounds=np.searchsorted(
            catalogue.mission[by_mission], np.arange(MISSIONS + 1)
        ),
        unit_price=np.where(weighed, catalogue.price * catalogue.portion, catalogue.price),
    )  # fmt: skip


KINDS = len(CLASSES) * NODES.size
