"""mamba-ssm's Triton scan and causal-conv1d's convolution, with the arguments of the PyTorch ones.

`scan_by(kernel, ...)` is `scan.ssd_scan` and `conv_by(kernel, ...)` is `convolution.causal_conv`,
computed by `mamba_chunk_scan_combined` and `causal_conv1d_fn`. The kernels have further
requirements (from the sources of mamba-ssm 2.3.2 and causal-conv1d 1.7.0), which are met here:

- ids are int32 and unique to a sequence of the row: they are numbered anew from 0. So initial
  states, which mamba-ssm gives to the sequence with id 0, go to the first sequence.
- rows hold whole chunks, and chunks are powers of two: rows are padded.
- offsets have 32 bits, and there are at most 65,535 blocks along the rows: rows are split into
  several calls where necessary.
- channels and strides of the convolution are multiples of 8: x is padded.

Shape letters: those of `trainer.model.encoder.scan` and `trainer.model.encoder.convolution`.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.model.encoder.convolution import check_conv
from trainer.model.encoder.scan import check_scan, skip, step_size, stretched
from trainer.model.encoder.sequences import segments

SMALLEST_CHUNK, LARGEST_CHUNK = 16, 256
MAX_OFFSET = 2**31 - 1
MAX_BLOCKS = 65535
MAX_WIDTH = 4


def scan_by(
    kernel: Callable,
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    chunk_size: int,
    D: Tensor | None = None,
    dt_bias: Tensor | None = None,
    dt_softplus: bool = False,
    initial_states: Tensor | None = None,
    seq_idx: Tensor | None = None,
    return_final_states: bool = False,
    stretch: Tensor | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """`ssd_scan` computed by `kernel`, mamba-ssm's `mamba_chunk_scan_combined`.

    Arguments, results and errors are those of `ssd_scan`. Sums and final states are float32; the
    matrix products round their factors, and the states between chunks, to the dtype of x, B and C
    (float32: to TF32 on GPUs that have it).

    Raises:
        ValueError: as `ssd_scan`, and for what the kernel cannot do: float64, negative steps, a
            row so long that its offsets do not fit into 32 bits.
    """
    check_scan(
        x, dt, A, B, C, D, dt_bias, seq_idx, chunk_size, stretch, initial_states=initial_states
    )
    for name, value in (("x", x), ("B", B), ("C", C)):
        _check_not_double(name, value, "mamba-ssm")
    length, dtype = x.shape[1], x.dtype
    common = torch.promote_types(torch.promote_types(x.dtype, B.dtype), C.dtype)
    x, B, C = (t.to(common) for t in (x, B, C))
    with torch.autocast(x.device.type, enabled=False):
        dt = step_size(dt.float(), dt_bias, dt_softplus)
    if not dt_softplus and bool((dt < 0).any()):
        raise ValueError("dt must not be negative: mamba-ssm treats negative steps as 0")
    skipped, of_kernel = None, D
    if stretch is not None:
        skipped, of_kernel = x, None  # D belongs to x as it is
        x, dt = stretched(x, dt, stretch)
    if initial_states is not None:
        initial_states = initial_states.float()
    if seq_idx is not None:
        seq_idx = segments(seq_idx).to(torch.int32)

    # A padded step has dt = 0 and belongs to the last sequence: it does not change the final state.
    chunk_size = _chunk_size(chunk_size, length)
    padding = -length % chunk_size
    if padding:
        x, dt, B, C = (F.pad(t, (0, 0) * (t.dim() - 2) + (0, padding)) for t in (x, dt, B, C))
        if seq_idx is not None:
            last = seq_idx[:, -1:].expand(-1, padding)
            seq_idx = torch.cat((seq_idx, last), dim=1)

    rows = _rows_of_scan(x, B, C, chunk_size)
    by_row = (x, dt, B, C, initial_states, seq_idx)
    results = [
        kernel(
            x, dt, A, B, C, chunk_size, D=of_kernel, initial_states=initial_states, seq_idx=seq_idx,
            return_final_states=True,
        )
        for x, dt, B, C, initial_states, seq_idx in _in_parts(by_row, rows)
    ]  # fmt: skip
    y, states = map(_joined, zip(*results, strict=True))
    y = y[:, :length]
    if skipped is not None:
        y = skip(y, skipped, D)
    y = y.to(dtype)
    return (y, states) if return_final_states else y


def conv_by(
    kernel: Callable,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    seq_idx: Tensor | None = None,
    activation: bool = True,
) -> Tensor:
    """`causal_conv` computed by `kernel`, causal-conv1d's `causal_conv1d_fn`.

    Arguments, results and errors are those of `causal_conv`.

    Raises:
        ValueError: as `causal_conv`, and for what the kernel cannot do: float64, a width above 4,
            a row so long that its offsets do not fit into 32 bits.
    """
    check_conv(x, weight, bias, seq_idx)
    for name, value in (("x", x), ("weight", weight)):
        _check_not_double(name, value, "causal-conv1d")
    channels, width = weight.shape
    if width > MAX_WIDTH:
        raise ValueError(f"weight: causal-conv1d takes widths up to {MAX_WIDTH}, got {width}")
    if bias is not None:
        bias = bias.to(weight.dtype)
    if seq_idx is not None:
        seq_idx = segments(seq_idx).to(torch.int32)

    padding = -channels % 8
    if padding:
        x, weight = F.pad(x, (0, padding)), F.pad(weight, (0, 0, 0, padding))
        bias = None if bias is None else F.pad(bias, (0, padding))
    elif x.stride(2) != 1 or any(n % 8 for n in (*x.stride()[:2], x.storage_offset())):
        # contiguous() would leave the strides of a dimension of size 1 as they are.
        x = x.clone(memory_format=torch.contiguous_format)
    if width == 1:  # the kernel takes 2 to 4; the weight of the step before is 0
        weight = F.pad(weight, (1, 0))

    parts = [
        kernel(
            x.transpose(1, 2), weight, bias, seq_idx=seq_idx,
            activation="silu" if activation else None,
        )
        for x, seq_idx in _in_parts((x, seq_idx), _rows(_row_extent(x), "causal-conv1d"))
    ]  # fmt: skip
    return _joined(parts).transpose(1, 2)[..., :channels]


def _check_not_double(name: str, value: Tensor, package: str) -> None:
    if value.dtype == torch.float64:
        raise ValueError(f"{name} is float64, and {package} computes in float32 at most")


def _chunk_size(chunk_size: int, length: int) -> int:
    """The power of two at or above the requested size, or above a shorter row; within limits."""
    power = 1 << (min(chunk_size, length) - 1).bit_length()
    return max(SMALLEST_CHUNK, min(power, LARGEST_CHUNK))


def _rows_of_scan(x: Tensor, B: Tensor, C: Tensor, chunk_size: int) -> int:
    """The number of rows that one call can take."""
    _, length, heads, channels = x.shape
    groups, size = B.shape[2:]
    chunks = length // chunk_size
    states, products = chunks * heads * channels * size, length * chunk_size * groups
    largest = max(*map(_row_extent, (x, B, C)), states, products, length * heads)
    return max(1, min(_rows(largest, "mamba-ssm"), MAX_BLOCKS // chunks))


def _row_extent(t: Tensor) -> int:
    """Elements from the start of a row to the start of the next, or to its own end if further."""
    within = sum((n - 1) * stride for n, stride in zip(t.shape[1:], t.stride()[1:], strict=True))
    return max(t.stride(0), within + 1)


def _rows(row_extent: int, package: str) -> int:
    """How many rows of this many elements have 32-bit offsets; ValueError if not even one has."""
    if row_extent > MAX_OFFSET:
        raise ValueError(
            f"x: a row needs offsets up to {row_extent}, more than the 32 bits of {package} hold"
        )
    return MAX_OFFSET // row_extent


def _in_parts(by_row: tuple[Tensor | None, ...], rows: int) -> list[tuple[Tensor | None, ...]]:
    """Tensors of the same number of rows, split into parts of at most `rows` rows."""
    count = -(-len(by_row[0]) // rows)
    parts = ([None] * count if t is None else t.split(rows) for t in by_row)
    return list(zip(*parts, strict=True))


def _joined(parts: list[Tensor] | tuple[Tensor, ...]) -> Tensor:
    return torch.cat(parts) if len(parts) > 1 else parts[0]
