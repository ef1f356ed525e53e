"""Mamba's short causal convolution over packed sequences, in plain PyTorch.

Shape letters: B batch, L time, D channels, W convolution width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.model.checks import expect_shape
from trainer.model.encoder.sequences import check_integer, segments


def causal_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    seq_idx: Tensor | None = None,
    activation: bool = True,
) -> Tensor:
    """Depthwise causal convolution over time that does not mix sequences, then SiLU.

    y_t = silu(bias + sum_w weight[:, W - 1 - w] x_{t - w}), without the terms before the row or
    the sequence of step t begins: Mamba's short convolution as W shifted multiply-adds.

    Args:
        x: (B, L, D) inputs. weight: (D, W). bias: (D,) or None.
        seq_idx: (B, L) integers; a change of value along a row starts a new sequence.
        activation: apply SiLU.

    Returns:
        (B, L, D) in the dtype of x, rounded once where the weights are wider.

    Raises:
        ValueError: a shape or dtype does not fit; the message names the argument.
    """
    check_conv(x, weight, bias, seq_idx)
    if seq_idx is not None:
        segment = segments(seq_idx)
    length, width = x.shape[1], weight.shape[1]
    y = x * weight[:, -1]
    for shift in range(1, min(width, length)):
        past = x[:, :-shift]
        if seq_idx is not None:
            same = segment[:, shift:] == segment[:, :-shift]
            past = past.masked_fill(~same.unsqueeze(-1), 0)
        y = y + F.pad(past * weight[:, -1 - shift], (0, 0, shift, 0))
    if bias is not None:
        y = y + bias
    return (F.silu(y) if activation else y).to(x.dtype)


def causal_conv_step(
    x: Tensor,
    conv_state: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    activation: bool = True,
) -> tuple[Tensor, Tensor]:
    """One step of `causal_conv`.

    Args:
        x: (B, D) input of this step.
        conv_state: (B, W - 1, D), the inputs of the W - 1 steps before, oldest first, zeros where
            the sequence had not begun; it is not changed in place.
        weight, bias, activation: as in `causal_conv`.

    Returns:
        y (B, D) in the dtype of x, and the new conv_state (B, W - 1, D).

    Raises:
        ValueError: a shape does not fit; the message names the argument.
    """
    if x.dim() != 2:
        raise ValueError(f"x must be (batch, channels), got {tuple(x.shape)}")
    _check_weights(x, weight, bias)
    expect_shape("conv_state", conv_state, (x.shape[0], weight.shape[1] - 1, x.shape[1]))
    window = torch.cat((conv_state, x.unsqueeze(1)), dim=1)  # (B, W, D)
    y = (window * weight.T).sum(1)
    if bias is not None:
        y = y + bias
    return (F.silu(y) if activation else y).to(x.dtype), window[:, 1:]


def conv_state_after(x: Tensor, width: int, seq_idx: Tensor | None = None) -> Tensor:
    """The `conv_state` for `causal_conv_step` after a full pass over x.

    Args:
        x: (B, L, D) inputs of the pass. width: W of the convolution.
        seq_idx: (B, L) as in `causal_conv`; only the last sequence of a row enters its state.

    Returns:
        (B, W - 1, D), zeros before the sequence began.
    """
    kept = min(width - 1, x.shape[1])
    last = x[:, x.shape[1] - kept :]
    if seq_idx is not None:
        segment = segments(seq_idx)
        earlier = segment[:, x.shape[1] - kept :] != segment[:, -1:]  # an earlier sequence
        last = last.masked_fill(earlier.unsqueeze(-1), 0)
    return F.pad(last, (0, 0, width - 1 - kept, 0))


def check_conv(x: Tensor, weight: Tensor, bias: Tensor | None, seq_idx: Tensor | None) -> None:
    """Raise ValueError where the arguments of `causal_conv` do not fit."""
    if x.dim() != 3:
        raise ValueError(f"x must be (batch, time, channels), got {tuple(x.shape)}")
    _check_weights(x, weight, bias)
    if seq_idx is not None:
        expect_shape("seq_idx", seq_idx, x.shape[:2])
        check_integer(seq_idx)


def _check_weights(x: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    if weight.dim() != 2 or weight.shape[0] != x.shape[-1] or weight.shape[1] == 0:
        raise ValueError(f"weight must be ({x.shape[-1]}, width), got {tuple(weight.shape)}")
    if bias is not None:
        expect_shape("bias", bias, x.shape[-1:])
