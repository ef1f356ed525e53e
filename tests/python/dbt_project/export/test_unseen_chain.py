"""Data a model never saw: train on one chain, score another, by the commands alone."""

from __future__ import annotations

import csv
import json
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from dbt_project.export.__main__ import main as export
from dbt_project.sample import ChainConfig, generate_chain
from trainer.batches.loaders import EvaluationDataLoader
from trainer.batches.tasks import TASKS
from trainer.batches.timelines import WorldModelDataset
from trainer.cache.reader import TensorCache
from trainer.evaluate import main as evaluate
from trainer.evaluation import Evaluator
from trainer.features.chain_sales import receipt_item_shares
from trainer.fit import main as fit
from trainer.model.checkpoint import load_checkpoint, load_model

TRAIN_LAST = 80
CODE, SEGMENTS = "CUST_CODE", ("seg_1", "seg_2")


@pytest.fixture(scope="module")
def folder(dbt, tmp_path_factory) -> Path:
    """A model of chain A, and the warehouse of chain B: other households, more products, stores."""
    folder = tmp_path_factory.mktemp("unseen")
    sizes = {"a": (60, 200, 8, 3), "b": (50, 260, 10, 4)}
    for name, (customers, products, stores, seed) in sizes.items():
        generate_chain(ChainConfig(customers, products, stores, seed=seed), folder / f"raw_{name}")
        built = dbt("build", raw=folder / f"raw_{name}")
        assert built.returncode == 0, built.output
        (folder / f"{name}.duckdb").symlink_to(built.path)
    assert export(["--database", str(folder / "a.duckdb"), "--out", str(folder / "a")]) == 0
    arguments = ["--preset", "tiny", "--epochs", "1", "--device", "cpu"]
    assert fit(["--cache", str(folder / "a"), "--out", str(folder / "run"), *arguments]) == 0
    return folder


@pytest.fixture(scope="module")
def like(folder) -> Path:
    """Chain B in the words of the checkpoint."""
    return exported(folder, "b")


def exported(folder: Path, name: str) -> Path:
    out = folder / f"{name}_like"
    database = ["--database", str(folder / f"{name}.duckdb")]
    assert export([*database, "--out", str(out), "--like", str(folder / "run/best")]) == 0
    return out


def test_what_cannot_be_mapped_is_counted_and_figures_are_finite(folder, like, tmp_path, capsys):
    figures, answers = tmp_path / "figures.json", tmp_path / "answers.parquet"
    files = ["--json", str(figures), "--predictions", str(answers)]
    assert evaluate([str(folder / "run/best"), "--cache", str(like), *files]) == 0
    assert "of unknown products" in capsys.readouterr().out
    cache = TensorCache(like)
    counts = cache.manifest["unmapped"]
    unknown = cache["items.token"] > cache.products
    assert counts["items"] == unknown.sum() > 1000
    assert counts["products"] > 30 and counts["stores"] >= 1 and counts["trips_at_stores"] > 50
    content = json.loads(figures.read_text())
    in_test = np.repeat(cache["trips.week"] > 95, np.diff(cache["trips.item_offsets"].astype(int)))
    for task in ("next_unknown", "next_known"):
        group = content["tasks"][task]["fresh"]
        assert group["unknown"] == (unknown & in_test).sum() > 0
        assert group["hidden"] == in_test.sum()
    for task in content["tasks"].values():
        for found in task["fresh"]["scorers"].values():
            for estimate in found.values():
                assert None not in estimate.values()  # JSON has no other way to say NaN
        assert task["fresh"]["scorers"]["model"]["recall@10"]["value"] > 0.05
    targets = [
        row["target"]
        for row in pq.read_table(answers).to_pylist()
        if (row["task"], row["scorer"]) == ("next_known", "model")
    ]
    assert sum(target.count(None) for target in targets) == (unknown & in_test).sum()


def test_without_like_the_error_says_how(folder, tmp_path, capsys):
    other = tmp_path / "other"
    assert export(["--database", str(folder / "b.duckdb"), "--out", str(other)]) == 0
    capsys.readouterr()
    assert evaluate([str(folder / "run/best"), "--cache", str(other)]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ") and "\n" not in error
    assert f"python -m dbt_project.export --like {folder / 'run/best'}" in error


def test_what_is_static_is_the_checkpoint_s(folder, like):
    """The weights and constants that answer are those that were saved, to the bit."""
    saved = load_checkpoint(folder / "run/best").weights
    used = load_model(folder / "run/best", TensorCache(like)).state_dict()
    assert used.keys() == saved.keys()
    assert all(torch.equal(used[name], saved[name]) for name in saved)


def without_cards(raw: Path, folder: Path, kept: set[str], last: str) -> None:
    """Copy a chain; up to a week, only some customers show their cards, the others buy the same."""
    folder.mkdir()
    for path in raw.glob("*.csv"):
        with path.open(newline="") as source, (folder / path.name).open("w", newline="") as target:
            rows = csv.DictReader(source)
            written = csv.DictWriter(target, rows.fieldnames, lineterminator="\n")
            written.writeheader()
            for row in rows:
                early = CODE in row and row["SHOP_WEEK"] <= last
                if early and row[CODE] not in kept:
                    row |= dict.fromkeys((CODE, *SEGMENTS), "")
                written.writerow(row)


def differences(one, other, path: str = "") -> set[str]:
    """Names of tensors of two batches that are not the same to the bit."""
    if is_dataclass(one):
        parts = {f.name: (getattr(one, f.name), getattr(other, f.name)) for f in fields(one)}
    elif isinstance(one, dict):
        parts = {name: (one[name], other[name]) for name in one}
    elif isinstance(one, tuple):
        parts = {str(i): pair for i, pair in enumerate(zip(one, other, strict=True))}
    else:
        same = one is other if one is None else torch.equal(one, other)
        return set() if same else {path}
    return {
        name
        for part, pair in parts.items()
        for name in differences(*pair, f"{path}.{part}" if path else part)
    }


def test_training_weeks_of_others_do_not_reach_the_answers(folder, like, dbt):
    """Of eight customers everything stays; all other cards vanish from B's training weeks.

    Lifts, shares and the counting rules move. The model's answers do not, but for one input that
    is about the chain and not about the customers: what it sold lately.
    """
    cache = TensorCache(like)
    shoppers = WorldModelDataset(cache, "test").customers[:8]
    codes = cache["customers.code"][shoppers]
    last = str(cache["weeks.shop_week"][TRAIN_LAST - 1])
    without_cards(
        folder / "raw_b", folder / "raw_c", {code.decode() for code in codes.tolist()}, last
    )
    built = dbt("run", raw=folder / "raw_c")
    assert built.returncode == 0, built.output
    (folder / "c.duckdb").symlink_to(built.path)
    other = TensorCache(exported(folder, "c"))
    assert other.rows("trips") < 0.6 * cache.rows("trips")
    assert not np.allclose(receipt_item_shares(cache), receipt_item_shares(other))

    model = load_model(folder / "run/best", cache)
    popular = [
        next(s for s in Evaluator(c, "test").scorers if s.name == "G-TopFreq")
        for c in (cache, other)
    ]
    rows = np.flatnonzero(np.isin(other["customers.code"], codes))
    moved = {"trips.row", "questions.sales.table", "questions.sales.shift"}
    for task in TASKS:
        batches = [
            list(EvaluationDataLoader(WorldModelDataset(c, "test", customers=r), task, chunk=16))
            for c, r in ((cache, shoppers), (other, rows))
        ]
        assert len(batches[0]) == len(batches[1]) >= 1
        for one, two in zip(*batches, strict=True):
            assert differences(one, two) == moved
            same = replace(two, questions=replace(two.questions, sales=one.questions.sales))
            with torch.no_grad():
                assert torch.equal(model(one).logits, model(same).logits)
            before, after = (
                rule.scores(batch).logits for rule, batch in zip(popular, (one, two), strict=True)
            )
            assert not torch.equal(before, after)
