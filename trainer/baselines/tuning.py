"""The setting of boosting, chosen per chain and task on the chain's validation weeks."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from trainer.baselines.counts import Counts
from trainer.baselines.examples import (
    CUSTOMERS,
    QUIET,
    Examples,
    training_customers,
    training_examples,
)
from trainer.baselines.signals import NAMES, OF_CATEGORY, Signals
from trainer.batches.timelines import WorldModelDataset
from trainer.cache.customer_sample import sample_customers
from trainer.cache.reader import TensorCache
from trainer.commands.errors import ExpectedError

if TYPE_CHECKING:
    from lightgbm import Booster

FIXED: dict[str, Any] = {
    "learning_rate": 0.1, "min_data_in_leaf": 200, "feature_fraction": 0.5, "num_threads": 1,
    "deterministic": True, "force_row_wise": True, "verbose": -1,
}  # fmt: skip
"""Parameters of LightGBM that are not searched."""
FEWEST_CUSTOMERS = 1000
"""Training customers from which on a chain is searched. With fewer, settings differ by less than
chance, and the search would take longer than all else that is done with so small a chain."""
VALIDATION_CUSTOMERS = 400
"""Customers whose validation trips choose: those that `trainer.fit` looks at."""


@dataclass(frozen=True)
class Setting:
    """How one model is fitted. The default is that of chains that are not searched."""

    objective: str = "lambdarank"
    """Of LightGBM."""
    leaves: int = 7
    """Most leaves of a tree."""
    categories: bool = False
    """Whether it reads what the customer bought of a candidate's category (`OF_CATEGORY`)."""
    customers: int = 1500
    """Most training customers whose trips are examples."""
    rounds: int = 150
    """Trees."""

    @property
    def columns(self) -> int:
        """How many of `NAMES` it reads: the first ones."""
        return len(NAMES) if self.categories else len(NAMES) - len(OF_CATEGORY)

    def __str__(self) -> str:
        categories = ", categories" if self.categories else ""
        return (
            f"{self.objective}, {self.leaves} leaves{categories}, {self.customers:,} customers, "
            f"{self.rounds} rounds"
        )


GRID = (
    Setting(),
    Setting(categories=True, customers=CUSTOMERS),
    Setting("rank_xendcg", 15, categories=True, customers=CUSTOMERS, rounds=100),
)
"""The budget of the search: one fit each, scored after every `STEP` rounds."""
STEP = 50


@dataclass(frozen=True)
class Choice:
    """What was chosen for a task."""

    setting: Setting = Setting()
    trials: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Setting -> R@10 and NDCG@10 on the questions of a sample of validation customers; empty where
    nothing was searched."""

    def __str__(self) -> str:
        if not self.trials:
            return f"{self.setting}; not chosen here, for want of customers"
        ndcg = f"{self.trials[str(self.setting)][1]:.4f}".lstrip("0")
        return f"{self.setting}; NDCG@10 {ndcg} on validation weeks, best of {len(self.trials)}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Choice:
        """What `to_dict` made these values of. Raises KeyError, TypeError or ValueError where
        something is missing or of another type."""
        setting = Setting(**values["setting"])
        trials = {name: (float(r), float(n)) for name, (r, n) in values["trials"].items()}
        return cls(setting, trials)


class Model:
    """A LightGBM model (Ke et al., 2017) and the setting that it was fitted with."""

    def __init__(self, setting: Setting, booster: Booster) -> None:
        self.setting, self._booster = setting, booster

    @classmethod
    def fitted(cls, setting: Setting, examples: Examples, *, seed: int) -> Model:
        """Fit to examples. seed: of LightGBM."""
        import lightgbm

        columns = setting.columns
        data = lightgbm.Dataset(
            examples.features[:, :columns], examples.bought, group=examples.candidates,
            feature_name=list(NAMES[:columns]),
        )  # fmt: skip
        parameters = {"objective": setting.objective, "num_leaves": setting.leaves, "seed": seed}
        return cls(setting, lightgbm.train(FIXED | parameters, data, setting.rounds))

    def scores(self, features: np.ndarray, first: int = 0) -> np.ndarray:
        """Sums of the rounds from `first` on, for features (n, len(NAMES)): (n,) float64."""
        return self._booster.predict(
            features[:, : self.setting.columns], raw_score=True, num_threads=1,
            start_iteration=first, num_iteration=self.setting.rounds - first,
        )  # fmt: skip

    def cut(self, rounds: int) -> Model:
        """The model after this many rounds, as if it had been fitted no further."""
        return Model(replace(self.setting, rounds=rounds), self._booster)


def tuned(counts: Counts, task: str, *, seed: int) -> tuple[Choice, Model]:
    """The setting whose NDCG@10 is highest on validation weeks, the first of equals, and a model
    that was fitted with it.

    counts: of the chain. seed: of the examples, of what they hide and of LightGBM.
    """
    asked = _validation(counts, task, seed=seed)
    if asked is None:
        return Choice(), fitted(counts.cache, Setting(), task, seed=seed)
    examples = training_examples(counts.cache, task, seed=seed)
    trials: dict[str, tuple[float, float]] = {}
    best, highest = None, -1.0
    bar = tqdm(
        GRID, f"{task}: settings of boosting", unit="setting", delay=QUIET, leave=False,
        file=sys.stderr,
    )  # fmt: skip
    for setting in bar:
        model = _fitted(counts.cache, setting, examples, seed)
        score = np.zeros(len(asked.bought))
        for first in range(0, setting.rounds, STEP):
            part = model.cut(first + STEP)
            score += part.scores(asked.features, first)
            found = trials[str(part.setting)] = asked.measured(score)
            if found[1] > highest:
                best, highest = part, found[1]
    return Choice(best.setting, trials), best


def fitted(cache: TensorCache, setting: Setting, task: str, *, seed: int) -> Model:
    """The model of a setting that `tuned` would return, were it the best."""
    return _fitted(cache, setting, training_examples(cache, task, seed=seed), seed)


def _fitted(cache: TensorCache, setting: Setting, examples: Examples, seed: int) -> Model:
    customers = training_customers(cache, setting.customers)
    return Model.fitted(setting, examples.of_customers(customers), seed=seed)


def _validation(counts: Counts, task: str, *, seed: int) -> Examples | None:
    """The questions that choose; None where the chain is too small, or none was asked."""
    cache = counts.cache
    if len(WorldModelDataset(cache, "train")) < FEWEST_CUSTOMERS:
        return None
    try:
        everyone = WorldModelDataset(cache, "validation").customers
    except ExpectedError:  # no such weeks, or nobody shops in them
        return None
    chosen = sample_customers(cache, everyone, VALIDATION_CUSTOMERS)
    dataset = WorldModelDataset(cache, "validation", customers=chosen)
    asked = Examples.of(Signals(counts), dataset, task, seed=seed)
    return asked if len(asked.candidates) else None
