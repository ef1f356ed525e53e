"""Calibration: probabilities by hand, their sums, and that fitting recovers parameters."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from toy import toy_cache

from trainer import fit
from trainer.batches.tasks import TASKS
from trainer.evaluation import Evaluator
from trainer.evaluation.calibration_fit import ScoreCounts
from trainer.model.calibration import UNCALIBRATED, Calibration, basket_p
from trainer.model.world_model import create_world_model
from trainer.training import SCHEDULES

ONES = torch.ones(4)


def test_items_by_hand():
    calibration = Calibration()
    calibration.values[1] = torch.tensor([2.0, 0.3, 1, 1, 1, 1], dtype=torch.float64)
    scores = torch.tensor([[-torch.inf, 4.0, 2.0, -torch.inf, 0.0]])
    total = math.exp(2) + math.exp(1) + 1
    expected = [0.7 * math.exp(x) / total + 0.1 for x in (2, 1, 0)]
    found = calibration.items(scores, TASKS[1])[0]
    assert found[[1, 2, 4]].exp().tolist() == pytest.approx(expected)
    assert found[[0, 3]].tolist() == [-math.inf] * 2
    plain = calibration.items(scores, TASKS[0])
    torch.testing.assert_close(plain, scores.log_softmax(1))


def test_baskets_by_hand():
    """Two of three products with odds 4, 1, 1: 4a/(1+4a) + 2a/(1+a) = 2 has the root a = 1.366."""
    log_p = torch.tensor([[4.0, 1.0, 1.0]], dtype=torch.float64).log()
    a = (1 + math.sqrt(3)) / 2  # 2 a^2 - 2 a - 1 = 0
    found = basket_p(log_p, torch.tensor([2]), ONES)[0].tolist()
    assert found == pytest.approx([4 * a / (1 + 4 * a), a / (1 + a), a / (1 + a)])
    single = basket_p(log_p - math.log(6), torch.tensor([1]), ONES)[0]
    assert single.tolist() == pytest.approx([4 / 6, 1 / 6, 1 / 6])


@pytest.mark.parametrize("slopes", [(1, 1, 1, 1), (0.5, 1.2, 1, 3)])
def test_probabilities_add_up_to_the_items_in_the_order_of_the_scores(slopes):
    draw = torch.Generator().manual_seed(0)
    scores = 6 * torch.randn(40, 500, generator=draw)
    scores[:, ::7] = -torch.inf
    log_p = scores.log_softmax(1)
    items = torch.tensor([1, 2, 5, 30, 200] * 8)
    p = basket_p(log_p, items, torch.tensor(slopes))
    torch.testing.assert_close(p.sum(1), items.float(), rtol=1e-4, atol=0)
    assert p.max() <= 1 and (p[:, ::7] == 0).all()
    order = log_p.argsort(1)
    assert (p.gather(1, order).diff(dim=1) >= 0).all()


def test_every_product_of_a_basket_of_all():
    p = basket_p(torch.tensor([[0.0, -5.0, -50.0]]), torch.tensor([3]), ONES)
    torch.testing.assert_close(p, torch.ones(1, 3))


def fitted_values(scores: torch.Tensor, bought: torch.Tensor, cache) -> torch.Tensor:
    """The values fitted to questions with these scores (Q, V) and purchases (Q, V) bool."""
    from trainer.evaluation.ground_truth import GroundTruth

    questions, targets = bought.nonzero().unbind(1)
    n = len(scores)
    rows = torch.from_numpy(np.flatnonzero(cache["trips.week"] == 22)[:1].copy()).expand(n)
    truth = GroundTruth(
        row=rows, hidden=bought.sum(1), target=targets, question=questions,
        before=torch.zeros(len(targets), dtype=torch.bool),
        visible=(torch.zeros(0, dtype=torch.long),) * 2,
        removed=(torch.zeros(0, dtype=torch.long),) * 2, kinds=torch.zeros(n, 4),
    )  # fmt: skip
    counts = ScoreCounts(cache)
    counts.record("next_known", "model", truth, scores, None)
    counts.record("next_unknown", "G-TopFreq", truth, scores, None)  # not the model's
    return counts.fitted()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("cache"), customers=30)


def test_fitting_finds_temperature_and_share(cache):
    """Baskets of one item drawn from a softmax at T = 2 with a fifth spread uniformly."""
    draw = torch.Generator().manual_seed(1)
    scores = 4 * torch.randn(20_000, 60, generator=draw)
    p = 0.8 * (scores / 2).softmax(1) + 0.2 / 60
    bought = torch.zeros_like(scores).scatter(1, torch.multinomial(p, 1, generator=draw), 1) > 0
    values = fitted_values(scores, bought, cache)
    assert values[1, 0].item() == pytest.approx(2, rel=0.05)
    assert values[1, 1].item() == pytest.approx(0.2, rel=0.1)
    assert values[0].tolist() == values[2].tolist() == list(UNCALIBRATED)


def test_fitting_finds_the_slopes(cache):
    """Baskets drawn product by product, with log-odds steeper than the scores say."""
    draw = torch.Generator().manual_seed(2)
    scores = 2.5 * torch.randn(4_000, 400, generator=draw)
    scores = scores.log_softmax(1)
    bought = basket_p(scores, torch.full((4_000,), 8), torch.tensor([0.7, 0.9, 1.0, 1.5]))
    bought = torch.rand(scores.shape, generator=draw) < bought
    fitted = fitted_values(scores, bought, cache)
    calibration = Calibration()
    calibration.values.copy_(fitted)

    def worst(log_p, slopes) -> float:
        p = basket_p(log_p, bought.sum(1).clamp_min(1), slopes)
        order = p.flatten().argsort()
        expected, observed = (part.flatten()[order].double() for part in (p, bought))
        tenth = (expected.cumsum(0) / expected.sum() * 10).long().clamp_max(9)
        sums = [torch.zeros(10).double().index_add(0, tenth, part) for part in (expected, observed)]
        return float((sums[1] / sums[0] - 1).abs().max())

    assert worst(scores, ONES) > 0.2
    fitted_p = calibration.items(scores, "next_known")
    assert worst(fitted_p, calibration.slopes("next_known")) < 0.06


def test_without_fresh_trips_nothing_is_fitted(cache):
    counts = ScoreCounts(cache)
    assert counts.fitted().tolist() == [list(UNCALIBRATED)] * len(TASKS)


def test_training_fits_the_calibration_on_validation_weeks(cache):
    """The likelihood of the validation trips improves, and the score does not change."""
    torch.manual_seed(0)
    model = create_world_model("tiny", cache)
    validate = fit.validation(cache, SCHEDULES["tiny"])
    score, _ = validate(model)
    assert (model.calibration.values != Calibration().values).any()
    assert (model.calibration.values > 0).all()
    assert validate(model)[0] == score
    metrics = Evaluator(cache, "validation", scorers=(), progress=False).run(model)
    for task in metrics.tasks.values():
        found = task.fresh.scorers["model"]
        assert found["nll"].value < found["raw_nll"].value
    assert "calibration.values" in model.state_dict()
