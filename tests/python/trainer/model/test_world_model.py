"""The world model: what its answers depend on, and that every way of running it agrees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from toy import toy_cache, toy_columns, toy_manifest

from trainer.batches.batch import TimelineBatch
from trainer.batches.loaders import EvaluationDataLoader, Masking, WorldModelDataLoader
from trainer.batches.masking import MaskedItems
from trainer.batches.packing import pack_rows, sequence_ids
from trainer.batches.questions import build_questions
from trainer.batches.timelines import WorldModelDataset
from trainer.cache.ragged import ranges
from trainer.cache.reader import TensorCache
from trainer.cache.writer import write_cache
from trainer.features.categories import category_of_token
from trainer.features.chain_sales import RecentSales
from trainer.features.circumstances import Circumstances
from trainer.features.tensors import map_tensors
from trainer.features.trips import Items, read
from trainer.features.visits import RecordedDays, visits_after
from trainer.model.config import PRESETS
from trainer.model.world_model import create_world_model
from trainer.training.losses import WorldModelLoss
from trainer.training.targets import targets

EXACT = dict(rtol=1e-9, atol=1e-10)
CHUNK = 16


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return toy_cache(
        tmp_path_factory.mktemp("cache"), trips_of=[20, 15, 8, 12, 9, 25, 3, 11, 1, 6], seed=5
    )


def model_without(cache, parts=()):
    """A tiny model in float64 in which every parameter has an effect."""
    torch.manual_seed(0)
    model = create_world_model("tiny", cache, without=parts).double().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            starts_at_0 = name.endswith(("delta", "score.weight")) or name == "output.weight"
            if starts_at_0 and parameter.requires_grad:
                parameter.normal_(std=0.3)
    return model


@pytest.fixture
def model(cache, request):
    return model_without(cache, getattr(request, "param", ()))


def double(part):
    """A batch, or a part of one, with its floats in float64."""
    return map_tensors(part, lambda t: t.double() if t.is_floating_point() else t)


def timelines(cache, customers, task="completion", hidden=None):
    """One batch of these customers' whole timelines; every trip is a target."""
    first = cache["customers.trip_offsets"].astype(np.int64)
    customers = np.asarray(customers)
    starts, lengths = first[customers], np.diff(first)[customers]
    return build(cache, starts, lengths, task, hidden)


def build(cache, starts, lengths, task="completion", hidden=None, last_only=False) -> TimelineBatch:
    rows = pack_rows(lengths, CHUNK)
    trips, items = read(cache, ranges(starts, lengths))
    return arrange(trips, items, rows, lengths, cache, task, hidden, last_only)


def arrange(
    trips, items, rows, lengths, cache, task="completion", hidden=None, last_only=False
) -> TimelineBatch:
    """A batch in which every trip is a target, or the last of each timeline."""
    vocabulary = cache.vocabulary
    position = torch.from_numpy(ranges(np.zeros_like(lengths), lengths))
    is_target = torch.ones(len(trips), dtype=torch.bool)
    if last_only:
        is_target = torch.cat([position.eq(0)[1:], torch.tensor([True])])
    if hidden is None:
        hidden = trips.row % 2 == 0
    kept = is_target[items.trip]
    token = items.token[kept]
    question = (is_target.cumsum(0) - 1)[items.trip[kept]]
    chosen = torch.ones_like(token, dtype=torch.bool)
    if task == "completion":
        chosen = (token * 7919 + trips.row[items.trip[kept]]) % 3 == 0
    masked = MaskedItems(
        tokens=token.masked_fill(chosen, vocabulary.mask),
        targets=token.masked_fill(~chosen, 0),
        price_hidden=chosen,
        fully_hidden=torch.bincount(question[~chosen], minlength=int(is_target.sum())) == 0,
    )
    return TimelineBatch(
        trips=trips,
        items=items,
        step=torch.from_numpy(ranges(rows.row * rows.length + rows.start, lengths)),
        sequence=torch.from_numpy(sequence_ids(rows, lengths)),
        position=position,
        questions=build_questions(
            torch.from_numpy(lengths), Circumstances.of(trips), items, is_target, masked,
            hidden[is_target], sales(trips.row[is_target], vocabulary), vocabulary,
            category_of_token(cache),
        ),
        visits=visits_after(
            lengths, Circumstances.of(trips), is_target.numpy(),
            RecordedDays.of(cache, cache.rows("weeks")),
        ),
    )  # fmt: skip


def again(cache, batch, trips=None, items=None, **options) -> TimelineBatch:
    """The batch of one timeline after a change of its trips or items, history and all."""
    lengths = np.array([len(batch.trips)])
    trips, items = trips or batch.trips, items or batch.items
    return double(arrange(trips, items, pack_rows(lengths, CHUNK), lengths, cache, **options))


def sales(row, vocabulary):
    """Three weeks of random sales; the week of a trip depends on its row alone."""
    draw = torch.Generator().manual_seed(0)
    table = torch.randn(3, 2, vocabulary.size, generator=draw)
    return RecentSales(table, torch.rand(3, vocabulary.size, generator=draw), row % 3)


def first_logits(predictions, batch):
    return predictions.logits[: len(batch.questions.trip)]


def item_trips(batch, trips):
    return torch.isin(batch.items.trip, trips)


# Equivalences


def test_packed_equals_one_by_one_with_every_gradient(cache, model):
    packed = double(timelines(cache, range(10)))
    assert packed.sequence.shape[0] < 10  # several customers share a row
    predictions = model(packed)
    weight = torch.randn(first_logits(predictions, packed).shape, dtype=torch.float64)
    value = (first_logits(predictions, packed) * weight).sum() + sum(
        part.square().sum() for part in predictions.context.values()
    )
    value = value + predictions.embeddings.square().sum() + predictions.visits.sum()
    together = torch.autograd.grad(value, model.parameters())

    alone, logits = None, []
    at = 0
    for customer in range(10):
        batch = double(timelines(cache, [customer]))
        p = model(batch)
        logits.append(first_logits(p, batch))
        n = len(batch.questions.trip)
        v = (first_logits(p, batch) * weight[at : at + n]).sum()
        v = v + sum(part.square().sum() for part in p.context.values())
        v = v + p.embeddings.square().sum() + p.visits.sum()
        at += n
        grads = torch.autograd.grad(v, model.parameters())
        alone = grads if alone is None else [a + g for a, g in zip(alone, grads, strict=True)]
    torch.testing.assert_close(first_logits(predictions, packed), torch.cat(logits), **EXACT)
    for (name, _), found, expected in zip(model.named_parameters(), together, alone, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-8, msg=name)


def test_other_customers_of_a_row_do_not_matter(cache, model):
    alone, packed = timelines(cache, [3]), timelines(cache, [8, 3, 1])
    row = packed.trips.row[packed.questions.trip]
    same = (row >= alone.trips.row[0]) & (row <= alone.trips.row[-1])
    expected = first_logits(model(double(alone)), alone)
    found = first_logits(model(double(packed)), packed)[same]
    torch.testing.assert_close(found, expected, **EXACT)


def test_answers_one_by_one_equal_the_full_pass(cache, model):
    customers = [0, 2, 7]
    first = cache["customers.trip_offsets"].astype(np.int64)
    common = int(np.minimum(np.diff(first)[customers], 9).min())
    full = build(cache, first[customers], np.full(3, common))
    expected = first_logits(model(double(full)), full).view(3, common, -1)
    for position in range(common):
        # The next trips of the three, with the purchase history before them.
        so_far = build(cache, first[customers], np.full(3, position + 1), last_only=True)
        now = so_far.questions.trip
        questions = double(replace(so_far.questions, trip=torch.arange(3)))
        trips, _ = (double(part) for part in read(cache, first[customers] + position))
        assert torch.equal(trips.row, so_far.trips.row[now])
        got = model.answer_questions(trips, questions).logits[:3]
        # Counts of earlier purchases are float32 sums, of more zeros in the full pass.
        torch.testing.assert_close(got, expected[:, position], rtol=1e-6, atol=1e-6)


def encoded(model, batch):
    """The encoder's output after each trip of a batch, (T, d)."""
    baskets = model._baskets(model._tokens(), batch.items, len(batch.trips))
    return model._encode(model._describe(batch.trips), baskets, batch)


@pytest.mark.parametrize("model", [(), ("trip-encoder",)], indirect=True)
@pytest.mark.parametrize("done", [0, 3])
def test_step_by_step_equals_the_full_pass(cache, model, done):
    customers = [0, 2, 7]
    first = cache["customers.trip_offsets"].astype(np.int64)
    common = int(np.minimum(np.diff(first)[customers], 9).min())
    full = double(build(cache, first[customers], np.full(3, common)))
    expected = encoded(model, full).view(3, common, -1)
    state = model.empty_state(3)
    if done:
        trips, items = read(cache, ranges(first[customers], np.full(3, done)))
        state = model.prefill(double(trips), double(items), torch.full((3,), done))
        torch.testing.assert_close(state.output, expected[:, done - 1], **EXACT)
    for position in range(done, common):
        trips, items = (double(part) for part in read(cache, first[customers] + position))
        sizes = [part.state.shape for part in state.layers]
        state = model.step(state, trips, items)
        assert sizes == [part.state.shape for part in state.layers]
        torch.testing.assert_close(state.output, expected[:, position], **EXACT)


def test_prefill_takes_timelines_of_different_lengths(cache, model):
    first = cache["customers.trip_offsets"].astype(np.int64)
    lengths = torch.tensor([2, 7, 1])
    starts = first[[1, 4, 6]]
    trips, items = read(cache, ranges(starts, lengths.numpy()))
    together = model.prefill(double(trips), double(items), lengths)
    for index, (begin, length) in enumerate(zip(starts, lengths, strict=True)):
        trips, items = read(cache, np.arange(begin, begin + int(length)))
        alone = model.prefill(double(trips), double(items), length[None])
        for batch, single in zip(together.layers, alone.layers, strict=True):
            torch.testing.assert_close(batch.state[index], single.state[0], **EXACT)
            torch.testing.assert_close(batch.conv[index], single.conv[0], **EXACT)
        torch.testing.assert_close(together.output[index], alone.output[0], **EXACT)


def test_a_shuffled_basket_gives_the_same_logits(cache, model):
    batch = double(timelines(cache, range(10)))
    draw = torch.Generator().manual_seed(0)
    order = torch.rand(len(batch.items.token), generator=draw) + batch.items.trip * 2
    order = order.argsort()  # shuffled within each trip
    assert not torch.equal(order, torch.arange(len(order)))
    items = Items(*(getattr(batch.items, n)[order] for n in ("trip", "token", "pence")))
    lengths = np.bincount(batch.position.eq(0).cumsum(0) - 1)
    rows = pack_rows(lengths, CHUNK)
    shuffled = double(arrange(batch.trips, items, rows, lengths, cache))
    assert not torch.equal(shuffled.questions.token, batch.questions.token)
    before, after = model(batch), model(shuffled)
    torch.testing.assert_close(first_logits(before, batch), first_logits(after, shuffled), **EXACT)
    for name in before.context:
        torch.testing.assert_close(before.context[name], after.context[name], **EXACT)


# Leaks


def test_a_masked_items_price_and_identity_have_no_effect(cache, model):
    """Of the last trip of each timeline everything that is hidden is exchanged."""
    batch = double(timelines(cache, range(10)))
    ends = torch.cat([batch.position.eq(0)[1:], torch.tensor([True])])
    last = ends.nonzero().squeeze(1)
    hidden = item_trips(batch, last) & (
        (batch.items.token * 7919 + batch.trips.row[batch.items.trip]) % 3 == 0
    )
    assert hidden.any()
    items = replace(
        batch.items,
        token=torch.where(hidden, batch.items.token % cache.products + 1, batch.items.token),
        pence=torch.where(hidden[:, None], batch.items.pence * 3 + 1, batch.items.pence),
    )
    before, after = model(batch), model(replace(batch, items=items))
    assert torch.equal(first_logits(before, batch), first_logits(after, batch))
    for name in before.context:
        assert torch.equal(before.context[name], after.context[name])


def test_a_trips_own_basket_reaches_only_later_trips(cache, model):
    batch = double(timelines(cache, [1], task="next"))
    middle = len(batch.trips) // 2
    changed = batch.items.trip == middle
    items = replace(
        batch.items,
        token=torch.where(changed, batch.items.token % cache.products + 1, batch.items.token),
    )
    other = again(cache, batch, items=items, task="next")
    before, after = first_logits(model(batch), batch), first_logits(model(other), other)
    # Exactly equal before, not only close.
    assert torch.equal(before[: middle + 1], after[: middle + 1])
    assert (before[middle + 1 :] != after[middle + 1 :]).any(1).all()


def test_no_later_trip_reaches_an_earlier_one(cache, model):
    """Features, items and kinds of all trips from the middle on are replaced by noise."""
    batch = double(timelines(cache, [1], task="next"))
    trips, items, middle = batch.trips, batch.items, len(batch.trips) // 2
    noise = torch.randperm(len(trips) - middle) + middle
    order = torch.cat([torch.arange(middle), noise])
    token = torch.where(items.trip < middle, items.token, items.token % cache.products + 1)
    noisy = map_tensors(trips, lambda t: t[order])
    # Days stay in order: gaps are not negative.
    noisy = replace(noisy, calendar=noisy.calendar | {"day": trips.calendar["day"]})
    mixed = again(cache, batch, noisy, replace(items, token=token), task="next")
    before, after = first_logits(model(batch), batch), first_logits(model(mixed), mixed)
    assert torch.equal(before[:middle], after[:middle])
    assert not torch.equal(before[middle:], after[middle:])


def test_a_hidden_trip_context_has_no_effect(cache, model):
    """Changing the kind of a trip where it is hidden changes no output about that trip."""
    everything = torch.ones(int(np.diff(cache["customers.trip_offsets"].astype(int))[1]))
    batch = double(timelines(cache, [1], hidden=everything.bool()))
    last = len(batch.trips) - 1
    context = batch.trips.context.clone()
    context[last] = (context[last] + 1) % 4
    before, after = model(batch), model(replace(batch, trips=replace(batch.trips, context=context)))
    assert torch.equal(first_logits(before, batch)[last], first_logits(after, batch)[last])
    for name in before.context:
        assert torch.equal(before.context[name], after.context[name])
    # Where it is declared known it counts.
    known = double(timelines(cache, [1], hidden=torch.zeros(len(batch.trips)).bool()))
    assert (first_logits(model(known), known)[last] != first_logits(before, batch)[last]).any()


def test_the_kind_of_an_earlier_trip_is_known_later(cache, model):
    hidden = torch.ones(int(np.diff(cache["customers.trip_offsets"].astype(int))[1])).bool()
    batch = double(timelines(cache, [1], hidden=hidden))
    context = batch.trips.context.clone()
    context[0] = (context[0] + 1) % 4
    trips = replace(batch.trips, context=context)
    changed = again(cache, batch, trips, hidden=hidden)
    before, after = first_logits(model(batch), batch), first_logits(model(changed), changed)
    assert torch.equal(before[0], after[0])
    assert (before[1] != after[1]).any()


def test_products_first_sold_later_do_not_affect_training(tmp_path):
    """More novel products, sorted in among the others: the same loss and the same gradients."""
    columns = toy_columns(customers=6, seed=2)
    count = len(columns["products.code"])
    novel_token = count  # the toy's last product is novel; training weeks must not hold it
    columns["items.token"] = np.where(
        columns["items.token"] == novel_token, 1, columns["items.token"]
    )
    more = dict(columns)
    keep = np.arange(count)
    # A new novel product right after product 5: all later ones move by one.
    place = np.insert(keep, 5, count - 1)
    for name, values in columns.items():
        if name.startswith("products."):
            more[name] = np.asarray(values)[place]
    more["products.code"] = more["products.code"].astype("S8")
    more["products.code"][5] = b"PRD0004B"
    moved = np.where(columns["items.token"] > 5, 1, 0)
    more["items.token"] = columns["items.token"] + moved
    for end in ("graph.source", "graph.target"):
        more[end] = columns[end] + (columns[end] >= 5)
    losses = []
    for name, cols in (("one", columns), ("more", more)):
        write_cache(tmp_path / name, cols, toy_manifest())
        cache = TensorCache(tmp_path / name)
        torch.manual_seed(0)
        model = create_world_model("tiny", cache, torch.zeros(cache.products + 10, 256)).double()
        model.train()
        masking = Masking(rate=1, fully_hidden=1, hide_context=1)
        loader = WorldModelDataLoader(
            WorldModelDataset(cache), tokens=10**6, chunk=CHUNK, masking=masking
        )
        (batch,) = loader
        batch = double(batch)
        torch.manual_seed(1)
        total, _ = WorldModelLoss()(model(batch), targets(batch))
        total.backward()
        losses.append((total.item(), model.item.weight.grad.clone()))
    assert losses[0][0] == pytest.approx(losses[1][0], rel=1e-9)
    torch.testing.assert_close(losses[0][1], losses[1][1], rtol=1e-6, atol=1e-9)


def test_in_training_no_purchase_speaks_for_itself(cache, model, monkeypatch):
    """Logits of what is to be predicted change by what its own purchase adds to its lift, and those
    of nothing else."""
    with torch.no_grad():
        model.purchases.product.score.weight.zero_()  # it reads lifts too
        model.prior.lift_weight.fill_(0.7)
    masking = Masking(rate=0.5, fully_hidden=0.5, hide_context=0.3)
    loader = WorldModelDataLoader(
        WorldModelDataset(cache), tokens=10**6, chunk=CHUNK, masking=masking
    )
    batch = double(next(iter(loader)))
    questions = batch.questions
    own = model.prior.without_own(questions)
    model.train()
    torch.manual_seed(0)  # of dropout
    without = model(batch).logits
    monkeypatch.setattr(model.prior, "without_own", lambda _: torch.zeros_like(own))
    torch.manual_seed(0)
    counted = model(batch).logits
    change = torch.zeros_like(without)
    change.index_put_((questions.target_row, questions.target), 0.7 * own, accumulate=True)
    assert (own < 0).any() and (own == 0).any()
    known = counted.isfinite()
    torch.testing.assert_close((without - counted)[known], change[known], **EXACT)


# Learning


def test_every_parameter_learns(cache):
    torch.manual_seed(0)
    model = create_world_model("tiny", cache)
    masking = Masking(rate=0.5, fully_hidden=0.3)
    loader = WorldModelDataLoader(
        WorldModelDataset(cache), tokens=10**6, chunk=CHUNK, masking=masking
    )
    # One step opens every path: output maps and product deltas start at zero.
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    for batch in [*loader, *loader]:
        optimiser.zero_grad()
        total, _ = WorldModelLoss()(model(batch), targets(batch))
        total.backward()
        optimiser.step()
    idle = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


def test_fifty_trips_can_be_memorised(tmp_path):
    """One hidden item a trip: several that share a [MASK] cannot all have probability 1."""
    cache = toy_cache(tmp_path / "cache", trips_of=[10] * 5, products=60, seed=8)
    torch.manual_seed(0)
    model = create_world_model("tiny", cache, dropout=0)
    first = cache["customers.trip_offsets"].astype(np.int64)
    batch = build(cache, first[:-1], np.diff(first), task="next")
    items = batch.items
    chosen = torch.zeros(len(items.token), dtype=torch.bool)
    chosen[torch.cat([torch.tensor([True]), items.trip.diff() > 0])] = True
    masked = MaskedItems(
        tokens=items.token.masked_fill(chosen, cache.vocabulary.mask),
        targets=items.token.masked_fill(~chosen, 0),
        price_hidden=chosen,
        fully_hidden=torch.bincount(items.trip[~chosen], minlength=50) == 0,
    )
    hidden = torch.arange(50) % 2 == 0
    is_target = torch.ones(50, dtype=torch.bool)
    questions = build_questions(
        torch.full((5,), 10),
        Circumstances.of(batch.trips),
        items,
        is_target,
        masked,
        hidden,
        sales(batch.trips.row, cache.vocabulary),
        cache.vocabulary,
        category_of_token(cache),
    )
    batch = replace(batch, questions=questions)
    assert len(questions.target) == 50
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    loss = WorldModelLoss()
    for _ in range(150):
        optimiser.zero_grad()
        total, parts = loss(model(batch), targets(batch))
        total.backward()
        optimiser.step()
    assert parts["focal"] < 0.01
    for part in ("size", "sensitivity", "mission"):
        assert parts[part] < 0.1
    model.eval()
    predicted = model(batch).logits[:50].argmax(1)
    assert (predicted == questions.target).float().mean() > 0.95


def test_presets_have_the_sizes_they_claim(tmp_path):
    """With a vocabulary of LGSR's size."""
    cache = toy_cache(tmp_path / "cache", products=5000, customers=2)
    sizes = {
        preset: sum(p.numel() for p in create_world_model(preset, cache).parameters()) / 1e6
        for preset in PRESETS
    }
    assert sizes["tiny"] < sizes["small"] < 3
    assert 17 < sizes["base"] < 24


# Bad input


def test_baskets_of_two_hundred_and_single_trips_pass(tmp_path):
    cache = toy_cache(tmp_path / "cache", trips_of=[1, 4], products=400, largest_basket=250, seed=1)
    assert np.diff(cache["trips.item_offsets"].astype(int)).max() > 200
    model = create_world_model("tiny", cache).eval()
    batch = timelines(cache, [0, 1])
    assert model(batch).logits[:, 1:-2].isfinite().all()


def test_an_unknown_product_is_read_as_its_category(tmp_path):
    columns = toy_columns(customers=6)
    cache = TensorCache(_written(tmp_path / "a", columns))
    vocabulary = cache.vocabulary
    known = create_world_model("tiny", cache)
    fallback = vocabulary.fallback(columns["products.category"][1])
    columns["items.token"] = np.where(columns["items.token"] == 2, fallback, columns["items.token"])
    cache = TensorCache(_written(tmp_path / "b", columns))
    for task in ("next_unknown", "completion"):
        for batch in EvaluationDataLoader(WorldModelDataset(cache, "test"), task, chunk=CHUNK):
            predictions = known.eval()(batch)
            assert predictions.logits[:, 1:].isfinite().all()
            assert predictions.logits.shape[1] == vocabulary.size


def _written(folder, columns):
    write_cache(folder, columns, toy_manifest())
    return folder


def test_errors_say_what_was_expected(cache, model):
    with pytest.raises(ValueError, match="tiny, small, base"):
        create_world_model("large", cache)
    with pytest.raises(TypeError, match="depth"):
        create_world_model("tiny", cache, depth=3)
    with pytest.raises(ValueError, match="heads=5 must divide"):
        create_world_model("tiny", cache, heads=5)
    trips, items = read(cache, np.arange(3))
    with pytest.raises(ValueError, match="add up to 3 trips"):
        model.prefill(trips, items, torch.tensor([3, 0]))
    state = model.empty_state(2)
    with pytest.raises(ValueError, match="one for each of 2 customers"):
        model.step(state, trips, items)
