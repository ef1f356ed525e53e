"""The chunked scan against the recurrence one step at a time, and against hand arithmetic."""

import math

import pytest
import torch

from trainer.model.encoder.convolution import causal_conv, causal_conv_step, conv_state_after
from trainer.model.encoder.scan import ssd_reference, ssd_scan, ssd_step

EXACT = dict(rtol=1e-9, atol=1e-10)

# L, chunk, B, H, P, G, N, per-channel D, sequence lengths per row (None: one sequence per row).
CASES = {
    "whole chunks": (16, 4, 2, 2, 3, 1, 4, False, None),
    "partial last chunk, groups": (13, 4, 2, 4, 2, 2, 3, True, None),
    "one chunk longer than the row": (5, 64, 1, 2, 1, 1, 1, False, None),
    "chunk of one step": (6, 1, 1, 2, 2, 2, 2, False, None),
    "one step": (1, 4, 2, 2, 2, 1, 3, True, None),
    "changes inside chunks": (14, 4, 2, 4, 2, 2, 3, False, ((3, 6, 5), (14,))),
    "changes at chunk borders": (12, 4, 2, 2, 3, 1, 2, True, ((4, 8), (8, 4))),
    "several changes in a chunk": (19, 8, 2, 2, 2, 1, 3, False, ((1, 1, 2, 1, 9, 5), (7, 1, 11))),
    "sequence over many chunks": (23, 3, 1, 3, 2, 3, 2, False, ((2, 19, 2),)),
}


def sequence_ids(lengths_per_row):
    """Ids that start above 0 and occur again: only a change of value may matter."""
    rows = [
        torch.cat([torch.full((n,), 7 - i % 2, dtype=torch.int32) for i, n in enumerate(lengths)])
        for lengths in lengths_per_row
    ]
    return torch.stack(rows)


def scan_arguments(length, batch, heads, channels, groups, size, per_channel=False, seed=0):
    """Random float64 arguments that all require gradients."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    arguments = {
        "x": normal(batch, length, heads, channels),
        "dt": normal(batch, length, heads),
        "A": -normal(heads).exp(),
        "B": normal(batch, length, groups, size),
        "C": normal(batch, length, groups, size),
        "D": normal(heads, channels) if per_channel else normal(heads),
        "dt_bias": normal(heads),
        "initial_states": normal(batch, heads, channels, size),
    }
    return {name: value.requires_grad_() for name, value in arguments.items()}


def outputs_and_gradients(function, arguments, **options):
    """Outputs, and gradients of a random projection of all outputs by every argument."""
    outputs = function(**arguments, dt_softplus=True, return_final_states=True, **options)
    generator = torch.Generator().manual_seed(1)
    loss = sum(
        (out * torch.randn(out.shape, generator=generator, dtype=out.dtype)).sum()
        for out in outputs
    )
    gradients = torch.autograd.grad(loss, list(arguments.values()))
    return dict(zip(("y", "states"), outputs, strict=True)), dict(
        zip(arguments, gradients, strict=True)
    )


def stretches(length, batch, heads):
    """Random stretches from 1 to about 8."""
    generator = torch.Generator().manual_seed(2)
    stretch = torch.randn(batch, length, heads, generator=generator, dtype=torch.float64)
    return (1 + stretch.exp()).requires_grad_()


@pytest.mark.parametrize("timed", [False, True], ids=["", "timed"])
@pytest.mark.parametrize("case", CASES)
def test_chunked_equals_sequential_with_every_gradient(case, timed):
    length, chunk, batch, heads, channels, groups, size, per_channel, lengths = CASES[case]
    arguments = scan_arguments(length, batch, heads, channels, groups, size, per_channel)
    if timed:
        arguments["stretch"] = stretches(length, batch, heads)
    options = {"chunk_size": chunk, "seq_idx": lengths and sequence_ids(lengths)}
    outputs, gradients = outputs_and_gradients(ssd_scan, arguments, **options)
    true_outputs, true_gradients = outputs_and_gradients(ssd_reference, arguments, **options)
    for found, expected in ((outputs, true_outputs), (gradients, true_gradients)):
        for name in expected:
            torch.testing.assert_close(
                found[name], expected[name], **EXACT, msg=lambda m, name=name: f"{name}: {m}"
            )
            assert expected[name].abs().max() > 0, f"{name} is zero: nothing was compared"


def test_defaults_are_no_skip_no_bias_no_softplus_and_a_zero_state():
    arguments = scan_arguments(7, 1, 2, 2, 1, 3)
    names = ("x", "dt", "A", "B", "C")
    bare = {name: arguments[name].detach() for name in names}
    bare["dt"] = bare["dt"].abs()
    zeros = {
        "D": torch.zeros(2),
        "dt_bias": torch.zeros(2),
        "initial_states": torch.zeros(1, 2, 2, 3),
    }
    expected = ssd_reference(**bare, **zeros)
    torch.testing.assert_close(ssd_scan(**bare, chunk_size=3), expected, **EXACT)
    torch.testing.assert_close(ssd_reference(**bare), expected, **EXACT)


@pytest.mark.parametrize("chunk", [1, 2, 3])
@pytest.mark.parametrize("function", [ssd_scan, ssd_reference])
def test_scalar_recurrence_by_hand(function, chunk):
    """A = -ln 2: the state halves per unit of dt. h0 = 8, dt = 1, 2, 1, x = 1, 3, 2, B = 1, 1, 2.

    h1 = 8/2 + 1*1*1 = 5, h2 = 5/4 + 2*3*1 = 7.25, h3 = 7.25/2 + 1*2*2 = 7.625; C = 1, 2, -1, D = 10
    gives y = 5 + 10, 14.5 + 30, -7.625 + 20.
    """

    def series(*values):
        return torch.tensor(values, dtype=torch.float64)

    y, state = function(
        series(1, 3, 2).view(1, 3, 1, 1),
        series(1, 2, 1).view(1, 3, 1),
        series(-math.log(2)),
        series(1, 1, 2).view(1, 3, 1, 1),
        series(1, 2, -1).view(1, 3, 1, 1),
        chunk,
        D=series(10),
        initial_states=series(8).view(1, 1, 1, 1),
        return_final_states=True,
    )
    torch.testing.assert_close(y.flatten(), series(15, 44.5, 12.375), **EXACT)
    torch.testing.assert_close(state.flatten(), series(7.625), **EXACT)


def test_packed_scan_equals_one_by_one_and_the_initial_state_reaches_the_first_only():
    lengths = (5, 1, 9, 6)
    arguments = {k: v.detach() for k, v in scan_arguments(21, 1, 2, 3, 1, 2).items()}
    seq_idx = sequence_ids([lengths])
    options = {"chunk_size": 4, "dt_softplus": True, "return_final_states": True}
    y, state = ssd_scan(**arguments, seq_idx=seq_idx, **options)
    start = 0
    for length in lengths:
        single = {
            k: v[:, start : start + length] if k in ("x", "dt", "B", "C") else v
            for k, v in arguments.items()
        }
        if start > 0:
            del single["initial_states"]
        alone, alone_state = ssd_scan(**single, **options)
        torch.testing.assert_close(y[:, start : start + length], alone, **EXACT)
        start += length
    torch.testing.assert_close(state, alone_state, **EXACT)


def test_a_pass_can_be_split_by_handing_on_the_state():
    arguments = {k: v.detach() for k, v in scan_arguments(17, 2, 2, 3, 1, 4).items()}
    options = {"chunk_size": 4, "dt_softplus": True, "return_final_states": True}
    y, state = ssd_scan(**arguments, **options)
    timed = ("x", "dt", "B", "C")
    head = {k: v[:, :10] if k in timed else v for k, v in arguments.items()}
    tail = {k: v[:, 10:] if k in timed else v for k, v in arguments.items()}
    y_head, tail["initial_states"] = ssd_scan(**head, **options)
    y_tail, state_tail = ssd_scan(**tail, **options)
    torch.testing.assert_close(torch.cat((y_head, y_tail), 1), y, **EXACT)
    torch.testing.assert_close(state_tail, state, **EXACT)


def test_nothing_flows_back_in_time_or_across_sequences():
    """Exact zeros in the gradient, at a cut inside and at the border of a chunk."""
    arguments = scan_arguments(16, 1, 2, 2, 1, 3)
    for cut in (6, 8):
        past = ssd_scan(**arguments, chunk_size=4)[:, :cut].sum()
        ids = torch.arange(16)[None] >= cut
        packed = ssd_scan(**arguments, chunk_size=4, seq_idx=ids.int())
        for name in ("x", "dt", "B", "C"):
            (by_past,) = torch.autograd.grad(past, arguments[name], retain_graph=True)
            assert torch.all(by_past[:, cut:] == 0) and torch.any(by_past[:, cut - 1] != 0)
            (by_second,) = torch.autograd.grad(
                packed[:, cut:].sum(), arguments[name], retain_graph=True
            )
            assert torch.all(by_second[:, :cut] == 0) and torch.any(by_second[:, cut] != 0)


@pytest.mark.parametrize("step_size", [1e-4, 1.0, 50.0])
def test_long_rows_stay_finite_and_accurate_in_float32(step_size):
    """The log decay of a row reaches 4096 * 50 * 16; its exponentials must neither overflow
    nor turn into nan, and outputs stay close to float64."""
    length = 4096
    generator = torch.Generator().manual_seed(0)
    arguments = {
        "x": torch.randn(1, length, 2, 4, generator=generator),
        "dt": step_size * (0.5 + torch.rand(1, length, 2, generator=generator)),
        "A": torch.tensor([-1.0, -16.0]),
        "B": torch.randn(1, length, 1, 8, generator=generator),
        "C": torch.randn(1, length, 1, 8, generator=generator),
    }
    seq_idx = (torch.arange(length)[None] // 1000).int()
    options = {"chunk_size": 128, "seq_idx": seq_idx}
    leaves = {name: value.clone().requires_grad_() for name, value in arguments.items()}
    y = ssd_scan(**leaves, **options)
    y.square().mean().backward()
    assert torch.isfinite(y).all()
    for name, leaf in leaves.items():
        assert torch.isfinite(leaf.grad).all(), name
    doubles = {name: value.double() for name, value in arguments.items()}
    truth = ssd_scan(**doubles, **options)
    assert (y - truth).abs().max() <= 1e-4 * truth.abs().max()


def test_small_steps_keep_their_digits_after_large_ones_in_float32():
    """Differences of running sums of the log decay would lose three digits here."""
    generator = torch.Generator().manual_seed(0)
    x, B, C = (torch.randn(1, 256, 1, 8, generator=generator) for _ in range(3))
    quiet = torch.arange(256) % 64 >= 32
    dt = torch.where(quiet, 1e-3, 50.0).view(1, 256, 1)
    arguments = (x, dt, torch.tensor([-16.0]), B, C)
    y = ssd_scan(*arguments, chunk_size=64)
    truth = ssd_reference(*(value.double() for value in arguments))
    assert (y - truth)[:, quiet].abs().max() < 1e-5 * truth[:, quiet].abs().max()


def test_bfloat16_inputs_give_bfloat16_outputs_and_float32_states():
    doubles = {k: v.detach() for k, v in scan_arguments(40, 1, 2, 4, 1, 4).items()}
    kept = ("A", "dt_bias", "D")
    halves = {k: v.float() if k in kept else v.bfloat16() for k, v in doubles.items()}
    rounded = {k: v.double() for k, v in halves.items()}
    options = {"chunk_size": 16, "dt_softplus": True, "return_final_states": True}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, state = ssd_scan(**halves, **options)
    true_y, true_state = ssd_scan(**rounded, **options)
    assert y.dtype == torch.bfloat16 and state.dtype == torch.float32
    torch.testing.assert_close(y.double(), true_y, rtol=8e-3, atol=1e-3)
    torch.testing.assert_close(state.double(), true_state, rtol=1e-5, atol=1e-5)


def test_step_equals_scan():
    arguments = {k: v.detach() for k, v in scan_arguments(9, 2, 4, 3, 2, 2).items()}
    y, final = ssd_scan(**arguments, chunk_size=4, dt_softplus=True, return_final_states=True)
    state = arguments.pop("initial_states")
    timed = {name: arguments.pop(name) for name in ("x", "dt", "B", "C")}
    for t in range(9):
        now = {name: value[:, t] for name, value in timed.items()}
        before = state.clone()
        y_t, after = ssd_step(**now, **arguments, state=state, dt_softplus=True)
        torch.testing.assert_close(y_t, y[:, t], **EXACT)
        assert torch.equal(state, before), "the caller's state was changed"
        state = after
    torch.testing.assert_close(state, final, **EXACT)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("x", (2, 6, 4)),
        ("x", (2, 0, 4, 3)),
        ("dt", (2, 5, 4)),
        ("A", (3,)),
        ("B", (2, 6, 3, 5)),
        ("B", (2, 5, 2, 5)),
        ("C", (2, 6, 2, 4)),
        ("D", (5,)),
        ("D", (4, 2)),
        ("dt_bias", (1,)),
        ("initial_states", (2, 4, 5, 3)),
        ("seq_idx", (2, 7)),
    ],
)
@pytest.mark.parametrize("function", [ssd_scan, ssd_reference])
def test_wrong_shapes_are_named(function, name, shape):
    arguments = {k: v.detach() for k, v in scan_arguments(6, 2, 4, 3, 2, 5).items()}
    arguments["seq_idx"] = torch.zeros(2, 6, dtype=torch.long)
    function(**arguments, chunk_size=4)
    arguments[name] = torch.zeros(shape, dtype=arguments[name].dtype)
    with pytest.raises(ValueError, match=rf"^{name}\b.*\({', '.join(map(str, shape))}|^B has 3"):
        function(**arguments, chunk_size=4)


def test_wrong_kinds_are_named():
    arguments = {k: v.detach() for k, v in scan_arguments(6, 2, 2, 3, 1, 5).items()}
    with pytest.raises(ValueError, match="^seq_idx must be integers"):
        ssd_scan(**arguments, chunk_size=4, seq_idx=torch.zeros(2, 6))
    with pytest.raises(ValueError, match="^chunk_size must be at least 1"):
        ssd_scan(**arguments, chunk_size=0)
    arguments["x"] = arguments["x"].long()
    with pytest.raises(ValueError, match="^x must be floating point"):
        ssd_scan(**arguments, chunk_size=4)


def conv_arguments(length=11, width=4):
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return normal(2, length, 5), normal(5, width), normal(5)


@pytest.mark.parametrize(("length", "width"), [(11, 4), (2, 4), (6, 1)])
def test_convolution_equals_torch(length, width):
    x, weight, bias = conv_arguments(length, width)
    expected = torch.nn.functional.conv1d(
        x.mT, weight.unsqueeze(1), bias, padding=width - 1, groups=5
    ).mT[:, :length]
    torch.testing.assert_close(causal_conv(x, weight, bias, activation=False), expected, **EXACT)
    activated = torch.nn.functional.silu(expected - bias)
    torch.testing.assert_close(causal_conv(x, weight, None), activated, **EXACT)


def test_convolution_packed_and_by_step_equals_one_by_one():
    x, weight, bias = conv_arguments()
    lengths = (2, 1, 5, 3)
    seq_idx = sequence_ids([lengths, lengths])
    packed = causal_conv(x, weight, bias, seq_idx)
    for part, packed_part in zip(x.split(lengths, 1), packed.split(lengths, 1), strict=True):
        torch.testing.assert_close(causal_conv(part, weight, bias), packed_part, **EXACT)
        state = x.new_zeros(2, 3, 5)
        for t in range(part.shape[1]):
            y, state = causal_conv_step(part[:, t], state, weight, bias)
            torch.testing.assert_close(y, packed_part[:, t], **EXACT)
    for stop in range(1, 12):
        alone = (torch.arange(11) < stop) & (seq_idx[0].diff(prepend=seq_idx[0, :1]) != 0)
        begin = int(alone.nonzero().max()) if alone.any() else 0
        after = conv_state_after(x[:, :stop], 4, seq_idx[:, :stop])
        assert torch.equal(after, conv_state_after(x[:, begin:stop], 4))
    assert torch.equal(after, state)


def test_convolution_errors_name_the_argument():
    x, weight, bias = conv_arguments()
    state = x.new_zeros(2, 3, 5)
    wrong = [
        (lambda: causal_conv(x[0], weight, bias), "x"),
        (lambda: causal_conv(x, weight.T, bias), "weight"),
        (lambda: causal_conv(x, weight, bias[:2]), "bias"),
        (lambda: causal_conv(x, weight, bias, torch.zeros(2, 3, dtype=torch.long)), "seq_idx"),
        (lambda: causal_conv(x, weight, bias, torch.zeros(2, 11)), "seq_idx"),
        (lambda: causal_conv_step(x, state, weight, bias), "x"),
        (lambda: causal_conv_step(x[:, 0], state[:, 1:], weight, bias), "conv_state"),
    ]
    for call, name in wrong:
        with pytest.raises(ValueError, match=f"^{name}(:| must)"):
            call()


def test_a_stretched_step_by_hand():
    """The old state decays by exp(3 * -1 * 0.5); what comes in counts as without a stretch."""

    def numbers(value, *shape):
        return torch.full(shape, value, dtype=torch.float64)

    y, after = ssd_step(
        x=numbers(2, 1, 1, 1), dt=numbers(0.5, 1, 1), A=numbers(-1, 1), B=numbers(1, 1, 1, 1),
        C=numbers(1, 1, 1, 1), state=numbers(4, 1, 1, 1, 1), D=numbers(5, 1),
        stretch=numbers(3, 1, 1),
    )  # fmt: skip
    expected = 4 * math.exp(-1.5) + 0.5 * 2
    assert after.item() == pytest.approx(expected)
    assert y.item() == pytest.approx(expected + 5 * 2)


def test_a_long_time_forgets_all_but_the_step_itself():
    arguments = {k: v.detach() for k, v in scan_arguments(6, 2, 2, 3, 1, 2).items()}
    stretch = torch.ones(2, 6, 2, dtype=torch.float64)
    stretch[:, 3] = 1e6
    y = ssd_scan(**arguments, chunk_size=4, dt_softplus=True, stretch=stretch)
    other = arguments | {
        name: torch.cat([arguments[name][:, :3] + 1, arguments[name][:, 3:]], 1)
        for name in ("x", "B")
    }
    changed = ssd_scan(**other, chunk_size=4, dt_softplus=True, stretch=stretch)
    torch.testing.assert_close(y[:, 3:], changed[:, 3:], **EXACT)
    assert (y[:, 2] != changed[:, 2]).any()
