"""Standardised numbers: known answers, and constants from training rows only."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toy import TRAIN_LAST, toy_columns, toy_manifest

from trainer.cache.reader import TensorCache
from trainer.cache.schema import COLUMNS
from trainer.cache.writer import write_cache
from trainer.features.columns import AFFINITY_COLUMNS, HISTORY_COLUMNS, Number, read_numbers
from trainer.model.embeddings import CustomerEmbedding, PriceEmbedding, StoreEmbedding
from trainer.model.embeddings.standardiser import Standardiser

TABLE = {
    "t.plain": np.array([1, 3, 50], dtype=np.uint8),
    "t.logged": np.expm1(np.array([1.0, 5.0, 9.0])),
    "t.constant": np.full(3, 0.1, dtype=np.float16),
    "t.wide": np.array([[0, 4], [2, 8], [9, 9]], dtype=np.float16),
}
NUMBERS = (Number("t.plain"), Number("t.logged", log1p=True), Number("t.constant"))
FIRST_TWO = np.array([0, 1])


def test_known_answers():
    """Rows 0 and 1: mean 2 and deviation 1, of logs 3 and 2."""
    scale = Standardiser.fit(TABLE, NUMBERS, FIRST_TWO)
    assert scale.mean.tolist()[:2] == [2, 3] and scale.std.tolist() == [1, 2, 0]
    raw = torch.tensor([[1, float(np.expm1(5)), 0.1], [4.5, 0, 7]])
    expected = torch.tensor([[-1.0, 1, 0], [2.5, -1.5, 0]])
    torch.testing.assert_close(scale(raw), expected)


def test_extremes_are_clamped():
    scale = Standardiser.fit(TABLE, NUMBERS, FIRST_TWO)
    assert scale(torch.tensor([[1e9, 1e30, 1e9]])).tolist() == [[5, 5, 0]]
    assert scale(torch.tensor([[-1e9, -1e9, -1e9]])).tolist() == [[-5, -1.5, 0]]


def test_a_constant_gives_zero_though_its_mean_is_not_exact():
    table = {"t.a": np.full(1001, 0.1)}
    scale = Standardiser.fit(table, (Number("t.a"),), np.arange(1001))
    assert scale(torch.tensor([[0.1], [0.2], [1e6]])).tolist() == [[0], [0], [0]]


def test_without_rows_everything_is_zero():
    numbers = (*NUMBERS, Number("t.wide"))
    scale = Standardiser.fit(TABLE, numbers, np.array([], dtype=int))
    assert scale(torch.rand(4, 5)).eq(0).all()


def test_two_dimensional_columns_keep_their_place():
    numbers = (Number("t.plain"), Number("t.wide"), Number("t.logged", log1p=True))
    raw = read_numbers(TABLE, numbers, FIRST_TWO)
    assert raw.dtype == np.float32
    np.testing.assert_allclose(raw, [[1, 0, 4, np.expm1(1)], [3, 2, 8, np.expm1(5)]], rtol=1e-6)
    scale = Standardiser.fit(TABLE, numbers, FIRST_TWO)
    assert scale.columns == 4
    assert scale.log1p.tolist() == [False, False, False, True]
    torch.testing.assert_close(scale(torch.from_numpy(raw)), torch.tensor([[-1.0] * 4, [1.0] * 4]))


def test_another_number_of_columns_is_refused():
    with pytest.raises(ValueError, match="expected"):
        Standardiser.fit(TABLE, NUMBERS, FIRST_TWO)(torch.rand(2, 1))


def test_every_number_of_a_customer_is_an_input_once():
    apart = {"customer", "week", "history_weight", "primary_store"}
    schema = [c.name for c in COLUMNS if c.table == "customer_weeks"]
    inputs = [number.column for number in HISTORY_COLUMNS + AFFINITY_COLUMNS]
    expected = [name for name in schema if name.partition(".")[2] not in apart]
    assert sorted(inputs) == sorted(expected)


def constants(columns: dict[str, np.ndarray], folder) -> dict[str, torch.Tensor]:
    """All buffers of the input tensors that have constants."""
    write_cache(folder, columns, toy_manifest())
    cache = TensorCache(folder)
    classes = (CustomerEmbedding, PriceEmbedding, StoreEmbedding)
    return {
        f"{kind.__name__}.{name}": buffer
        for kind in classes
        for name, buffer in kind.from_cache(cache).named_buffers()
    }


def scrambled(columns: dict[str, np.ndarray], rows: dict[str, np.ndarray]) -> dict:
    """Other numbers in chosen rows of tables; keys, weeks and numbers of trips stay."""
    keys = {"customer", "week", "trips", "primary_store", "code", "is_novel", "category"}
    draw = np.random.default_rng(5)
    changed = dict(columns)
    for name, values in columns.items():
        table, _, column = name.partition(".")
        if table in rows and column not in keys:
            values = np.array(values)
            values[rows[table]] = draw.integers(0, 2, values[rows[table]].shape)
            changed[name] = values
    return changed


def test_constants_are_from_training_rows_only(tmp_path):
    columns = toy_columns(seed=3)
    columns["customer_weeks.trips"][::7] = 0
    week, trips = columns["customer_weeks.week"], columns["customer_weeks.trips"]
    in_training = (week <= TRAIN_LAST) & (trips > 0)
    assert (week[in_training] == TRAIN_LAST).any() and (trips[week <= TRAIN_LAST] == 0).any()
    later = {
        "customer_weeks": ~in_training,
        "stores": columns["stores.is_novel"],
        "products": columns["products.is_novel"],
    }
    known = {table: ~rows for table, rows in later.items()}

    expected = constants(columns, tmp_path / "a")
    same = constants(scrambled(columns, later), tmp_path / "b")
    assert all(torch.equal(expected[name], same[name]) for name in expected)
    other = constants(scrambled(columns, known), tmp_path / "c")
    for name in expected:
        if name.endswith(("mean", "std")):
            assert not torch.equal(expected[name], other[name]), name
