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
from trainer.model.purchases.purchase_score import log_ratios
from trainer.model.purchases.similar_trips import weighted_counts
from trainer.model.world_model import create_world_model
from trainer.training.losses import WorldModelLoss
from trainer.training.targets import targets

CUSTOMERS = [0, 1, 3]
MIXTURES = [(part,) for part in PARTS] + [tuple(PARTS)]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("cache"), trips_of=[20, 15, 8, 12], seed=5)


@pytest.fixture(scope="module")
def batch(cache):
    return double(timelines(cache, CUSTOMERS))


def of_masks(model, batch):
    with torch.no_grad():
        return model(batch).logits[: len(batch.questions.trip)]


@pytest.mark.parametrize("without", [(), ("decoder",)])
def test_without_decoder_visible_items_do_not_meet(cache, batch, without):
    model = model_without(cache, without)
    questions = batch.questions
    other = replace(batch, questions=replace(questions, pence=questions.pence * 3))
    reached = (of_masks(model, batch) != of_masks(model, other)).any(1)
    assert reached[~questions.fully_hidden].any() == (not without)


def of_memory(model, batch):
    """Scores of products (E,) and of categories (Q, C + 1)."""
    with torch.no_grad():
        scores = model(batch, dense=False).logits
    return scores.history, scores.groups[0]


def stirred(cache, without=()):
    """A model whose memory of purchases is away from its start, but for what is left out."""
    model = model_without(cache, without)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.purchases.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def test_without_scores_of_products_counts_remain(cache, batch):
    model, whole = stirred(cache, ("repurchase",)), stirred(cache)
    questions, history = batch.questions, batch.questions.history
    (scores, of_category), (other, _) = (of_memory(each, batch) for each in (model, whole))
    assert not of_category.any()
    torch.nn.init.zeros_(model.purchases.similar.question.weight)
    scores, _ = of_memory(model, batch)
    nobody = scores.new_zeros(len(questions.trip), model.config.width)
    with torch.no_grad():
        counts = weighted_counts(history.products, model.purchases.similar(history.trips, nobody))
        ratios = log_ratios(counts, model.prior.history_shares(questions))
    torch.testing.assert_close(scores, ratios @ model.purchases.weight + history.log_weight)
    assert (other - scores).abs().max() > 0.1


def reached_by_rhythm(model, batch):
    """Products (E,) and categories (Q, C + 1) whose score depends on the gaps between purchases."""
    history = batch.questions.history
    changed = {}
    for name in ("products", "categories"):
        bought = getattr(history, name)
        sequences = replace(bought.sequences, gaps=bought.sequences.gaps * 2 + 3)
        changed[name] = replace(bought, sequences=sequences)
    other = replace(batch, questions=replace(batch.questions, history=replace(history, **changed)))
    return [
        (one != two).flatten()
        for one, two in zip(of_memory(model, batch), of_memory(model, other), strict=True)
    ]


@pytest.mark.parametrize(
    "without, products, categories",
    [
        ((), True, True),
        (("categories",), True, False),
        (("purchase-encoder",), False, False),
        (("repurchase",), False, False),
    ],
)
def test_who_reads_the_rhythm_of_purchases(cache, batch, without, products, categories):
    of_product, of_category = reached_by_rhythm(stirred(cache, without), batch)
    assert of_product.all() if products else not of_product.any()
    assert of_category.any() == categories


def test_without_categories_nothing_is_read_of_them(cache, batch):
    history = batch.questions.history
    above = replace(history.categories, gaps=history.categories.gaps * 2 + 3)
    other = replace(
        batch, questions=replace(batch.questions, history=replace(history, categories=above))
    )
    for without in ((), ("categories",)):
        model = stirred(cache, without)
        (one, of_category), (two, of_other) = (of_memory(model, b) for b in (batch, other))
        assert torch.equal(one, two) == torch.equal(of_category, of_other) == bool(without)
        assert of_category.any() == (not without)


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


@pytest.mark.parametrize("without", [("trip-encoder",), tuple(PARTS)])
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
    assert replace(tiny, without=["graph", "decoder"]).without == ("decoder", "graph")
    with pytest.raises(
        ValueError, match="without: expected some of trip-encoder, .*, not attention"
    ):
        replace(tiny, without=("attention",))
