"""T2: the parts of each token's vector, and the vectors of unknown products."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from toy import toy_cache

from trainer.cache.vocabulary import Vocabulary
from trainer.model.embeddings import ProductEmbedding

# Sub-commodities 0-3, the level above 4-5, departments 6-7. Of 5 products two are novel: product 3
# in a known sub-commodity, product 4 in sub-commodity 2, which is novel, as is the category above.
# Sub-commodity 3 is novel, and everything above it.
CATEGORY = np.array([0, 0, 1, 1, 2])
IS_NOVEL = np.array([False, False, False, True, True])
TRAIN_TRIPS = np.array([900, 300, 25, 0, 0])
PARENT = np.array([4, 4, 4, 5, 6, 7, -1, -1])
CATEGORY_IS_NOVEL = np.array([False, False, True, True, True, True, False, True])
N, C = 5, 8
VOCABULARY = Vocabulary(N, C)
MASK, EOS, FALLBACK = VOCABULARY.mask, VOCABULARY.eos, VOCABULARY.fallback(0)


@pytest.fixture
def vectors() -> torch.Tensor:
    torch.manual_seed(0)
    return F.normalize(torch.randn(N + C, 256), dim=1)


@pytest.fixture
def product(vectors) -> ProductEmbedding:
    """With deltas as after training."""
    module = ProductEmbedding(CATEGORY, IS_NOVEL, TRAIN_TRIPS, PARENT, CATEGORY_IS_NOVEL, vectors)
    with torch.no_grad():
        module.category_delta.normal_(std=0.1)
        module.token_delta.normal_(std=0.1)
    return module


def tokens(*values: int) -> torch.Tensor:
    return torch.tensor(values)


def test_starts_as_the_graph(vectors):
    module = ProductEmbedding(CATEGORY, IS_NOVEL, TRAIN_TRIPS, PARENT, CATEGORY_IS_NOVEL, vectors)
    rows = module.rows()
    assert torch.equal(rows[1:4], vectors[:3])
    assert torch.equal(rows[FALLBACK : FALLBACK + 2], vectors[N : N + 2])
    assert torch.equal(module(torch.arange(VOCABULARY.input_size)), 16 * rows)


def test_a_known_product_is_graph_and_deltas(product, vectors):
    delta = product.category_delta
    own = 25 / (25 + 100) * product.token_delta[3]  # it is rare
    expected = vectors[2] + delta[1] + delta[4] + delta[6] + own
    torch.testing.assert_close(product.rows()[3], expected)


def test_a_fallback_token_is_its_category(product, vectors):
    delta = product.category_delta
    expected = vectors[N + 1] + delta[1] + delta[4] + delta[6]
    torch.testing.assert_close(product.rows()[FALLBACK + 1], expected)


def test_a_novel_product_is_its_fallback_token(product):
    assert torch.equal(product(tokens(4)), product(tokens(FALLBACK + 1)))
    assert torch.equal(product(tokens(5)), product(tokens(FALLBACK + 2)))
    assert not torch.equal(product(tokens(3)), product(tokens(FALLBACK + 1)))


def test_a_novel_category_is_the_finest_known_above(product, vectors):
    rows = product.rows()
    assert torch.equal(rows[FALLBACK + 2], rows[FALLBACK + 6])
    torch.testing.assert_close(rows[FALLBACK + 2], vectors[N + 6] + product.category_delta[6])


def test_where_no_category_is_known_the_mean_product_stands_in(product, vectors):
    for category in (3, 5, 7):
        torch.testing.assert_close(product.rows()[FALLBACK + category], vectors[:3].mean(0))


def test_categories_learn_from_their_known_products(product):
    product(tokens(3)).sum().backward()
    assert product.category_delta.grad.ne(0).all(1).nonzero().flatten().tolist() == [1, 4, 6]
    assert product.token_delta.grad.ne(0).all(1).nonzero().flatten().tolist() == [3]


def test_a_novel_product_trains_its_category_and_has_no_delta(product):
    product(tokens(4)).sum().backward()
    assert product.category_delta.grad.ne(0).all(1).nonzero().flatten().tolist() == [1, 4, 6]
    assert product.token_delta.grad.eq(0).all()


def test_training_a_product_moves_its_novel_sibling(product):
    before = product(tokens(4)).detach()
    product(tokens(3)).sum().backward()
    torch.optim.SGD(product.parameters(), lr=0.01).step()
    assert (product(tokens(4)) != before).all()


def test_pad_is_zero_and_learns_nothing(product):
    output = product(tokens(0, 0))
    assert output.eq(0).all()
    output.sum().backward()
    assert all(parameter.grad.eq(0).all() for parameter in product.parameters())


def test_pad_is_zero_in_the_table_and_learns_nothing(product):
    table = product.table()
    assert table[0].eq(0).all()
    table[0].sum().backward()
    assert all(parameter.grad.eq(0).all() for parameter in product.parameters())


@pytest.mark.parametrize("token", [MASK, EOS])
def test_special_tokens_train_nothing_else(product, token):
    product(tokens(token)).sum().backward()
    assert product.token_delta.grad.ne(0).all(1).nonzero().flatten().tolist() == [token]
    assert product.category_delta.grad.eq(0).all()
    assert not torch.equal(product(tokens(MASK)), product(tokens(EOS)))


def test_table_is_the_predicted_part_of_the_rows(product):
    assert product.table().shape == (VOCABULARY.size, 256)
    assert torch.equal(product.table(), product.rows()[: VOCABULARY.size])


def test_rows_can_be_shared_in_a_step(product):
    """Same output and gradient, whether each use computes the rows or all share them."""
    batch = torch.randint(0, VOCABULARY.input_size, (4, 6))
    weight = torch.randn(4, 6, 256)
    gradients = []
    for rows in (None, product.rows()):
        product.zero_grad()
        output = product(batch, rows)
        assert output.shape == (4, 6, 256)
        (output * weight).sum().backward()
        gradients.append([p.grad.clone() for p in product.parameters()])
    for first, second in zip(*gradients, strict=True):
        assert torch.equal(first, second)


def test_without_vectors_lengths_are_near_one(tmp_path):
    cache = toy_cache(tmp_path / "cache")
    table = ProductEmbedding.from_cache(cache).table()
    assert table[1:].norm(dim=1).sub(1).abs().max() < 0.25
    assert table.shape == (cache.vocabulary.size, 256)
    last = cache.products  # novel, of sub-commodity 3
    rows = ProductEmbedding.from_cache(cache).rows()
    assert len(rows) == cache.vocabulary.input_size
    assert torch.equal(rows[last], rows[cache.vocabulary.fallback(3)])


@pytest.mark.parametrize(
    "wrong", [torch.zeros(N, 256), torch.zeros(N + C, 8), torch.full((N + C, 256), torch.nan)]
)
def test_wrong_vectors_are_refused(wrong):
    with pytest.raises(ValueError, match="vectors"):
        ProductEmbedding(CATEGORY, IS_NOVEL, TRAIN_TRIPS, PARENT, CATEGORY_IS_NOVEL, wrong)


def test_a_chain_without_known_products_is_refused(vectors):
    with pytest.raises(ValueError, match="no product"):
        ProductEmbedding(CATEGORY, IS_NOVEL | True, TRAIN_TRIPS, PARENT, CATEGORY_IS_NOVEL, vectors)


@pytest.mark.parametrize("token", [-1, VOCABULARY.input_size])
def test_tokens_out_of_range_are_refused(product, token):
    with pytest.raises(IndexError):
        product(tokens(token))
