"""Every rule against a slow simple implementation, some by hand, all without the future."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from slow_baselines import SlowBaselines
from toy import TRAIN_LAST, toy_columns, toy_manifest

from trainer.baselines import baselines, counting_rules, registry
from trainer.baselines.boosting import Boosting
from trainer.baselines.cooccurrence import PairLifts
from trainer.baselines.counts import COOCCURRENCE, DAYS, RATE, TIFU_KNN, UP_CF, Counts
from trainer.baselines.examples import FIRST_WEEK, recent_trips, task_of
from trainer.baselines.frequency import in_groups, share_of_last
from trainer.baselines.history import EarlierItems, Once
from trainer.baselines.neighbours import tifu_knn, up_cf
from trainer.baselines.signals import NAMES, Signals
from trainer.baselines.tuning import Choice, Setting
from trainer.batches.loaders import EvaluationDataLoader
from trainer.batches.tasks import TASKS
from trainer.batches.timelines import WorldModelDataset
from trainer.cache.held_out import held_out
from trainer.cache.reader import TensorCache
from trainer.cache.vocabulary import Vocabulary
from trainer.cache.writer import write_cache
from trainer.features.categories import category_of_token


def write(folder, columns) -> TensorCache:
    write_cache(folder, columns, toy_manifest())
    return TensorCache(folder)


@pytest.fixture(scope="module")
def columns():
    """Some last items of trips are unknown products."""
    columns = toy_columns(customers=36, products=25, seed=3, largest_basket=8)
    last = columns["trips.item_offsets"][1:][::3] - 1
    columns["items.token"] = columns["items.token"].copy()
    columns["items.token"][last] = Vocabulary(25, 4).fallback(np.arange(len(last)) % 4)
    return columns


@pytest.fixture(scope="module")
def cache(columns, tmp_path_factory):
    return write(tmp_path_factory.mktemp("baselines") / "cache", columns)


@pytest.fixture(scope="module")
def slow(cache):
    return SlowBaselines(cache)


def batches(cache, task, split="test", tokens=300):
    return EvaluationDataLoader(WorldModelDataset(cache, split), task, tokens=tokens)


def questions(batch):
    """Number, row of the cache's trips and visible tokens of each question."""
    q = batch.questions
    for index, trip in enumerate(q.trip.tolist()):
        yield index, int(batch.trips.row[trip]), q.token[q.question == index].tolist()[1:]


def slow_count(slow, name, row, visible):
    """c of a rule by name."""
    if name.startswith(("G-TopFreq", "co-occurrence")):
        return {}
    if name.startswith("own trips"):
        return slow.similar_trips(row, visible)
    if name.startswith("UP-CF"):
        return slow.up_cf(row, **UP_CF)
    if name.startswith("TIFU"):
        return slow.tifu_knn(row, **TIFU_KNN)
    if name.startswith(f"P-TopFreq {DAYS} days"):
        return slow.by_days(row, DAYS)
    return slow.by_trips(row, RATE if ".95" in name else 1)


@pytest.mark.parametrize("task", TASKS)
def test_every_rule_is_what_its_formula_says(cache, slow, task):
    rules = [rule for rule in counting_rules(Counts(cache)) if task in rule.tasks]
    count_of_questions = 0
    for batch in batches(cache, task):
        answers = {rule.name: rule.scores(batch).logits.tolist() for rule in rules}
        for index, row, visible in questions(batch):
            count_of_questions += 1
            context, together = slow.context(row), slow.together(visible, **COOCCURRENCE)
            for rule in rules:
                count = slow_count(slow, rule.name, row, visible)
                plain = rule.name.startswith("P-TopFreq") and not any(
                    way in rule.name for way in (".95", "days")
                )
                for product in range(1, cache.products + 1):
                    share = 1 / cache.products if plain else slow.popular[product]
                    score = math.log(count.get(product, 0.0) + registry.SMOOTHING * share)
                    if "x context" in rule.name:
                        score += context[product]
                    if "co-occurrence" in rule.name:
                        score += together[product]
                    given = answers[rule.name][index][product]
                    assert given == pytest.approx(score, abs=2e-5), (rule.name, row, product)
    assert count_of_questions > 30


@pytest.mark.parametrize(
    "settings",
    [
        {"last": 1, "asymmetry": 0.5, "locality": 1},
        {"last": 4, "asymmetry": 0.25, "locality": 2},
        {"last": 100, "asymmetry": 1.0, "locality": 5},
    ],
)
def test_up_cf_with_other_settings(cache, slow, settings):
    compare(cache, slow.up_cf, up_cf, settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"groups": 1, "within": 0.9, "between": 0.5, "neighbours": 3, "alpha": 0.5},
        {"groups": 3, "within": 0.8, "between": 0.7, "neighbours": 1, "alpha": 0.0},
        {"groups": 50, "within": 0.5, "between": 0.9, "neighbours": 4, "alpha": 0.9},
    ],
)
def test_tifu_knn_with_other_settings(cache, slow, settings):
    compare(cache, slow.tifu_knn, tifu_knn, settings)


def compare(cache, slow_count, make, settings):
    count = make(
        cache, Once(lambda batch: EarlierItems.of_questions(batch, cache.vocabulary)), **settings
    )
    for batch in batches(cache, "next_unknown"):
        found = count(batch).tolist()
        for index, row, _ in questions(batch):
            expected = slow_count(row, **settings)
            expected = [expected.get(product, 0) for product in range(1, cache.products + 1)]
            assert found[index][1 : cache.products + 1] == pytest.approx(expected, rel=1e-4)


# By hand


def purchases(*trips) -> EarlierItems:
    """Earlier items of one owner with these baskets, oldest first."""
    last = len(trips) - 1
    pairs = [(last - n, token) for n, basket in enumerate(trips) for token in basket]
    ago, token = (torch.tensor(column) for column in zip(*pairs, strict=True))
    return EarlierItems(torch.zeros_like(ago), token, ago, ago * 7, torch.tensor([len(trips)]))


def test_the_share_of_the_last_trips_by_hand():
    history = purchases([1], [1, 2], [2], [3])
    assert history.sums(share_of_last(3)(history), 5).tolist() == [
        pytest.approx([0, 1 / 3, 2 / 3, 1 / 3, 0])
    ]
    assert history.sums(share_of_last(9)(history), 5)[0, 1] == 2 / 4


def test_groups_by_hand():
    """Five trips in two groups: three last ones, two before."""
    history = purchases([1], [2], [3], [4], [5])
    vector = history.sums(in_groups(2, 0.9, 0.7)(history), 6)[0]
    newest = [0.9**2 / 3 / 2, 0.9 / 3 / 2, 1 / 3 / 2]
    oldest = [0.7 * 0.9 / 2 / 2, 0.7 / 2 / 2]
    assert vector[1:].tolist() == pytest.approx([*oldest, *newest])


@pytest.mark.parametrize("pairs", [1, 5, 10**6])
def test_pair_lifts_by_hand(tmp_path, monkeypatch, pairs):
    """Whatever the number of pairs that are counted at a time."""
    monkeypatch.setattr("trainer.baselines.cooccurrence.PAIRS", pairs)
    columns = toy_columns(customers=1, products=5, trips_of=[4], seed=1)
    columns["items.token"] = np.array([1, 2, 1, 2, 3, 1, 3])
    columns["items.quantity"] = np.ones(7, dtype=int)
    columns["items.price"] = np.zeros(7, dtype=int)
    columns["trips.item_offsets"] = np.array([0, 2, 4, 5, 7])
    columns["trips.week"] = np.array([1, 2, 3, TRAIN_LAST + 1])
    cache = write(tmp_path / "cache", columns)
    lift = PairLifts(cache, np.arange(3), 3.0).of(torch.arange(cache.vocabulary.size))
    assert lift[1, 2].item() == lift[2, 1].item() == pytest.approx(math.log(5 / (2 * 2 / 3 + 3)))
    assert lift[1, 3].item() == pytest.approx(math.log(3 / (2 * 1 / 3 + 3)))
    assert lift[4].count_nonzero() == lift[0].count_nonzero() == 0


def test_before_the_first_trip_there_is_popularity(cache):
    """Nothing is known: every rule without context ranks as G-TopFreq."""
    rules = {rule.name: rule for rule in counting_rules(Counts(cache))}
    first = set(cache["customers.trip_offsets"].tolist())
    first_trips = 0
    for batch in batches(cache, "next_unknown", "train"):
        new = [index for index, row, _ in questions(batch) if row in first]
        first_trips += len(new)
        popular = rules["G-TopFreq"].scores(batch).logits[new]
        for name in ("GP-TopFreq", "P-TopFreq .95", f"UP-CF@{UP_CF['last']}", "TIFU-KNN"):
            assert torch.equal(rules[name].scores(batch).logits[new], popular)
    assert first_trips > 5


def test_nobody_is_their_own_neighbour(tmp_path):
    """With a single customer there are no neighbours: only their purchases count."""
    cache = write(tmp_path / "cache", toy_columns(trips_of=[29], products=25, seed=3))
    before = Once(lambda batch: EarlierItems.of_questions(batch, cache.vocabulary))
    alone = up_cf(cache, before, last=100, asymmetry=0.5, locality=1)
    nobody = tifu_knn(cache, before, groups=2, within=1, between=1, neighbours=3, alpha=0)
    for batch in batches(cache, "next_unknown"):
        counts = before(batch).sums(torch.ones(len(before(batch).owner)), cache.vocabulary.size)
        torch.testing.assert_close(alone(batch), counts)
        assert not nobody(batch).any()


# Boosting


@pytest.fixture
def counts(cache):
    pytest.importorskip("lightgbm")
    return Counts(cache)


def test_the_features_of_a_candidate_one_by_one(cache, slow, counts):
    signals = Signals(counts)
    static = {
        "log price": np.log1p(cache["products.pence"]),
        "log share": np.log(np.array(list(slow.popular.values()))),
    }
    category = cache["products.category"].tolist()
    of_token = category_of_token(cache).tolist()  # unknown products have one too
    for batch in batches(cache, "completion"):
        question, token = signals.candidates(batch)
        table = signals.features(batch, question, token)
        assert table.shape == (len(question), len(NAMES)) and np.isfinite(table).all()
        of = dict(zip(NAMES, table.T, strict=True))
        for index, row, visible in questions(batch):
            pairs = np.flatnonzero(question.numpy() == index)
            products = token[pairs].tolist()
            times = slow.by_trips(row, 1)
            assert set(times) - set(visible) <= set(products)
            assert not set(visible) & set(products) and len(set(products)) == len(products)
            earlier = slow.earlier(row)
            since = {p: row - 1 - max(r for r in earlier if p in slow.baskets[r]) for p in times}
            likeness = slow.context(row)
            together = slow.together(visible, **COOCCURRENCE)
            kinds = {r: {of_token[t] for t in slow.tokens[r]} for r in earlier}
            hour = int(cache["trips.hour"][row])
            trend = batch.questions.sales.table[batch.questions.sales.week[index], 0]
            for place, product in zip(pairs.tolist(), products, strict=True):
                same = [r for r in earlier if category[product - 1] in kinds[r]]
                expected = {
                    "category count by trips 1": len(same),
                    "category count by trips 0.8": sum(0.8 ** (row - 1 - r) for r in same),
                    "category trips since": row - 1 - max(same) if same else -1,
                    "count by trips 1": times[product],
                    "share of trips": times[product] / max(len(earlier), 1),
                    "trips since": since.get(product, -1),
                    "log lift of the kind of trip": likeness[product],
                    "log lifts with visible items": together[product],
                    "items of category": sum(
                        n for p, n in times.items() if category[p - 1] == category[product - 1]
                    ),
                    "earlier trips": len(earlier),
                    "hour": hour,
                    "sales trend": trend[product].item(),
                    "visible items": len(visible),
                    "focus": slow.codes[row][-1],
                } | {name: values[product - 1] for name, values in static.items()}
                for name, value in expected.items():
                    assert of[name][place] == pytest.approx(value, abs=1e-4), name


def test_a_hidden_kind_of_trip_is_no_feature(cache, counts):
    signals = Signals(counts)
    for batch in batches(cache, "next_unknown"):
        of = dict(zip(NAMES, signals.features(batch, *signals.candidates(batch)).T, strict=True))
        for name in ("size", "sensitivity", "type", "focus", "log lift of the kind of trip"):
            assert not of[name].any()


def test_boosting_learns_from_later_training_trips_of_training_customers(cache):
    recent = recent_trips(cache, customers=8, trips=3, seed=0)
    assert 0 < len(recent) <= 8
    assert not held_out(cache)[recent.customers].any()
    every = WorldModelDataset(cache, "train", customers=recent.customers)
    assert (recent.spans.first == every.spans.first).all()
    week = cache["trips.week"]
    several = 0
    for first, stop, target, end in zip(
        recent.spans.first,
        recent.spans.stop,
        recent.spans.first_target,
        every.spans.stop,
        strict=True,
    ):
        assert first <= target < stop <= end and stop - target <= 3
        several += stop - target > 1
        late = week[first:end] >= FIRST_WEEK * TRAIN_LAST
        assert late.any() <= (week[target] >= FIRST_WEEK * TRAIN_LAST)
    assert several and (recent.spans.stop < every.spans.stop).any()
    assert recent.items.tolist() == [len(recent[n][1].token) for n in range(len(recent))]
    assert recent_trips(cache, 8, 3, seed=0).spans.stop.tolist() == recent.spans.stop.tolist()


def quick():
    """Models of five trees for all tasks."""
    return dict.fromkeys(TASKS, Choice(Setting(rounds=5, categories=True)))


def test_boosting_ranks_candidates_first_and_others_by_popularity(cache, counts, monkeypatch):
    monkeypatch.setattr("trainer.baselines.boosting.Signals", partial(Signals, popular=2))
    boosting, signals = Boosting(counts, quick()), Signals(counts, popular=2)
    for task in TASKS:
        for batch in batches(cache, task):
            scores = boosting.scores(batch).logits
            assert scores.isfinite().all()
            chosen = torch.zeros_like(scores, dtype=torch.bool)
            chosen[signals.candidates(batch)] = True
            products = torch.zeros_like(chosen)
            products[:, 1 : cache.products + 1] = True
            visible = cache.vocabulary.is_product(batch.questions.token)
            products[batch.questions.question[visible], batch.questions.token[visible]] = False
            rows = (scores, chosen, products, signals.order(batch))
            for score, is_candidate, is_answer, popular in zip(*rows, strict=True):
                rest = is_answer & ~is_candidate
                assert is_candidate.sum() >= 2
                assert not rest.any() or score[is_candidate].min() > score[rest].max()
                assert score[rest].argsort().tolist() == popular[rest].argsort().tolist()


def test_boosting_is_the_same_for_the_same_seed(cache, counts):
    runs = [Boosting(counts, quick(), seed=seed) for seed in (0, 0, 1)]
    for batch in batches(cache, "next_known"):
        answers = [boosting.scores(batch).logits for boosting in runs]
        assert torch.equal(answers[0], answers[1])
        assert not torch.equal(answers[0], answers[2])


def test_the_task_of_a_question(cache):
    for task in TASKS:
        for batch in batches(cache, task):
            found = task_of(batch)
            for index, _, visible in questions(batch):
                known = "completion" if visible else "next_known"
                expected = "next_unknown" if task == "next_unknown" else known
                assert TASKS[found[index]] == expected


def test_without_lightgbm_the_row_is_left_out(cache, monkeypatch, capsys):
    monkeypatch.setattr("trainer.baselines.registry.is_installed", lambda: False)
    assert "gradient boosting" not in {scorer.name for scorer in baselines(cache)}
    assert capsys.readouterr().err.count("\n") == 1


def test_rules_and_baselines_are_the_same(cache, counts):
    rules = counting_rules(counts)
    found = baselines(cache, [rule.name for rule in rules])
    assert [b.name for b in baselines(cache)][: len(rules)] == [b.name for b in found]
    assert [(b.name, b.tasks) for b in found] == [(rule.name, rule.tasks) for rule in rules]
    for batch in batches(cache, "completion"):
        for rule, baseline in zip(rules, found, strict=True):
            assert torch.equal(rule.scores(batch).logits, baseline.scores(batch).logits)


def test_only_what_is_used_is_built(cache, monkeypatch):
    for name in ("up_cf", "tifu_knn", "Cooccurrence"):
        monkeypatch.setattr(f"trainer.baselines.counts.{name}", None)
    names = ("P-TopFreq .95 x context", "G-TopFreq", "own trips x context")
    found = baselines(cache, names)
    assert tuple(baseline.name for baseline in found) == names
    for batch in batches(cache, "completion"):
        assert all(baseline.scores(batch).logits.isfinite().any() for baseline in found)
    (costly,) = baselines(cache, ["TIFU-KNN"])
    with pytest.raises(TypeError):
        costly.scores(batch)


def test_unknown_baselines_are_refused_with_a_list_of_the_known(cache, monkeypatch):
    with pytest.raises(ValueError, match="'TopFreq' is unknown; known are G-TopFreq, .*boosting"):
        baselines(cache, ["G-TopFreq", "TopFreq"])
    monkeypatch.setattr(registry, "is_installed", lambda: False)
    with pytest.raises(ValueError, match="needs LightGBM: python -m pip install lightgbm"):
        baselines(cache, ["gradient boosting"])


# Without a future


def scores_of(cache, task, split):
    """Logits by rule and row of the cache's trips."""
    found = {}
    rules = [rule for rule in baselines(cache) if task in rule.tasks]
    for batch in batches(cache, task, split):
        for rule in rules:
            logits = rule.scores(batch).logits
            for index, row, _ in questions(batch):
                found[rule.name, row] = logits[index]
    return found


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("split", "week"), [("validation", 25), ("test", 28)])
def test_later_trips_do_not_matter(cache, columns, tmp_path, task, split, week):
    """Later baskets changed, in the cache and in the batch: the same scores to the bit."""
    later = columns["trips.week"] > week
    of_item = np.repeat(later, np.diff(columns["trips.item_offsets"]))
    token = columns["items.token"]
    turned = np.where(token <= 25, 26 - token, token)
    changed = columns | {
        "items.token": np.where(of_item, turned, token),
        "trips.focus": np.where(later, 0, columns["trips.focus"]),
        "trips.day": np.where(later, columns["trips.day"] + 1, columns["trips.day"]),
    }
    other = scores_of(write(tmp_path / "cache", changed), task, split)
    compared = 0
    for (name, row), scores in scores_of(cache, task, split).items():
        if not later[row]:
            compared += 1
            assert torch.equal(scores, other[name, row]), (name, row)
    assert compared > 50


@pytest.mark.parametrize("task", TASKS)
def test_timelines_may_end_earlier(cache, columns, tmp_path, task):
    """Later trips not in the batch at all: the same scores but for the order of sums."""
    manifest = toy_manifest()
    manifest["split"]["test"][1] -= 2
    write_cache(tmp_path / "cache", columns, manifest)
    whole = scores_of(cache, task, "test")
    cut = scores_of(TensorCache(tmp_path / "cache"), task, "test")
    assert 50 < len(cut) < len(whole)
    for key, scores in cut.items():
        torch.testing.assert_close(scores, whole[key])
