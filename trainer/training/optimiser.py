"""The optimiser: which parameters decay and how fast they learn, and its state by their names."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW

from trainer.model.world_model import WorldModel

COUNT_WEIGHT_RATE = 20.0
"""Learning rate of the weights of counts, as a multiple of the others' rate. They have further to
go: those of the likeness of trips start at up to 14, and until they have moved the network learns
to make up for them."""


def adamw(model: WorldModel, rate: float, weight_decay: float) -> AdamW:
    """An optimiser without any state yet."""
    return AdamW(_groups(model, weight_decay), lr=rate, betas=(0.9, 0.98), fused=True)


def _groups(model: WorldModel, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups of the optimiser.

    Matrices decay; biases, norms and weights of counts do not. Nor do the auxiliary heads: while
    their losses are switched off, decay would only shrink them.
    """
    counts, heads = set(model.count_weights()), set(model.auxiliary_heads())
    matrices, others = [], []
    for parameter in model.parameters():
        if parameter not in counts:
            decays = parameter.dim() >= 2 and parameter not in heads
            (matrices if decays else others).append(parameter)
    return [
        {"params": matrices, "weight_decay": weight_decay, "factor": 1.0},
        {"params": others, "weight_decay": 0.0, "factor": 1.0},
        {"params": model.count_weights(), "weight_decay": 0.0, "factor": COUNT_WEIGHT_RATE},
    ]


def state_of(optimiser: AdamW, model: WorldModel) -> dict[str, Tensor]:
    """Its state, to be kept in a checkpoint."""
    names = {p: name for name, p in model.named_parameters()}
    return {
        f"optimiser.{names[parameter]}.{key}": torch.as_tensor(value)
        for parameter, state in optimiser.state.items()
        for key, value in state.items()
    }


def load_state(optimiser: AdamW, model: WorldModel, tensors: dict[str, Tensor]) -> None:
    """Go on from what `state_of` gave; other tensors are left alone."""
    parameters = dict(model.named_parameters())
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            parameter, _, key = name.removeprefix("optimiser.").rpartition(".")
            held = parameters[parameter]
            optimiser.state[held][key] = value.to(held.device)
