"""A classifier that tries to tell simulated from real, and what it noticed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulator.fidelity.distances import auc

FOLDS = 5
PARAMETERS: dict[str, Any] = {
    "objective": "binary", "learning_rate": 0.1, "num_leaves": 15, "min_data_in_leaf": 40,
    "feature_fraction": 0.7, "max_bin": 63, "num_threads": 1,
    "deterministic": True, "force_row_wise": True, "verbose": -1,
}  # fmt: skip
ROUNDS = 100


@dataclass(frozen=True)
class Sign:
    """What a detector noticed."""

    words: str
    weight: float
    """Share of the detector's gain."""
    real: float
    simulated: float
    """Means, without those that are not defined."""
    alone: float
    """AUC of this number alone: simulated above real; .5 where it tells nothing alone."""


@dataclass(frozen=True)
class Detected:
    """How well simulated ones are told from real ones."""

    auc: float
    signs: tuple[Sign, ...]
    """By weight, the largest first."""


def detect(
    real: Mapping[str, np.ndarray], simulated: Mapping[str, np.ndarray],
    real_customer: np.ndarray, simulated_customer: np.ndarray, *, seed: int,
) -> Detected:  # fmt: skip
    """Fit LightGBM (Ke et al., 2017) to tell them apart, and measure it on other customers.

    All trips of a customer, real and simulated, are in one of `FOLDS` folds; each fold is scored by
    a model of the others, and the AUC is the mean over folds.

    real, simulated: signs by name, (n,) and (m,) each. Their customers (n,), (m,). seed: of folds
    and LightGBM.
    """
    import lightgbm

    names = list(real)
    features = np.concatenate(
        [np.stack([np.asarray(side[name], float) for name in names], 1) for side in
         (real, simulated)]
    )  # fmt: skip
    label = np.repeat([False, True], [len(real_customer), len(simulated_customer)])
    customer = np.concatenate([real_customer, simulated_customer])
    customers, place = np.unique(customer, return_inverse=True)
    fold = np.random.default_rng(seed).permutation(len(customers))[place] % FOLDS
    found, gain = [], np.zeros(len(names))
    for number in range(FOLDS):
        kept = fold != number
        if label[kept].all() or not label[kept].any() or kept.all():
            continue
        data = lightgbm.Dataset(features[kept], label[kept])
        booster = lightgbm.train(PARAMETERS | {"seed": seed}, data, ROUNDS)
        found.append(auc(booster.predict(features[~kept], num_threads=1), label[~kept]))
        gain += booster.feature_importance("gain")
    signs = [
        Sign(name, float(weight), *_means(features[:, i], label), _alone(features[:, i], label))
        for i, (name, weight) in enumerate(zip(names, gain / max(gain.sum(), 1e-9), strict=True))
    ]
    signs.sort(key=lambda sign: -sign.weight)
    known = [each for each in found if not np.isnan(each)]
    return Detected(float(np.mean(known)) if known else np.nan, tuple(signs))


def _means(values: np.ndarray, label: np.ndarray) -> tuple[float, float]:
    sides = (values[side & ~np.isnan(values)] for side in (~label, label))
    return tuple(float(side.mean()) if len(side) else np.nan for side in sides)


def _alone(values: np.ndarray, label: np.ndarray) -> float:
    known = ~np.isnan(values)
    return auc(values[known], label[known])
