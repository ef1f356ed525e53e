"""The Mamba-2 layer and encoder: packing, stepping, causality, and the layout of their weights."""

import math

import pytest
import torch
import torch.nn.functional as F

from trainer.model.encoder.mamba2 import GatedRMSNorm, Mamba2Encoder, Mamba2Layer

EXACT = dict(rtol=1e-9, atol=1e-10)
WIDTH = 8
SIZES = {"state": 5, "conv": 4, "head": 4, "groups": 2, "chunk": 4}
LENGTHS = (3, 1, 8, 2, 7)  # a border inside a chunk, at a chunk border (12), and a single step


@pytest.fixture(params=["layer", "encoder"])
def model(request):
    """A float64 layer or encoder with no weight at its initial zero or one."""
    torch.manual_seed(0)
    if request.param == "layer":
        model = Mamba2Layer(WIDTH, **SIZES)
    else:
        model = Mamba2Encoder(WIDTH, layers=2, **SIZES)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("dt_bias"):
                parameter.uniform_(-2, 1)  # steps long enough that the past matters
            elif name.endswith(("D", "norm.weight", "norm_f.weight")):
                parameter.uniform_(0.5, 1.5)
    return model.double()


def random_input(batch, length, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, length, WIDTH, generator=generator, dtype=torch.float64)


def packed_ids(*rows):
    """Ids that alternate, so that only a change of value may separate sequences."""
    return torch.stack(
        [torch.cat([torch.full((n,), 3 + i % 2) for i, n in enumerate(row)]) for row in rows]
    )


def test_packed_equals_one_by_one_with_every_parameter_gradient(model):
    rows = (LENGTHS, (10, 4, 7))
    u, seq_idx = random_input(2, 21), packed_ids(*rows)
    weights = random_input(2, 21, seed=1)
    names = [name for name, _ in model.named_parameters()]

    packed = model(u, seq_idx)
    packed_gradients = torch.autograd.grad((packed * weights).sum(), model.parameters())

    alone = [
        torch.cat([model(part[None]) for part in row.split(lengths)], dim=1)
        for row, lengths in zip(u, rows, strict=True)
    ]
    alone = torch.cat(alone)
    alone_gradients = torch.autograd.grad((alone * weights).sum(), model.parameters())

    torch.testing.assert_close(packed, alone, **EXACT)
    for name, found, expected in zip(names, packed_gradients, alone_gradients, strict=True):
        torch.testing.assert_close(
            found, expected, **EXACT, msg=lambda m, name=name: f"{name}: {m}"
        )
        assert expected.abs().max() > 0, f"{name} has no gradient: nothing was compared"


def test_chunk_size_changes_nothing(model):
    u, seq_idx = random_input(1, 21), packed_ids(LENGTHS)
    expected = model(u, seq_idx)
    layers = [m for m in model.modules() if isinstance(m, Mamba2Layer)]
    for chunk in (1, 5, 64):
        for layer in layers:
            layer.chunk = chunk
        torch.testing.assert_close(model(u, seq_idx), expected, **EXACT)


def test_step_by_step_equals_full_pass(model):
    u = random_input(2, 13)
    full, full_cache = model(u, return_cache=True)
    cache = model.empty_cache(2)
    for t in range(13):
        y, cache = model.step(u[:, t], cache)
        torch.testing.assert_close(y, full[:, t], **EXACT)
    for found, expected in zip(tensors(cache), tensors(full_cache), strict=True):
        torch.testing.assert_close(found, expected, **EXACT)


def tensors(cache):
    """The tensors of one cache or of a stack of them."""
    layers = cache if isinstance(cache, tuple) else (cache,)
    return [tensor for layer in layers for tensor in (layer.conv, layer.state)]


@pytest.mark.parametrize("prefill", [1, 2, 5, 12])
def test_prefill_then_steps_equals_full_pass(model, prefill):
    u = random_input(2, 15)
    full = model(u)
    y, cache = model(u[:, :prefill], return_cache=True)
    torch.testing.assert_close(y, full[:, :prefill], **EXACT)
    for tensor in tensors(cache):
        assert tensor.untyped_storage().nbytes() == tensor.nbytes, "the cache keeps the pass alive"
    for t in range(prefill, 15):
        kept = [tensor.clone() for tensor in tensors(cache)]
        y, after = model.step(u[:, t], cache)
        assert all(map(torch.equal, tensors(cache), kept)), "the caller's cache was changed"
        cache = after
        torch.testing.assert_close(y, full[:, t], **EXACT)


def test_prefill_of_packed_rows_continues_the_last_sequence(model):
    """Rows padded at the front with an id that no sequence has: each continues as if alone."""
    lengths, u = (2, 6, 9), random_input(3, 10)
    ids = torch.stack([(torch.arange(9) >= 9 - n).long() for n in lengths])
    _, cache = model(u[:, :9], ids, return_cache=True)
    y, _ = model.step(u[:, 9], cache)
    for row, length in enumerate(lengths):
        alone = model(u[row : row + 1, 9 - length :])[:, -1]
        torch.testing.assert_close(y[row : row + 1], alone, **EXACT)


@pytest.mark.parametrize("prefill", [0, 1, 5, 12])
def test_a_timed_encoder_steps_as_it_passes(prefill):
    torch.manual_seed(0)
    encoder = Mamba2Encoder(WIDTH, layers=2, **SIZES, timed=True).double()
    u = random_input(2, 13)
    elapsed = torch.randint(0, 60, (2, 13), generator=torch.Generator().manual_seed(4))
    full = encoder(u, elapsed=elapsed)
    assert (full != encoder(u)).any(), "time changes nothing"
    cache = encoder.empty_cache(2)
    if prefill:
        _, cache = encoder(u[:, :prefill], return_cache=True, elapsed=elapsed[:, :prefill])
    for t in range(prefill, 13):
        y, cache = encoder.step(u[:, t], cache, elapsed[:, t])
        torch.testing.assert_close(y, full[:, t], **EXACT)
    full.square().sum().backward()
    assert all(block.mixer.rate.grad.abs().max() > 0 for block in encoder.layers)


@pytest.mark.parametrize("cut", [1, 7, 8, 20])
def test_changing_the_future_changes_nothing_before(model, cut):
    u = random_input(1, 21)
    changed = u.clone()
    changed[:, cut:] = random_input(1, 21 - cut, seed=2) * 10
    before, after = model(u), model(changed)
    assert torch.equal(before[:, :cut], after[:, :cut])
    assert (before[:, cut:] != after[:, cut:]).any()


def test_changing_one_sequence_changes_no_other(model):
    u, seq_idx = random_input(1, 21), packed_ids(LENGTHS)
    before = model(u, seq_idx)
    start = 0
    for length in LENGTHS:
        steps = slice(start, start + length)
        changed = u.clone()
        changed[:, steps] = random_input(1, length, seed=3) * 10
        after = model(changed, seq_idx)
        differs = (before != after).any(-1).flatten()
        assert differs[steps].all()
        differs[steps] = False
        assert not differs.any(), f"the sequence at {steps} reached {differs.nonzero().flatten()}"
        start += length
    assert (model(u) != before).any(), "without ids the sequences should mix"


def test_layer_equals_its_formula():
    """Written out for one step of one head, where scan and convolution are single products."""
    torch.manual_seed(0)
    layer = Mamba2Layer(4, state=2, conv=3, head=8).double()
    u = torch.randn(4, dtype=torch.float64)
    z, x, B, C, dt = (layer.in_proj.weight @ u).split((8, 8, 2, 2, 1))
    xBC = torch.cat((x, B, C)) * layer.conv1d.weight[:, 0, -1] + layer.conv1d.bias
    x, B, C = F.silu(xBC).split((8, 2, 2))
    y = F.softplus(dt + layer.dt_bias) * (B @ C) * x + layer.D * x
    gated = y * F.silu(z)
    normed = gated / (gated.square().mean() + 1e-5).sqrt() * layer.norm.weight
    torch.testing.assert_close(layer(u[None, None]).flatten(), layer.out_proj(normed), **EXACT)


def test_gated_norm_treats_groups_separately():
    norm = GatedRMSNorm(4, groups=2)
    gate = torch.full((4,), 1.0)
    y = norm(torch.tensor([3.0, 3.0, -7.0, 7.0]) * 1e3, gate)
    torch.testing.assert_close(y, torch.tensor([1.0, 1.0, -1.0, 1.0]))


def test_weights_have_the_names_shapes_and_initial_values_of_the_original():
    torch.manual_seed(0)
    layer = Mamba2Layer(512, state=64, conv=4, head=8)
    heads, channels = 128, 1024 + 2 * 64
    shapes = {name: tuple(value.shape) for name, value in layer.state_dict().items()}
    assert shapes == {
        "in_proj.weight": (1024 + channels + heads, 512),
        "conv1d.weight": (channels, 1, 4),
        "conv1d.bias": (channels,),
        "dt_bias": (heads,),
        "A_log": (heads,),
        "D": (heads,),
        "norm.weight": (1024,),
        "out_proj.weight": (512, 1024),
    }
    dt, rate = F.softplus(layer.dt_bias), layer.A_log.exp()
    assert dt.min() > 0.99e-3 and dt.max() < 0.101
    assert abs(dt.log().mean() - math.log(1e-2)) < 0.4  # log-uniform, not uniform
    assert rate.min() >= 1 and rate.max() <= 16 and abs(rate.mean() - 8.5) < 1.5
    assert (layer.D == 1).all() and (layer.norm.weight == 1).all()


def test_output_projections_start_smaller_in_deeper_encoders():
    def spread(layers):
        torch.manual_seed(0)
        encoder = Mamba2Encoder(64, layers, state=8, head=16)
        return encoder.layers[0].mixer.out_proj.weight.abs().max()

    assert abs(spread(4) / spread(1) - 0.5) < 0.02


def test_bfloat16_autocast_trains_and_steps(model):
    model = model.float()
    u = random_input(1, 21).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, cache = model(u, packed_ids(LENGTHS), return_cache=True)
        model.step(u[:, 0], cache)
    y.float().square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    torch.testing.assert_close(y.float(), model(u, packed_ids(LENGTHS)), rtol=0.1, atol=0.1)


def test_errors_name_the_argument(model):
    cache = model.empty_cache(2)
    wrong = [
        (lambda: Mamba2Layer(8, head=5), "head=5 must divide"),
        (lambda: Mamba2Layer(8, head=4, groups=3), "groups=3 must divide"),
        (lambda: Mamba2Encoder(8, layers=0), "layers must be at least 1"),
        (lambda: Mamba2Layer(8, **SIZES)(torch.zeros(2, 8)), "u must be"),
        (lambda: Mamba2Layer(8, **SIZES)(torch.zeros(2, 3, 7)), r"u must be .*8\), got \(2, 3, 7"),
        (
            lambda: model(random_input(2, 5), torch.zeros(2, 4, dtype=torch.int)),
            "seq_idx: expected",
        ),
        (lambda: model.step(random_input(3, 5)[:, 0], cache), "conv_state: expected"),
        (lambda: Mamba2Encoder(8, 3, **SIZES).step(torch.zeros(2, 8), ()), "cache must hold 3"),
    ]
    for call, message in wrong:
        with pytest.raises(ValueError, match=message):
            call()
