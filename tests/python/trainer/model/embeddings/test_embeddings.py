"""Properties that all six input tensors have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from toy import toy_cache

from trainer.cache.reader import TensorCache
from trainer.features.columns import (
    AFFINITY_COLUMNS,
    HISTORY_COLUMNS,
    OPERATION_COLUMNS,
    read_numbers,
)
from trainer.model.embeddings import (
    CustomerEmbedding,
    PriceEmbedding,
    ProductEmbedding,
    StoreEmbedding,
    TimeEmbedding,
    TripEmbedding,
)

WIDTHS = {"T1": 192, "T2": 256, "T3": 64, "T4": 64, "T5": 96, "T6": 48}


@dataclass(frozen=True)
class Case:
    """A tensor and how to make random input for it."""

    build: Callable[[TensorCache], nn.Module]
    arguments: Callable[[TensorCache, int, np.random.Generator], list[Tensor]]


def customer_arguments(cache, trips, draw):
    rows = draw.integers(0, cache.rows("customer_weeks"), trips)
    return [
        torch.from_numpy(draw.integers(0, 3, (trips, 2))),
        torch.from_numpy(read_numbers(cache, HISTORY_COLUMNS, rows)),
        torch.from_numpy(read_numbers(cache, AFFINITY_COLUMNS, rows)),
        torch.from_numpy(draw.random(trips) < 0.5),
        torch.from_numpy(draw.random(trips).astype(np.float32)),
        torch.from_numpy(draw.random(trips) < 0.8),
    ]


def time_arguments(cache, trips, draw):
    ranges = [(1, 8), (1, 54), (1, 367), (0, 24), (0, 3), (0, 90), (0, 90), (-9, 230), (-1, 99)]
    return [torch.from_numpy(draw.integers(low, high, trips)) for low, high in ranges]


def price_arguments(cache, items, draw):
    """Around 150 pence; some with another previous price, some reduced."""
    pence = draw.lognormal(5, 1, items)
    previous, base = (pence * np.exp(draw.random((2, items)) ** 4 / 2)).astype(np.float32)
    category = (pence * draw.lognormal(0, 0.5, items)).astype(np.float32)
    prices = [pence.astype(np.float32), previous, base, category]
    return [*map(torch.from_numpy, prices), torch.from_numpy(draw.random(items) < 0.2)]


def store_arguments(cache, trips, draw):
    rows = draw.integers(0, cache.rows("stores"), trips)
    return [
        torch.from_numpy(draw.integers(0, 4, trips)),
        torch.from_numpy(draw.integers(0, 5, trips)),
        torch.from_numpy(draw.integers(0, 6, trips)),
        torch.from_numpy(read_numbers(cache, OPERATION_COLUMNS, rows)),
    ]


CASES = {
    "T1": Case(CustomerEmbedding.from_cache, customer_arguments),
    "T2": Case(
        ProductEmbedding.from_cache,
        lambda cache, items, draw: [
            torch.from_numpy(draw.integers(1, cache.vocabulary.input_size, items))
        ],
    ),
    "T3": Case(TimeEmbedding.from_cache, time_arguments),
    "T4": Case(PriceEmbedding.from_cache, price_arguments),
    "T5": Case(StoreEmbedding.from_cache, store_arguments),
    "T6": Case(
        TripEmbedding.from_cache,
        lambda cache, trips, draw: [torch.from_numpy(draw.integers(0, 4, (trips, 4)))],
    ),
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> TensorCache:
    return toy_cache(tmp_path_factory.mktemp("tensors") / "cache")


@pytest.fixture(scope="module")
def other_cache(tmp_path_factory) -> TensorCache:
    """A cache of the same shapes with other numbers."""
    return toy_cache(tmp_path_factory.mktemp("tensors") / "other", seed=1)


@pytest.fixture(params=CASES)
def name(request) -> str:
    return request.param


def make(name: str, cache: TensorCache, rows: int, seed: int = 0) -> tuple[nn.Module, list[Tensor]]:
    torch.manual_seed(seed)
    module = CASES[name].build(cache)
    return module, CASES[name].arguments(cache, rows, np.random.default_rng(seed))


@pytest.mark.parametrize("rows", [0, 1, 7])
def test_width(name, cache, rows):
    module, arguments = make(name, cache, rows)
    output = module(*arguments)
    assert WIDTHS[name] == module.WIDTH
    assert output.shape == (rows, WIDTHS[name])
    assert output.dtype == torch.float32
    output.sum().backward()


def test_dense_context_and_item_add_up():
    assert WIDTHS["T1"] + WIDTHS["T3"] + WIDTHS["T5"] + WIDTHS["T6"] == 400
    assert WIDTHS["T2"] + WIDTHS["T4"] == 320


def test_gradients_reach_every_parameter(name, cache):
    module, arguments = make(name, cache, 500)
    output = module(*arguments)
    (output * torch.randn_like(output)).sum().backward()
    for parameter_name, parameter in module.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.grad.ne(0).any(), parameter_name


def test_channels_start_at_a_common_scale(name, cache):
    """Mean squares per channel over random input; single channels of few labels scatter widely."""
    module, arguments = make(name, cache, 2000)
    output = module.eval()(*arguments)
    if name == "T1":  # the blend scales its parts: b (1 - b) is no matter of initialisation
        output = output[:, -32:]
    assert (output.std(0) > 1e-3).all()
    assert 0.5 < output.square().mean() < 2


def test_state_dict_carries_everything(name, cache, other_cache):
    """Loaded into a module for another cache, which has other constants and random weights."""
    module, arguments = make(name, cache, 50)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter))
    other, _ = make(name, other_cache, 0, seed=1)
    before = other.eval()(*arguments)
    other.load_state_dict(module.state_dict())
    assert not torch.equal(before, module.eval()(*arguments))
    assert torch.equal(other(*arguments), module(*arguments))


def test_rows_do_not_depend_on_each_other(name, cache):
    module, arguments = make(name, cache, 9)
    module.double().eval()
    arguments = [a.double() if a.is_floating_point() else a for a in arguments]
    alone = torch.cat([module(*(a[i : i + 1] for a in arguments)) for i in range(9)])
    torch.testing.assert_close(alone, module(*arguments), rtol=1e-12, atol=1e-12)


def test_values_are_never_read_by_the_cpu(name, cache):
    """The meta device has no values: `.item()`, or a branch on a value, raises."""
    module, arguments = make(name, cache, 5)
    output = module.to("meta").train()(*(a.to("meta") for a in arguments))
    assert output.shape == (5, WIDTHS[name])


def test_mixed_precision_stays_close(name, cache):
    module, arguments = make(name, cache, 200)
    module.eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = module(*arguments)
    torch.testing.assert_close(output.float(), module(*arguments), rtol=0.05, atol=0.1)


def test_wrong_dtypes_and_shapes_are_refused(name, cache):
    module, arguments = make(name, cache, 3)
    for position, argument in enumerate(arguments):
        swapped = argument.to(torch.int64 if argument.is_floating_point() else torch.float32)
        for wrong in [swapped] + [argument[:2]] * (len(arguments) > 1):
            changed = [*arguments]
            changed[position] = wrong
            with pytest.raises(ValueError, match="expected"):
                module(*changed)


def test_small_integer_dtypes_are_accepted(name, cache):
    """As the cache stores them: bytes are numbers, not masks."""
    module, arguments = make(name, cache, 20)
    small = [a.to(torch.int16) if a.dtype == torch.int64 else a for a in arguments]
    assert torch.equal(module.eval()(*small), module(*arguments))
