"""The prior: lifts by hand, and without the future."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from histories import history, questions_of
from toy import TRAIN_LAST, toy_cache, toy_columns, toy_manifest

from trainer.batches.loaders import EvaluationDataLoader, Masking, WorldModelDataLoader
from trainer.batches.timelines import WorldModelDataset
from trainer.cache.held_out import training_trips
from trainer.cache.reader import TensorCache
from trainer.cache.rows import items_of
from trainer.cache.schema import CONTEXT
from trainer.cache.writer import write_cache
from trainer.model.purchases.counting_prior import (
    FEWEST,
    CountingPrior,
    _Tree,
    bought_by_kind,
    kind_index,
    trips_by_kind,
)

TOKENS = 43


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("cache"), customers=20, seed=4)


def about(context):
    """Questions about the first trips of customers, of these kinds."""
    baskets = [[1]] * len(context)
    return questions_of(history([1] * len(context), baskets), context, TOKENS)


def test_kinds_have_different_indices_and_unknown_is_zero():
    counts = (4, 2, 3, 5)
    codes = torch.cartesian_prod(*(torch.arange(count) for count in counts))
    assert sorted(kind_index(codes, counts).tolist()) == list(range(4 * 2 * 3 * 5))
    assert kind_index(torch.zeros(1, 4, dtype=torch.long), counts).tolist() == [0]


def log_scores(prior, questions):
    """Log-scores of all tokens, (Q, V)."""
    tables = prior.tables(questions, torch.zeros_like(prior.share))
    return sum(table.index_select(0, of_row) for table, of_row in tables)


class Catalogue(dict):
    """Three products, the first two of one category, the third of another, both of a third one."""

    vocabulary = SimpleNamespace(size=6)

    def rows(self, _):
        return 3


def test_lifts_by_hand():
    catalogue = Catalogue({
        "products.category": np.array([0, 0, 1]), "categories.parent": np.array([2, 2, -1]),
        "categories.level": np.array([0, 0, 1]),
    })  # fmt: skip
    lifts = _Tree(catalogue).lifts(np.array([0, 6, 0, 1, 0, 0]), np.array([0, 2, 1, 5, 0, 0]))
    every = (7 + 4) / (8 + 4)
    department = (7 + 4 * every) / (8 + 4)
    one, other = (6 + 4 * department) / (3 + 4), (1 + 4 * department) / (5 + 4)
    expected = [(6 + 4 * one) / (2 + 4), (0 + 4 * one) / (1 + 4), (1 + 4 * other) / (5 + 4)]
    assert lifts[1:4] == pytest.approx(expected)
    assert lifts[0] == lifts[4] == lifts[5] == pytest.approx(every)  # of no category


def test_unknown_kinds_and_new_products_have_no_lift(cache):
    codes = torch.tensor([cache[f"trips.{n}"].tolist() for n in CONTEXT]).T
    some = codes[codes.gt(0).all(1)][0].tolist()
    lift = log_scores(CountingPrior(cache), about([some, [0, 0, 0, 0], [*some[:3], 0]]))
    assert lift[0].any() and not lift[1].any() and not lift[2].any()
    assert not lift[0, [0, -2, -1]].any()
    assert not lift[0, cache["products.is_novel"].nonzero()[0] + 1].any()


def test_lifts_and_shares_read_training_weeks_only(tmp_path):
    columns = toy_columns(customers=8, seed=1)
    write_cache(tmp_path / "one", columns, toy_manifest())
    later = columns["trips.week"] > TRAIN_LAST
    changed = dict(columns)
    changed["trips.focus"] = np.where(later, 4 - columns["trips.focus"], columns["trips.focus"])
    items_later = np.repeat(later, np.diff(columns["trips.item_offsets"]))
    changed["items.token"] = np.where(items_later, 1, columns["items.token"])
    write_cache(tmp_path / "other", changed, toy_manifest())
    one, other = (CountingPrior(TensorCache(tmp_path / name)) for name in ("one", "other"))
    assert torch.equal(one.lift, other.lift) and torch.equal(one.share, other.share)


def test_lifts_of_products_bought_before_are_those_of_the_table(cache):
    prior = CountingPrior(cache)
    dataset = WorldModelDataset(cache, "test")
    questions = next(iter(EvaluationDataLoader(dataset, "next_known", chunk=8))).questions
    bought = questions.history.products
    (table, of_row), _ = prior.tables(questions, torch.zeros_like(prior.share))
    expected = table[of_row[bought.question], bought.token]
    assert expected.any()
    assert torch.equal(prior.log_lifts(questions), expected)


def training_questions(cache):
    masking = Masking(rate=0.6, fully_hidden=0.5, hide_context=0.3)
    loader = WorldModelDataLoader(WorldModelDataset(cache), tokens=10**6, chunk=8, masking=masking)
    return next(iter(loader)).questions


def test_without_its_own_purchase_a_lift_is_that_of_one_purchase_less(cache):
    prior, questions = CountingPrior(cache), training_questions(cache)
    found = prior.without_own(questions)
    trips, bought = trips_by_kind(cache), bought_by_kind(cache)
    sold, tree = bought.sum(0), _Tree(cache)
    of_target = questions.context[questions.target_question]
    is_known = of_target.gt(0).all(1).tolist()
    assert not found[~torch.tensor(is_known)].any() and 0 < sum(is_known) < len(is_known)
    kinds = kind_index(of_target, prior.codes).tolist()
    for kind, token, change, known in zip(
        kinds, questions.target.tolist(), found.tolist(), is_known, strict=True
    ):
        if not known:
            continue
        expected = trips[kind] * np.where(sold > 0, sold + 0.5, 0) / trips.sum()
        lift = tree.lifts(bought[kind], expected)[token]
        # The lift is a ratio: purchases here, and those that its category's lift stands for.
        purchases = lift * (expected[token] + 4)
        others = (trips[kind] - 1) * (sold[token] - 0.5) / (trips.sum() - 1)
        less = max(purchases - 1, FEWEST) / (others + 4)
        assert change == pytest.approx(math.log(less / lift), abs=1e-4)


def test_trips_that_do_not_count_for_lifts(cache):
    """As if they had been no training trips; shares stay."""
    one, rows = CountingPrior(cache), training_trips(cache)[::3]
    other = CountingPrior(cache, without=rows)
    assert other.trips_of_kind.sum() == one.trips_of_kind.sum() - len(rows)
    lengths, token = items_of(cache, rows)
    fewer = np.bincount(token, minlength=TOKENS)[:TOKENS]
    assert (one.sold - other.sold).tolist() == fewer.tolist()
    assert torch.equal(one.share, other.share) and not torch.equal(one.lift, other.lift)


def test_gradients_reach_every_weight(cache):
    prior = CountingPrior(cache)
    dataset = WorldModelDataset(cache, "test")
    out = log_scores(
        prior, next(iter(EvaluationDataLoader(dataset, "next_known", chunk=8))).questions
    )
    (out * torch.randn_like(out)).sum().backward()
    assert all(parameter.grad.ne(0).all() for parameter in prior.parameters())


def test_a_product_first_sold_later_has_its_recent_share(cache):
    """As if it had sold in the training weeks at the rate of the last weeks."""
    prior = CountingPrior(cache)
    question = questions_of(history([2], [[4, 7], [1]], [False, True]), [[0, 0, 0, 0]], TOKENS)
    share = prior.history_shares(question)
    assert torch.equal(share, prior.share[[4, 7]])
    shift = torch.zeros(1, TOKENS)
    shift[0, 7] = math.log(50)
    moved = replace(question, sales=replace(question.sales, shift=shift))
    torch.testing.assert_close(prior.history_shares(moved), share * torch.tensor([1, 50]))
    expected = log_scores(prior, question)
    expected[0, 7] += math.log(50)
    torch.testing.assert_close(log_scores(prior, moved), expected)
