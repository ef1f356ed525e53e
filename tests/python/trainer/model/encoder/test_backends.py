"""The two backends: which is chosen and why, and that both compute the same.

mamba-ssm's and causal-conv1d's kernels need a GPU. Elsewhere stand-ins take their place that
keep to their documented rules, and refuse what the kernels would refuse or get wrong.
"""

from __future__ import annotations

import importlib.util
import sys
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from test_scan import CASES, outputs_and_gradients, scan_arguments, sequence_ids, stretches
from toy import toy_cache

from trainer import evaluate, fit
from trainer.batches.loaders import WorldModelDataLoader
from trainer.batches.timelines import WorldModelDataset
from trainer.model.checkpoint import load_model, save_checkpoint
from trainer.model.encoder import backends, kernels
from trainer.model.encoder.backends import TORCH, Backend, choose
from trainer.model.encoder.convolution import causal_conv
from trainer.model.encoder.mamba2 import Mamba2Encoder
from trainer.model.encoder.scan import ssd_reference, ssd_scan
from trainer.model.world_model import create_world_model

TOLERANCE = dict(rtol=1e-4, atol=1e-5)
"""Both in float32, summed in another order."""
OF_MAXIMUM = {torch.float32: 5e-3, torch.bfloat16: 4e-2}
"""Largest difference on a GPU, as a share of the largest number of a tensor. The kernels round
factors of products to TF32 (unit 5e-4) or bfloat16 (4e-3), states between chunks to bfloat16."""


def mamba_chunk_scan_combined(
    x, dt, A, B, C, chunk_size, D=None, z=None, dt_bias=None, initial_states=None, seq_idx=None,
    cu_seqlens=None, dt_softplus=False, dt_limit=(0.0, float("inf")), return_final_states=False,
    return_varlen_states=False,
):  # fmt: skip
    """Under mamba-ssm's rules: ids unique in a row, initial states for the sequence with id 0."""
    assert z is None and cu_seqlens is None and not return_varlen_states
    assert x.dtype == B.dtype == C.dtype != torch.float64
    assert chunk_size >= 16 and chunk_size & (chunk_size - 1) == 0
    assert x.shape[1] % chunk_size == 0, "reads beyond the end of the row"
    assert dt_softplus or (dt >= 0).all(), "would be taken for 0"
    if seq_idx is not None:
        assert seq_idx.dtype == torch.int32 and seq_idx.is_contiguous()
        for row in seq_idx:
            assert len(row.unique()) == 1 + (row.diff() != 0).sum(), "an id returns"
        if initial_states is not None:
            is_first = seq_idx[:, 0] == 0
            initial_states = initial_states * is_first.view(-1, 1, 1, 1)
    return ssd_reference(
        x, dt, A, B, C, chunk_size, D, dt_bias, dt_softplus, initial_states, seq_idx,
        return_final_states,
    )  # fmt: skip


def causal_conv1d_fn(x, weight, bias=None, seq_idx=None, activation=None):
    """Under causal-conv1d's rules: x (B, D, L) channel-last, strides of whole eights."""
    channels, width = weight.shape
    assert x.shape[1] == channels and channels % 8 == 0 and 2 <= width <= 4
    assert x.stride(1) == 1 and x.stride(2) > 1
    assert x.stride(0) % 8 == x.stride(2) % 8 == x.storage_offset() % 8 == 0
    assert bias is None or bias.dtype == weight.dtype
    assert seq_idx is None or (seq_idx.dtype == torch.int32 and seq_idx.is_contiguous())
    y = torch.zeros(x.shape) if bias is None else bias.float()[:, None].expand(x.shape)
    for shift in range(min(width, x.shape[2])):
        past = F.pad(x.float(), (shift, 0))[..., : x.shape[2]] * weight[:, -1 - shift, None]
        if seq_idx is not None:  # equal ids belong together, whatever lies between
            same = F.pad(seq_idx, (shift, 0), value=-1)[:, : x.shape[2]] == seq_idx
            past = past * same[:, None]
        y = y + past
    assert activation in (None, "silu")
    return (y if activation is None else F.silu(y)).to(x.dtype)


SCAN = partial(kernels.scan_by, mamba_chunk_scan_combined)
CONV = partial(kernels.conv_by, causal_conv1d_fn)
STAND_IN = Backend("mamba-ssm", "stand-in", SCAN, CONV)


def in_float(arguments):
    return {name: t.detach().float().requires_grad_() for name, t in arguments.items()}


def assert_close(found, expected, **tolerance):
    for name in expected:
        assert found[name].dtype == expected[name].dtype, name
        assert expected[name].abs().max() > 0, f"{name} is zero: nothing was compared"
        torch.testing.assert_close(
            found[name], expected[name], **tolerance, msg=lambda m, name=name: f"{name}: {m}"
        )


@pytest.mark.parametrize("timed", [False, True], ids=["", "timed"])
@pytest.mark.parametrize("rows_at_once", ["all", "one"])
@pytest.mark.parametrize("case", CASES)
def test_scan_by_the_kernel_equals_pytorch_with_every_gradient(
    case, rows_at_once, timed, monkeypatch
):
    length, chunk, batch, heads, channels, groups, size, per_channel, lengths = CASES[case]
    if rows_at_once == "one":
        monkeypatch.setattr(kernels, "MAX_BLOCKS", 1)
    arguments = scan_arguments(length, batch, heads, channels, groups, size, per_channel)
    if timed:
        arguments["stretch"] = stretches(length, batch, heads)
    arguments = in_float(arguments)
    options = {"chunk_size": chunk, "seq_idx": lengths and sequence_ids(lengths)}
    found = outputs_and_gradients(SCAN, arguments, **options)
    expected = outputs_and_gradients(ssd_scan, arguments, **options)
    assert_close(found[0], expected[0], **TOLERANCE)
    assert_close(found[1], expected[1], **TOLERANCE)


@pytest.mark.parametrize("length", [16, 17, 100])
def test_long_packed_rows_and_chunks_of_any_size(length):
    arguments = in_float(scan_arguments(length, 2, 2, 2, 1, 3))
    seq_idx = sequence_ids(((length - 9, 2, 7), (1, length - 1)))
    expected = outputs_and_gradients(ssd_scan, arguments, chunk_size=8, seq_idx=seq_idx)
    for chunk in (1, 16, 33, 1000):
        found = outputs_and_gradients(SCAN, arguments, chunk_size=chunk, seq_idx=seq_idx)
        assert_close(found[0], expected[0], **TOLERANCE)
        assert_close(found[1], expected[1], **TOLERANCE)


def test_scan_without_softplus_bias_skip_or_states():
    arguments = {k: v.detach() for k, v in in_float(scan_arguments(21, 2, 2, 2, 1, 3)).items()}
    bare = {name: arguments[name] for name in ("x", "dt", "A", "B", "C")}
    bare["dt"] = bare["dt"].abs()
    torch.testing.assert_close(SCAN(**bare, chunk_size=16), ssd_scan(**bare, chunk_size=16))
    with pytest.raises(ValueError, match="^dt must not be negative"):
        SCAN(**bare | {"dt": -bare["dt"]}, chunk_size=16)


def test_dtypes_are_those_of_the_pytorch_scan():
    arguments = {k: v.detach() for k, v in in_float(scan_arguments(40, 1, 2, 4, 1, 4)).items()}
    halves = {k: v.bfloat16() if k in ("x", "dt", "B") else v for k, v in arguments.items()}
    options = {"chunk_size": 16, "dt_softplus": True, "return_final_states": True}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, states = SCAN(**halves, **options)
        expected, expected_states = ssd_scan(**halves, **options)
    assert y.dtype == expected.dtype == torch.bfloat16 and states.dtype == torch.float32
    torch.testing.assert_close(y, expected, rtol=8e-3, atol=1e-3)
    torch.testing.assert_close(states, expected_states, **TOLERANCE)


def test_what_the_kernels_cannot_do_is_an_error(monkeypatch):
    doubles = {k: v.detach() for k, v in scan_arguments(20, 2, 2, 2, 1, 3).items()}
    single = {k: v.float() for k, v in doubles.items()}
    x, weight, bias = torch.zeros(2, 20, 8), torch.zeros(8, 4), torch.zeros(8)
    monkeypatch.setattr(kernels, "MAX_OFFSET", 100)
    wrong = [
        (lambda: SCAN(**doubles, chunk_size=4, dt_softplus=True), "x is float64"),
        (lambda: SCAN(**single, chunk_size=0, dt_softplus=True), "chunk_size must be at least 1"),
        (lambda: SCAN(**single | {"A": bias}, chunk_size=4), "A: expected"),
        (lambda: SCAN(**single, chunk_size=4, dt_softplus=True), "x: a row needs offsets up to"),
        (lambda: CONV(x, weight, bias), "x: a row needs offsets up to 160"),
        (lambda: CONV(x.double(), weight, bias), "x is float64"),
        (lambda: CONV(x, torch.zeros(8, 5), bias), "weight: causal-conv1d takes widths up to 4"),
        (lambda: CONV(x, weight, bias[1:]), "bias: expected"),
        (lambda: CONV(x, weight, bias, torch.zeros(2, 20)), "seq_idx must be integers"),
    ]
    for call, message in wrong:
        with pytest.raises(ValueError, match=f"^{message}"):
            call()


def test_rows_are_split_so_that_offsets_fit(monkeypatch):
    calls = []

    def kernel(x, *rest, **options):
        calls.append(len(x))
        return mamba_chunk_scan_combined(x, *rest, **options)

    arguments = {k: v.detach() for k, v in in_float(scan_arguments(32, 5, 2, 2, 1, 3)).items()}
    options = {"chunk_size": 16, "dt_softplus": True, "seq_idx": sequence_ids([(20, 12)] * 5)}
    expected = kernels.scan_by(kernel, **arguments, **options)
    monkeypatch.setattr(kernels, "MAX_OFFSET", 2 * 32 * 16)  # a chunk's products of C and B
    assert torch.equal(kernels.scan_by(kernel, **arguments, **options), expected)
    assert calls == [5, 2, 2, 1]
    monkeypatch.undo()
    monkeypatch.setattr(kernels, "MAX_BLOCKS", 7)  # two chunks a row
    assert torch.equal(kernels.scan_by(kernel, **arguments, **options), expected)
    assert calls == [5, 2, 2, 1, 3, 2]


def gradients(function, *arguments, **options):
    y = function(*arguments, **options)
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    return {"y": y} | dict(
        zip("xwb", torch.autograd.grad((y * weights).sum(), arguments), strict=True)
    )


@pytest.mark.parametrize("rows_at_once", ["all", "one"])
@pytest.mark.parametrize("channels", [8, 5])
@pytest.mark.parametrize("width", [1, 3, 4])
@pytest.mark.parametrize("lengths", [None, ((2, 1, 5, 3), (4, 7)), ((1,),)])
def test_convolution_by_the_kernel_equals_pytorch(
    lengths, width, channels, rows_at_once, monkeypatch
):
    generator = torch.Generator().manual_seed(0)
    seq_idx = lengths and sequence_ids(lengths)
    length = seq_idx.shape[1] if lengths else 11
    if rows_at_once == "one":
        monkeypatch.setattr(kernels, "MAX_OFFSET", length * 19 + 40)
    # As the layer makes it: part of wider rows, which begin and step at any place.
    wide = torch.randn(len(lengths or "ab"), length, channels + 11, generator=generator)
    for start in (0, 3, 8):
        x = wide[..., start : start + channels].requires_grad_()
        weight = torch.randn(channels, width, generator=generator, requires_grad=True)
        bias = torch.randn(channels, generator=generator, requires_grad=True)
        for options in ({}, {"activation": False}):
            arguments, options = (x, weight, bias), options | {"seq_idx": seq_idx}
            expected = gradients(causal_conv, *arguments, **options)
            assert_close(gradients(CONV, *arguments, **options), expected, **TOLERANCE)
        torch.testing.assert_close(CONV(x, weight, None), causal_conv(x, weight, None), **TOLERANCE)
        halves = CONV(x.bfloat16(), weight, bias, seq_idx)
        assert halves.dtype == causal_conv(x.bfloat16(), weight, bias, seq_idx).dtype


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("cache"), customers=8)


def test_a_checkpoint_moves_between_backends(cache, tmp_path):
    """Training's pass, its gradients, and prefill with steps after it."""
    torch.manual_seed(0)
    model = create_world_model("tiny", cache)
    with torch.no_grad():  # what starts at zero would hide the encoder
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    save_checkpoint(tmp_path / "last", model, cache, {})
    moved = load_model(tmp_path / "last", cache)
    model.eval()
    moved.encoder.use(STAND_IN)
    assert moved.state_dict().keys() == model.state_dict().keys()
    batch = next(iter(WorldModelDataLoader(WorldModelDataset(cache), tokens=10**6, chunk=16)))
    found, expected = moved(batch).visits, model(batch).visits
    torch.testing.assert_close(found, expected, **TOLERANCE)
    for nats in (found, expected):
        nats.sum().backward()
    pairs = zip(moved.encoder.named_parameters(), model.encoder.parameters(), strict=True)
    for (name, parameter), original in pairs:
        assert original.grad.abs().max() > 0, name
        torch.testing.assert_close(
            parameter.grad, original.grad, rtol=1e-3, atol=1e-4 * original.grad.abs().max().item()
        )
    u, ids = torch.randn(2, 32, 48), sequence_ids([(30, 2), (32,)])
    (y, after), (other_y, other_after) = (m.encoder(u, ids, True) for m in (moved, model))
    torch.testing.assert_close(y, other_y, **TOLERANCE)
    y, other_y = moved.encoder.step(u[:, 0], after)[0], model.encoder.step(u[:, 0], other_after)[0]
    torch.testing.assert_close(y, other_y, **TOLERANCE)


# The choice.

PACKAGES = ("mamba_ssm", "causal_conv1d", "selective_scan_cuda", "triton")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with a GPU, on which packages are what `machine(name, text)` writes."""

    def write(name, text=""):
        path = tmp_path / name.replace(".", "/") / "__init__.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def forget():
        for name in list(sys.modules):
            if name.partition(".")[0] in PACKAGES:
                monkeypatch.delitem(sys.modules, name)

    real = backends.importlib.util.find_spec
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(
        backends.importlib.util,
        "find_spec",
        lambda name: real(name) if (tmp_path / name).exists() else None,
    )
    forget()
    yield write
    for name in list(sys.modules):
        if name.partition(".")[0] in PACKAGES:
            del sys.modules[name]


@pytest.fixture
def installed(machine):
    """The same machine with mamba-ssm's Python files."""
    machine("triton")
    machine("mamba_ssm", "import mamba_ssm.ops.interface\n__version__ = '2.3.2'\n")
    machine("mamba_ssm.ops")
    machine("mamba_ssm.ops.interface", "import selective_scan_cuda as extension\n")
    machine("mamba_ssm.ops.triton")
    machine("mamba_ssm.ops.triton.ssd_combined", "mamba_chunk_scan_combined = len\n")
    return machine


def error_of(*arguments):
    with pytest.raises(ValueError) as error:
        choose(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_without_a_gpu_pytorch_computes(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    chosen = choose()
    assert (chosen.name, chosen.scan, chosen.conv) == ("torch", ssd_scan, causal_conv)
    assert chosen.reason == "scan: PyTorch, because there is no CUDA device"
    assert error_of("mamba-ssm") == (
        "backend: mamba-ssm cannot run, because there is no CUDA device: "
        "run on a GPU, with a torch built for CUDA, or --backend torch"
    )
    assert error_of("cuda") == "backend: expected auto, torch, mamba-ssm, not 'cuda'"


def test_reasons_on_a_machine_with_a_gpu(machine):
    assert choose().reason == "scan: PyTorch, because Triton is not installed"
    machine("triton")
    assert choose().reason == "scan: PyTorch, because mamba-ssm is not installed"
    assert "not installed: install it as docs/model.md says, or" in error_of("mamba-ssm")
    assert choose("torch").reason == "scan: PyTorch, as requested"
    machine("mamba_ssm", "raise RuntimeError('two\\nlines')\n")
    reason = "mamba-ssm cannot be imported (RuntimeError: two lines)"
    assert choose("auto", "cuda").reason == f"scan: PyTorch, because {reason}"
    assert f"because {reason}: install versions" in error_of("mamba-ssm")
    assert choose("auto", "cpu").reason == "scan: PyTorch, because the device is cpu"
    assert "the device is cpu: use --device cuda, or" in error_of("mamba-ssm", "cpu")


def test_python_files_of_mamba_ssm_are_enough(installed):
    chosen = choose("auto", "cuda:0")
    assert chosen.name == "mamba-ssm" and chosen.reason == (
        "scan: mamba-ssm 2.3.2 (Triton), convolution: PyTorch, because causal-conv1d is not "
        "installed"
    )
    assert backends.import_scan_kernel() == ("2.3.2", len)
    assert "selective_scan_cuda" not in sys.modules


def test_the_convolution_of_causal_conv1d(installed):
    installed("causal_conv1d", "raise ImportError('undefined symbol')")
    broken = "convolution: PyTorch, because causal-conv1d cannot be imported (ImportError: undef"
    assert broken in choose().reason
    installed("causal_conv1d", "__version__ = '1.7.0'; causal_conv1d_fn = max")
    backends.importlib.invalidate_caches()
    chosen = choose("mamba-ssm")
    assert chosen.reason == "scan: mamba-ssm 2.3.2 (Triton), convolution: causal-conv1d 1.7.0"
    assert chosen.conv.args[0].args == (max,) and chosen.scan.args[0].args == (len,)


def test_an_existing_extension_is_not_replaced(installed):
    installed("selective_scan_cuda", "real = True")
    assert choose().name == "mamba-ssm"
    assert sys.modules["mamba_ssm.ops.interface"].extension.real
    assert sys.modules["selective_scan_cuda"].real


def test_an_extension_that_does_not_load_is_named(installed):
    installed("selective_scan_cuda", "raise ImportError('undefined symbol: _ZN3c10')")
    assert "(ImportError: undefined symbol: _ZN3c10)" in choose().reason
    assert "selective_scan_cuda" not in sys.modules


def test_a_failed_import_leaves_no_module_imported_with_the_empty_one(installed):
    installed("mamba_ssm.ops.triton.ssd_combined", "raise ImportError('no einops')")
    assert choose().reason.endswith("mamba-ssm cannot be imported (ImportError: no einops)")
    assert not [name for name in sys.modules if name.partition(".")[0] in PACKAGES[:3]]


def test_tensors_on_the_cpu_go_to_pytorch_unless_mamba_ssm_was_requested(installed):
    x, weight = torch.randn(1, 5, 8), torch.randn(8, 4)
    assert torch.equal(choose("auto").conv(x, weight, None), causal_conv(x, weight, None))
    arguments = {k: v.detach() for k, v in scan_arguments(6, 1, 2, 2, 1, 3).items()}
    assert torch.equal(
        choose("auto").scan(**arguments, chunk_size=4), ssd_scan(**arguments, chunk_size=4)
    )
    backend = choose("mamba-ssm")
    for call in (
        lambda: backend.conv(x, weight, None),
        lambda: backend.scan(**arguments, chunk_size=4),
    ):
        with pytest.raises(ValueError, match="^x is on cpu, and mamba-ssm was requested"):
            call()


def test_commands_name_their_backend_and_refuse_one_that_cannot_run(
    cache, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    common = ["--cache", str(cache.folder)]
    train = [*common, "--out", str(tmp_path), "--preset", "tiny", "--epochs", "1"]
    measure = [str(tmp_path / "best"), *common, "--tasks", "completion"]
    for main, arguments in ((fit.main, train), (evaluate.main, measure)):
        assert main([*arguments, "--backend", "mamba-ssm"]) == 2
        error = capsys.readouterr().err.strip()
        assert error.startswith("error: backend: mamba-ssm cannot run") and "\n" not in error
        assert main(arguments) == 0
        reason = "scan: PyTorch, because there is no CUDA device"
        assert capsys.readouterr().err.splitlines().count(reason) == 1
    assert main([*arguments, "--backend", "torch"]) == 0
    assert "scan: PyTorch, as requested\n" in capsys.readouterr().err


# The kernels themselves.


@pytest.fixture(scope="module")
def on_gpu():
    """mamba-ssm's backend; skipped without a GPU or the package."""
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    if importlib.util.find_spec("mamba_ssm") is None:
        pytest.skip("mamba-ssm is not installed")
    return choose("mamba-ssm", "cuda")


def assert_within(found, expected, share):
    for name in expected:
        assert found[name].dtype == expected[name].dtype, name
        difference = (found[name] - expected[name]).abs().max() / expected[name].abs().max()
        assert difference <= share, f"{name}: {difference:.1e} of the maximum"


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", OF_MAXIMUM, ids=str)
@pytest.mark.parametrize(
    ("sizes", "lengths", "chunk"),
    [
        ((300, 2, 8, 32, 1, 16), ((1, 100, 7, 130, 62), (300,)), 64),
        ((256, 2, 4, 64, 2, 64), ((64, 128, 64), (3, 253)), 64),
        ((50, 2, 4, 6, 2, 5, True), ((1, 6, 20, 5, 2, 3, 13), (50,)), 16),
        ((37, 3, 2, 16, 1, 16), None, 20),
    ],
    ids=["small", "base", "odd sizes", "no ids"],
)
def test_scans_agree_on_a_gpu(on_gpu, sizes, lengths, chunk, dtype):
    arguments = {
        name: t.detach().to("cuda", dtype if name in ("x", "dt", "B", "C") else torch.float32)
        for name, t in scan_arguments(*sizes).items()
    }
    arguments = {name: t.requires_grad_() for name, t in arguments.items()}
    ids = lengths and sequence_ids(lengths).cuda()
    options = {"chunk_size": chunk, "seq_idx": ids}
    found = outputs_and_gradients(on_gpu.scan, arguments, **options)
    expected = outputs_and_gradients(TORCH.scan, arguments, **options)
    assert_within(found[0], expected[0], OF_MAXIMUM[dtype])
    assert_within(found[1], expected[1], OF_MAXIMUM[dtype])


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", OF_MAXIMUM, ids=str)
@pytest.mark.parametrize("channels", [320, 13])
def test_convolutions_agree_on_a_gpu(on_gpu, channels, dtype):
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = (
        torch.randn(*shape, generator=generator).cuda()
        for shape in ((2, 300, channels), (channels, 4), (channels,))
    )
    ids = sequence_ids(((1, 100, 2, 1, 130, 66), (300,))).cuda()
    arguments = tuple(t.requires_grad_() for t in (x.to(dtype), weight, bias))

    def results(backend):
        y = backend.conv(*arguments, ids)
        weights = torch.linspace(-1, 1, y.numel(), device="cuda").view_as(y)
        by = torch.autograd.grad((y.float() * weights).sum(), arguments)
        return dict(zip("yxwb", (y, *by), strict=True))

    assert_within(results(on_gpu), results(TORCH), OF_MAXIMUM[dtype])


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", OF_MAXIMUM, ids=str)
def test_encoder_weights_move_between_backends_on_a_gpu(on_gpu, dtype, tmp_path):
    torch.manual_seed(0)
    encoders = [Mamba2Encoder(64, 2, state=16, head=32) for _ in range(2)]
    encoders[0].use(on_gpu)
    save_file(encoders[0].state_dict(), tmp_path / "weights")
    encoders[1].load_state_dict(load_file(tmp_path / "weights"))
    u, weights = torch.randn(2, 2, 128, 64).cuda()
    ids = sequence_ids(((30, 98), (128,))).cuda()
    results = []
    for encoder in encoders:
        with torch.autocast("cuda", torch.bfloat16, enabled=dtype == torch.bfloat16):
            y, cache = encoder.cuda()(u, ids, return_cache=True)
        (y.float() * weights).mean().backward()
        states = {f"state {i}": layer.state for i, layer in enumerate(cache)}
        by = {name: parameter.grad for name, parameter in encoder.named_parameters()}
        results.append({"y": y} | states | by)
    # Two layers, one after the other.
    assert_within(*results, 2 * OF_MAXIMUM[dtype])
