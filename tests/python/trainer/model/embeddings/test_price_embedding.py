"""T4: logs and waves by hand, and that nothing depends on a hidden price."""

from __future__ import annotations

import math

import pytest
import torch

from trainer.model.embeddings import PriceEmbedding
from trainer.model.embeddings.standardiser import Standardiser

FOURIER, LOG, RELATIVE, VELOCITY = slice(0, 24), slice(24, 40), slice(40, 56), slice(56, 64)
NAMES = ("pence", "previous", "base", "category_pence")


@pytest.fixture
def price() -> PriceEmbedding:
    """Standardised as (log(1 + pence) - 4) / 2."""
    torch.manual_seed(0)
    scale = Standardiser(torch.tensor([4.0]), torch.tensor([2.0]), torch.tensor([True]))
    return PriceEmbedding(scale).double()


def prices(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def visible(*shape: int) -> torch.Tensor:
    return torch.zeros(shape, dtype=torch.bool)


def test_numbers_that_the_maps_read(price):
    """Price 199, before 99, base 399, category 49: 1 + pence = 200, 100, 400, 50."""
    read = {}
    for name in ("fourier", "log", "relative", "velocity"):
        getattr(price, name).register_forward_pre_hook(
            lambda module, inputs, name=name: read.update({name: inputs[0][0]})
        )
    price(prices(199), prices(99), prices(399), prices(49), visible(1))
    log, ln2 = math.log(200), math.log(2)
    waves = [2 * math.pi / 8 * 2**k for k in range(8)]
    expected = {
        "fourier": [math.sin(w * log) for w in waves] + [math.cos(w * log) for w in waves],
        "log": [(log - 4) / 2],
        "relative": [math.log(4)],
        "velocity": [ln2 / 0.2, ln2 / 0.2],
    }
    for name, values in expected.items():
        # Frequencies start as float32 numbers.
        torch.testing.assert_close(read[name], prices(*values), rtol=0, atol=1e-4)


def test_each_input_moves_its_parts_only(price):
    base = [prices(199), prices(199), prices(199), prices(150)]
    output = price(*base, visible(1))
    parts = (FOURIER, LOG, RELATIVE, VELOCITY)
    expected = {0: [True] * 4, 1: [False] * 3 + [True], 2: [False] * 3 + [True]}
    expected[3] = [False, False, True, False]
    for position, moved in expected.items():
        changed = [*base]
        changed[position] = prices(90)
        other = price(*changed, visible(1))
        assert [not torch.equal(output[:, p], other[:, p]) for p in parts] == moved


def test_relative_depends_on_the_ratio_only(price):
    first = price(prices(199), prices(1), prices(1), prices(99), visible(1))
    second = price(prices(19), prices(1), prices(1), prices(9), visible(1))
    torch.testing.assert_close(first[:, RELATIVE], second[:, RELATIVE])
    assert not torch.allclose(first[:, LOG], second[:, LOG])


def test_a_steady_price_has_one_velocity(price):
    steady = prices(3, 80, 4000)
    output = price(steady, steady, steady, steady, visible(3))[:, VELOCITY]
    assert torch.equal(output, output[:1].expand(3, -1))


def test_prices_of_zero_and_extremes_are_finite(price):
    values = prices(0, 1e7)
    grid = torch.cartesian_prod(values, values, values, values).unbind(1)
    output = price(*grid, visible(16))
    assert output.isfinite().all()
    output.square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in price.parameters())


def test_extreme_ratios_are_clamped(price):
    """Changes, depths and distances to the category are clamped: logs beyond 1, 1 and 5."""
    pence = prices(100, 100)
    far = price(pence, prices(1e3, 1e4), prices(1e3, 1e4), prices(1e3, 1e4), visible(2))
    assert torch.equal(far[0, VELOCITY], far[1, VELOCITY])
    assert not torch.equal(far[0, RELATIVE], far[1, RELATIVE])
    farther = price(pence, pence, pence, prices(1e9, 1e12), visible(2))
    assert torch.equal(farther[0, RELATIVE], farther[1, RELATIVE])


def test_maps_of_one_number_bend_in_many_places(price):
    first = price.log[0]
    assert len((first.bias / first.weight[:, 0]).unique()) == 16


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf, -7.0, 0.0, 1e30])
def test_nothing_depends_on_a_hidden_price(price, value):
    """Neither the output nor the gradient of any parameter or price."""
    hidden = torch.tensor([False, True, False])
    weight = torch.randn(3, 64, dtype=torch.float64)
    results = []
    for under in (120.0, value):
        price.zero_grad()
        inputs = [prices(199, under, 45).requires_grad_() for _ in NAMES]
        output = price(*inputs, hidden)
        (output * weight).sum().backward()
        assert torch.equal(output[1], price.hidden)
        assert all(values.grad[1] == 0 for values in inputs)
        gradients = [p.grad.clone() for p in price.parameters()]
        results.append([output.detach(), *gradients, *(values.grad for values in inputs)])
    for first, second in zip(*results, strict=True):
        assert first.isfinite().all()
        assert torch.equal(first, second)


def test_hidden_vector_learns_from_hidden_prices_only(price):
    values = prices(199, 120)
    price(values, values, values, values, torch.tensor([False, True])).sum().backward()
    assert torch.equal(price.hidden.grad, torch.ones(64, dtype=torch.float64))


def test_any_leading_shape(price):
    values = torch.rand(2, 3, 5, dtype=torch.float64) * 100
    output = price(values, values, values, values, visible(2, 3, 5))
    assert output.shape == (2, 3, 5, 64)
    flat = values.flatten()
    torch.testing.assert_close(output.flatten(0, 2), price(flat, flat, flat, flat, visible(30)))


def test_price_points_three_percent_apart_differ(price):
    """The shortest wave is 1/16 in logs: 3 % is half of it."""
    output = price(prices(100, 103), *[prices(100, 100)] * 3, visible(2))[:, FOURIER]
    assert (output[0] - output[1]).norm() > 1
