"""Models of several seeds beside boosting and the best rule: known answers, and the text."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toy import toy_cache

from trainer.baselines.boosting import Boosting
from trainer.baselines.tuning import Choice
from trainer.evaluation import Evaluator
from trainer.evaluation.bootstrap import Estimate
from trainer.evaluation.calibration_table import CalibrationRow
from trainer.evaluation.scorers import MODEL, ORACLE
from trainer.evaluation.seeds import (
    Lead,
    SeedFigures,
    SeedGroup,
    SeedMetrics,
    SeedTask,
    Training,
    check_alike,
    compare,
    over_seeds,
)
from trainer.evaluation.seeds_report import seeds_report
from trainer.evaluation.store import BaselineStore
from trainer.evaluation.worth import TripSums
from trainer.model.world_model import create_world_model

BASELINES = ["G-TopFreq", "P-TopFreq .95", "TIFU-KNN x context", Boosting.name]
METRICS = ("recall@10", "ndcg@10")


@pytest.fixture(scope="module")
def evaluator(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seeds")
    cache = toy_cache(folder / "cache", customers=30, largest_basket=10)
    store = BaselineStore(folder / "kept")
    return Evaluator(cache, "test", scorers=BASELINES, store=store, progress=False)


@pytest.fixture(scope="module")
def models(evaluator):
    """Untrained ones all answer with their counts; noise makes them differ."""
    made = []
    for seed in range(2):
        torch.manual_seed(seed)
        made.append(create_world_model("tiny", evaluator.dataset.cache))
        for parameter in made[-1].parameters():
            parameter.data += 0.2 * torch.randn_like(parameter)
    return made


@pytest.fixture(scope="module")
def runs(evaluator, models):
    """Each model as the report of one model has it."""
    return [evaluator.run(model).tasks for model in models]


def same_rows(found, expected):
    """Of calibration tables: the last bits of scores depend on where in memory they are."""
    for one, other in zip(found, expected, strict=True):
        assert [row.expected for row in one] == pytest.approx([r.expected for r in other], rel=1e-6)


def means(value, trips):
    """A scorer with the same value on every trip: every draw of customers has that mean."""
    return TripSums(value * trips, trips)


def test_by_hand():
    trips = np.array([[2.0, 1.0], [2.0, 0.0], [1.0, 1.0]])  # all trips, and a group of them
    value = [0.3, 0.2]
    baselines = {
        "low": means(np.array([0.25, 0.9]), trips),
        Boosting.name: means(np.array(value), trips),
        "high": means(np.array([0.28, 0.0]), trips),
        ORACLE: means(np.array([1.0, 1.0]), trips),
    }
    models = [means(np.array(each), trips) for each in ([0.32, 0.5], [0.34, 0.5])]
    every, group = compare(models, baselines, seed=0)
    assert every.seeds == pytest.approx((0.32, 0.34)) and every.model == pytest.approx(0.33)
    boosting = every.boosting
    assert (boosting.baseline, boosting.value) == (Boosting.name, pytest.approx(0.3))
    assert boosting.ratio == pytest.approx(1.1)
    # The best rule is that of all trips, in the group as well.
    assert (every.rule.baseline, group.rule.baseline) == ("high", "high")
    assert every.rule.value == pytest.approx(0.28)
    assert every.rule.difference.value == pytest.approx(0.05)
    # Customers are alike; seeds vary by .02 / sqrt(2), their mean by .01, and 12.71 is the .975
    # quantile of t with one degree of freedom.
    difference = boosting.difference
    assert difference.value == pytest.approx(0.03) and difference.trips == 5
    assert difference.high - difference.low == pytest.approx(2 * 12.71 * 0.01, rel=0.06)
    # In the group seeds are alike too: nothing is uncertain.
    found = group.boosting.difference
    assert [found.value, found.low, found.high] == pytest.approx([0.3] * 3) and found.trips == 2
    assert group.rule.value == 0 and math.isnan(group.rule.ratio)


def test_without_boosting_or_rules():
    trips = np.ones((4, 1))
    models, other = [means(0.4, trips), means(0.6, trips)], means(0.5, trips)
    (none,) = compare(models, {}, seed=0)
    assert (none.model, none.boosting, none.rule) == (0.5, None, None)
    (boosting,) = compare(models, {Boosting.name: other}, seed=0)
    assert boosting.boosting.ratio == 1 and boosting.rule is None
    (rule,) = compare(models, {"G-TopFreq": other}, seed=0)
    assert rule.boosting is None and rule.rule.baseline == "G-TopFreq"


def test_one_seed_is_what_the_report_of_one_model_says(evaluator, models, runs):
    compared = over_seeds(evaluator, models[:1])
    assert list(compared) == list(evaluator.tasks)
    for name, task in compared.items():
        one = runs[0][name]
        assert (task.fresh.trips, task.fresh.customers) == (one.fresh.trips, one.fresh.customers)
        same_rows(task.calibration, [one.calibration])
        same_rows(task.raw_calibration, [one.raw_calibration])
        groups = [(task.fresh, one.fresh)]
        assert list(task.strata) == list(one.strata)
        for way, labels in task.strata.items():
            assert list(labels) == list(one.strata[way])
            groups += [(labels[label], one.strata[way][label]) for label in labels]
        for found, expected in groups:
            for metric, figures in found.metrics.items():
                best = one.fresh.best(metric, but=Boosting.name)
                assert figures.rule.baseline == best
                model = expected.scorers[MODEL][metric].value
                assert (
                    figures.seeds == pytest.approx((model,)) and figures.model == figures.seeds[0]
                )
                for lead in (figures.boosting, figures.rule):
                    value = expected.scorers[lead.baseline][metric].value
                    assert lead.value == pytest.approx(value)
                    assert lead.ratio == pytest.approx(model / value, nan_ok=True) or not value
                    minus = expected.model_minus[lead.baseline][metric]
                    assert lead.difference.value == pytest.approx(minus.value, abs=1e-12)
                    assert lead.difference.trips == minus.trips
                    if expected.customers > 12:  # no draw is without them
                        ends = (lead.difference.low, lead.difference.high)
                        assert ends == pytest.approx((minus.low, minus.high), abs=1e-12)


def test_several_seeds_are_those_of_each_model(evaluator, models, runs):
    compared = over_seeds(evaluator, iter(models))
    differ = 0
    for name, task in compared.items():
        for metric in METRICS:
            figures = task.fresh.metrics[metric]
            each = [run[name].fresh.scorers[MODEL][metric].value for run in runs]
            assert figures.seeds == pytest.approx(each)
            assert figures.model == pytest.approx(np.mean(each))
            minus = [run[name].fresh.model_minus[Boosting.name][metric].value for run in runs]
            assert figures.boosting.difference.value == pytest.approx(np.mean(minus))
            differ += each[0] != each[1]
        same_rows(task.calibration, [run[name].calibration for run in runs])
    assert differ


def test_each_model_is_measured_before_the_next_is_read(evaluator, models, monkeypatch):
    order = []

    def measure(self, task, scorers, record=None, former=Evaluator.measure):
        order.append(f"{task} {models.index(scorers[0].model)}")
        return former(self, task, scorers, record)

    def read():
        for number, model in enumerate(models):
            order.append(f"read {number}")
            yield model

    monkeypatch.setattr(Evaluator, "measure", measure)
    alone = Evaluator(
        evaluator.dataset.cache, "test", scorers=(), tasks=["next_known"], progress=False
    )
    over_seeds(alone, read())
    assert order == ["read 0", "next_known 0", "read 1", "next_known 1"]


def test_a_split_without_fresh_trips(evaluator, models, monkeypatch):
    replayed = np.zeros_like(evaluator.trips.fresh)
    monkeypatch.setattr(evaluator, "trips", replace(evaluator.trips, fresh=replayed))
    with pytest.raises(ValueError, match="test has no fresh trips"):
        over_seeds(evaluator, models)


def training(folder, seed, **facts):
    return Training(Path(folder), seed, {"model": "small", "tokens": 8192} | facts, "")


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ([training("b", 1), training("c", 0)], "a and c were both trained with seed 0: name one"),
        ([training("b", 1, tokens=9)], "b was trained with another tokens than a: name"),
        ([training("b", 1, model="base", tokens=9)], "b was trained with another model, tokens"),
        ([training("b", 1, patience=3)], "b was trained with another patience than a"),
    ],
)
def test_what_cannot_be_averaged(others, message):
    check_alike([training("a", 0), training("b", 7)])
    with pytest.raises(ValueError, match=message):
        check_alike([training("a", 0), *others])


def lead(baseline, value, difference):
    estimate = Estimate(difference, difference - 0.004, difference + 0.002, 7)
    return Lead(baseline, value, (value + difference) / value, estimate)


def group(trips, boosting=0.01, ndcg=0.02):
    """Model .33 and .25; how far boosting is behind in R@10 and NDCG@10."""
    rules = [lead("TIFU-KNN", 0.3, 0.03), lead("own trips x context", 0.2, 0.05)]
    figures = [
        SeedFigures(seeds, mean, lead(Boosting.name, mean - minus, minus), rule)
        for seeds, mean, minus, rule in zip(
            ((0.32, 0.34), (0.25, 0.25)), (0.33, 0.25), (boosting, ndcg), rules, strict=True
        )
    ]
    return SeedGroup(trips, 3, dict(zip(METRICS, figures, strict=True)))


@pytest.fixture
def metrics():
    rows = (CalibrationRow(1200, 34.5, 36, 1.043),)
    basket = {
        "1 item": group(501, boosting=-0.004),
        "2-3 items": group(500, boosting=-0.1, ndcg=-0.2),
        "4-10 items": group(1600, ndcg=-0.001),
    }
    task = SeedTask(group(2601), {"basket": basket}, (rows, rows), (rows, rows))
    plain = replace(task, strata={"basket": {"1 item": group(501)}}, calibration=((), ()))
    return SeedMetrics(
        split="validation", weeks=(81, 95), customers=5, seed=0, cache_digest="c", seconds=1.0,
        preset="small", training_seeds=(0, 4), weights_digests=("x", "y"),
        tasks={"next_known": task, "completion": replace(plain, raw_calibration=((), ()))},
    )  # fmt: skip


def test_the_table_can_be_pasted_and_read(metrics):
    text = seeds_report(metrics)
    first, blank, *lines = text.splitlines()
    assert first.startswith("`small`, 2,601 fresh trips of 3 customers in validation weeks 81-95. ")
    assert "mean of seeds 0, 4 (and each)" in first and blank == ""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert len({len(line) for line in lines}) == 1 and {len(row) for row in cells} == {4}
    assert cells[0] == ["task", "", "R@10", "NDCG@10"] and set("".join(cells[1])) == {"-"}
    assert cells[2:8] == [
        ["next basket, mission known", "model", ".330 (.320, .340)", ".250 (.250, .250)"],
        ["", "gradient boosting", ".320", ".230"],
        ["", "best rule", ".300 (TIFU-KNN)", ".200 (own trips x context)"],
        ["", "model / boosting", "1.031", "1.087"],
        ["", "model - boosting", "+.010 [+.006, +.012]", "+.020 [+.016, +.022]"],
        ["", "model - best rule", "+.030 [+.026, +.032]", "+.050 [+.046, +.052]"],
    ]
    assert cells[8][0] == "completion, 15 % hidden" and len(cells) == 14


def test_details_name_the_kinds_of_trips_that_are_behind(metrics):
    lines = seeds_report(metrics, detailed=True).splitlines()
    assert lines[:16] == seeds_report(metrics).splitlines()
    behind = [line for line in lines if line.startswith("Behind boosting")]
    start = "Behind boosting, of kinds with more than 500 trips: "
    assert behind == [
        f"{start}basket: 1 item (R@10 -.004); basket: 4-10 items (NDCG@10 -.001).",
        f"{start}none.",
    ]
    row = next(line for line in lines if line.startswith("| basket: 2-3 items"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:] == [
        "500", ".330", "-.100 [-.104, -.098]", ".250", "-.200 [-.204, -.198]",
    ]  # fmt: skip
    tenths = [line for line in lines if line.startswith("Purchases that seed")]
    assert [line.split()[3] for line in tenths] == ["0", "4"]  # none for completion
    tables = [line for line in lines if "1,200" in line]
    assert len(tables) == 2 and [c.strip() for c in tables[0].strip("|").split("|")] == [
        "1", "1,200", "34.5", "36", "1.04", "1.04",
    ]  # fmt: skip


def test_the_setting_of_boosting_is_named(metrics):
    known = replace(metrics.tasks["next_known"], boosting=Choice())
    lines = seeds_report(replace(metrics, tasks=metrics.tasks | {"next_known": known})).splitlines()
    added = [line for line in lines if line not in seeds_report(metrics).splitlines()]
    assert added == [f"gradient boosting, next basket, mission known: {Choice()}"]


def test_as_json(metrics):
    content = json.loads(json.dumps(metrics.to_dict(), allow_nan=False))
    assert content["training_seeds"] == [0, 4]
    figures = content["tasks"]["completion"]["fresh"]["metrics"]["ndcg@10"]
    assert figures["seeds"] == [0.25, 0.25]
    assert figures["rule"]["difference"]["low"] == pytest.approx(0.046)
