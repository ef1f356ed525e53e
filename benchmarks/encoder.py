"""Time the Mamba-2 encoder at growing lengths of history, beside two alternatives.

    python -m benchmarks.encoder --preset small

A step is a trip. Every call, forward and backward over random numbers, has the same number of
steps, in rows of one history each:

- ours: `trainer.model.encoder.mamba2.Mamba2Encoder`.
- transformer: causal attention (fused) and feed-forward part, of the same width and depth; the
  feed-forward part is sized so that the numbers of parameters agree.
- afresh: for every trip the same Mamba-2 encoder encodes its whole history again, so the cost of a
  trip grows with the trips before it. The length is divided into --strata equal parts, and each
  part is represented by the history at its middle, without padding: exact to half a trip if cost
  is linear in length.

Time per trip as medians over rounds, and the tensors held at once per trip, both over ours.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from benchmarks.common import answer, device_options, parser
from benchmarks.timing import (
    backend_option,
    facts,
    in_turns,
    joined,
    medians,
    peak_allocated,
    use_backend,
)
from trainer.commands.errors import InputError
from trainer.commands.options import whole
from trainer.model.config import PRESETS, WorldModelConfig
from trainer.model.encoder.mamba2 import Mamba2Encoder
from trainer.training.precision import Precision

LENGTHS = tuple(2**power for power in range(6, 14))
"""64 to 8,192 trips."""


class TransformerLayer(nn.Module):
    """Pre-norm causal self-attention and feed-forward part.

    Args:
        width: channels. heads: must divide width. hidden: channels of the feed-forward part.
    """

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_ffn = nn.RMSNorm(width), nn.RMSNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.ffn = nn.Sequential(
            nn.Linear(width, hidden, bias=False), nn.GELU(), nn.Linear(hidden, width, bias=False)
        )

    def forward(self, u: Tensor) -> Tensor:
        """u (B, L, width) to (B, L, width)."""
        heads = self.qkv(self.norm_attention(u)).unflatten(-1, (3, self.heads, -1))
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # (B, H, L, C) each
        attended = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        u = u + self.out(attended.transpose(1, 2).flatten(-2))
        return u + self.ffn(self.norm_ffn(u))


def mamba(config: WorldModelConfig) -> Mamba2Encoder:
    """The encoder of a preset."""
    return Mamba2Encoder(
        config.width, config.encoder_layers, config.state, config.conv, config.head, config.expand,
        chunk=config.chunk,
    )  # fmt: skip


def transformer(config: WorldModelConfig) -> nn.Module:
    """A Transformer as wide and deep as the preset's encoder, of about as many parameters."""
    width = config.width
    of_layer = parameters(mamba(config)) / config.encoder_layers
    hidden = round((of_layer - 4 * width**2) / (2 * width))
    return nn.Sequential(
        *(TransformerLayer(width, config.heads, hidden) for _ in range(config.encoder_layers)),
        nn.RMSNorm(width),
    )


def parameters(module: nn.Module) -> int:
    """The number of parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def middles(length: int, strata: int) -> list[int]:
    """The prefixes at the middle of equal parts of 1..length; all prefixes where they are few."""
    strata = min(strata, length)
    return [max(1, round((part + 0.5) * length / strata + 0.5)) for part in range(strata)]


def at_length(found: dict[tuple, float], length: int) -> dict[str, float]:
    """Figures per trip by name; those of encoding afresh, one per part, as their mean."""
    of_name: dict[str, list[float]] = {}
    for key, value in found.items():
        if key[1] == length:
            of_name.setdefault(key[0], []).append(value)
    return {name: statistics.mean(values) for name, values in of_name.items()}


def call(
    encoder: nn.Module, rows: int, length: int, device: torch.device, last: bool = False
) -> Callable[[], None]:
    """Forward and backward of rows of one history each; only the last output counts, or all."""
    width = next(encoder.parameters()).shape[-1]
    u = torch.randn(rows, length, width, device=device, requires_grad=True)
    packed, precision = {}, Precision.of("auto", device)
    if isinstance(
        encoder, Mamba2Encoder
    ):  # sequences separated by ids, as in the loader's packed rows
        ids = torch.arange(rows, dtype=torch.int32, device=device)
        packed = {"seq_idx": ids[:, None].expand(rows, length).contiguous()}

    def run() -> None:
        with precision.for_model():
            y = encoder(u, **packed)
        (y[:, -1] if last else y).sum().backward()
        encoder.zero_grad()
        u.grad = None

    return run


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The result for the options of the command line."""
    with joined(options) as ranks:
        return figures(options, ranks.device)


def figures(options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """The result."""
    steps = options.steps or (65536 if device.type == "cuda" else 8192)
    longest = max(options.lengths)
    if steps < longest:
        raise InputError(f"--steps: expected at least {longest}, the longest of --lengths")
    preset = options.preset or ("base" if device.type == "cuda" else "small")
    config = PRESETS[preset]
    torch.manual_seed(0)
    ours, baseline = mamba(config).to(device), transformer(config).to(device)
    backend = use_backend(ours, options.backend, device)
    make = partial(call, device=device)
    calls, trips = {}, {}
    for length in options.lengths:
        rows = steps // length
        calls["ours", length] = make(ours, rows, length)
        calls["transformer", length] = make(baseline, rows, length)
        trips["ours", length] = trips["transformer", length] = rows * length
        for prefix in middles(length, options.strata):
            calls["afresh", length, prefix] = make(ours, steps // prefix, prefix, last=True)
            trips["afresh", length, prefix] = steps // prefix
    held = {
        key: peak_allocated(each, device) / trips[key]
        for key, each in tqdm(calls.items(), desc="memory", unit="call")
    }
    taken = medians(in_turns(calls, options.rounds, device, "time"))
    seconds = {key: each / trips[key] for key, each in taken.items()}
    rows = [
        {
            "length": length,
            "us_per_trip": {name: round(s * 1e6, 3) for name, s in time.items()},
            "bytes_per_trip": {name: round(b) for name, b in memory.items()},
            "time_over_ours": {name: round(s / time["ours"], 2) for name, s in time.items()},
            "memory_over_ours": {name: round(b / memory["ours"], 2) for name, b in memory.items()},
        }
        for length in options.lengths
        for time, memory in [(at_length(seconds, length), at_length(held, length))]
    ]
    return facts(
        "encoder",
        {
            "preset": preset,
            "steps_per_call": steps,
            "rounds": options.rounds,
            "strata": options.strata,
            "width": config.width,
            "layers": config.encoder_layers,
            "dtype": "bfloat16" if device.type == "cuda" else "float32",
            "backend": backend,
        },
        device,
    ) | {
        "parameters": {"ours": parameters(ours), "transformer": parameters(baseline)},
        "lengths": rows,
        "ours_max_over_min": {
            "time": _spread([row["us_per_trip"]["ours"] for row in rows]),
            "memory": _spread([row["bytes_per_trip"]["ours"] for row in rows]),
        },
    }


def _spread(values: list[float]) -> float:
    return round(max(values) / min(values), 3)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit code."""
    made = parser(__doc__)
    add = made.add_argument
    add("--preset", choices=PRESETS, help="sizes (default: small, base on a GPU)")
    add(
        "--lengths", type=whole(), nargs="+", default=LENGTHS,
        help="trips (default: 64, 128, .. 8192)",
    )  # fmt: skip
    add("--steps", type=whole(), help="steps per call (default: 8192, 65536 on a GPU)")
    add("--strata", type=whole(), default=2, help="prefixes timed for encoding afresh (default: 2)")
    add("--rounds", type=whole(), default=5, help="rounds to take medians of (default: 5)")
    device_options(made)
    backend_option(made)
    return answer(made, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
