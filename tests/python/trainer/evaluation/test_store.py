"""Baselines are measured once, and again whenever that could give another result."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from damage import edit_json
from toy import toy_cache

from trainer.baselines import Baseline, boosting, tuning
from trainer.batches.tasks import TASKS
from trainer.cache.reader import TensorCache
from trainer.evaluation import Evaluator, run_evaluation, store
from trainer.evaluation.per_trip import METRICS
from trainer.evaluation.store import BaselineStore, Measured, definition
from trainer.evaluation.text_report import report
from trainer.model.world_model import create_world_model

NAMES = ("G-TopFreq", "P-TopFreq .95", "TIFU-KNN", "own trips x context")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("cache"), customers=16, largest_basket=6)


@pytest.fixture(scope="module")
def model(cache):
    torch.manual_seed(0)
    return create_world_model("tiny", cache)


@pytest.fixture(scope="module")
def full(cache, model, tmp_path_factory):
    """A store after one evaluation, and what was measured."""
    folder = tmp_path_factory.mktemp("store") / "kept"
    return folder, evaluator(cache, BaselineStore(folder)).run(model)


@pytest.fixture
def kept(full, tmp_path):
    """A copy of that store."""
    return shutil.copytree(full[0], tmp_path / "kept")


@pytest.fixture
def calls(monkeypatch):
    """Names of the baselines that answer."""
    names, scores = set(), Baseline.scores

    def record(baseline, batch):
        names.add(baseline.name)
        return scores(baseline, batch)

    monkeypatch.setattr(Baseline, "scores", record)
    return names


def evaluator(cache, kept, **options):
    defaults = {"split": "test", "scorers": NAMES, "store": kept, "progress": False}
    return Evaluator(cache, **(defaults | options))


def timeless(metrics):
    return replace(metrics, seconds=0.0)


def test_the_second_evaluation_runs_no_baseline(cache, model, full, kept, calls, capsys):
    again = evaluator(cache, BaselineStore(kept), progress=True).run(model)
    assert not calls
    assert timeless(again) == timeless(full[1])
    assert "completion: 4 of 4 baselines reused from" in capsys.readouterr().err
    without = evaluator(cache, None).run(model)
    assert calls == set(NAMES) and timeless(without) == timeless(full[1])


def test_without_a_model_nothing_is_left_to_do(cache, full, kept, calls):
    found = evaluator(cache, BaselineStore(kept)).run()
    expected = full[1]
    assert not calls
    for task in TASKS:
        for name, scorer in found.tasks[task].fresh.scorers.items():
            assert scorer == expected.tasks[task].fresh.scorers[name]
        assert found.tasks[task].fresh.hidden == expected.tasks[task].fresh.hidden
        assert found.tasks[task].fresh.unknown == expected.tasks[task].fresh.unknown


@pytest.mark.parametrize(
    "options", [{"seed": 1}, {"split": "validation"}, {"customers": 5}], ids=str
)
def test_other_trips_or_seeds_are_measured(cache, kept, calls, options):
    found = evaluator(cache, BaselineStore(kept), **options).run()
    assert calls == set(NAMES)
    assert timeless(found) == timeless(evaluator(cache, None, **options).run())


def test_another_cache_is_measured(kept, calls, tmp_path):
    other = toy_cache(tmp_path / "cache", customers=16, largest_basket=6, seed=5)
    evaluator(other, BaselineStore(kept)).run()
    assert calls == set(NAMES)


def test_a_cache_exported_like_another_is_measured(cache, kept, calls, tmp_path):
    """Its columns may be the same, but shares are counted from its receipts."""
    like = shutil.copytree(cache.folder, tmp_path / "like")
    edit_json(like / "manifest.json", lambda facts: facts.update(reference_vocabulary="x"))
    assert TensorCache(like).digest == cache.digest
    evaluator(TensorCache(like), BaselineStore(kept)).run()
    assert calls == set(NAMES)


@pytest.mark.parametrize(
    ("constant", "value"),
    [
        ("trainer.baselines.registry.SMOOTHING", 2.0),
        ("trainer.baselines.counts.TIFU_KNN", {"groups": 1, "within": 1, "between": 1,
                                               "neighbours": 2, "alpha": 0.5}),
    ],
)  # fmt: skip
def test_another_constant_is_measured(cache, kept, calls, monkeypatch, constant, value):
    monkeypatch.setattr(constant, value)
    evaluator(cache, BaselineStore(kept)).run()
    assert calls == set(NAMES)


def test_other_code_or_versions_are_another_definition(monkeypatch):
    found = {definition(("baselines",)), definition(("baselines", "cache"))}
    for name in ("LIBRARIES", "CONSTANTS_OF"):
        monkeypatch.setattr(store, name, ())
        found.add(definition(("baselines",)))
    assert len(found) == 4


def test_another_baseline_is_measured_alone(cache, kept, calls):
    evaluator(cache, BaselineStore(kept), scorers=[*NAMES, "UP-CF@25"]).run()
    assert calls == {"UP-CF@25"}


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def empty(path):
    path.write_bytes(b"")


def flip(path):
    content = bytearray(path.read_bytes())
    # Not in the header of an archive's entry, parts of which nobody reads.
    start = content.find(b"values.npy")
    content[start + 100 if start > 0 else len(content) // 2] ^= 1
    path.write_bytes(content)


def swap(path):
    other = next(p for p in sorted(path.parent.iterdir()) if p != path)
    shutil.copy(other, path)


def change(path):
    with np.load(path) as stored:
        arrays = dict(stored)
    arrays["values"] = arrays["values"] + 1
    with path.open("wb") as file:
        np.savez(file, **arrays)


def pickled(path):
    with path.open("wb") as file:
        np.savez(file, values=np.array([{}], dtype=object))


def no_archive(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


def unknown_compression(path):
    content = path.read_bytes()
    entry = content.index(b"PK\x01\x02")  # of the first file in the archive's directory
    path.write_bytes(content[: entry + 10] + b"\x63\0" + content[entry + 12 :])


@pytest.mark.parametrize(
    "damage", [cut, empty, flip, swap, change, pickled, no_archive, unknown_compression]
)
def test_damage_is_noticed_and_mended(cache, full, kept, calls, capsys, damage):
    path = sorted(kept.iterdir())[0]
    damage(path)
    found = evaluator(cache, BaselineStore(kept)).run()
    error = capsys.readouterr().err
    assert error == f"{path} is damaged: its baseline is measured again\n"
    assert len(calls) == 1
    calls.clear()
    assert timeless(evaluator(cache, BaselineStore(kept)).run()) == timeless(found)
    assert not calls


def test_a_folder_that_cannot_be_written_costs_no_result(cache, full, calls, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    found = evaluator(cache, BaselineStore(tmp_path / "file" / "kept")).run()
    assert capsys.readouterr().err.count("results of baselines cannot be kept") == len(TASKS)
    assert found.tasks["completion"].fresh.scorers["TIFU-KNN"]


def test_every_answer_is_made_anew_where_it_is_written_down(cache, kept, calls, tmp_path):
    out = tmp_path / "answers.parquet"
    options = {"scorers": NAMES, "store": BaselineStore(kept), "progress": False}
    run_evaluation(None, cache, predictions=out, **options)
    assert calls == set(NAMES) and out.exists()


def test_results_lie_beside_the_cache(cache, tmp_path, calls):
    folder = shutil.copytree(cache.folder, tmp_path / "chain")
    options = {"tasks": ["next_known"], "scorers": NAMES[:1], "progress": False}
    for _ in range(2):
        run_evaluation(None, TensorCache(folder), **options)
        assert [path.suffix for path in (tmp_path / "chain.baselines").iterdir()] == [".npz"]
        assert calls == {"G-TopFreq"} if _ == 0 else not calls
        calls.clear()


def test_what_is_read_is_what_was_written(tmp_path):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5, len(METRICS)))
    values[rng.random(values.shape) < 0.3] = np.nan
    measured = Measured(values, *rng.integers(9, size=(2, 5)))
    kept = BaselineStore(tmp_path)
    kept.write({"task": "a"}, measured)
    found = kept.read({"task": "a"})
    for name in ("values", "hidden", "unknown"):
        assert np.array_equal(getattr(found, name), getattr(measured, name), equal_nan=True)
    assert kept.read({"task": "b"}) is None


# The setting of boosting


@pytest.fixture
def searches(monkeypatch):
    """Tasks whose setting is searched; small chains are too."""
    pytest.importorskip("lightgbm")
    monkeypatch.setattr(tuning, "FEWEST_CUSTOMERS", 1)
    tasks, tuned = [], boosting.tuned

    def record(counts, task, seed):
        tasks.append(task)
        return tuned(counts, task, seed=seed)

    monkeypatch.setattr(boosting, "tuned", record)
    return tasks


def boosted(cache, folder, **options):
    """Boosting measured on one task: the text report, and its figures and setting."""
    options = {"scorers": ["gradient boosting"], "tasks": ["next_known"]} | options
    found = evaluator(cache, BaselineStore(folder), **options).run()
    return report(found), timeless(found)


def test_the_setting_of_boosting_is_chosen_once(cache, searches, tmp_path):
    kept = tmp_path / "kept"
    text, found = boosted(cache, kept)
    choice = found.tasks["next_known"].boosting
    assert choice.trials and f"gradient boosting: {choice}" in text
    for other in ({"seed": 1}, {"customers": 5}, {"split": "validation"}):
        assert boosted(cache, kept, **other)[1].tasks["next_known"].boosting == choice
    for path in kept.glob("*.npz"):
        path.unlink()
    assert boosted(cache, kept) == (text, found)
    assert searches == ["next_known"]
    assert boosted(cache, tmp_path / "other") == (text, found)
    assert searches == ["next_known"] * 2


def test_a_reused_result_comes_with_its_setting(cache, searches, tmp_path, calls):
    found = boosted(cache, tmp_path)
    calls.clear()
    assert boosted(cache, tmp_path) == found
    assert not calls


@pytest.mark.parametrize("damage", [cut, empty, flip])
def test_a_damaged_setting_is_chosen_again(cache, searches, tmp_path, capsys, damage):
    found = boosted(cache, tmp_path)
    (path,) = tmp_path.glob("*.json")
    damage(path)
    for result in tmp_path.glob("*.npz"):
        result.unlink()
    assert boosted(cache, tmp_path) == found
    error = capsys.readouterr().err
    assert error == f"{path} is damaged: the setting of boosting in it is lost\n"
    assert searches == ["next_known"] * 2


def test_a_setting_that_cannot_be_kept_is_reported(cache, searches, tmp_path, capsys):
    found = boosted(cache, tmp_path / "kept")[1]
    (tmp_path / "file").write_text("")
    assert boosted(cache, tmp_path / "file" / "kept")[1] == found
    assert "the setting of boosting cannot be kept" in capsys.readouterr().err


def test_without_a_store_the_setting_is_reported_too(cache, searches):
    found = Evaluator(
        cache, "test", scorers=["gradient boosting"], tasks=["next_known"], progress=False
    ).run()
    assert found.tasks["next_known"].boosting.trials


def test_without_boosting_there_is_no_setting(cache, full):
    assert all(task.boosting is None for task in full[1].tasks.values())
    assert "boosting" not in report(full[1])
