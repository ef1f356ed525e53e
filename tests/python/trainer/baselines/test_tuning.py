"""The setting of boosting: measured as the evaluation does, chosen on validation weeks alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from toy import TRAIN_LAST, VALIDATION_LAST, WEEKS, toy_columns, toy_manifest

from trainer.baselines import tuning
from trainer.baselines.boosting import Boosting
from trainer.baselines.counts import Counts
from trainer.baselines.examples import Examples, training_examples
from trainer.baselines.signals import NAMES, OF_CATEGORY
from trainer.baselines.tuning import GRID, STEP, Choice, Model, Setting, tuned
from trainer.batches.tasks import TASKS
from trainer.cache.reader import TensorCache
from trainer.cache.writer import write_cache
from trainer.evaluation import Evaluator

pytest.importorskip("lightgbm")


def columns():
    """Trips until the end of the test weeks, enough of them for trees to differ."""
    return toy_columns(customers=40, products=25, seed=3, largest_basket=8)


def write(folder, changed=None) -> TensorCache:
    write_cache(folder, columns() | (changed or {}), toy_manifest())
    return TensorCache(folder)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return write(tmp_path_factory.mktemp("tuning") / "cache")


@pytest.fixture
def searched(monkeypatch):
    """Small chains are searched too."""
    monkeypatch.setattr(tuning, "FEWEST_CUSTOMERS", 1)


def examples(bought, candidates, hidden, asked):
    return Examples(
        np.zeros((len(bought), len(NAMES)), np.float32), np.array(bought, bool),
        np.array(candidates), np.array(hidden), np.arange(len(hidden)), asked,
    )  # fmt: skip


def test_measured_by_hand():
    # Two questions with an answer and one without. The first hides two items, both candidates, at
    # ranks 1 and 3; the second one of three, at rank 2.
    found = examples([0, 1, 1, 0, 1], [3, 2], [2, 3], asked=3)
    recall, ndcg = found.measured(np.array([0.5, 0.9, 0.1, 0.7, 0.6]))
    assert recall == pytest.approx((1 + 1 / 3) / 3)
    log = np.log2([2, 3, 4])
    first = (1 + 1 / log[2]) / (1 + 1 / log[1])
    second = 1 / log[1] / (1 / log).sum()
    assert ndcg == pytest.approx((first + second) / 3)


def test_the_eleventh_rank_does_not_count():
    found = examples([0] * 10 + [1], [11], [1], asked=1)
    assert found.measured(-np.arange(11.0)) == (0, 0)
    assert found.measured(np.arange(11.0)) == (1, 1)


@pytest.mark.parametrize("task", ["next_unknown", "next_known"])
def test_measured_as_the_evaluation_does(cache, task, searched):
    """All products are candidates, and all questions are of this task."""
    counts = Counts(cache)
    choice, _ = tuned(counts, task, seed=0)
    boosting = Boosting(counts, {task: choice})
    found = Evaluator(
        cache, "validation", tasks=[task], scorers=[boosting], progress=False
    ).run()  # fmt: skip
    trial = choice.trials[str(choice.setting)]
    for metric, value in zip(("recall@10", "ndcg@10"), trial, strict=True):
        assert found.value(task, boosting.name, metric) == pytest.approx(value, abs=2e-3)


@pytest.mark.parametrize("task", TASKS)
def test_the_best_of_the_grid_is_chosen(cache, task, searched):
    choice, model = tuned(Counts(cache), task, seed=0)
    assert len(choice.trials) == sum(setting.rounds // STEP for setting in GRID)
    assert str(Setting()) in choice.trials
    best = max(ndcg for _, ndcg in choice.trials.values())
    assert choice.trials[str(choice.setting)][1] == best > 0
    assert model.setting == choice.setting
    assert str(
        choice
    ) == f"{choice.setting}; NDCG@10 {best:.4f} on validation weeks, best of 8".replace(
        "0.", ".", 1
    )
    assert tuned(Counts(cache), task, seed=0)[0] == choice


def test_only_validation_weeks_choose(cache, tmp_path, searched):
    """Other test baskets, the same choice; other validation baskets, other trials."""
    found = columns()
    token, week = found["items.token"], found["trips.week"]
    of_item = np.repeat(week, np.diff(found["trips.item_offsets"]))
    turned = np.where(token <= 25, 26 - token, token)
    test = write(
        tmp_path / "test", {"items.token": np.where(of_item > VALIDATION_LAST, turned, token)}
    )
    validation = write(
        tmp_path / "validation", {"items.token": np.where(of_item > TRAIN_LAST, turned, token)}
    )
    mine, same, other = (
        tuned(Counts(each), "next_unknown", seed=0)[0] for each in (cache, test, validation)
    )
    assert same == mine
    assert other.trials != mine.trials


def test_a_small_chain_is_not_searched(cache):
    choice, model = tuned(Counts(cache), "next_known", seed=0)
    assert choice == Choice() and model.setting == Setting()
    assert str(choice).endswith("not chosen here, for want of customers")


def test_without_validation_trips_nothing_is_searched(tmp_path, searched):
    facts = toy_manifest()
    del facts["split"]["validation"]
    write_cache(tmp_path / "none", columns(), facts)
    facts["split"]["validation"] = [31, 35]
    write_cache(tmp_path / "empty", columns(), facts)
    replayed = {"weeks.is_replayed": np.ones(WEEKS, dtype=bool)}
    replayed["weeks.is_replayed"][:TRAIN_LAST] = False
    chains = (
        *(TensorCache(tmp_path / n) for n in ("none", "empty")),
        write(tmp_path / "r", replayed),
    )
    for chain in chains:
        assert tuned(Counts(chain), "next_known", seed=0)[0] == Choice()


def test_a_cut_model_is_one_of_fewer_rounds(cache):
    found = training_examples(cache, "next_unknown", seed=0)
    long, short = (Model.fitted(Setting(rounds=n), found, seed=0) for n in (8, 3))
    assert np.array_equal(long.cut(3).scores(found.features), short.scores(found.features))
    rest = long.scores(found.features, first=3) + short.scores(found.features)
    np.testing.assert_allclose(rest, long.scores(found.features), rtol=1e-12)


def test_without_categories_their_columns_are_not_read(cache):
    found = training_examples(cache, "next_unknown", seed=0)
    without, all_columns = (
        Model.fitted(Setting(rounds=20, categories=on), found, seed=0) for on in (False, True)
    )
    changed = found.features.copy()
    changed[:, -len(OF_CATEGORY) :] = np.random.default_rng(0).normal(size=(len(changed), 14))
    assert np.array_equal(without.scores(changed), without.scores(found.features))
    assert not np.array_equal(all_columns.scores(changed), all_columns.scores(found.features))


def test_a_choice_survives_json(cache, searched):
    for choice in (Choice(), tuned(Counts(cache), "completion", seed=0)[0]):
        assert Choice.from_dict(json.loads(json.dumps(choice.to_dict()))) == choice
