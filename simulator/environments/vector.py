"""Many episodes at once of one chain, drawn and warmed up once: what `gymnasium.make_vec` uses."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv

from .chain_env import ChainEnv
from .coupons import CouponsEnv
from .pricing import PricingEnv


def pricing(num_envs: int, **options: Any) -> VectorEnv:
    """Vectorised `PricingEnv`."""
    return _vector(PricingEnv, num_envs, options)


def coupons(num_envs: int, **options: Any) -> VectorEnv:
    """Vectorised `CouponsEnv`."""
    return _vector(CouponsEnv, num_envs, options)


def _vector(env: Callable[..., ChainEnv], num_envs: int, options: dict[str, Any]) -> VectorEnv:
    """A process for each episode where there are several processors.

    The chain and its weeks' fixed weights are computed before the processes are forked, so that
    they share them.
    """
    env(**options).opening.ready()
    several = num_envs > 1 and len(os.sched_getaffinity(0)) > 1
    return (AsyncVectorEnv if several else SyncVectorEnv)([partial(env, **options)] * num_envs)
