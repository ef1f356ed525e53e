"""Parts that are left out: what then has no effect, and that everything else works as before."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from test_world_model import double, model_without, timelines
from toy import toy_cache

from trainer.model.checkpoint import load_model, save_checkpoint
from trainer.model.config import PRESETS
from trainer.model.parts import PARTS
from trainer.model.world_model import create_world_model
from trainer.training.losses import WorldModelLoss
from trainer.training.targets import targets

CUSTOMERS = [0, 1, 3]
MIXTURES = [(part,) for part in PARTS] + [("encoder", "memory"), tuple(PARTS)]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("cache"), trips_of=[20, 15, 8, 12], seed=5)


@pytest.fixture(scope="module")
def batch(cache):
    return double(timelines(cache, CUSTOMERS))


def of_masks(model, batch):
    with torch.no_grad():
        return model(batch).logits[: len(batch.questions.trip)]


def reached_by_prices(model, batch, changed):
    """Questions (Q,) whose answer depends on what these trips' items cost; counts do not."""
    pence = batch.items.pence * torch.where(changed[batch.items.trip], 3, 1)[:, None]
    other = replace(batch, items=replace(batch.items, pence=pence))
    return (of_masks(model, batch) != of_masks(model, other)).any(1)


@pytest.mark.parametrize(
    "without, at_once, much_later",
    [
        ((), True, True),
        (("memory",), True, True),  # by the state
        (("encoder",), True, False),  # by the look at the last trips
        (("encoder", "memory"), False, False),
        (("decoder",), True, True),  # by the state
        (("encoder", "decoder"), False, False),
    ],
)
def test_how_far_a_trip_reaches(cache, batch, without, at_once, much_later):
    """The first trip of each timeline is changed."""
    model = model_without(cache, without)
    first = batch.position == 0
    reached = reached_by_prices(model, batch, first)
    position = batch.position[batch.questions.trip]
    assert reached[position == 1].all() == at_once
    later = position > model.config.memory
    assert later.any()
    # The state forgets: of far trips some trace is enough.
    assert reached[later].any() == much_later


@pytest.mark.parametrize("without", [(), ("decoder",)])
def test_without_decoder_visible_items_do_not_meet(cache, batch, without):
    model = model_without(cache, without)
    questions = batch.questions
    other = replace(batch, questions=replace(questions, pence=questions.pence * 3))
    reached = (of_masks(model, batch) != of_masks(model, other)).any(1)
    assert reached[~questions.fully_hidden].any() == (not without)


def test_without_scores_of_products_counts_remain(cache, batch):
    model, whole = model_without(cache, ("repurchase",)), model_without(cache)
    history = batch.questions.history
    with torch.no_grad():
        whole.repurchase.score.weight.normal_()
        scores = model(batch, dense=False)
        ratios = model.prior.log_ratios(
            batch.questions, model.prior.history_shares(batch.questions)
        )
        assert torch.equal(scores.logits.history, ratios @ model.prior.weight + history.log_weight)
        assert not torch.equal(whole(batch, dense=False).logits.history, scores.logits.history)


def test_without_counting_nobody_s_past_and_no_kind_is_counted(cache, batch):
    model = model_without(cache, ("counting", "repurchase"))
    with torch.no_grad():
        scores = model(batch, dense=False).logits
    assert torch.equal(scores.history, batch.questions.history.log_weight)
    (lifts, _), (recent, _) = scores.tables
    assert not lifts.any()
    assert torch.equal(recent, batch.questions.sales.shift + model.bias)


def test_without_graph_the_vectors_are_not_those_given(cache):
    shape = cache.products + cache.rows("categories"), 256
    weights = []
    for value in (1.0, 2.0):
        torch.manual_seed(0)
        vectors = torch.full(shape, value)
        weights.append(create_world_model("tiny", cache, vectors, without=("graph",)).state_dict())
    assert all(torch.equal(weights[0][name], value) for name, value in weights[1].items())


@pytest.mark.parametrize("without", MIXTURES)
def test_what_remains_starts_the_same_and_can_learn(cache, batch, without):
    """Parameters without a gradient would have several processes wait for it for ever."""
    models = []
    for parts in ((), without):
        torch.manual_seed(0)
        models.append(create_world_model("tiny", cache, without=parts))
    whole, model = (dict(each.named_parameters()) for each in models)
    for name, value in model.items():
        if value.requires_grad and "graph" not in without:
            assert torch.equal(value, whole[name]), name
    ours = timelines(cache, CUSTOMERS)
    total, _ = WorldModelLoss()(models[1](ours), targets(ours))
    total.backward()
    assert [n for n, p in model.items() if p.requires_grad and p.grad is None] == []
    counts = models[1].count_weights()
    assert {id(p) for p in counts} <= {id(p) for p in model.values()}


@pytest.mark.parametrize("without", [("encoder",), tuple(PARTS)])
def test_checkpoints_remember_what_is_left_out(cache, tmp_path, without):
    torch.manual_seed(0)
    model = create_world_model("tiny", cache, without=without).eval()
    save_checkpoint(tmp_path / "run", model, cache, {})
    loaded = load_model(tmp_path / "run", cache)
    assert loaded.config.without == without
    assert not [name for name in loaded.state_dict() if name.startswith("encoder.")]
    ours = timelines(cache, CUSTOMERS)
    assert torch.equal(of_masks(loaded, ours), of_masks(model, ours))


def test_parts_are_checked_and_have_one_order():
    tiny = PRESETS["tiny"]
    assert replace(tiny, without=["graph", "encoder"]).without == ("encoder", "graph")
    with pytest.raises(ValueError, match="without: expected some of encoder, .*, not attention"):
        replace(tiny, without=("attention",))
