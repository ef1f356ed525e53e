"""The file of predictions: from it alone, metrics come out as the evaluation reports them."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from toy import WEEKS, toy_columns, toy_manifest

from trainer.batches.tasks import TASKS
from trainer.cache.reader import TensorCache
from trainer.cache.writer import write_cache
from trainer.evaluation import Evaluator, predictions, run_evaluation
from trainer.model.world_model import create_world_model

REPLAYED = (WEEKS - 1, WEEKS)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Some items are products outside the vocabulary: tokens 43 + row of a category. Basket ids are
    any text."""
    columns = toy_columns(customers=30, largest_basket=10)
    ids = columns["trips.basket_id"].tolist()
    shapes = ("0{}", "{}", "A-{}", "{:>020}", "é{}")
    columns["trips.basket_id"] = np.array(
        [shapes[n % 5].format(basket.decode()).encode() for n, basket in enumerate(ids)]
    )
    unknown = np.random.default_rng(5).random(len(columns["items.token"])) < 0.1
    late = np.repeat(columns["trips.week"] > 20, np.diff(columns["trips.item_offsets"]))
    columns["items.token"] = np.where(unknown & late, 44, columns["items.token"])
    for first, last in zip(
        columns["trips.item_offsets"][:-1], columns["trips.item_offsets"][1:], strict=True
    ):
        columns["items.token"][first:last].sort()
    folder = tmp_path_factory.mktemp("cache") / "cache"
    write_cache(folder, columns, toy_manifest())
    return TensorCache(folder)


@pytest.fixture(scope="module")
def found(cache, tmp_path_factory):
    """Metrics and rows of one evaluation, written in several row groups."""
    path = tmp_path_factory.mktemp("predictions") / "all.parquet"
    torch.manual_seed(0)
    model = create_world_model("tiny", cache)
    torch.nn.init.normal_(model.output.weight, std=0.05)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predictions, "ROWS", 100)
        with predictions.prediction_file(path, cache) as record:
            metrics = Evaluator(cache, "test", tokens=300, progress=False).run(model, record)
    assert pq.ParquetFile(path).num_row_groups > 5
    return metrics, pq.read_table(path).to_pylist()


def baskets(cache) -> dict[str, list[str | None]]:
    """What each test trip holds, by basket id; unknown products last, as None."""
    codes = [code.decode() for code in cache["products.code"]] + [None] * 20
    offsets = cache["trips.item_offsets"].astype(int)
    return {
        cache["trips.basket_id"][row].decode(): [
            codes[token - 1] for token in cache["items.token"][offsets[row] : offsets[row + 1]]
        ]
        for row in np.flatnonzero(cache["trips.week"] > 25)
    }


def test_one_row_per_trip_task_and_scorer(cache, found):
    _, rows = found
    scorers = {task: ["model"] for task in TASKS}
    for rule in Evaluator(cache, "test").scorers:
        for task in rule.tasks:
            scorers[task].append(rule.name)
    keys = [(row["basket_id"], row["task"], row["scorer"]) for row in rows]
    assert sorted(keys) == sorted(
        (basket, task, scorer) for basket in baskets(cache) for task in TASKS
        for scorer in scorers[task]
    )  # fmt: skip


def test_visible_and_target_are_the_basket(cache, found):
    truth = baskets(cache)
    assert any(None in basket for basket in truth.values())
    unknown = defaultdict(int)
    for row in found[1]:
        parts = [row["visible"], row["target"]]
        for part in parts:
            known = [code for code in part if code is not None]
            assert part == sorted(known) + [None] * (len(part) - len(known))
        together = sorted(parts[0] + parts[1], key=lambda code: (code is None, code or ""))
        assert together == truth[row["basket_id"]]
        if row["task"] == "completion":
            assert len(row["target"]) == max(1, math.floor(len(together) * 0.15 + 0.5))
        else:
            assert row["visible"] == []
        assert len(set(row["top20"])) == len(row["top20"]) == 20
        assert not set(row["top20"]) & {*row["visible"], None}
        if row["scorer"] == "model":
            unknown[row["task"]] += row["target"].count(None)
    assert all(unknown[task] > 0 for task in TASKS)


def test_metrics_recomputed_from_the_file(cache, found):
    metrics, rows = found
    replayed = np.isin(cache["trips.week"], REPLAYED)
    copies = {basket.decode() for basket in cache["trips.basket_id"][replayed]}
    sums = defaultdict(list)
    for row in rows:
        places = [row["top20"].index(code) + 1 for code in row["target"] if code in row["top20"]]
        n = len(row["target"])
        gain = sum(1 / math.log2(place + 1) for place in places if place <= 10)
        ideal = sum(1 / math.log2(place + 1) for place in range(1, min(10, n) + 1))
        part = "replayed" if row["basket_id"] in copies else "fresh"
        sums[part, row["task"], row["scorer"]].append(
            (sum(place <= 10 for place in places) / n, gain / ideal, len(places) / n,
             any(place <= 10 for place in places))
        )  # fmt: skip
    for task, measured in metrics.tasks.items():
        for part in ("fresh", "replayed"):
            group = getattr(measured, part)
            for scorer, expected in group.scorers.items():
                means = np.mean(sums[part, task, scorer], axis=0)
                for mean, metric in zip(
                    means, ("recall@10", "ndcg@10", "recall@20", "hit@10"), strict=True
                ):
                    assert mean == pytest.approx(expected[metric].value, abs=1e-12)


def test_mrr_of_what_is_among_the_first_20(found):
    """A trip's reciprocal rank is in the file wherever it is 1/20 or more."""
    metrics, rows = found
    reciprocal_ranks = [
        next((1 / n for n, code in enumerate(row["top20"], 1) if code in row["target"]), 0)
        for row in rows
        if row["task"] == "next_known" and row["scorer"] == "model"
    ]
    fresh, replayed = metrics.tasks["next_known"].fresh, metrics.tasks["next_known"].replayed
    total = sum(g.trips * g.scorers["model"]["mrr"].value for g in (fresh, replayed))
    missing = reciprocal_ranks.count(0) / 20
    assert sum(reciprocal_ranks) - 1e-9 < total < sum(reciprocal_ranks) + missing + 1e-9


def test_a_failure_leaves_what_was_there(cache, tmp_path):
    path = tmp_path / "all.parquet"
    path.write_text("before")

    class Broken:
        name, tasks = "broken", ("completion",)

        def scores(self, batch):
            raise ValueError("broken")

    scorers = [*Evaluator(cache, "test").scorers, Broken()]
    with pytest.raises(ValueError, match="broken"):
        run_evaluation(None, cache, predictions=path, scorers=scorers, progress=False)
    assert path.read_text() == "before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["all.parquet"]
