"""How well the next visit is predicted: nats per visit, of models and of counts.

A visit is measured after every trip of the split. The day counts from that trip to the next one, or
to the split's end where none comes before it; store, hour and kind count where one came. Nats of
the day are divided by the visits that came as well, so that all parts are per visit and add up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from trainer.baselines.visit_counts import PARTS, VisitCounts
from trainer.batches.loaders import VisitDataLoader
from trainer.batches.timelines import WorldModelDataset
from trainer.cache.ragged import ranges
from trainer.cache.reader import TensorCache
from trainer.commands.errors import InputError
from trainer.evaluation.bootstrap import CustomerBootstrap, Estimate, interval
from trainer.evaluation.metrics import plain
from trainer.model.world_model import WorldModel

COLUMNS = (*PARTS, "visit")
"""What is measured; the last is the sum of all."""
COUNTS = "counts"


@dataclass(frozen=True)
class VisitScores:
    """Sums of nats by customer, of one model or of counts."""

    sums: np.ndarray
    """(customers, columns) float64."""
    visits: np.ndarray
    """(customers, columns) float64: by how many visits to divide."""

    def means(self) -> np.ndarray:
        """Nats per visit, (columns,); NaN for a part that no visit has."""
        return _with_sum(_ratio(self.sums.sum(0), self.visits.sum(0)))

    def ahead(self, other: VisitScores, seed: int) -> list[Estimate]:
        """By how many nats per visit this is better than another, by column."""
        bootstrap = CustomerBootstrap(np.arange(len(self.sums)), seed)
        saved = other.sums - self.sums
        values = _with_sum(_ratio(saved.sum(0), self.visits.sum(0)))
        with np.errstate(divide="ignore"):  # customers of whom none comes again
            drawn = _with_sum(bootstrap.drawn(saved, self.visits))
        drawn[~np.isfinite(drawn)] = np.nan
        return [
            Estimate(float(value), *interval(column), int(self.visits[:, 0].sum()))
            for value, column in zip(values, drawn.T, strict=True)
        ]


class VisitEvaluator:
    """Measures models and counts on the same visits.

    Args:
        cache: whose trips are measured.
        split: `validation` or `test`.
        seed: of the intervals.

    Raises InputError where no customer comes twice in the split's weeks.
    """

    def __init__(self, cache: TensorCache, split: str, seed: int = 0) -> None:
        self.dataset, self.seed = WorldModelDataset(cache, split), seed
        spans = self.dataset.spans
        if (spans.stop - spans.first_target).max() < 2:
            first, last = cache.split[split]
            raise InputError(
                f"{cache.folder}: no customer comes twice in weeks {first}-{last} ({split}): there "
                "is no next visit to measure"
            )
        targets = spans.stop - spans.first_target
        self._rows = ranges(spans.first_target, targets)
        self._customer = np.repeat(np.arange(len(spans)), targets)

    def counts(self) -> VisitScores:
        """Those of counting."""
        cache = self.dataset.cache
        last_week = cache.split[self.dataset.split][1]
        return self._scores(VisitCounts(cache).nats(self._rows, last_week))

    def model(self, model: WorldModel, tokens: int = 32768) -> VisitScores:
        """Those of a model; tokens: trips + items of a batch."""
        device = model.context.weight.device
        nats = np.full((len(self._rows), len(PARTS)), np.nan)
        model.eval()
        loader = VisitDataLoader(self.dataset, tokens=tokens, chunk=model.config.chunk)
        with torch.no_grad():
            for batch in loader:
                visits = batch.visits
                complete = batch.trips.context[visits.next].gt(0).all(1) & visits.came
                values = model.visit_nats(batch.to(device)).double().cpu()
                kind = values[:, 3:].sum(1).masked_fill(~complete, torch.nan)
                others = values[:, 1:3].masked_fill(~visits.came[:, None], torch.nan)
                parts = torch.cat([values[:, :1], others, kind[:, None]], 1)
                place = np.searchsorted(self._rows, batch.trips.row[visits.trip].numpy())
                nats[place] = parts.numpy()
        return self._scores(nats)

    def _scores(self, nats: np.ndarray) -> VisitScores:
        """Of values (V, parts)."""
        defined = ~np.isnan(nats)
        defined[:, 0] = defined[:, 1]  # the day counts per visit that came, too
        sums, visits = (
            np.stack(
                [np.bincount(self._customer, column, len(self.dataset)) for column in part.T], 1
            )
            for part in (np.nan_to_num(nats), defined)
        )
        return VisitScores(sums, visits)


def table(scores: Mapping[str, VisitScores], evaluator: VisitEvaluator) -> dict[str, Any]:
    """JSON values: nats per visit of each, by how much every other one is ahead of counts, and by
    how much the first model is ahead of the others; None for a part that no visit has. scores: by
    name, counts first."""
    dataset, seed = evaluator.dataset, evaluator.seed
    names = list(scores)

    def ahead(one: str, other: str) -> dict[str, Any]:
        estimates = scores[one].ahead(scores[other], seed)
        return {name: asdict(each) for name, each in zip(COLUMNS, estimates, strict=True)}

    content = {
        "cache_digest": dataset.cache.digest,
        "split": dataset.split,
        "weeks": list(dataset.cache.split[dataset.split]),
        "customers": len(dataset),
        "visits": int(scores[COUNTS].visits[:, 0].sum()),
        "nats": {
            name: dict(zip(COLUMNS, each.means().tolist(), strict=True))
            for name, each in scores.items()
        },
        "ahead of counts": {name: ahead(name, COUNTS) for name in names[1:]},
        "first ahead of others": {name: ahead(names[1], name) for name in names[2:]},
    }
    return plain(content)


def report(content: Mapping[str, Any]) -> Iterator[str]:
    """Lines of a table, from `table`."""
    first, last = content["weeks"]
    yield (
        f"Next visit, {content['split']}, weeks {first}-{last}: {content['visits']:,} visits of "
        f"{content['customers']:,} customers. Nats per visit, lower is better"
    )
    width = max(len(name) for name in content["nats"]) + 2
    wide = 27
    yield " " * width + "".join(f"{name:>9}" for name in COLUMNS)
    for name, values in content["nats"].items():
        yield f"{name:{width}}" + "".join(
            f"{_number(values[column], '.4f'):>9}" for column in COLUMNS
        )
    models = list(content["ahead of counts"])
    for title, key in (
        ("ahead of counts", "ahead of counts"), (f"{models[0]} ahead of", "first ahead of others"),
    ):  # fmt: skip
        if not content[key]:
            continue
        yield ""
        yield title
        yield " " * width + "".join(f"{name:>{wide}}" for name in COLUMNS)
        for name, values in content[key].items():
            yield f"{name:{width}}" + "".join(
                f"{_interval(values[column]):>{wide}}" for column in COLUMNS
            )


def _interval(values: Mapping[str, float | None]) -> str:
    value, low, high = (
        re.sub(r"^([+-])0\.", r"\1.", _number(values[name], "+.3f"))
        for name in ("value", "low", "high")
    )
    return f"{value} [{low}, {high}]"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _ratio(sums: np.ndarray, visits: np.ndarray) -> np.ndarray:
    return np.divide(sums, visits, out=np.full(sums.shape, np.nan), where=visits > 0)


def _with_sum(values: np.ndarray) -> np.ndarray:
    """(..., parts) and their sum, (..., columns)."""
    return np.concatenate([values, values.sum(-1, keepdims=True)], axis=-1)
