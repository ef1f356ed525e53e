"""The price plan of `simulator.prices` as a policy."""

from __future__ import annotations

import numpy as np

from simulator.environments.learned.opening import LearnedOpening
from simulator.prices.demand_response import fit_demand_response
from simulator.prices.expected import ExpectedDemand
from simulator.prices.optimise import Rules, best_prices
from simulator.tensor_file import texts
from trainer.cache.reader import TensorCache
from trainer.commands.errors import InputError

from .limits import Limits

HELD = 26
"""Weeks for which expected demand holds prices."""


def best_factors(cache: TensorCache, opening: LearnedOpening, limits: Limits) -> dict:
    """(N,) factors on base prices: the plan of most expected profit at the start of the episode, by
    costs of that week. Base prices follow costs, so its margins are kept in the weeks after.

    Raises InputError for another cache than the world's, and where nothing can be told of prices.
    """
    known = opening.start()[0].known
    if cache.digest != known.cache:
        raise InputError(
            f"{cache.folder} is not the cache that {opening.checkpoint} was learned from"
        )
    response = fit_demand_response(cache, known.start)
    if response is None:
        raise InputError(f"{cache.folder}: no product sells often enough to tell")
    demand = ExpectedDemand(cache, response, known.start, HELD)
    row_of = {code: row for row, code in enumerate(texts(known.code))}
    names = [cache["products.code"][t - 1].decode() for t in response.products.panel.token]
    rows = np.array([row_of[name] for name in names])
    base = known.listed * known.cost[:, -1] / known.cost[:, 0]
    today = known.regular[:, -1]
    # The search does not know what suppliers pay; it compares regular prices alone.
    rules = Rules(most_move=0.15, least_margin=max(limits.least_margin, 0.0), index=limits.index)
    plan = best_prices(demand, known.cost[rows, -1], rules)
    factor = np.ones(len(known.code))
    factor[rows] = plan.after / plan.before * today[rows] / base[rows]
    return {"factor": factor}
