"""Mamba-2 layers: the block of Dao & Gu 2024 and a stack of blocks, whole rows or step by step.

Parameter names, shapes, order and initialisation are those of `Mamba2` in state-spaces/mamba, so
that weights move between this module and the CUDA one.

Shape letters: B batch, L time, W convolution width, and those of `trainer.model.encoder.scan`.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.model.encoder.backends import TORCH, Backend
from trainer.model.encoder.convolution import causal_conv_step, conv_state_after
from trainer.model.encoder.scan import ssd_step

DT_MIN, DT_MAX = 1e-3, 1e-1
A_MIN, A_MAX = 1.0, 16.0
TIMED_RATES = -1.5, 0.0
"""Powers of 10 between which the rates of a timed layer start."""
EPS = 1e-5


@dataclass(frozen=True)
class Mamba2Cache:
    """What one layer keeps of the past; its size does not grow with time."""

    conv: Tensor
    """(B, W - 1, channels) last inputs of the convolution."""
    state: Tensor
    """(B, H, P, N) state of the recurrence, float32 or float64."""


class GatedRMSNorm(nn.Module):
    """Root-mean-square norm of y * silu(z), one mean per group of channels.

    Args:
        width: channels. groups: parts that are normalised separately.
    """

    def __init__(self, width: int, groups: int = 1) -> None:
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, y: Tensor, z: Tensor) -> Tensor:
        """y, z (..., width) to (..., width) in the dtype of y; sums in float32 at least."""
        wide = torch.promote_types(y.dtype, torch.float32)
        gated = (y.to(wide) * F.silu(z.to(wide))).unflatten(-1, (self.groups, -1))
        scale = torch.rsqrt(gated.square().mean(-1, keepdim=True) + EPS)
        return ((gated * scale).flatten(-2) * self.weight).to(y.dtype)


class Mamba2Layer(nn.Module):
    """The Mamba-2 block: projection, short convolution, state-space scan, gated norm, projection.

    Args:
        width: channels in and out.
        state: size N of the state per channel.
        conv: width W of the causal convolution.
        head: channels P per head; must divide expand * width.
        expand: inner channels as a multiple of width.
        groups: groups of heads that share B and C; must divide the number of heads.
        chunk: steps per chunk of the scan; changes speed, not results.
        timed: whether the state decays with the time between steps, too.

    Raises:
        ValueError: the sizes do not divide.
    """

    def __init__(
        self,
        width: int,
        state: int = 64,
        conv: int = 4,
        head: int = 64,
        expand: int = 2,
        groups: int = 1,
        chunk: int = 64,
        timed: bool = False,
    ) -> None:
        super().__init__()
        self.width, self.state, self.conv, self.head = width, state, conv, head
        self.groups, self.chunk = groups, chunk
        self.backend = TORCH
        self.inner = expand * width
        if self.inner % head:
            raise ValueError(f"head={head} must divide expand * width = {self.inner}")
        self.heads = self.inner // head
        if self.heads % groups:
            raise ValueError(f"groups={groups} must divide the {self.heads} heads")
        self.conv_channels = self.inner + 2 * groups * state

        # in_proj gives [z, x, B, C, dt], in this order.
        self.in_proj = nn.Linear(width, self.inner + self.conv_channels + self.heads, bias=False)
        self.conv1d = nn.Conv1d(
            self.conv_channels, self.conv_channels, conv, groups=self.conv_channels
        )
        dt = torch.empty(self.heads).uniform_(math.log(DT_MIN), math.log(DT_MAX)).exp()
        self.dt_bias = nn.Parameter(dt + torch.log(-torch.expm1(-dt)))  # inverse of softplus
        self.A_log = nn.Parameter(torch.empty(self.heads).uniform_(A_MIN, A_MAX).log())
        self.D = nn.Parameter(torch.ones(self.heads))
        # Per unit of time, as a share of a step's own decay; softplus of this.
        rate = torch.logspace(*TIMED_RATES, self.heads).expm1().log() if timed else None
        self.rate = None if rate is None else nn.Parameter(rate)
        self.norm = GatedRMSNorm(self.inner, groups)
        self.out_proj = nn.Linear(self.inner, width, bias=False)

    def forward(
        self,
        u: Tensor,
        seq_idx: Tensor | None = None,
        return_cache: bool = False,
        elapsed: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, Mamba2Cache]:
        """Run over whole rows.

        Args:
            u: (B, L, width).
            seq_idx: (B, L) integers; nothing passes where the value changes along a row.
            return_cache: also return the cache after the last step of each row, that of the row's
                last sequence. For rows of different lengths pad at the front, with an id that no
                sequence has.
            elapsed: (B, L) time since the step before, not negative, of a timed layer; none if left
                out.

        Returns:
            (B, L, width), with `return_cache` also the cache.

        Raises:
            ValueError: a shape does not fit.
        """
        _check_width("u", u, 3, self.width)
        z, raw, dt = self._project(u)
        xBC = self.backend.conv(raw, self.conv1d.weight.squeeze(1), self.conv1d.bias, seq_idx)
        x, B, C = self._split(xBC)
        y, state = self.backend.scan(
            x,
            dt,
            self._decay_rate(),
            B,
            C,
            chunk_size=self.chunk,
            D=self.D,
            dt_bias=self.dt_bias,
            dt_softplus=True,
            seq_idx=seq_idx,
            return_final_states=True,
            stretch=self._stretch(elapsed),
        )
        y = self.out_proj(self.norm(y.flatten(-2), z))
        if not return_cache:
            return y
        return y, Mamba2Cache(conv_state_after(raw, self.conv, seq_idx), state)

    def step(
        self, u: Tensor, cache: Mamba2Cache, elapsed: Tensor | None = None
    ) -> tuple[Tensor, Mamba2Cache]:
        """Advance by one step, in time that does not depend on the past.

        Args:
            u: (B, width). cache: of the steps before; it is not changed. elapsed: (B,), as in
                `forward`.

        Returns:
            (B, width) and the new cache.

        Raises:
            ValueError: a shape does not fit.
        """
        _check_width("u", u, 2, self.width)
        z, raw, dt = self._project(u)
        weight = self.conv1d.weight.squeeze(1)
        xBC, conv = causal_conv_step(raw, cache.conv, weight, self.conv1d.bias)
        x, B, C = self._split(xBC)
        y, state = ssd_step(
            x,
            dt,
            self._decay_rate(),
            B,
            C,
            cache.state,
            D=self.D,
            dt_bias=self.dt_bias,
            dt_softplus=True,
            stretch=self._stretch(elapsed),
        )
        return self.out_proj(self.norm(y.flatten(-2), z)), Mamba2Cache(conv, state)

    def empty_cache(
        self,
        batch: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> Mamba2Cache:
        """The cache before the first step; device and dtype default to those of the weights."""
        device = device or self.D.device
        dtype = dtype or self.D.dtype
        wide = torch.promote_types(dtype, torch.float32)
        return Mamba2Cache(
            torch.zeros(batch, self.conv - 1, self.conv_channels, device=device, dtype=dtype),
            torch.zeros(batch, self.heads, self.head, self.state, device=device, dtype=wide),
        )

    def _project(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """z (..., inner), xBC before the convolution (..., conv_channels), dt (..., H)."""
        return self.in_proj(u).split((self.inner, self.conv_channels, self.heads), dim=-1)

    def _split(self, xBC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x (..., H, P), B and C (..., G, N)."""
        shared = self.groups * self.state
        x, B, C = xBC.split((self.inner, shared, shared), dim=-1)
        x = x.unflatten(-1, (self.heads, self.head))
        B, C = (t.unflatten(-1, (self.groups, self.state)) for t in (B, C))
        return x, B, C

    def _stretch(self, elapsed: Tensor | None) -> Tensor | None:
        """elapsed (...) to (..., H), of a timed layer."""
        if elapsed is None or self.rate is None:
            return None
        wide = torch.promote_types(self.rate.dtype, torch.float32)
        return 1 + elapsed.to(wide).unsqueeze(-1) * F.softplus(self.rate.to(wide))

    def _decay_rate(self) -> Tensor:
        """A (H,), negative, in float32 at least: exp of a half-precision log is too coarse."""
        wide = torch.promote_types(self.A_log.dtype, torch.float32)
        return -self.A_log.to(wide).exp()


class _Block(nn.Module):
    """Norm and layer of one residual branch, named as in state-spaces/mamba."""

    def __init__(self, width: int, **options: int | bool) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width, eps=EPS)
        self.mixer = Mamba2Layer(width, **options)


class Mamba2Encoder(nn.Module):
    """Residual stack of Mamba-2 layers: u + layer(norm(u)) each, and a final norm.

    Output projections start divided by sqrt(layers), so that the residual stream keeps its scale
    whatever the depth (as in GPT-2 and state-spaces/mamba).

    Args:
        width: channels in and out. layers: number of layers.
        state, conv, head, expand, groups, chunk, timed: of every layer, see `Mamba2Layer`.
        dropout: of the output of each layer, in training.

    Raises:
        ValueError: fewer than one layer, or sizes that do not divide.
    """

    def __init__(
        self,
        width: int,
        layers: int,
        state: int = 64,
        conv: int = 4,
        head: int = 64,
        expand: int = 2,
        groups: int = 1,
        chunk: int = 64,
        timed: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"layers must be at least 1, got {layers}")
        options = dict(
            state=state, conv=conv, head=head, expand=expand, groups=groups, chunk=chunk,
            timed=timed,
        )  # fmt: skip
        self.layers = nn.ModuleList(_Block(width, **options) for _ in range(layers))
        self.norm_f = nn.RMSNorm(width, eps=EPS)
        self.dropout = nn.Dropout(dropout)
        with torch.no_grad():
            for block in self.layers:
                block.mixer.out_proj.weight /= math.sqrt(layers)

    def use(self, backend: Backend) -> None:
        """Use this backend for whole passes (see `backends.choose`); the default is PyTorch."""
        for block in self.layers:
            block.mixer.backend = backend

    def forward(
        self,
        u: Tensor,
        seq_idx: Tensor | None = None,
        return_cache: bool = False,
        elapsed: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, tuple[Mamba2Cache, ...]]:
        """u (B, L, width) to (B, L, width); arguments and caches as in `Mamba2Layer.forward`."""
        caches = []
        for block in self.layers:
            y = block.mixer(block.norm(u), seq_idx, return_cache, elapsed)
            if return_cache:
                y, cache = y
                caches.append(cache)
            u = u + self.dropout(y)
        y = self.norm_f(u)
        return (y, tuple(caches)) if return_cache else y

    def step(
        self, u: Tensor, cache: tuple[Mamba2Cache, ...], elapsed: Tensor | None = None
    ) -> tuple[Tensor, tuple[Mamba2Cache, ...]]:
        """u (B, width), one cache per layer and elapsed (B,) to (B, width) and the new caches."""
        if len(cache) != len(self.layers):
            raise ValueError(f"cache must hold {len(self.layers)} layers, got {len(cache)}")
        after = []
        for block, before in zip(self.layers, cache, strict=True):
            y, layer_cache = block.mixer.step(block.norm(u), before, elapsed)
            u = u + y
            after.append(layer_cache)
        return self.norm_f(u), tuple(after)

    def empty_cache(
        self,
        batch: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> tuple[Mamba2Cache, ...]:
        """The caches before the first step, see `Mamba2Layer.empty_cache`."""
        return tuple(block.mixer.empty_cache(batch, device, dtype) for block in self.layers)


def _check_width(name: str, value: Tensor, dims: int, width: int) -> None:
    if value.dim() != dims or value.shape[-1] != width:
        expected = "(batch, time, " if dims == 3 else "(batch, "
        raise ValueError(f"{name} must be {expected}{width}), got {tuple(value.shape)}")
