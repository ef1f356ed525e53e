"""The average of the weights: known answers, what is validated, saved and gone on from."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from test_trainer import CONFIG, fixed_score, make
from torch import nn
from toy import toy_cache

from trainer.model.checkpoint import load_checkpoint
from trainer.training.averaging import AveragedWeights
from trainer.training.config import Phase

ONE_EPOCH = replace(CONFIG, phases=(Phase("main", 1, 2e-3, 2e-3),))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("cache"), customers=10, seed=6)


def averaged_after(values, decay):
    """The average of a model of one weight, which starts at 100 and takes these values."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 100)
    averaged = AveragedWeights(model, decay)
    for value in values:
        nn.init.constant_(model.weight, value)
        averaged.update()
    with averaged.in_model():
        return model.weight.item()


def test_the_average_by_hand():
    """Shares of the newest step: 1, 10/11, 10/12, ... but at least 1 - decay."""
    assert averaged_after([5], 0.9) == 5
    assert averaged_after([5, 16], 0.9) == pytest.approx(5 + 11 * 10 / 11)
    assert averaged_after([0, 0, 1], 0.9) == pytest.approx(10 / 12)
    # After 200 steps the share is 1 - decay = .1, and .1 * .9^n n steps later.
    assert averaged_after([0] * 198 + [1, 0], 0.9) == pytest.approx(0.1 * 0.9)
    # A step that a tenth of all steps ago counted for 10/1001 has been reduced ever since.
    assert averaged_after([0] * 991 + [1], 0.995) == pytest.approx(10 / 1001)
    assert averaged_after([1] * 500 + [0] * 500, 0.999) < 2e-3


def test_without_decay_it_is_the_weights():
    values = torch.randn(50, generator=torch.Generator().manual_seed(0)).tolist()
    assert averaged_after(values, 0) == torch.tensor(values[-1]).item()


def test_the_weights_are_back_after_use_even_after_an_error():
    model = nn.Linear(2, 2)
    averaged = AveragedWeights(model, 0.5)
    before = [parameter.clone() for parameter in model.parameters()]
    with pytest.raises(RuntimeError), averaged.in_model():
        nn.init.zeros_(model.weight)
        raise RuntimeError
    assert all(map(torch.equal, before, model.parameters()))


def test_what_is_validated_is_what_is_saved(cache, tmp_path):
    """`best` and `last` hold the average, `last` the weights of the last step besides."""
    validated = {}

    def validate(model):
        validated.update({name: value.clone() for name, value in model.state_dict().items()})
        model.calibration.values.fill_(2)
        return 0.5, {}

    trainer = make(cache, tmp_path, ONE_EPOCH, validate)
    trainer.fit()
    best, last = (load_checkpoint(tmp_path / name) for name in ("best", "last"))
    at_the_end = dict(trainer.model.named_parameters())
    moved = 0
    for name, value in validated.items():
        assert torch.equal(best.weights[name], last.weights[name])
        if name == "calibration.values":  # fitted to the average while it is validated
            assert (best.weights[name] == 2).all()
            continue
        assert torch.equal(best.weights[name], value), name
        if name in at_the_end:
            assert torch.equal(last.training[f"weights.{name}"], at_the_end[name])
            moved += not torch.equal(value, at_the_end[name])
    assert moved > len(at_the_end) / 2
    assert not best.training and last.training["steps"] == len(trainer.loader(0))


def test_averaging_changes_no_step(cache, tmp_path):
    """The weights that training goes on with are those of a run without averaging, to the bit."""
    runs = [
        make(cache, tmp_path / str(averaging), replace(ONE_EPOCH, averaging=averaging), fixed_score)
        for averaging in (0, 0.995)
    ]
    for run in runs:
        run.fit()
    assert all(map(torch.equal, *(run.model.parameters() for run in runs)))
    without = load_checkpoint(tmp_path / "0" / "last")
    for name, value in runs[0].model.named_parameters():
        assert torch.equal(without.weights[name], value)
