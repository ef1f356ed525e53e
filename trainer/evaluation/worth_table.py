"""What each part of a model is worth, as JSON values and as a table of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from trainer.evaluation.evaluator import Evaluator
from trainer.evaluation.worth import TripSums, worth

METRIC = "ndcg@10"
WHOLE = "whole"
"""The name of the model that lacks nothing."""
TITLE = "# What each part is worth"


def table(scores: Mapping[str, Sequence[TripSums]], evaluator: Evaluator) -> dict[str, Any]:
    """Means over seeds of each variant, and what it costs to be without its parts.

    scores: of `WHOLE` and of each variant, one per seed in the same order, measured by the
    evaluator. A cost is that of the whole model less that of the variant (`worth`).
    """
    columns = (*evaluator.tasks, "mean")

    def means(runs: Sequence[TripSums]) -> dict[str, float]:
        values = np.mean([run.means() for run in runs], axis=0)
        return dict(zip(columns, values.tolist(), strict=True))

    def costs(runs: Sequence[TripSums]) -> dict[str, Any]:
        estimates = worth(scores[WHOLE], runs, evaluator.seed)
        return {name: asdict(each) for name, each in zip(columns, estimates, strict=True)}

    cache, split = evaluator.dataset.cache, evaluator.dataset.split
    return {
        "metric": METRIC,
        "cache_digest": cache.digest,
        "split": split,
        "weeks": list(cache.split[split]),
        "customers": len(evaluator.dataset),
        "trips": int(scores[WHOLE][0].trips[:, 0].sum()),
        WHOLE: means(scores[WHOLE]),
        "without": {
            name: {"value": means(runs), "costs": costs(runs)}
            for name, runs in scores.items()
            if name != WHOLE
        },
    }


def markdown(content: Mapping[str, Any]) -> Iterator[str]:
    """Lines for a page of documentation, from `table` with `preset` and `seeds`."""
    first, last = content["weeks"]
    yield TITLE
    yield ""
    yield (
        f"`{content['preset']}`, NDCG@10 on {content['trips']:,} fresh trips of "
        f"{content['customers']:,} customers in {content['split']} weeks {first}-{last}, mean over "
        f"seeds {', '.join(map(str, content['seeds']))}. Cost: the whole model less the variant, "
        "mean of the tasks, with its 95 % interval."
    )
    yield ""
    yield "| left out | unknown | known | completion | mean | cost | interval |"
    yield "|---|---|---|---|---|---|---|"
    yield f"| nothing | {_cells(content[WHOLE])} | | |"
    for name, found in content["without"].items():
        cost = found["costs"]["mean"]
        value, low, high = (_fixed(cost[each], "+") for each in ("value", "low", "high"))
        title, values = name.replace("+", " + "), _cells(found["value"])
        yield f"| {title} | {values} | {value} | {low} to {high} |"


def _cells(values: Mapping[str, float]) -> str:
    return " | ".join(map(_fixed, values.values()))


def _fixed(value: float, sign: str = "") -> str:
    """Four decimals, without the zero before the point."""
    return f"{value:{sign}.4f}".replace("0.", ".", 1)
