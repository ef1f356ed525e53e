"""Gradient boosting on what the rules count: the strongest baseline here."""

from __future__ import annotations

import importlib.util
from typing import Protocol

import numpy as np
import torch

from trainer.baselines.counts import Counts
from trainer.baselines.examples import task_of
from trainer.baselines.signals import Signals
from trainer.baselines.tuning import Choice, Model, fitted, tuned
from trainer.batches.batch import TimelineBatch
from trainer.batches.tasks import TASKS
from trainer.model.outputs import Predictions

MARGIN = 1.0
"""Distance of the lowest candidate's score from the highest score of all other products."""


def is_installed() -> bool:
    """Whether LightGBM is there."""
    return importlib.util.find_spec("lightgbm") is not None


class Choices(Protocol):
    """What was chosen for each task: a dict, or one that lasts."""

    def get(self, task: str) -> Choice | None: ...

    def __setitem__(self, task: str, choice: Choice) -> None: ...


class Boosting:
    """One LightGBM model per task, fitted before its first question is answered.

    The task of a question follows from whether the kind of trip is hidden, and whether all items
    are: completing a basket of one item is the next-basket task.

    Args:
        counts: of the cache whose training weeks it learns from.
        choices: the setting of each task. What is missing is searched and entered.
        seed: of the trips it learns from, of what they hide and of LightGBM.
    """

    name = "gradient boosting"
    tasks = TASKS

    def __init__(self, counts: Counts, choices: Choices | None = None, *, seed: int = 0) -> None:
        self._counts, self._seed = counts, seed
        self._choices: Choices = {} if choices is None else choices
        self._signals = Signals(counts)
        self._models: dict[str, Model] = {}

    def scores(self, batch: TimelineBatch) -> Predictions:
        """Candidates by the model; below them all others in the order of G-TopFreq x context."""
        question, token = self._signals.candidates(batch)
        features = self._signals.features(batch, question, token)
        task = task_of(batch)[question].numpy(force=True)
        found = np.zeros(len(task))
        for number in np.unique(task):
            chosen = task == number
            found[chosen] = self._model(TASKS[number]).scores(features[chosen])
        score = torch.from_numpy(found).float().to(question.device)

        logits = self._signals.order(batch)
        best = logits.index_put((question, token), logits.new_tensor(-torch.inf)).amax(1)
        lowest = torch.zeros_like(best).scatter_reduce(
            0, question, score, "amin", include_self=False
        )
        logits += (lowest - MARGIN - best)[:, None]
        return Predictions(logits.index_put_((question, token), score))

    def _model(self, task: str) -> Model:
        if task not in self._models:
            choice = self._choices.get(task)
            if choice is None:
                self._choices[task], model = tuned(self._counts, task, seed=self._seed)
            else:
                model = fitted(self._counts.cache, choice.setting, task, seed=self._seed)
            self._models[task] = model
        return self._models[task]
