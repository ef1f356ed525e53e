"""A policy as a file: arrays in safetensors with a mark and settings, and how each kind is played.

Files are made by `python -m simulator.policy train` alone. Nothing in them is code: a linear bandit
is its coefficients, a network its weights, and both are played here without the library that made
them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from dbt_project.sample import Actions
from simulator.environments.chain_env import observed
from simulator.environments.lives import Policy
from simulator.environments.opening import Episode
from simulator.environments.policies import Schedule, plan
from simulator.environments.pricing import Scope, seen
from trainer.commands.errors import InputError

from .knobs import Constant, turned
from .limits import Limited, Limits

FORMAT = "retailsim.policy.1"
LARGEST = 1 << 28
"""Bytes of the largest file that is read."""


@dataclass(frozen=True)
class Made:
    """A trained policy. name: of its figures; kind: how it is played."""

    name: str
    kind: str
    limits: Limits
    arrays: Mapping[str, np.ndarray]
    training: Mapping[str, Any]
    """How it was made, and its learning curve: for reports alone."""

    def save(self, path: Path) -> None:
        """Write the file."""
        about = {
            "name": self.name, "kind": self.kind, "limits": asdict(self.limits),
            "training": dict(self.training),
        }  # fmt: skip
        arrays = {k: np.ascontiguousarray(v) for k, v in self.arrays.items()}
        save_file(
            arrays or {"none": np.zeros(1)}, path, {"format": FORMAT, "about": json.dumps(about)}
        )

    @classmethod
    def load(cls, path: Path) -> Made:
        """Read what `save` wrote. Raises InputError for any other file."""
        if not path.is_file() or path.stat().st_size > LARGEST:
            raise InputError(f"{path} is no policy: python -m simulator.policy train writes them")
        try:
            with safe_open(path, "np") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != FORMAT:
                    raise InputError(f"{path} is no policy of python -m simulator.policy train")
                about = json.loads(metadata["about"])
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            name, kind, training = str(about["name"]), str(about["kind"]), about["training"]
            limits, _ = Limits.of(about["limits"]), training["curve"]
        except InputError:
            raise
        except (SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise InputError(f"{path} cannot be read ({error}): train it again") from None
        if broken := [each for each, values in arrays.items() if not np.isfinite(values).all()]:
            raise InputError(f"{path}: {broken[0]} is not all numbers: train it again")
        return cls(name, kind, limits, arrays, training)

    def unlimited(self, scope: Scope) -> Policy:
        """What it would do if nothing held it back, for the products of a scope."""
        a = self.arrays
        players = {
            "plan": lambda: plan,
            "cost-plus": lambda: Schedule(scope),
            "fixed-depth": lambda: Schedule(scope, depth=float(a["depth"][0])),
            "quarters": lambda: Schedule(scope, tuple(a["levels"].tolist()), float(a["depth"][0])),
            "constant-elasticity": lambda: Constant(scope, a["knobs"]),
            "search": lambda: Constant(scope, a["knobs"]),
            "optimiser": lambda: Factors(scope, a["factor"]),
            "lin-ts": lambda: Linear(scope, a["arms"], a["beta"]),
            "lin-ucb": lambda: Linear(scope, a["arms"], a["beta"]),
            "ppo": lambda: Network(scope, a),
        }
        try:
            return players[self.kind]()
        except KeyError as error:
            raise InputError(f"policy {self.name}: {error} is unknown here") from None

    def policy(self, scope: Scope) -> Policy:
        """It, within its limits. The current plan is what there is, and is not held to any."""
        return plan if self.kind == "plan" else Limited(self.unlimited(scope), self.limits)


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


class Network:
    """The mean action of a multilayer perceptron with tanh between layers, as
    `stable_baselines3.PPO`'s `MlpPolicy` has it."""

    def __init__(self, scope: Scope, arrays: Mapping[str, np.ndarray]) -> None:
        self.scope = scope
        self.layers = [
            (arrays[f"weight.{i}"], arrays[f"bias.{i}"])
            for i in range(sum(name.startswith("weight.") for name in arrays))
        ]
        if not self.layers:
            raise KeyError("weight.0")

    def __call__(self, episode: Episode) -> Actions:
        return turned(self.scope, episode, self.knobs(observed(episode, seen(episode, self.scope))))

    def knobs(self, observation: np.ndarray) -> np.ndarray:
        """(KNOBS,) for an observation of `PricingEnv`."""
        x = observation
        for weight, bias in self.layers[:-1]:
            x = np.tanh(weight @ x + bias)
        weight, bias = self.layers[-1]
        return np.clip(weight @ x + bias, -1, 1)
