"""A damaged cache is refused in one line, or says the same to the bit."""

from __future__ import annotations

import hashlib
import json
import pickle
from dataclasses import dataclass
from pathlib import Path

import pytest
from damage import copied, damage_folder
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples
from toy import toy_columns, toy_manifest

from trainer.cache.reader import CacheError, TensorCache, read_columns
from trainer.cache.schema import COLUMN
from trainer.cache.writer import write_cache


def contents(columns, manifest):
    """A digest of everything that a reader can see of a cache."""
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode())
    for name in COLUMN:
        digest.update(repr((name, columns[name].dtype.str, columns[name].shape)).encode())
        digest.update(columns[name].tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Caches:
    """Three caches whose files look alike, and a place for damaged copies of the first."""

    folders: list[Path]
    damaged: Path

    def damage(self, draw) -> Path:
        first, *others = self.folders
        damage_folder(draw, copied(first, self.damaged), others)
        return self.damaged


@pytest.fixture(scope="module")
def caches(tmp_path_factory) -> Caches:
    """The second has other settings and quantities, the third is of another chain."""
    folder = tmp_path_factory.mktemp("caches")
    columns, manifest = toy_columns(), toy_manifest()
    write_cache(folder / "cache", columns, manifest)
    manifest["settings"]["base_price_weeks"] = 5
    write_cache(folder / "near", columns | {"items.quantity": columns["items.token"]}, manifest)
    write_cache(folder / "other", toy_columns(seed=1), toy_manifest())
    return Caches([folder / name for name in ("cache", "near", "other")], folder / "damaged")


@pytest.fixture(scope="module")
def undamaged(caches):
    """What may be read: also another cache, if it has come whole, for it says so by its digest."""
    opened = [TensorCache(folder) for folder in caches.folders]
    return [contents(cache, cache.manifest) for cache in opened]


def says_what_to_do(error: Exception, folder: Path, remedy: str) -> bool:
    (line,) = str(error).splitlines()
    return line.startswith(str(folder)) and line.endswith(f": {remedy}")


@examples(200)
@given(data=st.data())
def test_a_damaged_cache_is_refused_or_the_same(caches, undamaged, data):
    folder = caches.damage(data.draw)
    try:
        cache = TensorCache(folder)
    except CacheError as error:
        assert says_what_to_do(error, folder, "run python -m dbt_project.export")
    else:
        assert contents(cache, cache.manifest) in undamaged


@examples(50)
@given(data=st.data())
def test_columns_read_from_a_damaged_cache_are_refused_or_the_same(caches, undamaged, data):
    """As an export --like it does."""
    folder = caches.damage(data.draw)
    try:
        manifest, columns = read_columns(folder, COLUMN)
    except CacheError as error:
        assert says_what_to_do(error, folder, "export it again, or use another")
    else:
        assert contents(columns, manifest) in undamaged


def test_a_worker_does_not_read_another_cache(caches, tmp_path):
    """One written into the same folder while the first is in use."""
    folder = copied(caches.folders[0], tmp_path / "cache")
    cache = TensorCache(folder)
    assert pickle.loads(pickle.dumps(cache)).digest == cache.digest
    sent = pickle.dumps(cache)
    copied(caches.folders[1], folder)
    with pytest.raises(CacheError, match="replaced while it was in use: start again"):
        pickle.loads(sent)
