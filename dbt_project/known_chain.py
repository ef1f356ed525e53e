"""A synthetic chain of which the truth is known, and its places in a tensor cache."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from trainer.cache.reader import TensorCache
from trainer.commands.errors import InputError
from trainer.commands.options import CommandParser

from .sample.config import ChainConfig, read
from .sample.folder import CHAIN, GENERATOR


def add_sources(parser: CommandParser) -> None:
    """Add the options that name the chain and its cache."""
    parser.add_argument(
        "--raw", type=Path, default=Path("raw_data"),
        help="folder of python -m dbt_project.sample (default: raw_data)",
    )  # fmt: skip
    parser.add_argument(
        "--cache", type=Path, default=Path("cache"), help="its tensor cache (default: cache)"
    )


def chain_config(raw: Path) -> ChainConfig:
    """What made the chain in a folder; raises InputError where there is none of independent weeks,
    the only ones that can be known each by itself."""
    path = raw / CHAIN
    try:
        content = json.loads(path.read_text())
        config = read(content["config"]) if content["generator"] == GENERATOR else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} cannot be read ({error}): name a folder of python -m dbt_project.sample"
        ) from None
    if config is None:
        raise InputError(f"{path} is not of python -m dbt_project.sample: only its truth is known")
    if config.behaviour != "independent":
        raise InputError(
            f"the weeks of {raw} depend on each other, and their trips have no closed "
            "probabilities: make a chain with --behaviour independent"
        )
    return config


def places(cache: TensorCache, column: str, codes: list[str]) -> np.ndarray:
    """The chain's index of each row of a column of codes; raises InputError where it has none."""
    place = {code: number for number, code in enumerate(codes)}
    names = [code.decode(errors="replace") for code in cache[column].tolist()]
    missing = [name for name in names if name not in place]
    if missing:
        raise InputError(
            f"{cache.folder} is not of this chain, which has no {missing[0]}: name the cache that "
            "was exported from --raw"
        )
    return np.array([place[name] for name in names])
