"""`python -m trainer.graph`: what it writes and prints, and how it fails."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from toy import toy_cache, toy_columns, toy_manifest

from trainer.cache.writer import write_cache
from trainer.graph import link_quality, product_embeddings
from trainer.graph.__main__ import main
from trainer.graph.config import SageConfig


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("toy") / "cache")


@pytest.fixture
def brief(monkeypatch):
    """Three epochs and vectors of eight channels by default."""
    for function in (product_embeddings, link_quality):
        defaults = function.__kwdefaults__ | {"epochs": 3, "width": 8}
        monkeypatch.setattr(function, "__kwdefaults__", defaults)


def test_writes_the_vectors(cache, tmp_path, brief, capsys):
    out = tmp_path / "folder" / "vectors.npy"
    assert main([str(cache.folder), "--out", str(out), "--seed", "3"]) == 0
    written = np.load(out, allow_pickle=False)
    expected = product_embeddings(cache, seed=3, progress=False).vectors
    assert written.dtype == np.float32
    np.testing.assert_array_equal(written, expected.numpy())
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "graph embeddings: 100%" in captured.err
    assert "50 rows of 8, 1 of them taken from an ancestor" in captured.err


def test_prints_quality_as_json(cache, brief, capsys):
    assert main([str(cache.folder), "--quality", "--seed", "4"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["seeds"] == [4, 5, 6]
    assert (report["products"], report["pairs"], report["held_out"]) == (39, 38, 4)
    assert report["versions"]["torch"] == torch.__version__
    assert report["configuration"]["negatives"] == SageConfig().negatives
    assert report["configuration"]["epochs"] == 3, "what ran, not what is usual"
    assert report["hardware"]["cores"] >= 1
    assert report["cache_digest"] == cache.digest


def test_quality_of_every_method(cache):
    report = link_quality(cache, seeds=(0, 1), width=8, epochs=3, progress=False)
    methods = report["methods"]
    expected = {
        "graphsage, dot product", "graphsage of the category, with popularity", "popularity",
    }  # fmt: skip
    assert expected <= methods.keys()
    assert methods["chance"]["auc"] == {"mean": 0.5, "lowest": 0.5, "highest": 0.5}
    variants = [result for name, result in methods.items() if name.startswith("spectral, ")]
    assert len(variants) == 32
    for measure in ("auc", "hits_at_10", "mrr"):
        assert methods["spectral"][measure]["mean"] >= max(v[measure]["mean"] for v in variants)
        for result in methods.values():
            summary = result[measure]
            assert 0 <= summary["lowest"] <= summary["mean"] <= summary["highest"] <= 1


def test_same_seed_same_quality(cache):
    options = {"seeds": (0,), "width": 8, "epochs": 3, "progress": False}
    assert link_quality(cache, **options) == link_quality(cache, **options)


def test_no_seed(cache):
    with pytest.raises(ValueError, match="at least one seed"):
        link_quality(cache, seeds=())


def fails(arguments, capsys) -> str:
    """The message of a command that ends with exit code 2 and no stack trace."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as error:
        code = error.code
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return captured.err


def test_missing_cache(tmp_path, capsys):
    message = fails([tmp_path / "nowhere", "--quality"], capsys)
    assert "nowhere" in message
    assert "python -m dbt_project.export" in message


def test_quality_without_copurchases_says_what_to_do(tmp_path, capsys):
    columns = toy_columns()
    kept = columns["graph.type"] != 0
    for name in ("source", "target", "type", "weight"):
        columns[f"graph.{name}"] = columns[f"graph.{name}"][kept]
    write_cache(tmp_path / "cache", columns, toy_manifest())
    message = fails([tmp_path / "cache", "--quality"], capsys)
    assert "0 co-purchase pairs are too few" in message
    assert "copurchase_min_share" in message


def test_without_copurchases_vectors_come_with_a_warning(tmp_path, brief, capsys):
    columns = toy_columns()
    kept = columns["graph.type"] != 0
    for name in ("source", "target", "type", "weight"):
        columns[f"graph.{name}"] = columns[f"graph.{name}"][kept]
    write_cache(tmp_path / "cache", columns, toy_manifest())
    assert main([str(tmp_path / "cache"), "--out", str(tmp_path / "vectors.npy")]) == 0
    assert "warning: the product graph has no co-purchase edges" in capsys.readouterr().err


def test_nothing_to_do(cache, capsys):
    assert "--out" in fails([cache.folder], capsys)


@pytest.mark.parametrize("name", ["vectors", "vectors.pt"])
def test_other_formats(cache, tmp_path, name, capsys):
    assert "must end in .npy" in fails([cache.folder, "--out", tmp_path / name], capsys)


def test_place_that_cannot_be_written(cache, tmp_path, brief, capsys):
    (tmp_path / "file").touch()
    assert "file" in fails([cache.folder, "--out", tmp_path / "file" / "vectors.npy"], capsys)


@pytest.mark.parametrize("seed", ["-1", "x", str(2**64)])
def test_seeds_out_of_range(cache, seed, capsys):
    assert "--seed" in fails([cache.folder, "--quality", f"--seed={seed}"], capsys)
