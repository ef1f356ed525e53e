"""What the chain sells lately: by hand, and without the week itself or anything later."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from toy import WEEKS, toy_cache, toy_columns, toy_manifest

from trainer.cache.held_out import training_trips
from trainer.cache.reader import TensorCache
from trainer.cache.writer import write_cache
from trainer.features.chain_sales import (
    ADDED,
    COLUMNS,
    LONGEST,
    RATE,
    Sales,
    item_shares,
    receipt_item_shares,
)

TREND, GONE = map(COLUMNS.index, ("trend", "gone"))


def test_a_slow_and_obvious_count_agrees(tmp_path):
    cache = toy_cache(tmp_path / "cache")
    share = item_shares(cache)
    table = Sales(cache, share).table
    offsets, token = cache["trips.item_offsets"].astype(int), cache["items.token"].tolist()
    trips = [
        (int(week), token[start:stop])
        for week, start, stop in zip(cache["trips.week"], offsets[:-1], offsets[1:], strict=True)
    ]
    for week in (1, 2, 17, WEEKS):
        earlier = [(RATE ** (week - 1 - w), w, basket) for w, basket in trips if w < week]
        total = sum(weight * len(basket) for weight, _, basket in earlier)
        for product in (1, 2, 9, cache.products):
            sold = sum(weight for weight, _, basket in earlier if product in basket)
            of_sales = share[product]
            if cache["products.is_novel"][product - 1]:
                of_sales = max(of_sales, sold / max(total, 1))
            trend = math.log((sold + ADDED) / (total * of_sales + ADDED))
            assert table[week - 1, TREND, product] == pytest.approx(trend, abs=1e-5)
            last = max((w for _, w, basket in earlier if product in basket), default=-math.inf)
            gone = min(week - 1 - last, LONGEST)
            assert table[week - 1, GONE, product] == pytest.approx(math.log1p(gone), abs=1e-6)


def test_a_week_and_what_follows_do_not_enter(tmp_path):
    columns = toy_columns()
    write_cache(tmp_path / "one", columns, toy_manifest())
    late = np.repeat(
        columns["trips.week"] >= 12, np.diff(columns["trips.item_offsets"].astype(int))
    )
    columns["items.token"] = np.where(late, 3, columns["items.token"])
    write_cache(tmp_path / "other", columns, toy_manifest())
    one, other = (TensorCache(tmp_path / name) for name in ("one", "other"))
    share = item_shares(one)
    one, other = (Sales(cache, share).table for cache in (one, other))
    assert np.array_equal(one[:12], other[:12])
    assert not np.array_equal(one[12], other[12])


def test_each_week_finds_its_row(tmp_path):
    cache = toy_cache(tmp_path / "cache")
    sales = Sales(cache, item_shares(cache))
    found = sales.as_of(np.array([7, 3, 7, 20]))
    assert len(found.table) == len(found.shift) == 3
    for place, week in enumerate((7, 3, 7, 20)):
        row = found.week[place]
        assert torch.equal(found.table[row], torch.from_numpy(sales.table[week - 1]))
        assert torch.equal(found.shift[row], torch.from_numpy(sales.shift[week - 1]))


def test_what_came_after_training_has_the_share_of_its_sales(tmp_path):
    cache = toy_cache(tmp_path / "cache", customers=40)
    novel = int(cache["products.is_novel"].nonzero()[0][0]) + 1
    share = item_shares(cache)
    sales = Sales(cache, share)
    week = np.repeat(cache["trips.week"], np.diff(cache["trips.item_offsets"].astype(int)))
    token = cache["items.token"]
    first = int(week[token == novel].min())
    asked = WEEKS
    weight = RATE ** (asked - 1.0 - week) * (week < asked)
    of_sales = weight[token == novel].sum() / weight.sum()
    assert of_sales > share[novel]
    assert sales.shift[asked - 1, novel] == pytest.approx(math.log(of_sales / share[novel]), 1e-5)
    assert not sales.shift[:first, novel].any()  # not sold yet
    known = np.delete(np.arange(cache.products + 3), novel)
    assert not sales.shift[:, known].any()


def test_whoever_counts_a_chain_in_the_words_of_another_counts_its_own_trips(tmp_path):
    cache = toy_cache(tmp_path / "own", customers=30)
    assert (receipt_item_shares(cache) == item_shares(cache)).all()
    columns = toy_columns(customers=30)
    columns["products.train_trips"] = columns["products.train_trips"][::-1]
    manifest = toy_manifest() | {"reference_vocabulary": "of another"}
    write_cache(tmp_path / "like", columns, manifest)
    like = TensorCache(tmp_path / "like")
    counts = np.full(like.products + 3, 0.5)
    offsets = like["trips.item_offsets"].astype(int)
    for row in training_trips(like):
        counts[like["items.token"][offsets[row] : offsets[row + 1]]] += 1
    assert len(training_trips(like)) > 50
    np.testing.assert_allclose(receipt_item_shares(like), counts / counts[1:-2].sum())
    assert not np.allclose(receipt_item_shares(like), item_shares(like))
