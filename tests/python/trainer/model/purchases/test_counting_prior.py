"""Counts and the prior: by hand, against a slow simple implementation, and without the future."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from toy import TRAIN_LAST, toy_cache, toy_columns, toy_manifest

from trainer.batches.batch import Questions
from trainer.batches.loaders import EvaluationDataLoader
from trainer.batches.timelines import WorldModelDataset
from trainer.cache.held_out import held_out
from trainer.cache.reader import TensorCache
from trainer.cache.schema import CONTEXT
from trainer.cache.vocabulary import Vocabulary
from trainer.cache.writer import write_cache
from trainer.features.chain_sales import RecentSales
from trainer.features.purchase_history import (
    COUNTS,
    GAPS,
    HISTORY,
    LIKENESS,
    Circumstances,
    EarlierTrips,
    PurchaseHistory,
    purchase_history,
)
from trainer.features.trips import Items
from trainer.model.purchases.counting_prior import LIFT_TRIPS, SMOOTHING, CountingPrior, kind_index
from trainer.model.token_scores import TokenScores

VOCABULARY = Vocabulary(products=9, categories=1)


def listed(pairs):
    """Trips and tokens of (trip, token) pairs."""
    return tuple(np.array(pairs, dtype=np.int64).reshape(-1, 2).T)


def history(
    timelines, baskets, is_target=None, visible=(), visible_kind=None, targets=(), sampling=None,
    **circumstances,
):  # fmt: skip
    """baskets: a list of tokens per trip; visible, targets: (trip, token) pairs.

    circumstances: columns of `Circumstances`; by default one trip a day at noon, each in another
    store.
    """
    trips = len(baskets)
    is_target = np.ones(trips, dtype=bool) if is_target is None else np.array(is_target)
    columns = {
        "day": np.arange(trips), "hour": np.full(trips, 12), "store": np.arange(trips) + 1,
        "kind": np.zeros((trips, 4), dtype=np.int64),
    }  # fmt: skip
    columns |= {name: np.array(column) for name, column in circumstances.items()}
    visible_kind = columns["kind"][is_target] if visible_kind is None else np.array(visible_kind)
    items = Items(
        trip=torch.from_numpy(np.repeat(np.arange(trips), [len(b) for b in baskets])),
        token=torch.tensor([t for basket in baskets for t in basket]),
        pence=torch.zeros(0, 3),
    )
    return purchase_history(
        np.array(timelines), Circumstances(**columns), items, is_target, visible_kind,
        listed(visible), listed(targets), VOCABULARY, sampling,
    )  # fmt: skip


def as_dict(result, part="counts"):
    pairs = zip(result.question.tolist(), result.token.tolist(), strict=True)
    return dict(zip(pairs, getattr(result, part).tolist(), strict=True))


def count_of(result, pair, name):
    return as_dict(result)[pair][COUNTS.index(name)]


def test_counts_by_hand():
    # Product 1 on trips 0 and 2, product 2 on trip 1; the question is trip 3.
    result = as_dict(history([4], [[1], [2], [1], [3]]))
    assert set(result) == {(1, 1), (2, 1), (2, 2), (3, 1), (3, 2)}
    for column, rate in enumerate(HISTORY.rates):
        assert result[3, 1][column] == pytest.approx(1 + rate**2)
        assert result[3, 2][column] == pytest.approx(rate)
    # Nothing is visible: the neighbours are the decayed count of their rate.
    assert result[3, 1][-1] == pytest.approx(1 + HISTORY.neighbour_rate**2)


def test_neighbours_by_hand():
    # Of trip 2 product 1 is visible. Cosine with trip 0, {1, 2}: 1 / sqrt(2); with trip 1: 0.
    result = as_dict(history([3], [[1, 2], [3], [1, 4]], visible=[(2, 1)]))
    near = HISTORY.neighbour_rate * math.exp(HISTORY.neighbour_gain / math.sqrt(2))
    scale = (1 + HISTORY.neighbour_rate) / (near + 1)
    assert result[2, 2][-1] == pytest.approx(near * scale)
    assert result[2, 3][-1] == pytest.approx(scale)


def test_days_stores_hours_and_kinds_by_hand():
    result = history(
        [3], [[1], [2], [5]],
        day=[0, 30, 90], hour=[9, 20, 11], store=[7, 8, 7],
        kind=[[1, 2, 3, 4], [1, 1, 1, 1], [1, 2, 3, 1]],
    )  # fmt: skip
    first, second = HISTORY.circumstances_rate, 1.0
    assert count_of(result, (2, 1), "days") == pytest.approx(math.exp(-90 / 60))
    assert count_of(result, (2, 2), "days") == pytest.approx(math.exp(-60 / 60))
    assert count_of(result, (2, 1), "store") == pytest.approx(first)
    assert count_of(result, (2, 2), "store") == 0
    assert count_of(result, (2, 1), "hour") == pytest.approx(first * math.exp(-2 / 4))
    assert count_of(result, (2, 2), "hour") == pytest.approx(second * math.exp(-9 / 4))
    # Three and two of four columns agree.
    near, far = first * math.exp(3 * HISTORY.kind_gain), second * math.exp(2 * HISTORY.kind_gain)
    scale = (first + second) / (near + far)
    assert count_of(result, (2, 1), "kind") == pytest.approx(near * scale)
    assert count_of(result, (2, 2), "kind") == pytest.approx(far * scale)


def test_a_hidden_kind_and_an_unknown_store_match_nothing():
    kinds = [[1, 2, 3, 4]] * 2 + [[1, 1, 1, 1]]
    hidden = history(
        [3], [[1], [2], [5]], kind=kinds, visible_kind=np.zeros((3, 4)), store=[0, 0, 0]
    )
    assert count_of(hidden, (2, 1), "kind") == pytest.approx(HISTORY.circumstances_rate)
    assert count_of(hidden, (2, 2), "kind") == pytest.approx(1)
    assert count_of(hidden, (2, 1), "store") == count_of(hidden, (2, 2), "store") == 0


def test_gaps_by_hand():
    # Product 1 on days 2, 5 and 12, product 2 on day 5; the question is day 20.
    result = history([4], [[1], [1, 2], [1], [3]], day=[2, 5, 12, 20])
    gaps = as_dict(result, "gaps")
    assert gaps[3, 1] == [8, 0, 18, 5]
    assert gaps[3, 2] == [15, 1, 15, -1]
    assert gaps[2, 1] == [7, 0, 10, 3]


def test_an_unknown_visible_item_lowers_the_cosine():
    # Two visible items, one of them never bought before: cosine 1 / sqrt(2 * 1).
    result = as_dict(history([3], [[1], [2], [1, 5]], visible=[(2, 1), (2, 5)]))
    near = HISTORY.neighbour_rate * math.exp(HISTORY.neighbour_gain / math.sqrt(2))
    assert result[2, 1][-1] / result[2, 2][-1] == pytest.approx(near)


def test_timelines_do_not_mix_and_unknown_products_are_left_out():
    result = as_dict(history([2, 2], [[1], [2], [3, VOCABULARY.fallback(0)], [4]]))
    assert set(result) == {(1, 1), (3, 3)}


def test_only_target_trips_have_counts():
    result = as_dict(history([3], [[1], [2], [3]], is_target=[False, False, True]))
    assert set(result) == {(0, 1), (0, 2)}


def test_this_trip_and_later_ones_do_not_count():
    past = [[1, 2], [2], [3, 4]]
    one = as_dict(history([4], [*past, [5]]))
    other = as_dict(history([4], [*past, [1, 2, 3, 6, 7]]))
    assert {k: v for k, v in one.items()} == {k: v for k, v in other.items()}
    assert {k: v for k, v in one.items() if k[0] < 2} == {
        k: v for k, v in as_dict(history([2], past[:2])).items()
    }


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("cache"), customers=20, seed=4)


@pytest.mark.parametrize("task", ["next_unknown", "completion"])
def test_a_slow_simple_count_agrees(cache, task):
    basket = [
        set(cache["items.token"][a:b].tolist())
        for a, b in zip(
            cache["trips.item_offsets"][:-1], cache["trips.item_offsets"][1:], strict=True
        )
    ]
    first = cache["customers.trip_offsets"].astype(int)
    day, hour = cache["trips.day"].astype(int), cache["trips.hour"].astype(int)
    store = cache["trips.store"].astype(int)
    is_novel = cache["stores.is_novel"][store]
    kinds = np.stack([cache[f"trips.{name}"] for name in CONTEXT], axis=1).tolist()
    dataset = WorldModelDataset(cache, "test")
    for batch in EvaluationDataLoader(dataset, task, tokens=800, chunk=8):
        q = batch.questions
        got = as_dict(q.history)
        for index, trip in enumerate(q.trip.tolist()):
            row = int(batch.trips.row[trip])
            begin = first[np.searchsorted(first, row, side="right") - 1]
            visible = set(q.token[q.question == index][1:].tolist())
            kind = batch.trips.context[trip] * (task != "next_unknown")
            sums, gained, plain = {}, np.zeros(2), np.zeros(2)
            for earlier in range(begin, row):
                age = row - 1 - earlier
                shared = len(visible & basket[earlier])
                cosine = shared / math.sqrt(max(1, len(visible) * len(basket[earlier])))
                days = day[row] - day[earlier]
                hours = abs(hour[row] - hour[earlier])
                agree = sum(a == b > 0 for a, b in zip(kind.tolist(), kinds[earlier], strict=True))
                power = HISTORY.circumstances_rate**age
                near = np.array([power, HISTORY.neighbour_rate**age])
                gain = near * np.exp([HISTORY.kind_gain * agree, HISTORY.neighbour_gain * cosine])
                plain, gained = plain + near, gained + gain
                weight = [rate**age for rate in HISTORY.rates]
                weight += [
                    math.exp(-days / 60),
                    power * (store[row] == store[earlier] and not is_novel[row]),
                ]
                weight += [power * math.exp(-hours / 4), *gain]
                for product in basket[earlier]:
                    sums[product] = sums.get(product, 0) + np.array(weight)
            assert {token for question, token in got if question == index} == set(sums)
            for product, expected in sums.items():
                expected[-2:] *= plain / gained
                np.testing.assert_allclose(got[index, product], expected, rtol=1e-4, atol=1e-6)


# The prior


def nothing_sold(count, dtype) -> RecentSales:
    table = torch.zeros(1, 2, 43, dtype=dtype)
    return RecentSales(table, table[:, 0], torch.zeros(count, dtype=torch.long))


def questions(context, history) -> Questions:
    empty = torch.zeros(0, dtype=torch.long)
    return Questions(
        trip=torch.arange(len(context)), context=torch.tensor(context), hidden=empty.bool(),
        fully_hidden=empty.bool(), token=empty, question=empty, pence=empty,
        price_hidden=empty.bool(), baskets=None, query_baskets=None, history=history,
        sales=nothing_sold(len(context), history.counts.dtype),
        logit=empty, entry=empty, entry_row=empty, dropped_row=empty, dropped_token=empty,
        target=empty, target_row=empty, target_question=empty,
    )  # fmt: skip


def history_of(tokens, counts) -> PurchaseHistory:
    """The history of one question."""
    token = torch.tensor(tokens, dtype=torch.long)
    gaps = torch.zeros(len(tokens), len(GAPS))
    nothing = torch.zeros(0, dtype=torch.long)
    trips = EarlierTrips(nothing, torch.zeros(0, len(LIKENESS)), nothing, nothing)
    weights = counts.new_zeros(len(tokens))
    return PurchaseHistory(
        torch.zeros_like(token), token, counts, gaps, weights, *[nothing] * 2, trips
    )


def test_kinds_have_different_indices_and_unknown_is_zero():
    counts = (4, 2, 3, 5)
    codes = torch.cartesian_prod(*(torch.arange(count) for count in counts))
    assert sorted(kind_index(codes, counts).tolist()) == list(range(4 * 2 * 3 * 5))
    assert kind_index(torch.zeros(1, 4, dtype=torch.long), counts).tolist() == [0]


def log_scores(prior, questions):
    """Log-scores of all tokens from counts alone, (Q, V)."""
    history = questions.history
    ratios = prior.log_ratios(questions, prior.history_shares(questions))
    count = len(questions.context)
    return TokenScores(
        z=prior.share.new_zeros(count, 0),
        vectors=prior.share.new_zeros(len(prior.share), 0),
        tables=prior.tables(questions, torch.zeros_like(prior.share)),
        history=ratios @ prior.weight,
        entries=(history.question, history.token, torch.arange(len(history.token))),
        absent=(history.dropped_question, history.dropped_token),
    ).dense()


def test_prior_starts_as_smoothed_personal_shares(cache):
    """Differences of log-scores are those of log((c + a g) / (n + a)), whatever n."""
    prior = CountingPrior(cache).double()
    counts = torch.zeros(2, len(COUNTS), dtype=torch.float64)
    counts[:, -1] = torch.tensor([3.0, 0.5])
    history = history_of([4, 7], counts)
    score = log_scores(prior, questions([[0, 0, 0, 0]], history))[0] + prior.share.log()
    smoothed = SMOOTHING * prior.share
    smoothed[4] += 3
    smoothed[7] += 0.5
    torch.testing.assert_close(score - score[1], smoothed.log() - smoothed[1].log())


def test_lift_by_hand(tmp_path):
    columns = toy_columns(customers=8, seed=1)
    write_cache(tmp_path / "cache", columns, toy_manifest())
    cache = TensorCache(tmp_path / "cache")
    week = columns["trips.week"]
    codes = np.stack([columns[f"trips.{n}"] for n in ("size", "sensitivity", "type", "focus")], 1)
    stranger = np.repeat(held_out(cache), np.diff(columns["customers.trip_offsets"].astype(int)))
    training = (week <= TRAIN_LAST) & ~stranger
    some = codes[training & (codes > 0).all(1)][0]
    of_kind = np.flatnonzero(training & (codes == some).all(1))
    offsets = columns["trips.item_offsets"]

    def trips_with(product, rows):
        return sum(product in columns["items.token"][offsets[r] : offsets[r + 1]] for r in rows)

    average = (trips_with(1, np.flatnonzero(training)) + 0.5) / training.sum()
    expected = (trips_with(1, of_kind) + LIFT_TRIPS * average) / (
        (len(of_kind) + LIFT_TRIPS) * average
    )
    prior = CountingPrior(cache)
    nothing = history_of([], torch.zeros(0, len(COUNTS)))
    lift = log_scores(
        prior, questions([some.tolist(), [0, 0, 0, 0], [*some[:3].tolist(), 0]], nothing)
    )
    assert lift[0, 1].item() == pytest.approx(math.log(expected), rel=1e-5)
    assert not lift[1].any() and not lift[2].any()  # an unknown column: no lift
    assert not lift[0, [0, -2, -1]].any()
    assert not lift[0, columns["products.is_novel"].nonzero()[0] + 1].any()


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


def test_gradients_reach_every_weight(cache):
    prior = CountingPrior(cache)
    batch = next(
        iter(EvaluationDataLoader(WorldModelDataset(cache, "test"), "completion", chunk=8))
    )
    out = log_scores(prior, batch.questions)
    (out * torch.randn_like(out)).sum().backward()
    assert all(parameter.grad.ne(0).all() for parameter in [prior.weight, prior.lift_weight])
    assert prior.smoothing.grad[-1] != 0  # the others have weight 0 at the start


def test_a_product_first_sold_later_has_its_recent_share(cache):
    """As if it had sold in the training weeks at the rate of the last weeks."""
    prior = CountingPrior(cache).double()
    history = history_of([4, 7], torch.full((2, len(COUNTS)), 3.0, dtype=torch.float64))
    question = questions([[0, 0, 0, 0]], history)
    shift = torch.zeros(1, 43, dtype=torch.float64)
    shift[0, 7] = math.log(50)
    sold = replace(question.sales, shift=shift)
    moved = log_scores(prior, replace(question, sales=sold))
    prior.share[7] *= 50
    expected = log_scores(prior, question)
    expected[0, 7] += math.log(50)
    torch.testing.assert_close(moved, expected)
