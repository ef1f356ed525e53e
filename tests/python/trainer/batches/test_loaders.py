"""Datasets and loaders: batches hold what the cache holds, each trip once, reproducibly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toy import TRAIN_LAST, VALIDATION_LAST, WEEKS, toy_cache, toy_columns, toy_manifest

from trainer.batches.loaders import (
    EvaluationDataLoader,
    Masking,
    WorldModelDataLoader,
    padding_waste,
)
from trainer.batches.tasks import TASKS
from trainer.batches.timelines import WorldModelDataset
from trainer.cache.held_out import training_trips
from trainer.cache.reader import CacheError, TensorCache
from trainer.cache.vocabulary import Vocabulary
from trainer.cache.writer import write_cache

SPLITS = {
    "train": (1, TRAIN_LAST),
    "validation": (TRAIN_LAST + 1, VALIDATION_LAST),
    "test": (VALIDATION_LAST + 1, WEEKS),
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("cache"), customers=30)


@pytest.fixture
def loader(cache):
    def make(**options):
        return WorldModelDataLoader(
            WorldModelDataset(cache), **({"tokens": 300, "chunk": 8} | options)
        )

    return make


def same(first, second) -> bool:
    """Whether two batches are the same to the bit."""
    return _plain(first) == _plain(second)


def _plain(part):
    if part is None:
        return None
    if isinstance(part, torch.Tensor):
        return part.numpy().tobytes(), str(part.dtype), tuple(part.shape)
    if isinstance(part, (tuple, list)):
        return [_plain(value) for value in part]
    if isinstance(part, dict):
        return {name: _plain(value) for name, value in part.items()}
    return {name: _plain(value) for name, value in vars(part).items()}


def target_rows(batch) -> list[int]:
    return batch.trips.row[batch.questions.trip].tolist()


@pytest.mark.parametrize("split", SPLITS)
def test_timelines_end_with_the_split_and_its_trips_are_targets(cache, split):
    first_week, last_week = SPLITS[split]
    dataset = WorldModelDataset(cache, split)
    week = cache["trips.week"]
    expected = np.flatnonzero((week >= first_week) & (week <= last_week))
    if split == "train":
        expected = training_trips(cache)
    targets = []
    for index in range(len(dataset)):
        trips, items, count = dataset[index]
        customer = dataset.customers[index]
        begin = int(cache["customers.trip_offsets"][customer])
        rows = trips.row.tolist()
        assert rows == list(range(begin, begin + len(rows)))  # from the very first trip
        assert week[rows].max() <= last_week
        targets += rows[len(rows) - count :]
        assert (len(rows), len(items.token)) == (dataset.trips[index], dataset.items[index])
    assert targets == expected.tolist()
    with pytest.raises(IndexError):
        dataset[len(dataset)]


def test_batches_hold_what_the_cache_says(cache, loader):
    batch = next(iter(loader()))
    assert batch.items.trip.diff().min() >= 0
    for index, row in enumerate(batch.trips.row.tolist()):
        start, stop = cache["trips.item_offsets"][row : row + 2]
        in_trip = batch.items.trip == index
        assert batch.items.token[in_trip].tolist() == cache["items.token"][start:stop].tolist()
        price = cache["items.price"][start:stop]
        pence = np.stack(
            [cache[f"shelf_prices.{n}"][price] for n in ("pence", "previous_pence", "base_pence")],
            axis=1,
        )
        assert np.array_equal(batch.items.pence[in_trip].numpy(), pence)
        frame = cache["trips.customer_week"][row]
        day = cache["trips.day"][row]
        store = int(cache["trips.store"][row])
        assert batch.trips.history[index, 0] == cache["customer_weeks.trips"][frame]
        assert batch.trips.history_weight[index] == cache["customer_weeks.history_weight"][frame]
        assert batch.trips.affinity[index, 0] == np.float32(
            cache["customer_weeks.primary_store_share"][frame]
        )
        assert batch.trips.at_primary[index] == (
            cache["customer_weeks.primary_store"][frame] == store + 1
        )
        assert batch.trips.calendar["weekday"][index] == cache["days.weekday"][day]
        assert batch.trips.calendar["until_holiday"][index] == cache["days.until_holiday"][day]
        assert batch.trips.calendar["day"][index] == day  # training begins with the calendar
        assert batch.trips.calendar["hour"][index] == cache["trips.hour"][row]
        novel = cache["stores.is_novel"][store]
        assert batch.trips.store[index, 2] in (0, 0 if novel else store + 1)
        codes = [cache[f"trips.{name}"][row] for name in ("size", "sensitivity", "type", "focus")]
        assert batch.trips.context[index].tolist() == codes


def test_one_store_in_twenty_is_hidden_in_training_and_none_in_evaluation(cache):
    novel = cache["stores.is_novel"]
    dataset = WorldModelDataset(cache)
    loader = WorldModelDataLoader(dataset, tokens=10**6, chunk=8)
    batches = [batch for _ in range(30) for batch in loader]
    batches += list(EvaluationDataLoader(WorldModelDataset(cache, "test"), "completion", chunk=8))
    hidden = []
    for batch in batches:
        store = cache["trips.store"][batch.trips.row.numpy()].astype(int)
        hidden.append((batch.trips.store[:, 2].numpy() == 0)[~novel[store]].mean())
    assert 0.03 < np.mean(hidden[:30]) < 0.07
    assert not np.any(hidden[30:])


def test_ranks_share_each_batch(cache):
    """Together they have the questions of one rank, with the same items hidden."""
    dataset = WorldModelDataset(cache)
    budget = int((dataset.trips + dataset.items).sum() / 4)

    def loader(rank, ranks):
        return WorldModelDataLoader(dataset, tokens=budget, chunk=8, rank=rank, ranks=ranks)

    def facts(batch):
        q = batch.questions
        rows = batch.trips.row[q.trip]
        trips = zip(rows.tolist(), q.context.tolist(), q.fully_hidden.tolist(), strict=True)
        targets = zip(rows[q.target_question].tolist(), q.target.tolist(), strict=True)
        return sorted([*map(str, trips), *map(str, targets)])

    whole = list(loader(0, 1))
    parts = list(zip(*(loader(rank, 2) for rank in range(2)), strict=True))
    assert len(whole) == len(parts) > 2
    for batch, shares in zip(whole, parts, strict=True):
        assert facts(batch) == sorted(sum((facts(share) for share in shares), start=[]))
        sizes = [len(share.items.token) for share in shares]
        assert min(sizes) > 0


def test_rows_hold_whole_timelines(cache, loader):
    for batch in loader():
        placed = batch.sequence.flatten()[batch.step]
        assert len(set(batch.step.tolist())) == len(batch.step)
        assert (placed > 0).all() and int((batch.sequence > 0).sum()) == len(batch.step)
        starts = batch.position == 0
        assert torch.equal(placed, starts.cumsum(0).to(placed.dtype))
        assert (batch.step.diff()[~starts[1:]] == 1).all()


def test_from_a_later_week_on_earlier_trips_are_history(cache):
    first_week = 15
    dataset = WorldModelDataset(cache, first_week=first_week)
    rows = [row for b in WorldModelDataLoader(dataset, chunk=8) for row in target_rows(b)]
    training = training_trips(cache)
    assert sorted(rows) == training[cache["trips.week"][training] >= first_week].tolist()
    first = cache["customers.trip_offsets"][dataset.customers].astype(int)
    assert (dataset.spans.first == first).all()  # whole histories
    assert (dataset.spans.first_target > first).any()


@pytest.mark.parametrize("workers", [0, 2])
def test_every_training_trip_is_a_target_once_per_epoch(cache, loader, workers):
    rows = [row for batch in loader(workers=workers) for row in target_rows(batch)]
    assert len(rows) == len(set(rows))
    assert set(rows) == set(training_trips(cache).tolist())


def test_batches_stay_within_the_budget_unless_a_timeline_does_not(cache):
    dataset = WorldModelDataset(cache)
    budget = int((dataset.trips + dataset.items).max()) - 1
    loader = WorldModelDataLoader(dataset, tokens=budget, chunk=8)
    batches = len(loader)
    sizes = [len(b.trips) + len(b.items.token) for b in loader]
    assert len(sizes) == batches
    assert sum(size > budget for size in sizes) == 1
    assert max(s for s in sizes if s <= budget) > budget / 2


def test_an_evaluation_asks_few_questions_at_a_time(cache, monkeypatch):
    monkeypatch.setattr("trainer.batches.loaders.SCORES", 9 * cache.vocabulary.size)
    loader = EvaluationDataLoader(WorldModelDataset(cache, "test"), "next_known", tokens=10**6)
    batches = [batch.questions for batch in loader]
    assert len(batches) > 2
    timelines = loader.dataset.spans.stop - loader.dataset.spans.first_target
    assert sum(len(questions.trip) for questions in batches) == timelines.sum()
    for chosen in loader.plan(np.arange(len(loader.dataset))):
        assert len(chosen) == 1 or timelines[chosen].sum() <= 9


def test_datasets_of_a_cache_share_what_was_sold(cache):
    train, test = (WorldModelDataset(cache, split) for split in ("train", "test"))
    assert train.sales is test.sales


def test_targets_and_visible_items_make_up_the_basket(loader):
    batch = next(iter(loader(masking=Masking(rate=0.5, fully_hidden=0.3))))
    questions, mask = batch.questions, torch.tensor(loader().vocabulary.mask)
    assert torch.equal(questions.token[questions.logit[: len(questions.trip)]].unique(), mask[None])
    queries = 0
    for index, trip in enumerate(questions.trip.tolist()):
        basket = sorted(batch.items.token[batch.items.trip == trip].tolist())
        in_question = questions.question == index
        visible = questions.token[in_question][1:].tolist()
        targets = questions.target[questions.target_question == index].tolist()
        rows = questions.target_row[questions.target_question == index]
        assert targets and set(targets) <= set(basket)
        assert (rows[rows < len(questions.trip)] == index).all()
        replaced_or_kept = questions.logit[rows[rows >= len(questions.trip)]]
        queries += len(replaced_or_kept)
        assert questions.price_hidden[replaced_or_kept].all()
        hidden = questions.price_hidden[in_question][1:].tolist()
        others = [token for token, target in zip(visible, hidden, strict=True) if not target]
        assert sorted(targets + others) == basket
        if questions.fully_hidden[index]:
            assert visible == [] and sorted(targets) == basket
    assert queries > 0
    assert (questions.pence[questions.price_hidden] == 0).all()
    assert (questions.pence[~questions.price_hidden] > 0).all()


def test_the_number_of_hidden_items_is_not_revealed(cache):
    """A fully hidden basket is one [MASK], whatever its size; size is part of the trip context."""
    dataset = WorldModelDataset(cache, "test")
    for batch in EvaluationDataLoader(dataset, "next_unknown", tokens=500, chunk=8):
        questions = batch.questions
        assert torch.equal(questions.logit, torch.arange(len(questions.trip)))
        assert len(questions.token) == len(questions.trip)
        assert (questions.context == 0).all() and questions.hidden.all()


@pytest.mark.parametrize("task", TASKS)
def test_evaluation_has_every_trip_once_with_the_same_items_hidden(cache, task):
    dataset = WorldModelDataset(cache, "validation")
    loader = EvaluationDataLoader(dataset, task, tokens=500, chunk=8)
    batches, again = list(loader), list(loader)
    assert len(batches) == len(loader)
    assert all(same(a, b) for a, b in zip(batches, again, strict=True))
    rows = sorted(row for batch in batches for row in target_rows(batch))
    week = cache["trips.week"]
    expected = np.flatnonzero((week > TRAIN_LAST) & (week <= VALIDATION_LAST))
    assert rows == expected.tolist()
    for batch in batches:
        questions = batch.questions
        assert torch.equal(
            questions.context,
            torch.zeros_like(questions.context)
            if task == "next_unknown"
            else batch.trips.context[questions.trip],
        )
        assert torch.equal(questions.target_row, questions.target_question)
        assert bool(questions.fully_hidden.all()) == (task != "completion")


def test_completion_hides_the_same_items_in_any_batch(cache):
    dataset = WorldModelDataset(cache, "test")

    def targets(tokens):
        found = {}
        for batch in EvaluationDataLoader(dataset, "completion", tokens=tokens, chunk=8):
            q = batch.questions
            for question, target in zip(q.target_question.tolist(), q.target.tolist(), strict=True):
                found.setdefault(int(batch.trips.row[q.trip[question]]), []).append(target)
        return found

    few, many = targets(100), targets(5000)
    assert few == many
    offsets = cache["trips.item_offsets"].astype(int)
    for row, hidden in few.items():
        n = offsets[row + 1] - offsets[row]
        assert len(hidden) == max(1, int(0.15 * n + 0.5))


def test_epochs_and_seeds_shuffle(loader):
    shuffled = loader()
    first, second = list(shuffled), list(shuffled)
    assert shuffled.epoch == 2
    other = list(loader(seed=1))
    orders = [
        [row for b in batches for row in target_rows(b)] for batches in (first, second, other)
    ]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(orders[2])
    assert orders[0] != orders[1] and orders[0] != orders[2]
    assert all(same(a, b) for a, b in zip(first, loader(), strict=True))


def test_masks_change_from_epoch_to_epoch(cache):
    dataset = WorldModelDataset(cache)
    loader = WorldModelDataLoader(dataset, tokens=10**6, chunk=8)
    (first,), (second,) = list(loader), list(loader)
    assert sorted(target_rows(first)) == sorted(target_rows(second))
    targets = [batch.questions.target.sort()[0].tolist() for batch in (first, second)]
    assert targets[0] != targets[1]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("yielded", [0, 1, 4])
def test_resuming_yields_the_remaining_batches(loader, workers, yielded):
    straight = loader()
    expected = [*straight, *straight]
    stopped = loader()
    batches = iter(stopped)
    for _ in range(yielded):
        next(batches)
    state = stopped.state_dict()
    resumed = loader(seed=99, workers=workers)
    resumed.load_state_dict(state)
    rest = [*resumed, *resumed]
    assert len(rest) == len(expected) - yielded
    assert all(same(a, b) for a, b in zip(rest, expected[yielded:], strict=True))


def test_workers_do_not_change_a_batch(loader):
    assert all(same(a, b) for a, b in zip(loader(), loader(workers=2), strict=True))


def test_rows_of_logits_have_the_purchase_history_of_their_question(loader):
    questions = next(iter(loader())).questions
    history, rows = questions.history.products, questions.entry_row
    assert len(questions.logit) > len(questions.trip)  # some targets are visible
    assert (rows.diff() >= 0).all()
    for row, question in enumerate(questions.question[questions.logit].tolist()):
        tokens = history.token[questions.entry[rows == row]]
        assert torch.equal(tokens, history.token[history.question == question])


def test_padding_waste_by_its_definition(loader):
    batch = next(iter(loader()))
    waste = padding_waste(batch)
    assert waste["encoder"] == pytest.approx(1 - len(batch.trips) / batch.sequence.numel())
    questions = batch.questions
    lengths = torch.bincount(questions.question)
    needed = lengths.sum() + lengths[questions.question[questions.logit]].sum()
    buckets = (*questions.baskets.buckets, *questions.query_baskets.buckets)
    slots = sum(bucket.valid.numel() for bucket in buckets)
    assert waste["decoder"] == pytest.approx(1 - int(needed) / slots)


def test_customers_with_one_trip_and_baskets_of_hundreds(tmp_path):
    cache = toy_cache(
        tmp_path / "cache", trips_of=[1, 1, 3], products=300, largest_basket=200, seed=3
    )
    assert np.diff(cache["trips.item_offsets"].astype(int)).max() > 100
    batches = list(WorldModelDataLoader(WorldModelDataset(cache), tokens=50, chunk=8))
    assert sum(len(b.questions.trip) for b in batches) == len(training_trips(cache))


def test_unknown_products_are_history_but_no_targets(tmp_path):
    columns = toy_columns(customers=6)
    vocabulary = Vocabulary(len(columns["products.code"]), len(columns["categories.code"]))
    fallback = vocabulary.fallback(columns["products.category"][1])
    token = columns["items.token"]
    columns["items.token"] = np.where(token == 2, fallback, token)
    write_cache(tmp_path / "cache", columns, toy_manifest())
    dataset = WorldModelDataset(TensorCache(tmp_path / "cache"), "test")
    for task in TASKS:
        for batch in EvaluationDataLoader(dataset, task, chunk=8):
            assert vocabulary.is_product(batch.questions.target).all()
            assert (batch.items.token >= vocabulary.size).any()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"tokens": 0}, "tokens"),
        ({"chunk": 0}, "chunk"),
        ({"workers": -1}, "workers"),
    ],
)
def test_bad_options_are_named(loader, options, message):
    with pytest.raises(ValueError, match=message):
        loader(**options)


def test_unknown_names_list_the_known_ones(cache):
    with pytest.raises(ValueError, match="train, validation, test"):
        WorldModelDataset(cache, "holdout")
    with pytest.raises(ValueError, match="completion"):
        EvaluationDataLoader(WorldModelDataset(cache), "next")


def test_a_split_without_trips_says_so(tmp_path):
    columns = toy_columns(trips_of=[3])
    columns["trips.week"] = np.minimum(columns["trips.week"], 2)
    write_cache(tmp_path / "cache", columns, toy_manifest())
    with pytest.raises(CacheError, match=r"no known customer shops in weeks 26-30 \(test\)"):
        WorldModelDataset(TensorCache(tmp_path / "cache"), "test")
