"""The memory of purchases: one strong rule at the start, and what reaches which of its answers."""

from __future__ import annotations

import math

import pytest
import torch
from histories import CATEGORY, VOCABULARY, by_entry, history, questions_of
from toy import toy_cache

from trainer.batches.loaders import EvaluationDataLoader
from trainer.batches.timelines import WorldModelDataset
from trainer.model.purchases.memory import PurchaseMemory
from trainer.model.purchases.purchase_score import SMOOTHING
from trainer.model.purchases.similar_trips import DECAY
from trainer.model.world_model import create_world_model

WIDTH, PRODUCT, HIDDEN = 8, 6, 5
CODES = (4, 2, 3, 5)
SHARE = torch.tensor([0.3, 0.2, 0.1, 0.1, 0.05, 0.1, 0.05, 0.05, 0.05])
"""Of products 1 to 9."""
OF_CATEGORY = torch.tensor([0.75, 0.25, 0.0])


def made(stirred=True):
    """A small memory; stirred so that every parameter has an effect."""
    torch.manual_seed(0)
    memory = PurchaseMemory(WIDTH, PRODUCT, HIDDEN, CODES)
    with torch.no_grad():
        for parameter in memory.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2 * stirred)
    return memory


def ask(memory, history):
    """Scores of products by (question, token), and of all categories, (Q, C + 1), of the last trip
    of a timeline."""
    torch.manual_seed(1)
    z, lifts = torch.randn(1, WIDTH), torch.randn(20)
    products = torch.randn(VOCABULARY.input_size, PRODUCT)
    categories = torch.randn(VOCABULARY.categories, PRODUCT)
    bought = history.products
    questions = questions_of(history, [[1, 1, 2, 3]], VOCABULARY.size)
    shares = SHARE[bought.token - 1], OF_CATEGORY[history.categories.token]
    scores, of_category = memory(questions, z, products, categories, shares, lifts[bought.token])
    return by_entry(bought, scores.detach()), of_category.detach()


def last_of(*baskets):
    return history([len(baskets)], list(baskets), [False] * (len(baskets) - 1) + [True])


def test_it_starts_as_smoothed_personal_shares():
    """Differences of log-scores are those of log((c + a g) / (n + a)), whatever n."""
    scores, of_category = ask(made(stirred=False), last_of([1], [2, 6], [1], [3]))
    # Weights of trips fall by a twentieth of a logarithm each, with the sum of powers of `DECAY`.
    weight = [math.exp(-back / 20) for back in range(3)]
    scale = sum(DECAY**back for back in range(3)) / sum(weight)
    counts = {1: weight[0] + weight[2], 2: weight[1], 6: weight[1]}
    expected = {
        (0, token): math.log((scale * count + SMOOTHING * SHARE[token - 1]) / SMOOTHING)
        - math.log(SHARE[token - 1])
        for token, count in counts.items()
    }
    assert scores == pytest.approx(expected, rel=1e-5)
    assert not of_category.any()


def test_only_categories_bought_before_have_a_score():
    scores, of_category = ask(made(), last_of([1], [2], [6]))
    assert set(scores) == {(0, 1), (0, 2)}
    assert of_category.shape == (1, VOCABULARY.categories + 1)
    assert (of_category != 0).tolist() == [[True, False, False]]


def test_a_product_reads_its_category_and_no_other():
    """Another product bought instead of 2: of the same category, 3, or of the other one, 6."""
    (one, above), (same, same_above), (other, other_above) = (
        ask(made(), last_of([1], [1, 8], [token], [5])) for token in (2, 3, 6)
    )
    assert same[0, 1] == pytest.approx(one[0, 1], rel=1e-5)
    assert same[0, 8] == pytest.approx(one[0, 8], rel=1e-5)
    torch.testing.assert_close(same_above, above)
    assert other[0, 1] != pytest.approx(one[0, 1], rel=1e-5)
    assert other[0, 8] != pytest.approx(one[0, 8], rel=1e-5)
    assert (other_above[0, :2] != above[0, :2]).all()


def test_an_unknown_product_is_remembered_by_its_category():
    (_, known), (scores, unknown) = (
        ask(made(), last_of([1], [token], [5])) for token in (2, VOCABULARY.fallback(0))
    )
    assert set(scores) == {(0, 1)}
    torch.testing.assert_close(unknown, known)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("cache"), customers=20, seed=4)


def test_products_never_bought_have_the_score_of_their_category(cache):
    """Logits are changed by the memory for whole categories, and for what was bought before."""
    torch.manual_seed(0)
    model = create_world_model("tiny", cache).eval()
    dataset = WorldModelDataset(cache, "test")
    batch = next(iter(EvaluationDataLoader(dataset, "completion", chunk=8)))
    history = batch.questions.history
    with torch.no_grad():
        before = model(batch).logits
        model.purchases.category.score.weight.normal_()
        change = model(batch).logits - before
    never = torch.ones_like(change, dtype=torch.bool)
    never[history.products.question, history.products.token] = False
    category = model.category[: change.shape[1]]
    above = torch.zeros(len(change), cache.rows("categories") + 1, dtype=torch.bool)
    above[history.categories.question, history.categories.token] = True
    has_score = above[:, category]
    assert (change[has_score] != 0).all() and not change[~has_score].any()
    assert (never & has_score).any()
    for question in range(len(change)):
        for of in category.unique():
            group = change[question, never[question] & (category == of)]
            torch.testing.assert_close(group, group[:1].expand_as(group), rtol=1e-4, atol=1e-5)


def test_gradients_reach_every_weight(cache):
    model = create_world_model("tiny", cache)
    dataset = WorldModelDataset(cache, "test")
    questions = next(iter(EvaluationDataLoader(dataset, "completion", chunk=8))).questions
    memory, history = model.purchases, questions.history
    for parameter in memory.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    z = torch.randn(len(questions.trip), model.config.width, requires_grad=True)
    scores, of_category = memory(
        questions, z, model.product.rows(), model.product.categories(),
        (model.prior.history_shares(questions), model.category_share[history.categories.token]),
        model.prior.log_lifts(questions),
    )  # fmt: skip
    assert scores.shape == history.products.token.shape
    (scores * torch.randn_like(scores)).sum().backward(retain_graph=True)
    (of_category * torch.randn_like(of_category)).sum().backward()
    assert z.grad.any(1).all()
    assert [name for name, p in memory.named_parameters() if not p.grad.any()] == []


def test_a_category_that_sold_nothing_in_training_has_a_share(cache):
    """Only unknown products are of it: counts are divided by its share."""
    model = create_world_model("tiny", cache)
    of_product = set(cache["products.category"].tolist())
    assert len(of_product) < cache.rows("categories")  # upper levels have no product
    assert (model.category_share[: cache.rows("categories")] > 0).all()


def test_every_token_has_the_category_of_its_vectors(cache):
    """As `CATEGORY` does in the small histories of these tests."""
    model = create_world_model("tiny", cache)
    rows, vocabulary = cache.rows("categories"), cache.vocabulary
    category = model.category.tolist()
    assert category[1 : cache.products + 1] == cache["products.category"].tolist()
    assert [category[token] for token in vocabulary.specials] == [rows] * 3
    assert category[vocabulary.size :] == list(range(rows))
    assert [CATEGORY[token] for token in VOCABULARY.specials] == [VOCABULARY.categories] * 3
    vectors = model.product.rows(torch.arange(vocabulary.size, vocabulary.input_size))
    assert torch.equal(model.product.categories(), vectors)
