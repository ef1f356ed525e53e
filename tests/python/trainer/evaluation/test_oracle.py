"""The oracle's file and what the evaluation makes of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from toy import toy_cache

from trainer.batches.tasks import TASKS
from trainer.commands.errors import InputError
from trainer.evaluate import main
from trainer.evaluation import Evaluator
from trainer.evaluation.bootstrap import CustomerBootstrap
from trainer.evaluation.oracle import Oracle, write_oracle
from trainer.evaluation.text_report import report
from trainer.model.checkpoint import save_checkpoint
from trainer.model.world_model import create_world_model


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("oracle") / "cache", customers=20)


@pytest.fixture(scope="module")
def rows(cache):
    """Test trips."""
    first, last = cache.split["test"]
    week = cache["trips.week"]
    return np.flatnonzero((week >= first) & (week <= last))


def uniform(cache, rows) -> dict[str, np.ndarray]:
    shape = len(rows), cache.products
    return {task: np.full(shape, -np.log(cache.products), np.float32) for task in TASKS}


def knowing(cache, rows) -> dict[str, np.ndarray]:
    """What was bought is likely: no scorer can be better."""
    log_p = uniform(cache, rows)
    offsets = cache["trips.item_offsets"].astype(int)
    for place, row in enumerate(rows):
        for task in TASKS:
            log_p[task][place, cache["items.token"][offsets[row] : offsets[row + 1]] - 1] = -1
    return log_p


def written(path, cache, rows, log_p, seed=0):
    write_oracle(path, cache, rows, seed, log_p)
    return path


def test_every_trip_and_task_gets_its_own_answer(cache, rows, tmp_path):
    log_p = {
        task: np.random.default_rng(number).random((len(rows), cache.products), np.float32)
        for number, task in enumerate(TASKS)
    }
    oracle = Oracle(written(tmp_path / "o.npz", cache, rows[::-1], log_p), cache, 0)
    asked = []

    class Watching:
        name, tasks = "watching", TASKS

        def scores(self, batch):
            found = oracle.scores(batch)
            questions = batch.questions
            for number, row in enumerate(batch.trips.row[questions.trip].tolist()):
                task = "completion"
                if questions.fully_hidden[number]:  # also where one item is all there is
                    task = "next_unknown" if questions.hidden[number] else "next_known"
                place = len(rows) - 1 - np.searchsorted(rows, row)
                expected = log_p[task][place]
                assert found.logits[number, 1 : cache.products + 1].numpy().tolist() == (
                    expected.tolist()
                )
                asked.append(task)
            return found

    Evaluator(cache, "test", scorers=[Watching()], progress=False).run()
    assert set(asked) == set(TASKS) and asked.count("next_unknown") == len(rows)


def test_the_share_of_the_gap_is_reported(cache, rows, tmp_path, capsys):
    path = written(tmp_path / "o.npz", cache, rows, knowing(cache, rows))
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "best", create_world_model("tiny", cache), cache, {})
    out = tmp_path / "found.json"
    arguments = [str(tmp_path / "best"), "--cache", str(cache.folder), "--oracle", str(path)]
    arguments += ["--baselines", "G-TopFreq", "P-TopFreq", "--json", str(out), "--detailed"]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert printed.count("share of the way from the best rule to the oracle") >= len(TASKS)
    assert "model's share of the gap" in printed
    for task in json.loads(out.read_text())["tasks"].values():
        fresh = task["fresh"]
        mean = {name: found["ndcg@10"]["value"] for name, found in fresh["scorers"].items()}
        rule = max(mean["G-TopFreq"], mean["P-TopFreq"])
        share = fresh["gap_closed"]["model"]["ndcg@10"]["value"]
        assert share == pytest.approx((mean["model"] - rule) / (mean["oracle"] - rule))
        assert (
            max(fresh["gap_closed"][r]["ndcg@10"]["value"] for r in ("G-TopFreq", "P-TopFreq")) == 0
        )
        assert "oracle" not in fresh["gap_closed"]


def test_the_oracle_is_never_the_best_baseline(cache, rows, tmp_path):
    oracle = Oracle(written(tmp_path / "o.npz", cache, rows, knowing(cache, rows)), cache, 0)
    torch.manual_seed(0)
    model = create_world_model("tiny", cache)
    found = Evaluator(cache, "test", scorers=["G-TopFreq", oracle], progress=False).run(model)
    for task in found.tasks.values():
        assert task.fresh.best("ndcg@10") == "G-TopFreq"
    assert "oracle" in report(found, detailed=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.unlink(), "does not exist"),
        (lambda path: path.write_bytes(b"no"), "holds no true probabilities"),
        (lambda path: path.write_bytes(path.read_bytes()[:-300]), "holds no true probabilities"),
    ],
)
def test_a_file_that_is_none_is_refused(cache, rows, tmp_path, change, message):
    path = written(tmp_path / "o.npz", cache, rows, uniform(cache, rows))
    change(path)
    with pytest.raises(InputError, match=f"o.npz {message}.*dbt_project.oracle"):
        Oracle(path, cache, 0)


def test_a_file_of_something_else_is_refused(cache, rows, tmp_path):
    other = toy_cache(tmp_path / "other", customers=20, products=cache.products + 1)
    path = written(tmp_path / "o.npz", cache, rows, uniform(cache, rows))
    with pytest.raises(InputError, match="is of other products"):
        Oracle(path, other, 0)
    with pytest.raises(InputError, match="is for --seed 0, not 1"):
        Oracle(path, cache, 1)
    broken = uniform(cache, rows) | {"completion": np.full((len(rows), 3), np.nan, np.float32)}
    with pytest.raises(InputError, match="holds no true probabilities"):
        Oracle(written(tmp_path / "b.npz", cache, rows, broken), cache, 0)


def test_a_trip_that_is_not_there_is_named(cache, rows, tmp_path):
    some = rows[:-1]
    oracle = Oracle(written(tmp_path / "o.npz", cache, some, uniform(cache, some)), cache, 0)
    missing = cache["trips.basket_id"][rows[-1]].decode()
    with pytest.raises(InputError, match=f"knows nothing of trip {missing}.*--customers"):
        Evaluator(cache, "test", scorers=[oracle], progress=False).run()


def test_shares_by_hand():
    """Two customers, who are drawn twice of two: one closes half of its gap, the other none."""
    bootstrap = CustomerBootstrap(np.array([1, 1, 2, 2]), 0)
    low, high = np.zeros(4), np.array([1.0, 1.0, 3.0, np.nan])
    found = bootstrap.share(np.array([0.5, 0.5, 0, 9]), low, high, np.ones(4, bool))
    assert (found.value, found.low, found.high) == (1 / 5, 0, 0.5)
    assert found.trips == 3
    nothing = bootstrap.share(low, low, low, np.ones(4, bool))
    assert np.isnan(nothing.value)
