"""A cache that is cut into shards: nothing is lost, changed or twice, and damage is said."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from damage import copied, damage_folder
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples
from test_damaged_caches import contents, says_what_to_do
from toy import toy_cache, toy_columns, toy_manifest

from trainer import evaluate
from trainer.cache import shards as command
from trainer.cache.customer_sample import sample_customers
from trainer.cache.reader import CUT, CacheError, TensorCache, read_columns
from trainer.cache.schema import COLUMNS, TIMELINE_TABLES
from trainer.cache.shards import ROW_OF, cut
from trainer.cache.writer import check_replaceable, write_cache
from trainer.commands.errors import InputError
from trainer.features.chain_sales import sold_by_week

CUSTOMERS, SHARDS = 31, 3


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("whole") / "cache", customers=CUSTOMERS, seed=4)


@pytest.fixture(scope="module")
def folder(whole, tmp_path_factory):
    """The same cache in three shards."""
    folder = tmp_path_factory.mktemp("cut") / "cache-3"
    cut(whole, SHARDS, folder)
    return folder


@pytest.fixture
def copy(folder, tmp_path):
    """A copy that may be damaged."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def timelines(cache):
    """All that is known of each customer, by code, with rows of tables that are cut resolved."""
    found = {}
    plain = [c.name for c in COLUMNS if c.table in TIMELINE_TABLES and c.name not in ROW_OF]
    trips, items = (
        cache[f"{name}_offsets"].astype(int) for name in ("customers.trip", "trips.item")
    )
    owner = cache["customer_weeks.customer"].astype(int)
    for row, code in enumerate(cache["customers.code"].tolist()):
        rows = {
            "customers": slice(row, row + 1),
            "trips": slice(trips[row], trips[row + 1]),
            "items": slice(items[trips[row]], items[trips[row + 1]]),
            "customer_weeks": owner == row,
        }
        found[code] = {name: cache[name][rows[name.partition(".")[0]]].tolist() for name in plain}
        found[code]["items of trips"] = np.diff(items[trips[row] : trips[row + 1] + 1]).tolist()
        weeks = cache["trips.customer_week"][rows["trips"]]
        found[code]["as of"] = cache["customer_weeks.week"][weeks].tolist()
        assert (owner[weeks] == row).all()
    return found


def test_every_customer_lies_in_one_shard_and_is_the_same(whole, folder):
    parts = [timelines(TensorCache(folder, shard=n)) for n in range(SHARDS)]
    codes = [code for part in parts for code in part]
    assert sorted(codes) == whole["customers.code"].tolist()
    assert {code: known for part in parts for code, known in part.items()} == timelines(whole)
    assert all(list(part) == sorted(part) for part in parts)


def test_shards_hold_about_as_many_items(whole, folder):
    items = [TensorCache(folder, shard=n).rows("items") for n in range(SHARDS)]
    most = max(len(known["items.token"]) for known in timelines(whole).values())
    assert sum(items) == whole.rows("items")
    assert max(abs(n - sum(items) / SHARDS) for n in items) <= most
    manifest = TensorCache(folder, shard=0).manifest
    assert [shard["items"] for shard in manifest["shards"]] == items


def test_the_rest_lies_once_and_the_cache_is_still_that_cache(whole, folder):
    found, before = files(folder), files(whole.folder)
    common = {name for name in found if "/" not in name} - {"manifest.json"}
    assert all(found[name] == before[name] for name in common)
    tables = {name.split("/")[-1].split(".")[0] for name in found if "/" in name}
    assert tables == set(TIMELINE_TABLES)
    assert not tables & {name.split(".")[0] for name in common}
    for shard in range(SHARDS):
        cache = TensorCache(folder, shard=shard)
        assert cache.digest == whole.digest
        assert cache.vocabulary_digest == whole.vocabulary_digest
        assert (cache.split, cache.labels) == (whole.split, whole.labels)
        assert cache.manifest["totals"] == whole.manifest["totals"]


def test_files_are_numpy_s_and_the_same_each_time(whole, folder, tmp_path):
    cut(whole, SHARDS, tmp_path / "again")
    assert files(tmp_path / "again") == files(folder)
    for path in (folder / "shard-1").iterdir():
        np.save(tmp_path / "saved.npy", np.load(path))
        assert (tmp_path / "saved.npy").read_bytes() == path.read_bytes()


def test_blocks_change_nothing(whole, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "BLOCK", 4)
    cut(whole, SHARDS, tmp_path / "again")
    assert files(tmp_path / "again") == files(folder)


def test_samples_lie_in_the_first_shard(whole, folder):
    first = TensorCache(folder, shard=0)
    count = first.rows("customers")
    of_whole = sample_customers(whole, np.arange(CUSTOMERS), count)
    assert whole["customers.code"][of_whole].tolist() == first["customers.code"].tolist()


def test_figures_of_a_shard_are_not_taken_for_the_cache_s(folder):
    cache = TensorCache(folder, shard=1)
    with pytest.raises(ValueError, match="sold_by_week of shard 1 alone: add up all shards"):
        sold_by_week(cache)
    cache.totals["sold_by_week"] = np.array([[7]])
    sent = pickle.loads(pickle.dumps(cache))  # as to a loader process
    assert sold_by_week(sent).tolist() == [[7]] and sent.shard == 1
    assert sent["items.token"].tolist() == cache["items.token"].tolist()


# What is wrong is said in one line


def test_a_machine_needs_its_own_shard_alone(copy):
    for other in (0, 2):
        shutil.rmtree(copy / f"shard-{other}")
    assert TensorCache(copy, shard=1).rows("items")
    with pytest.raises(CacheError, match="shard-0/customers.code.npy does not exist: copy it to"):
        TensorCache(copy, shard=0)


def test_damage_is_said(copy, other):
    path = copy / "shard-1" / "items.quantity.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    with pytest.raises(CacheError, match="shard-1/items.quantity.npy is damaged or of another ca"):
        TensorCache(copy, shard=1)
    TensorCache(copy, shard=0)
    shutil.rmtree(copy / "shard-0")
    shutil.copytree(other / "shard-0", copy / "shard-0")
    with pytest.raises(
        CacheError,
        match="shard-0/.* is damaged or of another",
    ):
        TensorCache(copy, shard=0)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged") / "cache-3"


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    folder = tmp_path_factory.mktemp("other")
    cut(toy_cache(folder / "cache", customers=CUSTOMERS, seed=5), SHARDS, folder / "cache-3")
    return folder / "cache-3"


@examples(60)
@given(data=st.data(), shard=st.integers(0, SHARDS - 1))
def test_a_damaged_shard_is_refused_or_the_same(folder, place, other, data, shard):
    damage_folder(data.draw, copied(folder, place), [other])
    try:
        cache = TensorCache(place, shard=shard)
    except CacheError as error:
        assert says_what_to_do(error, place, CUT)
    else:
        known = (TensorCache(place, shard=shard) for place in (folder, other))
        assert contents(cache, cache.manifest) in [contents(each, each.manifest) for each in known]


def test_what_needs_a_whole_cache_says_so(folder, capsys):
    line = f"{folder} is cut into 3 shards, which training alone reads; use the cache that it was"
    with pytest.raises(CacheError, match=line):
        TensorCache(folder)
    with pytest.raises(CacheError, match=line):
        read_columns(folder, ["products.code"])
    assert evaluate.main(["--baselines-only", "--cache", str(folder)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {line} cut from, or make one: run python")


def test_the_command(whole, folder, tmp_path, capsys):
    out, cache = str(tmp_path / "cut"), str(whole.folder)
    arguments = ["--cache", cache, "--shards", "3", "--out"]
    assert command.main([*arguments, out]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("31 customers cut into 3 shards of ") and whole.digest in printed
    assert files(tmp_path / "cut") == files(folder)
    assert command.main([*arguments, out]) == 0  # replaced
    capsys.readouterr()
    for wrong, line in (
        ([*arguments, cache], "--out: name another folder than --cache"),
        (["--cache", out, *arguments[2:], out + "-2"], f"{out} is cut into 3 shards"),
        (["--cache", cache, "--shards", "40", "--out", out], "has too few customers, 31, for 40"),
        (["--cache", cache, "--shards", "1", "--out", out], "a whole number from 2 to 512"),
    ):
        assert command.main(wrong) == 2
        error = capsys.readouterr().err
        assert line in error and error.count("\n") == 1
    assert files(tmp_path / "cut") == files(folder)
    assert TensorCache(cache).digest == whole.digest


def test_what_others_put_there_is_kept(whole, copy):
    check_replaceable(copy)
    (copy / "shard-2" / "notes.txt").write_text("mine")
    with pytest.raises(CacheError, match="it holds shard-2/notes.txt"):
        cut(whole, 2, copy)
    (copy / "shard-2" / "notes.txt").unlink()
    cut(whole, 2, copy)
    assert {path.name for path in copy.glob("shard-*")} == {"shard-0", "shard-1"}
    write_cache(copy, toy_columns(), toy_manifest())  # a whole one in its place
    assert not list(copy.glob("shard-*"))


def test_customers_without_trips(tmp_path):
    whole = toy_cache(tmp_path / "cache", trips_of=[0, 5, 0, 6, 5, 0, 0, 7, 0, 0])
    cut(whole, 2, tmp_path / "cut")
    parts = [timelines(TensorCache(tmp_path / "cut", shard=n)) for n in range(2)]
    assert parts[0] | parts[1] == timelines(whole) and not parts[0].keys() & parts[1].keys()


def test_one_large_customer(tmp_path):
    whole = toy_cache(tmp_path / "cache", trips_of=[90, 1, 1, 1])
    with pytest.raises(InputError, match="too few customers, 4, for 4 parts"):
        cut(whole, 4, tmp_path / "cut")
    assert not (tmp_path / "cut").exists()
