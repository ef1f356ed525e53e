"""Metrics of a trip: by hand, and against loops over sets for every rule and task."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from toy import toy_columns, toy_manifest

from trainer.baselines import counting_rules
from trainer.baselines.counts import Counts
from trainer.baselines.tuning import Choice, Setting
from trainer.batches.loaders import EvaluationDataLoader
from trainer.batches.tasks import TASKS
from trainer.batches.timelines import WorldModelDataset
from trainer.cache.reader import TensorCache
from trainer.cache.vocabulary import Vocabulary
from trainer.cache.writer import write_cache
from trainer.evaluation import EvaluationMetrics, Evaluator
from trainer.evaluation.bootstrap import Estimate
from trainer.evaluation.calibration_table import CalibrationRow
from trainer.evaluation.ground_truth import GroundTruth
from trainer.evaluation.metrics import GroupMetrics, TaskMetrics
from trainer.evaluation.per_trip import METRICS, metrics_per_trip
from trainer.evaluation.ranking import sort_keys, tie_breaker


def log2(place: int) -> float:
    """Discount of a place from 1."""
    return math.log2(place + 1)


def question(products, hidden, visible=(), unknown=0, before=()) -> GroundTruth:
    """One question of a vocabulary of some products."""
    removed = [*Vocabulary(products, categories=0).specials, *visible]
    return GroundTruth(
        row=torch.tensor([0]),
        hidden=torch.tensor([len(hidden) + unknown]),
        target=torch.tensor(hidden, dtype=torch.long),
        question=torch.zeros(len(hidden), dtype=torch.long),
        before=torch.tensor([token in before for token in hidden], dtype=torch.bool),
        visible=(torch.zeros(len(visible), dtype=torch.long), torch.tensor(visible)),
        removed=(torch.zeros(len(removed), dtype=torch.long), torch.tensor(removed)),
        kinds=torch.zeros(1, 4, dtype=torch.long),
    )


def measure(logits, truth: GroundTruth, tie=None, context=None) -> dict[str, float]:
    logits = torch.tensor([logits], dtype=torch.float32)
    tie = torch.arange(logits.shape[1], 0, -1) if tie is None else torch.tensor(tie)
    found = metrics_per_trip(truth.possible(logits), context or {}, truth, tie)
    return dict(zip(METRICS, found[0].tolist(), strict=True))


def test_five_products_by_hand():
    # Product 1 is visible; 2, 4 and one without a token are hidden. What is left ranks 2 3 4 5.
    truth = question(5, [2, 4], visible=[1], unknown=1, before=[4])
    found = measure([9, 8, 4, 3, 2, 1, 9, 9], truth)
    total = math.log(sum(math.exp(score) for score in (4, 3, 2, 1)))
    assert found["recall@10"] == found["recall@20"] == pytest.approx(2 / 3)
    assert found["precision@10"] == pytest.approx(2 / 10)
    ideal = 1 / log2(1) + 1 / log2(2) + 1 / log2(3)
    assert found["ndcg@10"] == pytest.approx((1 / log2(1) + 1 / log2(3)) / ideal)
    assert (found["hit@10"], found["mrr"]) == (1, 1)
    assert found["nll"] == pytest.approx(total - (4 + 2) / 2, rel=1e-6)
    assert found["repeat_recall@10"] == 1  # 4
    assert found["explore_recall@10"] == pytest.approx(1 / 2)  # 2, and not the one without a token
    assert math.isnan(found["size_accuracy"])


def test_places_beyond_ten_and_twenty():
    scores = [0, *range(30, 0, -1), 0, 0]  # product p is in place p
    found = measure(scores, question(30, [10, 11, 20, 21]))
    assert (found["recall@10"], found["recall@20"]) == (1 / 4, 3 / 4)
    ideal = sum(1 / log2(place) for place in range(1, 5))
    assert found["ndcg@10"] == pytest.approx(1 / log2(10) / ideal)
    assert found["mrr"] == pytest.approx(1 / 10)
    late = measure(scores, question(30, [25]))
    assert (late["hit@10"], late["recall@20"], late["mrr"]) == (0, 0, 1 / 25)


def test_large_baskets_can_reach_the_ideal_of_ten():
    found = measure([0, *range(30, 0, -1), 0, 0], question(30, list(range(1, 13))))
    assert found["ndcg@10"] == pytest.approx(1)
    assert found["recall@10"] == pytest.approx(10 / 12)


def test_a_basket_of_unknown_products_is_missed():
    found = measure([0, 3, 2, 1, 0, 0], question(3, [], unknown=2))
    assert [found[m] for m in ("recall@10", "ndcg@10", "hit@10", "mrr")] == [0, 0, 0, 0]
    assert math.isnan(found["nll"])  # nothing that could have a likelihood
    assert found["explore_recall@10"] == 0


def test_tokens_that_cannot_be_an_answer_have_no_rank():
    # [PAD], [MASK], [EOS] and the visible product 2 have the highest scores, or the lowest.
    for score in (50.0, -math.inf):
        truth = question(4, [3], visible=[2])
        found = measure([score, 1, score, 0, 2, score, score], truth)
        assert found["mrr"] == pytest.approx(1 / 3)
        total = math.log(sum(math.exp(s) for s in (1, 0, 2)))
        assert found["nll"] == pytest.approx(total, rel=1e-6)
    last = measure([1, -math.inf, 1, -math.inf, 2, 1, 1], question(4, [3], visible=[2]))
    assert last["mrr"] == pytest.approx(1 / 3)  # no score, but ahead of what is visible


def test_the_trip_context_counts_where_hidden_and_known():
    truth = question(3, [1])
    truth.kinds[0] = torch.tensor([2, 3, 0, 0])
    context = {
        "size": torch.tensor([[9.0, 0, 1, 0]]),  # unknown is no answer, so 2
        "sensitivity": torch.tensor([[0.0, 1, 0, 0]]),
        "type": torch.tensor([[0.0, 1, 0, 0]]),
    }
    found = measure([0, 1, 1, 1, 0, 0], truth, context=context)
    assert (found["size_accuracy"], found["sensitivity_accuracy"]) == (1, 0)
    assert math.isnan(found["type_accuracy"]) and math.isnan(found["focus_accuracy"])


def test_scores_that_are_no_number_are_refused():
    with pytest.raises(ValueError, match="not a number"):
        measure([0, 1, math.nan, 1, 0, 0], question(3, [1]))


def test_ties_go_to_the_popular_product_and_never_to_the_hidden_one(tmp_path):
    columns = toy_columns()
    trips = np.full(40, 5)
    trips[[6, 20]] = 9  # tokens 7 and 21
    write_cache(tmp_path / "cache", columns | {"products.train_trips": trips}, toy_manifest())
    tie = tie_breaker(TensorCache(tmp_path / "cache")).tolist()
    order = [7, 21, *(token for token in range(1, 41) if token not in (7, 21))]
    for place, token in enumerate(order, 1):
        found = measure([0.0] * 43, question(40, [token]), tie)
        assert found["mrr"] == pytest.approx(1 / place)
        assert found["recall@10"] == (place <= 10)
    both = [measure([0.0] * 43, question(40, hidden), tie) for hidden in ([3, 30], [30, 3])]
    assert both[0] == pytest.approx(both[1], nan_ok=True)


def test_keys_are_in_the_order_of_scores():
    scores = torch.tensor([-math.inf, -1e30, -2.5, -1e-40, 0.0, 1e-40, 1.5, 3e38, math.inf])
    keys = sort_keys(scores[None], torch.zeros(len(scores), dtype=torch.long))[0]
    assert (keys.diff() > 0).all()
    zeros = sort_keys(torch.tensor([[0.0, -0.0]]), torch.tensor([1, 2]))[0]
    assert zeros[1] - zeros[0] == 1  # equal but for the tie
    draw = torch.randn(1, 1000, generator=torch.Generator().manual_seed(0))
    keys = sort_keys(draw, torch.zeros(1000, dtype=torch.long))
    assert torch.equal(keys.argsort(), draw.argsort())


# The same on a whole chain, with loops over sets.


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Some last items of trips are unknown products, and popularity has ties."""
    columns = toy_columns(customers=40, seed=3, largest_basket=16)
    last = columns["trips.item_offsets"][1:][::3] - 1
    columns["items.token"] = columns["items.token"].copy()
    columns["items.token"][last] = 40 + 3 + np.arange(len(last)) % 4
    columns["products.train_trips"] = columns["products.train_trips"] // 8
    folder = tmp_path_factory.mktemp("slow") / "cache"
    write_cache(folder, columns, toy_manifest())
    return TensorCache(folder)


def baskets(cache):
    offsets = cache["trips.item_offsets"].astype(int)
    token = cache["items.token"].tolist()
    return [token[a:b] for a, b in zip(offsets[:-1], offsets[1:], strict=True)]


def first_trip(cache, row):
    first = cache["customers.trip_offsets"].astype(int)
    return first[np.searchsorted(first, row, side="right") - 1]


def slow_metrics(ranking, hidden, before, scores):
    """Metrics of one trip from its ranking, all hidden items and those bought before."""
    known = [token for token in hidden if token in ranking]
    hits = [token for token in ranking[:10] if token in hidden]
    ideal = sum(1 / log2(place) for place in range(1, min(10, len(hidden)) + 1))
    total = math.log(sum(math.exp(scores[token]) for token in ranking))
    repeat = [token for token in known if token in before]
    explore = len(hidden) - len(repeat)
    nan = math.nan
    return {
        "recall@10": len(hits) / len(hidden),
        "recall@20": len([t for t in ranking[:20] if t in hidden]) / len(hidden),
        "precision@10": len(hits) / 10,
        "ndcg@10": sum(1 / log2(ranking.index(token) + 1) for token in hits) / ideal,
        "hit@10": float(bool(hits)),
        "mrr": 1 / min(ranking.index(t) + 1 for t in known) if known else 0,
        "nll": sum(total - scores[token] for token in known) / len(known) if known else nan,
        "repeat_recall@10": (
            len([t for t in repeat if t in hits]) / len(repeat) if repeat else nan
        ),
        "explore_recall@10": (
            len([t for t in hits if t not in repeat]) / explore if explore else nan
        ),
    }


@pytest.mark.parametrize("task", TASKS)
def test_slow_simple_metrics_agree(cache, task):
    basket, products = baskets(cache), cache.products
    popularity = cache["products.train_trips"].tolist()
    # Some with few different scores, some with many; what they are does not matter here.
    names = ("G-TopFreq", "P-TopFreq", "P-TopFreq .95 x context", "own trips x context")
    rules = [r for r in counting_rules(Counts(cache)) if r.name in names and task in r.tasks]
    means = {(r.name, fresh): [] for r in rules for fresh in (True, False)}
    visible_of = {}
    for batch in EvaluationDataLoader(WorldModelDataset(cache, "test"), task, tokens=900):
        q = batch.questions
        answers = {rule.name: rule.scores(batch).logits.tolist() for rule in rules}
        for index, trip in enumerate(q.trip.tolist()):
            row = int(batch.trips.row[trip])
            visible = q.token[q.question == index].tolist()[1:]
            visible_of[row] = visible
            hidden = list(basket[row])
            for token in visible:
                hidden.remove(token)
            before = {t for r in range(first_trip(cache, row), row) for t in basket[r]}
            fresh = not cache["weeks.is_replayed"][int(cache["trips.week"][row]) - 1]
            for rule in rules:
                scores = dict(enumerate(answers[rule.name][index]))
                ranking = sorted(
                    set(range(1, products + 1)) - set(visible),
                    key=lambda t, s=scores: (-s[t], -popularity[t - 1], t),
                )
                means[rule.name, fresh].append(slow_metrics(ranking, hidden, before, scores))
    metrics = (
        Evaluator(cache, "test", tasks=[task], progress=False, scorers=rules).run().tasks[task]
    )
    for rule in rules:
        for group, fresh in ((metrics.fresh, True), (metrics.replayed, False)):
            rows = means[rule.name, fresh]
            assert group.trips == len(rows) > 20
            for metric, estimate in group.scorers[rule.name].items():
                values = [row[metric] for row in rows if not math.isnan(row[metric])]
                assert estimate.trips == len(values)
                assert estimate.value == pytest.approx(sum(values) / len(values), rel=1e-5)
    assert metrics.fresh.unknown + metrics.replayed.unknown > 5
    if task == "completion":
        assert sum(len(visible) for visible in visible_of.values()) > 100


# Saved and read again


def random_metrics(rng):
    """Metrics as an evaluation could give, with what is not a number here and there."""
    names = [*METRICS[: rng.integers(1, len(METRICS))]]

    def number():
        return float(rng.choice([rng.normal(), 0.0, 1e-300, np.nan], p=[0.6, 0.2, 0.1, 0.1]))

    def estimate():
        return Estimate(number(), number(), number(), int(rng.integers(9)))

    def group():
        scorers = {
            s: {m: estimate() for m in names} for s in ("model", "a", "b")[: rng.integers(4)]
        }
        return GroupMetrics(*rng.integers(99, size=4).tolist(), scorers, scorers)

    def task():
        rows = tuple(
            CalibrationRow(int(rng.integers(9)), number(), int(rng.integers(9)), number())
            for _ in range(rng.integers(3))
        )
        some = group() if rng.random() < 0.7 else None
        strata = {"store": {"other": group(), "large": group()}, "none": {}}
        trials = {str(Setting()): (0.25, 0.5)} if rng.random() < 0.5 else {}
        return TaskMetrics(
            some, group() if rng.random() < 0.7 else None, strata, rows, rows[:1],
            Choice(Setting(), trials) if rng.random() < 0.7 else None,
        )  # fmt: skip

    return EvaluationMetrics(
        split="test",
        weeks=(96, 117),
        customers=int(rng.integers(99)),
        seed=3,
        cache_digest="ab",
        seconds=number(),
        tasks={name: task() for name in TASKS[: rng.integers(4)]},
        weights_digest=None if rng.random() < 0.5 else "cd",
    )


@pytest.mark.parametrize("seed", range(20))
def test_metrics_survive_json(seed):
    metrics = random_metrics(np.random.default_rng(seed))
    values = metrics.to_dict()
    again = EvaluationMetrics.from_dict(json.loads(json.dumps(values, allow_nan=False)))
    assert repr(again) == repr(metrics)  # a NaN is not equal to itself
    assert again.to_dict() == values


@pytest.mark.parametrize(
    "edit",
    [
        lambda v: v.pop("weeks"),
        lambda v: v.update(weeks=[1]),
        lambda v: v.update(tasks=[]),
        lambda v: v["tasks"].update(completion=3),
        lambda v: v["tasks"].update(completion={}),
        lambda v: v.update(customers="many"),
    ],
)
def test_what_are_no_metrics_is_one_error(edit):
    values = random_metrics(np.random.default_rng(0)).to_dict()
    edit(values)
    with pytest.raises(ValueError, match="no metrics of an evaluation"):
        EvaluationMetrics.from_dict(values)
