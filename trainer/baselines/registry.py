"""The baselines by name, as in the tables. Each is built when it first answers a question: some
need minutes of counting or fitting that an evaluation without them should not pay for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache as once
from functools import cached_property

import torch

from trainer.baselines.boosting import Boosting, Choices, is_installed
from trainer.baselines.counts import DAYS, RATE, UP_CF, Counts
from trainer.baselines.rule import Rule
from trainer.baselines.scorer import Scorer
from trainer.batches.batch import TimelineBatch
from trainer.batches.tasks import TASKS
from trainer.cache.reader import TensorCache
from trainer.commands.errors import InputError
from trainer.model.outputs import Predictions

SMOOTHING = 1.0
"""a of `Rule`: trips of the average customer added to each customer's. Fixed, not tuned."""
KIND_KNOWN = tuple(task for task in TASKS if task != "next_unknown")
"""Tasks in which the kind of trip is known."""
COMPLETION = ("completion",)


@dataclass(frozen=True)
class Recipe:
    """What a rule is made of, by the names of the attributes of `Counts`."""

    name: str
    count: str | None
    """What is counted of the customer's past; None where it does not matter."""
    factors: tuple[str, ...] = ()
    tasks: tuple[str, ...] = TASKS
    by_popularity: bool = True
    """Whether products without a count are in the order of their share; if not, all are equal."""

    def rule(self, counts: Counts, smoothing: float) -> Rule:
        """The rule, with what it counts."""
        floor = smoothing * counts.share
        if not self.by_popularity:
            floor = torch.full_like(floor, smoothing / counts.vocabulary.products)
        count = None if self.count is None else getattr(counts, self.count)
        factors = tuple(getattr(counts, name) for name in self.factors)
        return Rule(self.name, count, floor, factors, self.tasks)


class Baseline:
    """A baseline that is built when it first answers; its results can be stored and reused.

    Attributes:
        name, tasks: as of `Scorer`.
    """

    def __init__(self, name: str, tasks: tuple[str, ...], build: Callable[[], Scorer]) -> None:
        self.name, self.tasks, self._build = name, tasks, build

    @cached_property
    def _scorer(self) -> Scorer:
        return self._build()

    def scores(self, batch: TimelineBatch) -> Predictions:
        """As of `Scorer`."""
        return self._scorer.scores(batch)


def baselines(
    cache: TensorCache, names: Sequence[str] | None = None, choices: Choices | None = None
) -> tuple[Baseline, ...]:
    """Baselines that count a cache's training weeks, in the order of `names`.

    names: all if left out, from the simplest on. Gradient boosting is then left out where LightGBM
    is not installed, and a line on stderr says so. choices: as of `Boosting`. Raises ValueError for
    an unknown name, and where boosting is named without LightGBM.
    """
    counts = once(lambda: Counts(cache))
    known = {
        recipe.name: Baseline(
            recipe.name, recipe.tasks, lambda recipe=recipe: recipe.rule(counts(), SMOOTHING)
        )
        for recipe in recipes()
    }
    known[Boosting.name] = Baseline(
        Boosting.name, Boosting.tasks, lambda: Boosting(counts(), choices)
    )
    if names is None:
        if not is_installed():
            print("LightGBM is not installed: gradient boosting is left out", file=sys.stderr)
            del known[Boosting.name]
        names = tuple(known)
    for name in names:
        if name not in known:
            raise InputError(f"baselines: {name!r} is unknown; known are {', '.join(known)}")
        if name == Boosting.name and not is_installed():
            raise InputError(f"baselines: {name} needs LightGBM: python -m pip install lightgbm")
    return tuple(known[name] for name in names)


def counting_rules(counts: Counts, smoothing: float = SMOOTHING) -> tuple[Rule, ...]:
    """All baselines but boosting, built; smoothing: a of `Rule`."""
    return tuple(recipe.rule(counts, smoothing) for recipe in recipes())


def recipes() -> tuple[Recipe, ...]:
    """What the rules are made of, from the simplest on."""
    recent = f"P-TopFreq {RATE}".replace("0.", ".")
    counted = {
        "G-TopFreq": None,
        "P-TopFreq": "plain",
        "GP-TopFreq": "plain",
        recent: "by_trips",
        f"P-TopFreq {DAYS} days": "by_days",
        f"UP-CF@{UP_CF['last']}": "up_cf",
        "TIFU-KNN": "tifu_knn",
    }
    equal = "P-TopFreq"
    return (
        *(Recipe(name, count, by_popularity=name != equal) for name, count in counted.items()),
        *(
            Recipe(f"{name} x context", count, ("context",), KIND_KNOWN, name != equal)
            for name, count in counted.items()
        ),
        Recipe("co-occurrence", None, ("together",), COMPLETION),
        *(
            Recipe(
                f"{name} x context x co-occurrence", counted[name], ("context", "together"),
                COMPLETION,
            )
            for name in ("GP-TopFreq", recent)
        ),
        Recipe("own trips x context", "similar_trips", ("context",), COMPLETION),
    )  # fmt: skip
