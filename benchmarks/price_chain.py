"""A synthetic chain as of a week, and the price response that its receipts up to then show."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from dbt_project.sample import World
from dbt_project.sample.behaviour import Behaviour
from dbt_project.sample.chain import build_chain
from dbt_project.sample.config import ChainConfig
from dbt_project.sample.effects import made_of
from simulator.prices.demand_response import DemandResponse, fit_demand_response
from simulator.prices.instrument import instrumented
from trainer.cache.reader import TensorCache
from trainer.commands.errors import InputError
from trainer.commands.options import CommandParser, whole

UNITS = 300
"""The elasticities of products that sold fewer are not judged."""


@dataclass(frozen=True)
class PriceChain:
    """What benchmarks compare. P products of the response, N of the chain."""

    world: World
    """As of `--start`; copy it before living on."""
    cache: TensorCache
    response: DemandResponse
    codes: list[str]
    """(P,)"""
    rows: np.ndarray
    """(P,) of the response's products in the chain."""

    def panel_row(self) -> np.ndarray:
        """(N,) the row of each of the chain's products in the response; -1 where it has none."""
        found = np.full(self.world.setting.catalogue.need.size, -1)
        found[self.rows] = np.arange(self.rows.size)
        return found

    def instrumented(self, start: int) -> PriceChain:
        """The same with the chain's unit costs up to the start as an instrument for prices."""
        costs = self.world.setting.economy.cost[self.rows, :start]
        products, found = instrumented(self.response.products, costs)
        return replace(
            self, response=replace(self.response, products=products, instrument=found)
        )  # fmt: skip


def chain_options(made: CommandParser) -> None:
    """The options that `price_chain` reads."""
    add = made.add_argument
    add("raw", type=Path, metavar="RAW", help="folder of python -m dbt_project.sample")
    add("--cache", type=Path, default=Path("cache"), help="of the same chain (default: cache)")
    add("--start", type=whole(14), default=95, help="last week that is read (default: 95)")


def price_chain(options: argparse.Namespace, weeks: int) -> PriceChain:
    """Of `chain_options`; weeks: how many are lived after the start.

    Raises InputError where the chain is too short or sells too little.
    """
    config, behaviour = made_of(options.raw)
    if options.start + weeks > config.weeks:
        raise InputError(f"--start and --weeks: the chain has {config.weeks} weeks")
    torch.set_num_threads(1)
    cache = TensorCache(options.cache)
    response = fit_demand_response(cache, options.start)
    if response is None:
        raise InputError(f"{cache.folder}: no product sells often enough to tell")
    place = {code: i for i, code in enumerate(build_chain(config).codes.product)}
    tokens = response.products.panel.token
    codes = [cache["products.code"][token - 1].decode() for token in tokens]
    return PriceChain(
        lived(config, behaviour, options.start), cache, response, codes,
        np.array([place[code] for code in codes]),
    )  # fmt: skip


def lived(config: ChainConfig, behaviour: Behaviour, weeks: int) -> World:
    """A chain's world after its first weeks."""
    world = World(config, behaviour)
    for _ in range(weeks):
        world.step()
    return world
