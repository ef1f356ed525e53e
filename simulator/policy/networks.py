"""Networks as arrays, played without the library that trained them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

WIDTHS = [64, 64]
"""Of hidden layers."""


@dataclass(frozen=True)
class Layers:
    """The mean action of a multilayer perceptron with tanh between layers, as
    `stable_baselines3.PPO`'s `MlpPolicy` has it."""

    weights: list[np.ndarray]
    biases: list[np.ndarray]

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> Layers:
        """Of a policy's file."""
        count = sum(name.startswith("weight.") for name in arrays)
        weights, biases = ([arrays[f"{k}.{i}"] for i in range(count)] for k in ("weight", "bias"))
        return cls(weights, biases)

    def __call__(self, observation: np.ndarray) -> np.ndarray:
        """What the last layer says."""
        x = observation
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = np.tanh(weight @ x + bias)
        return self.weights[-1] @ x + self.biases[-1]


def taken_from(policy: Any) -> dict[str, np.ndarray]:
    """The arrays of a trained `MlpPolicy` with hidden layers of `WIDTHS`."""
    state = {k: v.detach().numpy() for k, v in policy.state_dict().items()}
    # Between two linear layers lies one of tanh.
    hidden = [f"mlp_extractor.policy_net.{2 * i}" for i in range(len(WIDTHS))]
    arrays = {}
    for i, name in enumerate([*hidden, "action_net"]):
        arrays |= {f"weight.{i}": state[f"{name}.weight"], f"bias.{i}": state[f"{name}.bias"]}
    return arrays
