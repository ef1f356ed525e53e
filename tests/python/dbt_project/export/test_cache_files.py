"""The files of a cache: never half-written, and refused by name when damaged."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
import tiny

from dbt_project import prepare_tensor_cache
from trainer.cache import writer
from trainer.cache.json_files import write_json
from trainer.cache.reader import MANIFEST, CacheError, TensorCache
from trainer.cache.schema import COLUMN
from trainer.cache.writer import write_cache


@pytest.fixture
def copied(tiny_cache, tmp_path):
    """A cache to damage."""
    return shutil.copytree(tiny_cache.folder, tmp_path / "cache")


def parts(cache: TensorCache) -> tuple[dict, dict]:
    """Columns and manifest, as `write_cache` takes them."""
    names = ("labels", "split", "totals", "settings")
    return {n: np.array(cache[n]) for n in COLUMN}, {n: cache.manifest[n] for n in names}


@pytest.mark.parametrize("files", [0, 1, 40, len(COLUMN) - 1])
def test_a_crash_while_writing_leaves_the_old_cache(
    copied, tiny_cache, write_tiny, monkeypatch, files
):
    database = write_tiny(copied.parent / "warehouse.duckdb", tiny.tables())
    saved = []

    def save(*arguments, **options):
        if len(saved) == files:
            raise OSError("No space left on device")
        saved.append(arguments)
        return real(*arguments, **options)

    real = writer._store
    monkeypatch.setattr(writer, "_store", save)
    for out in (copied, copied.parent / "new"):
        saved.clear()
        with pytest.raises(OSError, match="No space left"):
            prepare_tensor_cache(database, out)
    assert TensorCache(copied).digest == tiny_cache.digest
    assert sorted(path.name for path in copied.parent.iterdir()) == ["cache", "warehouse.duckdb"]


def test_a_kill_at_any_moment_leaves_a_cache_or_none(tiny_cache, tmp_path):
    """A process writes one cache after another, of two kinds in turn, and is killed."""
    code = """
import sys
from pathlib import Path
import numpy as np
from trainer.cache.reader import TensorCache
from trainer.cache.writer import write_cache
from trainer.cache.schema import COLUMN
cache = TensorCache(sys.argv[1])
columns = {name: np.array(cache[name]) for name in COLUMN}
manifest = {name: cache.manifest[name] for name in ("labels", "split", "totals", "settings")}
while True:
    columns["items.quantity"] = columns["items.quantity"][::-1]
    write_cache(Path(sys.argv[2]), columns, manifest)
    print("written", flush=True)
"""
    rng = random.Random(5)
    out = tmp_path / "cache"
    opened = 0
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", code, str(tiny_cache.folder), str(out)],
            cwd=tiny.ROOT, stdout=subprocess.PIPE,
        ) as process:  # fmt: skip
            process.stdout.readline()
            time.sleep(rng.random() / 2)
            process.kill()
        if out.exists():
            opened += 1
            assert TensorCache(out).rows("items") == 10
    assert opened


def test_a_link_stays_a_link(copied, tiny_cache):
    link = copied.parent / "link"
    link.symlink_to(copied, target_is_directory=True)
    write_cache(link, *parts(tiny_cache))
    assert link.is_symlink()
    assert TensorCache(link).digest == tiny_cache.digest


class TestWriting:
    """What must not get into a cache."""

    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("items.quantity", [1.5] * 10),
            ("items.quantity", [1] * 9),
            ("trips.item_offsets", [0] * 7),
            ("customer_weeks.department_shares", [0.5] * 10),
        ],
    )
    def test_a_wrong_column_is_named(self, tiny_cache, tmp_path, name, values):
        columns, manifest = parts(tiny_cache)
        with pytest.raises(ValueError, match=name.partition(".")[0]):
            write_cache(tmp_path / "cache", columns | {name: np.array(values)}, manifest)
        assert list(tmp_path.iterdir()) == []

    def test_a_missing_or_unknown_column_is_named(self, tiny_cache, tmp_path):
        columns, manifest = parts(tiny_cache)
        columns["trips.wether"] = columns.pop("trips.week")
        with pytest.raises(ValueError, match=r"trips\.week.*trips\.wether"):
            write_cache(tmp_path / "cache", columns, manifest)

    def test_a_missing_part_of_the_manifest_is_named(self, tiny_cache, tmp_path):
        columns, manifest = parts(tiny_cache)
        del manifest["split"]
        with pytest.raises(ValueError, match="split"):
            write_cache(tmp_path / "cache", columns, manifest)


class TestReading:
    """Damage is found at opening, and the message names the file."""

    def refused(self, folder, name, match=None):
        with pytest.raises(CacheError, match=match) as error:
            TensorCache(folder)
        assert str(folder / name) in str(error.value)

    def test_no_folder(self, tmp_path):
        self.refused(tmp_path / "nowhere", MANIFEST, "does not exist")

    @pytest.mark.parametrize("name", [MANIFEST, "items.token.npy", "days.date.npy"])
    def test_missing_file(self, copied, name):
        (copied / name).unlink()
        self.refused(copied, name, "does not exist")

    @pytest.mark.parametrize("size", [0, 5, 100, 130])
    def test_truncated_file(self, copied, size):
        path = copied / "trips.spend_pence.npy"
        path.write_bytes(path.read_bytes()[:size])
        self.refused(copied, path.name, "is damaged")

    @pytest.mark.parametrize("name", sorted(COLUMN)[::7])
    def test_flipped_bit(self, copied, name):
        path = copied / f"{name}.npy"
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        self.refused(copied, path.name, "damaged")
        TensorCache(copied, verify=False)  # which is what verify=False is for: files are not read

    def test_flipped_bit_of_the_header(self, copied):
        path = copied / "items.token.npy"
        content = path.read_bytes()
        path.write_bytes(content.replace(b"(10,)", b"(11,)"))
        self.refused(copied, path.name)
        path.write_bytes(content.replace(b"|u1", b"|i1"))
        self.refused(copied, path.name, "is damaged")

    def test_pickle(self, copied):
        """Never unpickled: the file could run anything."""
        path = copied / "customers.code.npy"
        np.save(path, np.array([Bomb(), Bomb(), Bomb()], dtype=object), allow_pickle=True)
        self.refused(copied, path.name, "is damaged")
        Bomb.exploded = False
        np.load(path, allow_pickle=True)
        assert Bomb.exploded

    def test_another_schema_version(self, copied):
        path = copied / MANIFEST
        manifest = json.loads(path.read_text())
        path.write_text(json.dumps(manifest | {"schema_version": 99}))
        self.refused(copied, MANIFEST, "schema version 99")

    @pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema_version": 1}', "\xff"])
    def test_not_a_manifest(self, copied, text):
        (copied / MANIFEST).write_text(text, encoding="latin-1")
        self.refused(copied, MANIFEST)

    @pytest.mark.parametrize(
        ("old", "new"),
        [('"GB', "'GB"), ('"OF"', '"OG"'), ('"sha256": "', '"sha256": "0'), ('"shape"', '"shope"')],
    )
    def test_changed_manifest(self, copied, old, new):
        path = copied / MANIFEST
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        self.refused(copied, MANIFEST)

    def test_changed_split(self, copied):
        """Moving it would let a model train on what it is tested on."""
        path = copied / MANIFEST
        manifest = json.loads(path.read_text())
        manifest["split"]["train"] = [1, 3]
        path.write_text(json.dumps(manifest))
        self.refused(copied, MANIFEST, "damaged")

    @pytest.mark.parametrize(
        ("name", "row", "value"),
        [
            ("items.token", 3, 0),
            ("items.token", 3, 6),  # [MASK]
            ("items.token", 3, 7),  # [EOS]
            ("items.token", 3, 18),  # one more than the last category's
            ("items.price", 2, 9),
            ("anonymous_prices.product", 0, 5),
            ("anonymous_prices.store", 0, 3),
            ("anonymous_prices.week", 0, 5),
            ("promotions.product", 0, 5),
            ("promotions.store", 0, 3),
            ("promotions.week", 0, 5),
            ("trips.store", 1, 3),
            ("trips.day", 1, 35),
            ("trips.customer_week", 6, 10),
            ("products.category", 4, 10),
            ("graph.target", 0, 15),
            ("customer_weeks.primary_store", 9, 4),
            ("customer_weeks.customer", 9, 3),
            ("customers.lifestage", 0, 9),
            ("stores.format", 0, 9),
            ("days.holiday", 0, 99),
            ("trips.focus", 0, 5),
            ("trips.week", 6, 5),
            ("trips.hour", 0, 24),
            ("days.weekday", 0, 0),
            ("days.week_of_year", 0, 54),
            ("trips.item_offsets", 1, 4),
            ("customers.trip_offsets", 3, 6),
        ],
    )
    def test_values_no_exporter_may_write(self, tiny_cache, tmp_path, name, row, value):
        """Digests are right; the producer was wrong."""
        columns, manifest = parts(tiny_cache)
        changed = columns[name].astype(np.int64)
        changed[row] = value
        write_cache(tmp_path / "cache", columns | {name: changed}, manifest)
        self.refused(tmp_path / "cache", f"{name}.npy")

    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("trips.basket_id", np.arange(7)),  # as schema version 2 had it
            ("trips.week", np.array([1, 2, 3, 4, 2, 4, 3])),
            ("trips.week", np.array([1.5, 2, 3, 4, 2, 4, 3])),
            ("trips.days_since_previous", np.zeros(7, np.uint16)),
            ("shelf_prices.pence", np.zeros(9)),
            ("shelf_prices.pence", np.full(9, -1, np.float32)),
            ("shelf_prices.previous_pence", np.full(9, 2**24, np.float32)),
            ("anonymous_prices.pence", np.full(1, -1, np.float32)),
            ("products.code", np.array(list("ABCDE"))),
            ("trips.hour", np.zeros((7, 1), np.uint8)),
            ("customer_weeks.department_shares", np.zeros((10, 2), np.float16)),
        ],
    )
    def test_columns_no_writer_may_write(self, tiny_cache, tmp_path, monkeypatch, name, values):
        """As above; the writer refuses these, and another may not."""
        columns, manifest = parts(tiny_cache)
        real = writer._store

        def store(path, column, written):
            if column.name != name:
                return real(path, column, written)
            np.save(path, values)
            return values.dtype

        monkeypatch.setattr(writer, "_store", store)
        write_cache(tmp_path / "cache", columns | {name: values}, manifest)
        self.refused(tmp_path / "cache", f"{name}.npy")


def test_a_cache_of_before_has_no_promotions(tiny_cache, copied):
    manifest = json.loads((copied / MANIFEST).read_text())
    del manifest["content_digest"]
    lacking = [name for name in manifest["columns"] if name.startswith("promotions.")]
    for name in lacking:
        del manifest["columns"][name]
        (copied / f"{name}.npy").unlink()
    write_json(copied / MANIFEST, manifest)
    cache = TensorCache(copied)
    assert len(lacking) == 5 and all(len(cache[name]) == 0 for name in lacking)
    assert cache.rows("promotions") == 0 and cache.rows("trips") == tiny_cache.rows("trips")


class Bomb:
    """Unpickling it is seen."""

    exploded = False

    def __reduce__(self):
        return Bomb._explode, ()

    @staticmethod
    def _explode():
        Bomb.exploded = True
        return Bomb()


def test_columns_are_read_only_maps(tiny_cache):
    values = tiny_cache["items.token"]
    assert isinstance(values, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        values[0] = 1
