"""An evaluation as a whole: its trips, its groups, and what must not matter."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from torch import nn
from toy import LABELS, VALIDATION_LAST, WEEKS, toy_cache, toy_columns, toy_manifest

from trainer.baselines import counting_rules
from trainer.baselines.boosting import Boosting
from trainer.baselines.counts import Counts
from trainer.batches.tasks import TASKS
from trainer.batches.timelines import Spans, WorldModelDataset
from trainer.cache.customer_sample import sample_customers
from trainer.cache.reader import CacheError, TensorCache
from trainer.cache.schema import CONTEXT, LabelCounts
from trainer.cache.vocabulary import Vocabulary
from trainer.cache.writer import write_cache
from trainer.evaluation import Evaluator
from trainer.evaluation.per_trip import METRICS
from trainer.evaluation.scorers import ModelScorer
from trainer.evaluation.strata import EvaluatedTrips
from trainer.model.calibration import Calibration
from trainer.model.config import WorldModelConfig
from trainer.model.outputs import Predictions
from trainer.model.world_model import create_world_model

REPLAYED = (WEEKS - 1, WEEKS)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("cache"), customers=30, largest_basket=10)


@pytest.fixture(scope="module")
def model(cache):
    torch.manual_seed(0)
    return create_world_model("tiny", cache)


@pytest.fixture(scope="module")
def metrics(cache, model):
    return Evaluator(cache, "test", progress=False).run(model)


class Truth(nn.Module):
    """Knows what was bought, and what kind of trip it was."""

    def __init__(self, products: int) -> None:
        super().__init__()
        self.config = WorldModelConfig()
        self.tokens = Vocabulary(products, categories=0).size
        self.weight = nn.Parameter(torch.zeros(()))
        self.calibration = Calibration()

    def forward(self, batch, dense):
        q = batch.questions
        logits = torch.zeros(len(q.trip), self.tokens)
        logits[q.target_question, q.target] = 20
        true = batch.trips.context[q.trip]
        codes = LabelCounts.of(LABELS).codes
        context = {
            name: nn.functional.one_hot(true[:, column], count).float()
            for column, (name, count) in enumerate(codes.items())
        }
        return Predictions(logits, context=context)


def test_the_truth_is_perfect(cache):
    found = Evaluator(cache, "test", progress=False, scorers=()).run(Truth(cache.products))
    for task in TASKS:
        for group in (found.tasks[task].fresh, found.tasks[task].replayed):
            for metric, estimate in group.scorers["model"].items():
                if metric in (
                    "precision@10",
                    "nll",
                    "raw_nll",
                ):  # these depend on the basket's size
                    assert estimate.value < 2.5
                else:
                    assert (estimate.value, estimate.low, estimate.high) == (1, 1, 1), metric
            kind = {f"{name}_accuracy" for name in CONTEXT}
            assert kind & set(group.scorers["model"]) == (kind if task == "next_unknown" else set())


def test_every_trip_of_the_split_is_evaluated_once(cache, metrics):
    week = cache["trips.week"]
    fresh = (week > VALIDATION_LAST) & (week < REPLAYED[0])
    replayed = np.isin(week, REPLAYED)
    lengths = np.diff(cache["trips.item_offsets"])
    for task in metrics.tasks.values():
        for group, chosen in ((task.fresh, fresh), (task.replayed, replayed)):
            assert group.trips == chosen.sum()
            for scorer in group.scorers.values():
                assert scorer["recall@10"].trips == chosen.sum()
    assert metrics.tasks["next_known"].fresh.hidden == lengths[fresh].sum()
    hidden = np.maximum(np.floor(lengths[fresh] * 0.15 + 0.5), 1).sum()
    assert metrics.tasks["completion"].fresh.hidden == hidden


def test_replayed_weeks_do_not_touch_the_headline(cache, metrics, model, tmp_path):
    columns = toy_columns(customers=30, largest_basket=10)
    popularity = columns["products.train_trips"]
    late = np.isin(columns["trips.week"], REPLAYED)
    of_item = np.repeat(late, np.diff(columns["trips.item_offsets"]))
    columns["items.token"] = np.where(of_item, 41 - columns["items.token"], columns["items.token"])
    columns["products.train_trips"] = popularity
    write_cache(tmp_path / "cache", columns, toy_manifest())
    other = Evaluator(TensorCache(tmp_path / "cache"), "test", progress=False).run(model)
    for task in TASKS:
        assert other.tasks[task].fresh == metrics.tasks[task].fresh
        assert other.tasks[task].strata == metrics.tasks[task].strata
        assert other.tasks[task].calibration == metrics.tasks[task].calibration
        assert other.tasks[task].replayed != metrics.tasks[task].replayed


def test_validation_has_no_replayed_weeks(cache):
    found = Evaluator(cache, "validation", progress=False).run()
    assert found.tasks["next_known"].replayed is None
    assert found.tasks["next_known"].fresh.model_minus == {}
    assert found.weeks == (21, 25)


def test_strata_partition_the_fresh_trips(metrics):
    for task in metrics.tasks.values():
        assert set(task.strata) == {"training", "customer", "products", "basket", "store"}
        for groups in task.strata.values():
            assert sum(group.trips for group in groups.values()) == task.fresh.trips
            for scorer, found in task.fresh.scorers.items():
                for metric in ("recall@10", "ndcg@10"):
                    parts = [(g.trips, g.scorers[scorer][metric].value) for g in groups.values()]
                    mean = sum(n * value for n, value in parts) / task.fresh.trips
                    assert mean == pytest.approx(found[metric].value)


def test_strata_by_hand(cache):
    trips = EvaluatedTrips.of(WorldModelDataset(cache, "test"))
    assert (np.diff(trips.row) > 0).all()
    first = cache["customers.trip_offsets"].astype(int)
    for place, row in enumerate(trips.row.tolist()):
        label = {name: labels[code[place]] for name, (labels, code) in trips.strata.items()}
        start, stop = cache["trips.item_offsets"][row : row + 2].astype(int)
        items = stop - start
        size = {1: "1 item", 2: "2-3 items", 3: "2-3 items"}.get(items, "4-10 items")
        assert label["basket"] == (size if items < 11 else "11+ items")
        assert (label["customer"] == "cold start") == cache["trips.is_cold_start"][row]
        assert (label["products"] == "some novel") == cache["trips.has_novel_product"][row]
        code = int(cache["stores.format"][cache["trips.store"][row]])
        assert label["store"] == ("other", *cache.labels["store_format"])[code]
        assert trips.fresh[place] == (cache["trips.week"][row] not in REPLAYED)
        customer = trips.customer[place]
        assert first[customer] <= row < first[customer + 1]


def test_a_model_does_not_differ_from_itself(cache, model):
    again = ModelScorer(model, name="again")
    rules = counting_rules(Counts(cache))[:1]
    found = Evaluator(cache, "test", progress=False, scorers=[again, *rules]).run(model)
    for task in found.tasks.values():
        for difference in task.fresh.model_minus["again"].values():
            assert (difference.value, difference.low, difference.high) == (0, 0, 0)
        rule, model = (task.fresh.scorers[name] for name in ("G-TopFreq", "model"))
        for metric, difference in task.fresh.model_minus["G-TopFreq"].items():
            if metric != "nll":
                assert difference.value == pytest.approx(model[metric].value - rule[metric].value)


def test_the_token_budget_changes_nothing(cache, metrics, model):
    for tokens in (60, 100_000):
        other = Evaluator(cache, "test", progress=False, tokens=tokens).run(model)
        for task in TASKS:
            for name, found in metrics.tasks[task].fresh.scorers.items():
                same = other.tasks[task].fresh.scorers[name]
                if name == "model":  # sums in another order: ranks may turn at a hair's breadth
                    assert same["nll"].value == pytest.approx(found["nll"].value, rel=1e-4)
                else:
                    for metric, estimate in found.items():  # so may those of neighbours
                        assert same[metric].value == pytest.approx(estimate.value, rel=1e-5)
            one, two = (m.tasks[task].calibration for m in (metrics, other))
            assert len(one) == len(two) == (0 if task == "completion" else 10)
            assert sum(row.expected for row in one) == pytest.approx(
                sum(row.expected for row in two)
            )


@pytest.mark.parametrize("cells", [1, 3 * 43])
def test_blocks_of_questions_change_nothing(cache, metrics, model, monkeypatch, cells):
    """Neither those that are measured at a time nor those of a batch, but for boosting, which fits
    its trees to examples that are read in other batches then."""
    monkeypatch.setattr("trainer.model.token_scores.DENSE", cells)
    monkeypatch.setattr("trainer.batches.loaders.SCORES", 5 * cells)
    other = Evaluator(cache, "test", progress=False).run(model)
    for task in TASKS:
        one, two = (m.tasks[task] for m in (metrics, other))
        for scorer in set(one.fresh.scorers) - {Boosting.name}:
            found = one.fresh.scorers[scorer]
            # The model's sums are in another order: ranks may turn at a hair's breadth.
            for metric in ("nll",) if scorer == "model" else found:
                value = two.fresh.scorers[scorer][metric].value
                assert value == pytest.approx(found[metric].value, rel=1e-4), (scorer, metric)
        for row, other_row in zip(one.calibration, two.calibration, strict=True):
            assert row.expected == pytest.approx(other_row.expected, rel=1e-3)


def test_the_seed_hides_other_items(cache, metrics):
    rules = counting_rules(Counts(cache))
    runs = [
        Evaluator(cache, "test", progress=False, seed=seed, scorers=rules).run().tasks
        for seed in (0, 1)
    ]
    name = rules[1].name
    values = [run["completion"].fresh.scorers[name]["mrr"].value for run in runs]
    assert values[0] == metrics.value("completion", name, "mrr")
    assert values[0] != values[1]
    nexts = [run["next_known"].fresh.scorers[name]["mrr"] for run in runs]
    assert nexts[0].value == nexts[1].value and nexts[0] != nexts[1]  # only the draws differ


def test_calibration_changes_likelihood_and_no_rank(cache, model, metrics):
    model.calibration.values[:] = torch.tensor([1.5, 0.1, 0.9, 1, 1, 1.2], dtype=torch.float64)
    try:
        other = Evaluator(cache, "test", progress=False).run(model)
    finally:
        model.calibration = Calibration()
    for task in TASKS:
        found, before = (m.tasks[task].fresh.scorers["model"] for m in (other, metrics))
        assert before["nll"].value == pytest.approx(before["raw_nll"].value)
        assert found["nll"] != before["nll"]
        assert {n: e for n, e in found.items() if n != "nll"} == {
            n: e for n, e in before.items() if n != "nll"
        }
        assert "raw_nll" not in other.tasks[task].fresh.scorers["G-TopFreq"]
        one, two = (m.tasks[task] for m in (metrics, other))
        assert one.raw_calibration == two.raw_calibration
        assert (one.calibration != two.calibration) == (task != "completion")


def test_the_model_keeps_its_mode_and_gets_no_gradients(cache, model):
    model.train()
    Evaluator(cache, "test", progress=False, tasks=["next_known"], scorers=()).run(model)
    assert model.training and all(p.grad is None for p in model.parameters())
    model.eval()
    Evaluator(cache, "test", progress=False, tasks=["next_known"], scorers=()).run(model)
    assert not model.training


def test_values_by_name_and_as_json(metrics):
    plain = json.loads(json.dumps(metrics.to_dict(), allow_nan=False))
    assert set(plain["tasks"]) == set(TASKS)
    group = plain["tasks"]["next_unknown"]["fresh"]
    assert set(group["scorers"]["model"]) == set(METRICS)
    value = metrics.value("next_unknown", "model", "ndcg@10")
    assert value == group["scorers"]["model"]["ndcg@10"]["value"]
    assert 0 < value < 1 and not math.isnan(value)
    with pytest.raises(KeyError):
        metrics.value("next_unknown", "G-TopFreq", "size_accuracy")


def test_a_sample_stays_when_others_join(cache):
    everyone = np.arange(cache.rows("customers"))
    sample = sample_customers(cache, everyone, 8)
    assert len(sample) == 8 and (np.diff(sample) > 0).all()
    assert sample.max() - sample.min() >= 8  # scattered, not the first codes
    # Whoever leaves frees one place; whoever stays keeps theirs.
    for leaver in everyone:
        fewer = sample_customers(cache, everyone[everyone != leaver], 8)
        assert set(sample) - {leaver} <= set(fewer)
    assert sample_customers(cache, everyone, 1000).tolist() == everyone.tolist()
    with pytest.raises(ValueError, match="at least 1"):
        sample_customers(cache, everyone, 0)


def test_scorers_of_one_name_are_refused(cache, model):
    rules = counting_rules(Counts(cache))
    for scorers in ([rules[0], rules[0]], [ModelScorer(model)]):
        with pytest.raises(ValueError, match="names must differ"):
            Evaluator(cache, "test", scorers=scorers)


def test_only_sampled_customers_are_evaluated(cache, metrics):
    shoppers = WorldModelDataset(cache, "test").customers
    sample = sample_customers(cache, shoppers, 5)
    found = Evaluator(cache, "test", customers=5, progress=False).run()
    first = cache["customers.trip_offsets"].astype(int)
    week = cache["trips.week"]
    trips = [
        row for c in sample for row in range(first[c], first[c + 1]) if week[row] > VALIDATION_LAST
    ]
    groups = found.tasks["next_known"]
    assert found.customers == 5
    assert groups.fresh.trips + groups.replayed.trips == len(trips)
    every = Evaluator(cache, "test", customers=1000, progress=False).run()
    assert every.tasks["completion"].fresh.scorers == {
        name: s for name, s in metrics.tasks["completion"].fresh.scorers.items() if name != "model"
    }


def test_a_dataset_of_some_customers(cache):
    everyone = WorldModelDataset(cache, "test")
    chosen = everyone.customers[[4, 1]]
    some = WorldModelDataset(cache, "test", customers=chosen)
    assert some.customers.tolist() == sorted(chosen.tolist())
    for index, customer in enumerate(some.customers):
        place = int(np.flatnonzero(everyone.customers == customer)[0])
        assert torch.equal(some[index][0].row, everyone[place][0].row)
        assert (some.trips[index], some.items[index]) == (
            everyone.trips[place], everyone.items[place],
        )  # fmt: skip
    away = np.setdiff1d(np.arange(cache.rows("customers")), everyone.customers)
    with pytest.raises(CacheError, match="no known customer shops"):
        WorldModelDataset(cache, "test", customers=away)
    for wrong in ([-1], [cache.rows("customers")]):
        with pytest.raises(ValueError, match="customers: expected rows"):
            WorldModelDataset(cache, "test", customers=np.array(wrong))


def test_a_dataset_of_chosen_spans(cache):
    every = WorldModelDataset(cache, "test")
    same = WorldModelDataset.from_spans(cache, "test", every.customers, every.spans)
    assert same.trips.tolist() == every.trips.tolist()
    assert same.items.tolist() == every.items.tolist()
    first, stop = every.spans.first, every.spans.stop
    last = WorldModelDataset.from_spans(
        cache, "test", every.customers[:3], Spans(stop[:3] - 1, stop[:3], stop[:3] - 1)
    )
    for index in range(3):
        trips, items, targets = last[index]
        assert (len(trips), targets) == (1, 1) and trips.row.tolist() == [stop[index] - 1]
        assert (last.trips[index], last.items[index]) == (1, len(items.token))
    for spans in (Spans(first, stop, stop), Spans(stop, stop, first), every.spans[np.array([0])]):
        with pytest.raises(ValueError, match="spans: "):
            WorldModelDataset.from_spans(cache, "test", every.customers, spans)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "tomorrow"}, "split: expected one of"),
        ({"tasks": ["guess"]}, "task: expected one of"),
        ({"customers": 0}, "customers: expected at least 1"),
        ({"tokens": 0}, "tokens: expected at least 1"),
    ],
)
def test_wrong_options_show_at_once(cache, options, message):
    with pytest.raises(ValueError, match=message):
        Evaluator(cache, **({"split": "test"} | options))
