"""An average of the weights over the last steps of training, which validation scores.

It takes the noise of single steps out of the weights, as a learning rate that falls to 0 does in
the end, but at every moment of training: training may stop after any epoch and loses little.
Source: Polyak and Juditsky, Acceleration of stochastic approximation by averaging, 1992.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

SPAN = 10
"""A tenth of the steps so far is what the average spans, until its decay spans less."""
OF_LAST_STEP, STEPS = "weights.", "steps"


class AveragedWeights:
    """The exponential moving average of a model's parameters.

    Buffers are not averaged: they are constants, but for the calibration, which is fitted to the
    average. Every rank holds the same average, since it holds the same weights.

    Args:
        model: its parameters, on the device where they are trained.
        decay: of what a step counts for, a step; with 0 the average is the last step's weights.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self._parameters = dict(model.named_parameters())
        self._average = [held.detach().clone() for held in self._parameters.values()]

    @property
    def share(self) -> float:
        """What the newest step counts for: 1 - decay, or 10 / (steps + 9) while that is more.

        The latter spans a tenth of the steps so far (Karras et al., Analyzing and improving the
        training dynamics of diffusion models, 2024, section 3.1). The first step counts for 1, so
        that initial weights have no part in it, and a short run is not held back by its beginning.
        """
        return max(1 - self.decay, SPAN / (self.steps + SPAN - 1))

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after one more step."""
        self.steps += 1
        torch._foreach_lerp_(self._average, list(self._parameters.values()), self.share)

    @contextmanager
    def in_model(self) -> Iterator[dict[str, Tensor]]:
        """Within it the model has the average, and after it the weights of the last step again.

        Yields what `load` needs to go on besides that model: the weights of the last step and the
        number of steps.
        """
        held = [weight.detach().clone() for weight in self._parameters.values()]
        names = [OF_LAST_STEP + name for name in self._parameters]
        self._set(self._average)
        try:
            yield dict(zip(names, held, strict=True)) | {STEPS: torch.tensor(self.steps)}
        finally:
            self._set(held)

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a model that holds the average, and what `in_model` yielded with it.

        Raises KeyError where a weight is missing.
        """
        self.steps = int(state[STEPS])
        self._average = [held.detach().clone() for held in self._parameters.values()]
        self._set([state[OF_LAST_STEP + name] for name in self._parameters])

    @torch.no_grad()
    def _set(self, values: list[Tensor]) -> None:
        for parameter, value in zip(self._parameters.values(), values, strict=True):
            parameter.copy_(value)
