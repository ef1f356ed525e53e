"""The true probabilities of a chain, through its cache: nobody who knows less is better."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from toy import toy_cache

from dbt_project.oracle import Trips, main
from dbt_project.sample import ChainConfig, generate_chain
from dbt_project.sample.chain import build_chain
from dbt_project.sample.config import read
from trainer.batches.loaders import EvaluationDataLoader
from trainer.batches.tasks import TASKS
from trainer.cache.rows import customer_of
from trainer.evaluation import Evaluator
from trainer.evaluation.evaluator import evaluated
from trainer.evaluation.oracle import Oracle

CUSTOMERS = 15


@pytest.fixture(scope="module")
def oracle(chain, default_cache, tmp_path_factory):
    path = tmp_path_factory.mktemp("oracle") / "oracle.npz"
    arguments = ["--raw", chain, "--cache", default_cache.folder, "--out", path]
    arguments += ["--split", "validation", "--customers", CUSTOMERS, "--seed", 3]
    assert main([str(argument) for argument in arguments]) == 0
    return Oracle(path, default_cache, 3)


def test_the_truth_promises_the_recall_that_it_has(oracle, default_cache):
    """R@10 is, in expectation, the probability of the first ten products."""
    promised = {task: [] for task in TASKS}

    def record(task, scorer, truth, scores, tie):
        promised[task] += scores.softmax(1).topk(10).values.sum(1).tolist()

    found = Evaluator(
        default_cache, "validation", customers=CUSTOMERS, seed=3, scorers=[oracle], progress=False
    ).run(record=record)
    for name, task in found.tasks.items():
        kept = task.fresh.scorers["oracle"]["recall@10"]
        assert len(promised[name]) == kept.trips
        expected = np.mean(promised[name])
        # Half a 95 % interval is two standard errors.
        assert abs(kept.value - expected) < kept.high - kept.low, (name, expected)


def test_no_rule_beats_the_truth(oracle, default_cache):
    rules = ["G-TopFreq", "GP-TopFreq x context", "P-TopFreq .95", "P-TopFreq .95 x context"]
    found = Evaluator(
        default_cache, "validation", customers=CUSTOMERS, seed=3, scorers=[*rules, oracle],
        progress=False,
    ).run()  # fmt: skip
    assert set(found.tasks) == set(TASKS)
    for name, task in found.tasks.items():
        best = task.fresh.scorers["oracle"]
        for rule, means in task.fresh.scorers.items():
            if rule != "oracle":
                assert means["nll"].value > best["nll"].value + 0.5, name
                for metric in ("recall@10", "ndcg@10"):
                    assert means[metric].value < best[metric].value, (name, rule)


def test_trips_are_those_of_the_chain_and_of_the_evaluation(chain, default_cache):
    config = json.loads((chain / "truth/chain.json").read_text())["config"]
    made = build_chain(read(config))
    trips = Trips.of(made, default_cache, "validation", CUSTOMERS, 3)
    dataset = evaluated(default_cache, "validation", CUSTOMERS)
    seen = {}
    for batch in EvaluationDataLoader(dataset, "completion", seed=3):
        questions, token = batch.questions, batch.questions.token.numpy()
        rows = batch.trips.row[questions.trip].numpy()[questions.question.numpy()]
        for row in set(rows.tolist()):
            shown = token[(rows == row) & (token < default_cache.vocabulary.mask)]
            seen[row] = {default_cache["products.code"][t - 1].decode() for t in shown}
    assert trips.row.tolist() == sorted(seen)
    for number, row in enumerate(trips.row.tolist()):
        assert {made.codes.product[p] for p in trips.visible[number]} == seen[row]
    customers = default_cache["customers.code"][customer_of(default_cache, trips.row)]
    assert [made.codes.customer[h] for h in trips.household] == [c.decode() for c in customers]
    assert np.array_equal(made.stores.region[trips.store], made.households.region[trips.household])
    assert {kind[0] for kind in trips.kind} == {0, 1, 2}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw.with_name("nothing"), "chain.json cannot be read"),
        (lambda raw: (raw / "truth/chain.json").write_text("{}") and raw, "cannot be read"),
        (
            lambda raw: (raw / "truth/chain.json").write_text('{"generator": "x"}') and raw,
            "is not of python -m dbt_project.sample",
        ),
        (lambda raw: raw, "is not of this chain, which has no"),
    ],
)
def test_what_is_no_chain_is_refused(tmp_path, capsys, change, message):
    toy_cache(tmp_path / "cache", customers=5)
    raw = tmp_path / "raw"
    config = ChainConfig(customers=5, products=62, stores=5, weeks=4, behaviour="independent")
    generate_chain(config, raw)
    arguments = ["--raw", change(raw), "--cache", tmp_path / "cache", "--out", tmp_path / "o.npz"]
    assert main([str(argument) for argument in arguments]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
    assert not (tmp_path / "o.npz").exists()


def test_weeks_that_depend_on_each_other_have_no_probabilities(tmp_path, capsys):
    raw = tmp_path / "raw"
    generate_chain(ChainConfig(customers=5, products=62, stores=5, weeks=4), raw)
    assert main(["--raw", str(raw), "--out", str(tmp_path / "o.npz")]) == 2
    said = capsys.readouterr().err
    assert "make a chain with --behaviour independent" in said and said.count("\n") == 1


def test_replayed_trips_have_no_probabilities(chain, default_cache, tmp_path, capsys):
    raw = tmp_path / "raw"
    shutil.copytree(chain / "truth", raw / "truth")
    path = raw / "truth/chain.json"
    content = json.loads(path.read_text())
    content["config"]["replay_from"] = 105
    path.write_text(json.dumps(content))
    arguments = ["--raw", str(raw), "--cache", str(default_cache.folder)]
    assert main([*arguments, "--out", str(tmp_path / "o.npz")]) == 2
    assert "weeks from 105 on are replayed" in capsys.readouterr().err
