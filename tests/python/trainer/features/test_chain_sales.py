"""Recent sales of the chain: by hand, week by week, and without the week itself or a later one."""

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
    COLUMNS,
    ChainSales,
    ChainSalesSettings,
    SalesByWeek,
    chain_sales_after,
    item_shares,
    receipt_item_shares,
    sold_by_week,
)

TREND, ABSENCE = map(COLUMNS.index, ("trend", "absence"))
DECAY, PSEUDO_COUNT, MAX_WEEKS = 0.8, 2.0, 30


def test_a_chain_of_two_products_by_hand():
    """Four weeks. Product 1 sells 10, 0, 0 and product 2 sells 0, 5, 0 in the first three."""
    share, is_novel = np.array([0.1, 0.5, 0.4]), np.array([False, False, True])
    sales = ChainSales(share, is_novel)
    for sold in ([0, 10, 0], [0, 0, 5], [0, 0, 0]):
        sales.close_week(np.array(sold))
    assert sales.week == 4
    one, two = 10 * 0.8**2, 5 * 0.8  # 6.4 and 4: novel product 2 has 4 / 10.4 of it, below .4
    assert sales.recent.tolist() == pytest.approx([0, one, two])
    assert sales.total == pytest.approx(one + two)
    assert sales.weeks_since_sold.tolist() == [30, 2, 1]
    trend, absence = sales.table()
    assert trend.tolist() == pytest.approx(
        [math.log((n + 2) / (10.4 * g + 2)) for n, g in zip((0, one, two), share, strict=True)]
    )
    assert absence.tolist() == pytest.approx([math.log(31), math.log(3), math.log(2)])
    assert not sales.shift().any()
    sales.close_week(np.array([0, 0, 20]))  # now it has 23.2 / 28.32
    assert sales.shift().tolist() == pytest.approx([0, 0, math.log(23.2 / 28.32 / 0.4)])
    assert sales.table()[TREND, 2] == pytest.approx(0)  # as expected at that share


def test_other_settings_are_other_numbers():
    share, none_novel = np.full(2, 0.5), np.zeros(2, dtype=bool)
    settings = ChainSalesSettings(decay=0.5, pseudo_count=1.0, max_weeks_absent=3)
    sales = ChainSales(share, none_novel, settings)
    sales.close_week(np.array([4, 0]))
    sales.advance_to(7)
    assert sales.recent[0] == 4 * 0.5**5
    assert sales.weeks_since_sold.tolist() == [3, 3]
    assert sales.table()[TREND, 1] == pytest.approx(math.log(1 / (4 * 0.5**5 * 0.5 + 1)))


@pytest.mark.parametrize("last_week", [0, 1, 17, WEEKS])
def test_week_by_week_is_all_weeks_at_once(tmp_path, last_week):
    cache = toy_cache(tmp_path / "cache", customers=40)
    sales = SalesByWeek(cache, item_shares(cache))
    sold = sold_by_week(cache)
    stream = chain_sales_after(cache, last_week)
    for week in range(last_week + 1, WEEKS + 1):
        assert stream.week == week
        assert np.array_equal(stream.table(), sales.table[week - 1])
        assert np.array_equal(stream.shift(), sales.shift[week - 1])
        arrays = stream.to_arrays()
        stream = ChainSales.from_arrays(arrays)  # as a checkpoint would
        stream.close_week(sold[week - 1])
        assert sum(a.nbytes for a in stream.to_arrays().values()) == sum(
            a.nbytes for a in arrays.values()
        )
    assert stream.week == WEEKS + 1


def test_questions_of_the_current_week_share_one_row(tmp_path):
    cache = toy_cache(tmp_path / "cache")
    found = chain_sales_after(cache, 16).as_of(3)
    expected = SalesByWeek(cache, item_shares(cache)).as_of(np.array([17, 17, 17]))
    for name in ("table", "shift", "week"):
        one, other = getattr(found, name), getattr(expected, name)
        assert torch.equal(one, other) and one.dtype == other.dtype


def test_weeks_without_data_are_weeks_without_sales(tmp_path):
    cache = toy_cache(tmp_path / "cache")
    skipped, closed = chain_sales_after(cache, WEEKS), chain_sales_after(cache, WEEKS)
    skipped.advance_to(WEEKS + 4)
    for _ in range(3):
        closed.close_week(np.zeros(cache.vocabulary.size, dtype=np.int64))
    assert skipped.week == closed.week == WEEKS + 4
    assert np.array_equal(skipped.table(), closed.table())
    with pytest.raises(ValueError, match="stand at week 34, week 33 is over"):
        skipped.advance_to(WEEKS + 3)


def test_weeks_and_shapes_that_do_not_fit_are_refused(tmp_path):
    cache = toy_cache(tmp_path / "cache")
    with pytest.raises(ValueError, match=r"week: expected 0\.\.30, found 31"):
        chain_sales_after(cache, WEEKS + 1)
    with pytest.raises(ValueError, match=r"sold: expected shape \(43,\), found \(40,\)"):
        chain_sales_after(cache, 3).close_week(np.zeros(40))
    with pytest.raises(ValueError, match="share has shape"):
        ChainSales(np.ones(3), np.zeros(2, dtype=bool))


def test_a_slow_and_obvious_count_agrees(tmp_path):
    cache = toy_cache(tmp_path / "cache")
    share = item_shares(cache)
    table = SalesByWeek(cache, share).table
    offsets, token = cache["trips.item_offsets"].astype(int), cache["items.token"].tolist()
    trips = [
        (int(week), token[start:stop])
        for week, start, stop in zip(cache["trips.week"], offsets[:-1], offsets[1:], strict=True)
    ]
    for week in (1, 2, 17, WEEKS):
        earlier = [(DECAY ** (week - 1 - w), w, basket) for w, basket in trips if w < week]
        total = sum(weight * len(basket) for weight, _, basket in earlier)
        for product in (1, 2, 9, cache.products):
            sold = sum(weight for weight, _, basket in earlier if product in basket)
            expected = share[product]
            if cache["products.is_novel"][product - 1]:
                expected = max(expected, sold / max(total, 1))
            trend = math.log((sold + PSEUDO_COUNT) / (total * expected + PSEUDO_COUNT))
            assert table[week - 1, TREND, product] == pytest.approx(trend, abs=1e-5)
            last = max((w for _, w, basket in earlier if product in basket), default=-math.inf)
            absence = min(week - 1 - last, MAX_WEEKS)
            assert table[week - 1, ABSENCE, product] == pytest.approx(math.log1p(absence), abs=1e-6)


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
    assert np.array_equal(chain_sales_after(one, 11).table(), chain_sales_after(other, 11).table())
    one, other = (SalesByWeek(cache, share).table for cache in (one, other))
    assert np.array_equal(one[:12], other[:12])
    assert not np.array_equal(one[12], other[12])


def test_each_week_finds_its_row(tmp_path):
    cache = toy_cache(tmp_path / "cache")
    sales = SalesByWeek(cache, item_shares(cache))
    found = sales.as_of(np.array([7, 3, 7, 20]))
    assert len(found.table) == len(found.shift) == 3
    for place, week in enumerate((7, 3, 7, 20)):
        row = found.week[place]
        assert torch.equal(found.table[row], torch.from_numpy(sales.table[week - 1]))
        assert torch.equal(found.shift[row], torch.from_numpy(sales.shift[week - 1]))


def test_a_novel_product_has_the_share_of_its_recent_sales(tmp_path):
    cache = toy_cache(tmp_path / "cache", customers=40)
    novel = int(cache["products.is_novel"].nonzero()[0][0]) + 1
    share = item_shares(cache)
    sales = SalesByWeek(cache, share)
    week = np.repeat(cache["trips.week"], np.diff(cache["trips.item_offsets"].astype(int)))
    token = cache["items.token"]
    first = int(week[token == novel].min())
    weight = DECAY ** (WEEKS - 1.0 - week) * (week < WEEKS)
    recent_share = weight[token == novel].sum() / weight.sum()
    assert recent_share > share[novel]
    assert sales.shift[-1, novel] == pytest.approx(math.log(recent_share / share[novel]), 1e-5)
    assert not sales.shift[:first, novel].any()  # not sold yet
    known = np.delete(np.arange(cache.vocabulary.size), novel)
    assert not sales.shift[:, known].any()


def test_shares_of_receipts_are_counted_where_the_statics_are_another_cache_s(tmp_path):
    cache = toy_cache(tmp_path / "own", customers=30)
    assert (receipt_item_shares(cache) == item_shares(cache)).all()
    columns = toy_columns(customers=30)
    columns["products.train_trips"] = columns["products.train_trips"][::-1]
    manifest = toy_manifest() | {"reference_vocabulary": "of another"}
    write_cache(tmp_path / "like", columns, manifest)
    like = TensorCache(tmp_path / "like")
    counts = np.full(like.vocabulary.size, 0.5)
    offsets = like["trips.item_offsets"].astype(int)
    for row in training_trips(like):
        counts[like["items.token"][offsets[row] : offsets[row + 1]]] += 1
    assert len(training_trips(like)) > 50
    np.testing.assert_allclose(receipt_item_shares(like), counts / counts[1:-2].sum())
    assert not np.allclose(receipt_item_shares(like), item_shares(like))
