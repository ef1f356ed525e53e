"""A policy as a file: arrays in safetensors with a mark and settings, and how each kind is played.

Files are made by `python -m simulator.policy train` alone. Nothing in them is code: a linear bandit
is its coefficients, a network its weights, and both are played here without the library that made
them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from dbt_project.sample import Actions
from simulator.environments.chain_env import observed
from simulator.environments.learned.opening import LearnedOpening
from simulator.environments.lives import Policy
from simulator.environments.opening import Episode, Opening, price_list
from simulator.environments.policies import Schedule, plan
from simulator.environments.pricing import Scope, seen
from simulator.tensor_file import TensorFile
from trainer.commands.errors import InputError

from .coupon_tables import CouponPolicy
from .knobs import Constant, chain_scope, turned
from .limits import Limited, Limits
from .networks import Layers
from .weekly import Weekly

FILE = TensorFile("retailsim.policy.2", "policy", "python -m simulator.policy train writes them")


PRICES, COUPONS = "prices", "coupons"


def decides(kind: str) -> str:
    """What a kind of policies decides: `PRICES` or `COUPONS`."""
    return COUPONS if kind.startswith(f"{COUPONS}-") else PRICES


@dataclass(frozen=True)
class Made:
    """A trained policy. name: of its figures; kind: how it is played; chain: `price_list` of the
    chain that it is for."""

    name: str
    kind: str
    chain: str
    limits: Limits
    arrays: Mapping[str, np.ndarray]
    training: Mapping[str, Any]
    """How it was made, and its learning curve: for reports alone."""

    def save(self, path: Path) -> None:
        """Write the file."""
        facts = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "arrays"}
        FILE.write(path, self.arrays, facts | {"limits": asdict(self.limits)})

    @classmethod
    def load(cls, path: Path) -> Made:
        """Read what `save` wrote. Raises InputError for any other file."""
        arrays, facts = FILE.read(path)
        try:
            made = cls(**facts | {"limits": Limits.of(facts["limits"]), "arrays": arrays})
            made.training["curve"]
        except (KeyError, TypeError) as error:
            raise InputError(f"{path} cannot be read ({error}): {FILE.made}") from None
        return made

    @property
    def digest(self) -> str:
        """Of all that decides what it does."""
        found = hashlib.sha256(json.dumps([self.kind, asdict(self.limits)]).encode())
        for name in sorted(self.arrays):
            found.update(name.encode() + self.arrays[name].tobytes())
        return found.hexdigest()

    def policy(self, opening: Opening | LearnedOpening) -> Policy:
        """It, within its limits, for episodes from an opening. The current plan is what there is,
        and is not held to any.

        Raises InputError for an opening of another chain than it was made for, or of a learned
        world that does not know its coupons.
        """
        if self.chain != price_list(opening.start()[0]):
            raise InputError(
                f"policy {self.name} was made for a chain with other products or prices than those "
                "of the world it shall be played in: train one there"
            )
        if self.kind == "plan":
            return plan
        if decides(self.kind) == COUPONS:
            return CouponPolicy(opening, self.limits, self.arrays)
        return Limited(self._unlimited(chain_scope(opening)), self.limits)

    def _unlimited(self, scope: Scope) -> Policy:
        """What it would do if nothing held it back."""
        a = self.arrays
        players = {
            "cost-plus": lambda: Schedule(scope),
            "fixed-depth": lambda: Schedule(scope, depth=float(a["depth"][0])),
            "quarters": lambda: Schedule(scope, tuple(a["levels"].tolist()), float(a["depth"][0])),
            "constant-elasticity": lambda: Constant(scope, a["knobs"]),
            "search": lambda: Constant(scope, a["knobs"]),
            "optimiser": lambda: Factors(scope, a["factor"]),
            "weekly": lambda: Weekly(scope, self.limits, a),
            "lin-ts": lambda: Linear(scope, a["arms"], a["beta"]),
            "lin-ucb": lambda: Linear(scope, a["arms"], a["beta"]),
            "ppo": lambda: Network(scope, Layers.of(a)),
        }
        return players[self.kind]()


@dataclass(frozen=True)
class Factors:
    """Regular prices at a factor of each product's base price, without promotions."""

    scope: Scope
    factor: np.ndarray
    """(M,)"""

    def __call__(self, episode: Episode) -> Actions:
        return self.scope.actions(episode, self.factor, 0.0)


@dataclass(frozen=True)
class Linear:
    """The arm whose reward a linear model expects to be highest.

    arms: (A, KNOBS); beta: (A, F) coefficients of `context`.
    """

    scope: Scope
    arms: np.ndarray
    beta: np.ndarray

    def __call__(self, episode: Episode) -> Actions:
        arm = int(np.argmax(self.beta @ context(self.scope, episode)))
        return turned(self.scope, episode, self.arms[arm])


def context(scope: Scope, episode: Episode) -> np.ndarray:
    """(F,) what a linear bandit sees: a constant, means over levers, and the chain's figures."""
    figures = seen(episode, scope)
    return np.r_[1.0, figures.mean(1), observed(episode, np.zeros(0))]


@dataclass(frozen=True)
class Network:
    """Knobs by a network, for what `PricingEnv` observes."""

    scope: Scope
    layers: Layers

    def __call__(self, episode: Episode) -> Actions:
        return turned(self.scope, episode, self.knobs(observed(episode, seen(episode, self.scope))))

    def knobs(self, observation: np.ndarray) -> np.ndarray:
        """(KNOBS,) for an observation of `PricingEnv`."""
        return np.clip(self.layers(observation), -1, 1)
