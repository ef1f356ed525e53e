"""Masks: their frequencies, their guarantees, and what they must not depend on."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from trainer.batches.masking import (
    MaskedItems,
    _splitmix64,
    apply_hidden,
    evaluation_mask,
    hide_context,
    mask_items,
    mask_keys,
)
from trainer.cache.vocabulary import Vocabulary

PRODUCTS = 500
MASK = Vocabulary(PRODUCTS, 0).mask


def make_items(sizes: list[int] | torch.Tensor, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """(tokens, trip_of_item) of trips with these sizes; products repeat across trips only."""
    draw = torch.Generator().manual_seed(seed)
    sizes = torch.as_tensor(sizes)
    trip = torch.arange(len(sizes)).repeat_interleave(sizes)
    first = sizes.cumsum(0) - sizes
    start = torch.randint(0, PRODUCTS, sizes.shape, generator=draw)
    tokens = (start[trip] + 7 * (torch.arange(len(trip)) - first[trip])) % PRODUCTS + 1
    return tokens, trip


def mask(
    tokens, trip, trips, rate=0.15, fully_hidden_share=0.0, seed=1, products=PRODUCTS
) -> MaskedItems:
    generator = torch.Generator().manual_seed(seed)
    vocabulary = Vocabulary(products, categories=0)
    return mask_items(tokens, trip, trips, vocabulary, rate, fully_hidden_share, generator)


def within_binomial(hits: int, trials: int, share: float) -> bool:
    """Within five standard deviations of the expected share."""
    return abs(hits - trials * share) <= 5 * (trials * share * (1 - share)) ** 0.5


def test_shares_of_masked_replaced_and_kept():
    """100,000 items in trips so large that none needs its guaranteed target."""
    tokens, trip = make_items([400] * 250)
    masked = mask(tokens, trip, 250)
    chosen = masked.targets > 0
    trials = int(chosen.sum())
    assert within_binomial(trials, 100_000, 0.15)
    is_mask = masked.tokens == MASK
    replaced = chosen & ~is_mask & (masked.tokens != tokens)
    kept = chosen & (masked.tokens == tokens)
    assert within_binomial(int(is_mask.sum()), trials, 0.8)
    assert within_binomial(int(replaced.sum()), trials, 0.1)
    assert within_binomial(int(kept.sum()), trials, 0.1)
    assert torch.equal(masked.tokens[~chosen], tokens[~chosen])
    assert not masked.fully_hidden.any()


@pytest.mark.parametrize("rate", [0.2, 0.5, 1.0])
def test_rate_is_respected(rate):
    tokens, trip = make_items([100] * 300)
    chosen = mask(tokens, trip, 300, rate=rate).targets > 0
    assert within_binomial(int(chosen.sum()), len(tokens), rate)


def test_targets_are_the_true_tokens():
    tokens, trip = make_items([3, 8, 1, 20])
    masked = mask(tokens, trip, 4, rate=0.5, fully_hidden_share=0.3)
    chosen = masked.targets != 0
    assert chosen.any()
    assert not chosen.all()
    assert torch.equal(masked.targets[chosen], tokens[chosen])


def test_price_is_hidden_at_every_chosen_position():
    """Masked, replaced and kept: a visible price would distinguish kept from replaced."""
    tokens, trip = make_items([40] * 100)
    masked = mask(tokens, trip, 100, rate=0.5, fully_hidden_share=0.2)
    assert torch.equal(masked.price_hidden, masked.targets != 0)
    assert masked.price_hidden[masked.tokens != tokens].all()
    kept = (masked.targets != 0) & (masked.tokens == tokens)
    assert kept.any()
    assert masked.price_hidden[kept].all()


def test_replacements_are_other_products_uniformly():
    tokens = torch.full((200_000,), 3)
    masked = mask(tokens, torch.arange(200_000), 200_000, rate=1.0, products=5)
    replaced = masked.tokens[(masked.tokens != 6) & (masked.tokens != 3)]
    counts = torch.bincount(replaced, minlength=8)
    assert counts.nonzero().flatten().tolist() == [1, 2, 4, 5]
    assert all(within_binomial(int(counts[p]), len(replaced), 1 / 4) for p in (1, 2, 4, 5))
    assert within_binomial(len(replaced), 200_000, 0.1)


def test_edges_of_the_vocabulary_stay_products():
    tokens = torch.tensor([1, PRODUCTS] * 5000)
    masked = mask(tokens, torch.arange(10_000), 10_000, rate=1.0)
    visible = masked.tokens[masked.tokens != MASK]
    assert visible.min() >= 1
    assert visible.max() <= PRODUCTS


def test_single_product_chain():
    masked = mask(torch.ones(1000, dtype=torch.int64), torch.arange(1000), 1000, products=1)
    assert set(masked.tokens.tolist()) == {1, 2}


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.15])
def test_every_trip_with_items_has_a_target(rate):
    sizes = torch.randint(0, 6, (2000,), generator=torch.Generator().manual_seed(3))
    tokens, trip = make_items(sizes)
    masked = mask(tokens, trip, 2000, rate=rate, fully_hidden_share=0.1)
    targets = torch.bincount(trip[masked.targets > 0], minlength=2000)
    assert torch.equal(targets > 0, sizes > 0)
    if rate == 0:
        assert (targets[~masked.fully_hidden] <= 1).all()


def test_the_guaranteed_target_is_any_item():
    tokens, trip = make_items([4] * 4000)
    chosen = mask(tokens, trip, 4000, rate=0.0).targets > 0
    by_place = chosen.view(4000, 4).sum(0)
    assert all(within_binomial(int(hits), 4000, 1 / 4) for hits in by_place)


def test_fully_hidden_trips_are_all_mask():
    sizes = torch.randint(0, 9, (4000,), generator=torch.Generator().manual_seed(4))
    tokens, trip = make_items(sizes)
    masked = mask(tokens, trip, 4000, fully_hidden_share=0.25)
    assert within_binomial(int(masked.fully_hidden.sum()), int((sizes > 0).sum()), 0.25)
    assert not masked.fully_hidden[sizes == 0].any()
    inside = masked.fully_hidden[trip]
    assert (masked.tokens[inside] == MASK).all()
    assert torch.equal(masked.targets[inside], tokens[inside])
    assert masked.price_hidden[inside].all()
    assert (masked.tokens[~inside] != MASK).any()


def test_masks_follow_the_generator():
    tokens, trip = make_items([10] * 50)
    first, again, other = (
        vars(mask(tokens, trip, 50, fully_hidden_share=0.2, seed=seed)) for seed in (5, 5, 6)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


def test_small_integers_are_enough():
    """The cache's int16 tokens: [MASK] need not fit, results are int64."""
    tokens, trip = make_items([10] * 50)
    small = mask(tokens.short(), trip.int(), 50)
    assert small.tokens.dtype == small.targets.dtype == torch.int64
    assert torch.equal(small.tokens, mask(tokens, trip, 50).tokens)


def test_no_items():
    none = torch.zeros(0, dtype=torch.int64)
    masked = mask(none, none, 3, fully_hidden_share=1.0)
    assert masked.tokens.shape == masked.targets.shape == masked.price_hidden.shape == (0,)
    assert masked.fully_hidden.tolist() == [False] * 3
    assert evaluation_mask(none, none, torch.tensor([7, 8]), seed=0).shape == (0,)


@pytest.mark.parametrize("share", [-0.01, 1.01, float("nan")])
def test_shares_outside_0_to_1_are_refused(share):
    tokens, trip = make_items([2, 3])
    with pytest.raises(ValueError, match="^rate"):
        mask(tokens, trip, 2, rate=share)
    with pytest.raises(ValueError, match="^fully_hidden_share"):
        mask(tokens, trip, 2, fully_hidden_share=share)
    with pytest.raises(ValueError, match="^probability"):
        hide_context(3, share, torch.Generator())
    with pytest.raises(ValueError, match="^share"):
        evaluation_mask(tokens, trip, torch.tensor([1, 2]), seed=0, share=share)


@pytest.mark.parametrize("token", [-1, 0, MASK, MASK + 1])
def test_tokens_outside_the_products_are_refused(token):
    with pytest.raises(ValueError, match="^tokens"):
        mask(torch.tensor([1, token]), torch.tensor([0, 0]), 1)


@pytest.mark.parametrize("trip", [[0, 2], [-1, 0], [0]])
def test_trips_out_of_range_are_refused(trip):
    with pytest.raises(ValueError, match="^trip_of_item"):
        mask(torch.tensor([1, 2]), torch.tensor(trip), 2)
    with pytest.raises(ValueError, match="^trip_of_item"):
        evaluation_mask(torch.tensor([1, 2]), torch.tensor(trip), torch.tensor([5, 6]), seed=0)


# trip context


def test_hidden_context_is_unknown():
    codes = torch.randint(1, 6, (5, 4), generator=torch.Generator().manual_seed(0)).to(torch.int8)
    before = codes.clone()
    hidden = torch.tensor([True, False, False, True, False])
    result = apply_hidden(codes, hidden)
    assert not result[hidden].any()
    assert torch.equal(result[~hidden], codes[~hidden])
    assert torch.equal(codes, before)
    assert result.dtype == torch.int8
    with pytest.raises(ValueError, match="^hidden"):
        apply_hidden(codes, hidden[:4])
    with pytest.raises(ValueError, match="^codes"):
        apply_hidden(codes[:, 0], hidden)


def test_context_is_hidden_at_the_probability():
    generator = torch.Generator().manual_seed(2)
    assert within_binomial(int(hide_context(20_000, 0.3, generator).sum()), 20_000, 0.3)
    assert not hide_context(1000, 0.0, generator).any()
    assert hide_context(1000, 1.0, generator).all()
    one, two = (hide_context(99, 0.5, torch.Generator().manual_seed(8)) for _ in range(2))
    assert torch.equal(one, two)


# evaluation


def test_splitmix64_reference():
    """The first outputs of the reference implementation with state 1234567."""
    golden = 0x9E3779B97F4A7C15
    states = [(1234567 + i * golden) % 2**64 for i in range(5)]
    signed = torch.tensor([s - 2**64 if s >= 2**63 else s for s in states])
    assert [value % 2**64 for value in _splitmix64(signed).tolist()] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


@pytest.mark.parametrize(
    ("items", "masked"),
    [(1, 1), (2, 1), (3, 1), (9, 1), (10, 2), (16, 2), (17, 3), (20, 3), (30, 5), (100, 15)],
)
def test_evaluation_share(items, masked):
    """15 % of 10 is 1.5, rounded up; of 30 it is 4.5, rounded up."""
    tokens, trip = make_items([items] * 3)
    chosen = evaluation_mask(tokens, trip, torch.tensor([11, 22, 33]), seed=0)
    assert torch.bincount(trip[chosen], minlength=3).tolist() == [masked] * 3


def test_evaluation_leaves_one_visible():
    sizes = [0, 1, 2, 3, 8]
    tokens, trip = make_items(sizes)
    ids = torch.arange(5) + 994_100_100_000_000
    for share, expected in ((1.0, [0, 1, 1, 2, 7]), (0.0, [0, 1, 1, 1, 1])):
        chosen = evaluation_mask(tokens, trip, ids, seed=0, share=share)
        assert torch.bincount(trip[chosen], minlength=5).tolist() == expected


def masked_pairs(tokens, trip, ids, seed=0) -> set[tuple[int, int]]:
    chosen = evaluation_mask(tokens, trip, ids, seed=seed)
    return set(zip(ids[trip[chosen]].tolist(), tokens[chosen].tolist(), strict=True))


def test_evaluation_depends_on_basket_and_product_only():
    sizes = torch.randint(1, 40, (60,), generator=torch.Generator().manual_seed(6))
    tokens, trip = make_items(sizes)
    ids = torch.randperm(10**6, generator=torch.Generator().manual_seed(7))[:60] + 10**14
    expected = masked_pairs(tokens, trip, ids)

    shuffled = torch.randperm(len(tokens), generator=torch.Generator().manual_seed(8))
    assert masked_pairs(tokens[shuffled], trip[shuffled], ids) == expected

    places = torch.randperm(60, generator=torch.Generator().manual_seed(9))
    moved = torch.empty_like(ids)
    moved[places] = ids
    assert masked_pairs(tokens, places[trip], moved) == expected

    one_by_one = set()
    for i in range(60):
        alone = tokens[trip == i]
        one_by_one |= masked_pairs(alone, torch.zeros_like(alone), ids[i : i + 1])
    assert one_by_one == expected


def test_evaluation_depends_on_the_seed_and_the_basket():
    tokens, trip = make_items([20] * 50)
    ids = torch.arange(50)
    assert masked_pairs(tokens, trip, ids, seed=0) != masked_pairs(tokens, trip, ids, seed=1)
    same_products = tokens[:20].repeat(50)
    chosen = evaluation_mask(same_products, trip, ids, seed=0).view(50, 20)
    assert len({tuple(row.tolist()) for row in chosen}) > 40


def test_evaluation_masks_every_product_equally_often():
    """20 products in 5,000 baskets: each is among the three masked in 15 % of them."""
    tokens = torch.arange(1, 21).repeat(5000)
    trip = torch.arange(5000).repeat_interleave(20)
    chosen = evaluation_mask(tokens, trip, torch.arange(5000) * 1000, seed=0)
    hits = chosen.view(5000, 20).sum(0)
    assert all(within_binomial(int(count), 5000, 0.15) for count in hits)


def hash_slowly(text: bytes) -> int:
    """FNV-1a, a byte at a time."""
    found = 0xCBF29CE484222325
    for byte in text:
        found = (found ^ byte) * 0x100000001B3 % 2**64
    return found


def test_keys_of_published_texts():
    """From the authors' test vectors for 64 bits."""
    keys = mask_keys(np.array([b"", b"a", b"foobar"])).view(np.uint64).tolist()
    assert keys == [0xCBF29CE484222325, 0xAF63DC4C8601EC8C, 0x85944171F73967E8]


@pytest.mark.parametrize("number", [0, 7, 10, 994_100_100_019_651, 2**63 - 1])
def test_a_plain_number_is_its_own_key(number):
    assert mask_keys(np.array([str(number)], dtype=np.bytes_)).tolist() == [number]


@pytest.mark.parametrize(
    "text",
    ["00", "007", str(2**63), "9" * 19, str(2**64 + 7), "1" * 20, "-7", "+7", "7 ", "7.0", "1e3",
     "1_0", "A7", "7A", ":", "/", "٣", "é"],
)  # fmt: skip
def test_any_other_text_is_hashed(text):
    keys = mask_keys(np.array([text.encode(), b"7" * 30])).view(np.uint64).tolist()
    assert keys == [hash_slowly(text.encode()), hash_slowly(b"7" * 30)]


def test_keys_depend_on_the_text_alone():
    """Not on the widths of other ids: thousands of texts together and one by one."""
    draw = random.Random(5)
    texts = [
        "".join(draw.choices("0123456789" + "Aé-" * (n % 2), k=draw.randint(1, 22))).encode()
        for n in range(2000)
    ]
    keys = mask_keys(np.array(texts)).tolist()
    assert keys == [int(mask_keys(np.array([text]))[0]) for text in texts]
    assert len(set(keys)) == len(set(texts))
    assert mask_keys(np.array([], dtype="S5")).tolist() == []
