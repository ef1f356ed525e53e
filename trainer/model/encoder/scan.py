"""The Mamba-2 state-space scan, in plain PyTorch.

The recurrence is Dao & Gu 2024, "Transformers are SSMs" (arXiv:2405.21060), per head:

    h_t = exp(dt_t A) h_{t-1} + dt_t x_t B_t^T        y_t = h_t C_t + D x_t

With a stretch s_t the state decays by exp(s_t dt_t A), and what enters it stays the same: so steps
may be apart by any time, while dt_t says how much of a step is taken in.

`ssd_scan` computes it in chunks by matrix products (section 6 of the paper), `ssd_reference` one
step after the other, `ssd_step` a single step. Names, shapes and meaning of the other arguments are
those of mamba-ssm's `mamba_chunk_scan_combined`.

Shape letters: B batch, L time, H heads, P channels per head, G groups of heads that share B and C,
N state size, K chunks, Q steps per chunk, R = H / G heads per group.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.model.checks import expect_shape
from trainer.model.encoder.sequences import check_integer, segments


def ssd_scan(
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
    """Run the state-space recurrence over whole rows, chunk by chunk.

    Args:
        x: (B, L, H, P) inputs, any length, any floating dtype.
        dt: (B, L, H) step sizes, dimensionless; before bias and softplus if those are given.
        A: (H,) decay rates, negative.
        B: (B, L, G, N) input projections; H must be a multiple of G.
        C: (B, L, G, N) output projections.
        chunk_size: steps per chunk, Q. Changes speed and memory (L * H * Q numbers), not results.
        D: (H,) or (H, P) skip weights.
        dt_bias: (H,) added to dt.
        dt_softplus: apply softplus to dt after the bias.
        initial_states: (B, H, P, N) state before the first step. With `seq_idx` it belongs to the
            first sequence of the row (mamba-ssm takes it for the sequence with id 0).
        seq_idx: (B, L) integers; the state is forgotten wherever the value changes along a row.
        return_final_states: also return the state after the last step, which is that of the last
            sequence in each row.
        stretch: (B, L, H) positive, by how much faster the state decays in a step; 1 if left out.

    Returns:
        y (B, L, H, P) in the dtype of x; with `return_final_states` also the states (B, H, P, N).
        Arithmetic and states are float32, or float64 for float64 inputs, also under autocast.

    Raises:
        ValueError: a shape or dtype does not fit; the message names the argument.
    """
    check_scan(
        x, dt, A, B, C, D, dt_bias, seq_idx, chunk_size, stretch, initial_states=initial_states
    )
    with torch.autocast(x.device.type, enabled=False):
        wide = _wide(x)
        x_, B_, C_ = x.to(wide), B.to(wide), C.to(wide)
        dt_ = step_size(dt.to(wide), dt_bias, dt_softplus)
        if initial_states is not None:
            initial_states = initial_states.to(wide)
        segment = None if seq_idx is None else segments(seq_idx)
        chunk_size = min(chunk_size, x.shape[1])
        taken, dt_ = stretched(x_, dt_, stretch)
        y, final = _scan(taken, dt_, A.to(wide), B_, C_, chunk_size, initial_states, segment)
        y = skip(y, x_, D).to(x.dtype)
    return (y, final) if return_final_states else y


def _scan(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    chunk_size: int,
    initial_states: Tensor | None,
    segment: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """The chunked algorithm on checked arguments of one dtype; dt is final, D is left out."""
    batch, length, heads, channels = x.shape
    groups, size = B.shape[2:]
    per_group = heads // groups

    # A padded step has dt = 0: nothing decays or enters, so the final state does not change.
    def chunked(t: Tensor, *shape: int) -> Tensor:
        padding = -length % chunk_size
        t = F.pad(t, (0, 0) * (t.dim() - 2) + (0, padding)) if padding else t
        return t.reshape(batch, -1, chunk_size, *shape)

    inputs = chunked(x * dt.unsqueeze(-1), groups, per_group, channels)  # (B, K, Q, G, R, P)
    inputs = inputs.movedim(2, 4)  # (B, K, G, R, Q, P)
    B = chunked(B, groups, size).transpose(2, 3)  # (B, K, G, Q, N)
    C = chunked(C, groups, size).transpose(2, 3)
    masks = _Masks(segment, chunk_size, x.device)

    # Log decay over the steps j+1..i at [..., i, j]. Summed pair by pair: the difference of two
    # sums from the start of the chunk would lose the digits of small steps after large ones in
    # float32, and its last bits would depend on the sequence before.
    log_decay = chunked(dt * A, groups, per_group).movedim(2, 4)  # (B, K, G, R, Q)
    pairs = log_decay.unsqueeze(-1).masked_fill(~masks.after, 0).cumsum(-2)  # (B,K,G,R,Q,Q)
    from_start = pairs[..., 0] + log_decay[..., :1]

    # Within a chunk: y_i = sum_{j <= i} (C_i . B_j) exp(pairs_ij) dt_j x_j.
    decay = _exp_where(masks.within, pairs)
    y = ((C @ B.transpose(-1, -2)).unsqueeze(3) * decay) @ inputs  # (B, K, G, R, Q, P)

    # What each chunk adds to the state by its end.
    to_end = _exp_where(masks.to_end, pairs[..., -1, :])
    added = (inputs * to_end.unsqueeze(-1)).transpose(-1, -2) @ B.unsqueeze(3)  # (B,K,G,R,P,N)

    # The state at the start of every chunk, and after the last one.
    if initial_states is None:
        first = added.new_zeros(batch, groups, per_group, channels, size)
    else:
        first = initial_states.reshape(batch, groups, per_group, channels, size)
    starts, final = _pass_states(first, added, from_start[..., -1], masks.across)

    # What the state at the start of a chunk contributes to its outputs.
    from_start = _exp_where(masks.from_start, from_start)
    y = y + (C.unsqueeze(3) @ starts.transpose(-1, -2)) * from_start.unsqueeze(-1)
    y = y.movedim(4, 2).reshape(batch, -1, heads, channels)[:, :length]
    return y, final.reshape(batch, heads, channels, size)


class _Masks:
    """Which pairs of steps are connected by the state: in causal order, of one sequence.

    Each mask is boolean and broadcasts over (B, K, G, R, ...); None connects all pairs.
    `after` (Q, Q): step i is later than step j, whatever their sequences.
    `within` (Q, Q): from step j to step i of a chunk. `to_end` (Q,): from a step to the end of its
    chunk. `from_start` (Q,): from the end of the chunk before to a step. `across`: from the end of
    the chunk before to the end of this one.
    """

    def __init__(self, segment: Tensor | None, chunk_size: int, device: torch.device) -> None:
        self.within = torch.ones(chunk_size, chunk_size, dtype=torch.bool, device=device).tril()
        self.after = self.within.tril(-1)
        self.to_end = self.from_start = self.across = None
        if segment is None:
            return
        batch, length = segment.shape
        last = segment[:, -1:].expand(batch, -length % chunk_size)  # padding extends the last one
        segment = torch.cat((segment, last), dim=1).view(batch, -1, 1, 1, chunk_size)
        ends = segment[..., -1:]  # (B, K, 1, 1, 1)
        before = torch.cat((torch.zeros_like(ends[:, :1]), ends[:, :-1]), dim=1)
        self.within = self.within & (segment.unsqueeze(-1) == segment.unsqueeze(-2))
        self.to_end = segment == ends
        self.from_start = segment == before
        self.across = (ends == before).squeeze(-1)


def _exp_where(mask: Tensor | None, value: Tensor) -> Tensor:
    """exp(value) where the mask is True and 0 elsewhere, where gradients are 0 and never NaN.

    Masking before exp makes the gradient 0 times a finite number.
    """
    return (value if mask is None else value.masked_fill(~mask, -torch.inf)).exp()


def _pass_states(
    first: Tensor, added: Tensor, log_decay: Tensor, across: Tensor | None
) -> tuple[Tensor, Tensor]:
    """States at the start of each chunk (B, K, G, R, P, N) and after the last (B, G, R, P, N).

    first (B, G, R, P, N), added (B, K, G, R, P, N), log_decay (B, K, G, R) over whole chunks.
    A loop over chunks: one matrix product over all pairs of chunks costs K times as much and
    sums log decays over the whole row, which loses digits in float32.
    """
    decay = _exp_where(across, log_decay)[..., None, None]
    starts, state = [], first
    for chunk_decay, chunk_added in zip(decay.unbind(1), added.unbind(1), strict=True):
        starts.append(state)
        state = state * chunk_decay + chunk_added
    return torch.stack(starts, dim=1), state


def ssd_reference(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    chunk_size: int | None = None,
    D: Tensor | None = None,
    dt_bias: Tensor | None = None,
    dt_softplus: bool = False,
    initial_states: Tensor | None = None,
    seq_idx: Tensor | None = None,
    return_final_states: bool = False,
    stretch: Tensor | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """`ssd_scan` computed one step at a time: slow, the reference in tests.

    Arguments, results and errors are those of `ssd_scan`; `chunk_size` has no effect.
    """
    check_scan(x, dt, A, B, C, D, dt_bias, seq_idx, stretch=stretch, initial_states=initial_states)
    batch, length, heads, channels = x.shape
    state = initial_states
    if state is None:
        state = x.new_zeros(batch, heads, channels, B.shape[-1])
    outputs = []
    for t in range(length):
        if seq_idx is not None and t > 0:
            same = seq_idx[:, t] == seq_idx[:, t - 1]
            state = torch.where(same.view(-1, 1, 1, 1), state, 0)
        y, state = ssd_step(
            x[:, t], dt[:, t], A, B[:, t], C[:, t], state, D, dt_bias, dt_softplus,
            None if stretch is None else stretch[:, t],
        )  # fmt: skip
        outputs.append(y)
    y = torch.stack(outputs, dim=1)
    return (y, state) if return_final_states else y


def ssd_step(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    state: Tensor,
    D: Tensor | None = None,
    dt_bias: Tensor | None = None,
    dt_softplus: bool = False,
    stretch: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Advance the recurrence by one step, in time and memory that do not depend on the past.

    Args:
        x: (B, H, P). dt: (B, H). A: (H,). B, C: (B, G, N). D, dt_bias, dt_softplus: as in
            `ssd_scan`. stretch: (B, H).
        state: (B, H, P, N) before the step; it is not changed in place.

    Returns:
        y (B, H, P) in the dtype of x, and the new state (B, H, P, N) in float32 or float64.

    Raises:
        ValueError: a shape or dtype does not fit; the message names the argument and, for x, dt,
            B, C and stretch, shows the shape with a time axis of length 1.
    """
    check_scan(
        *(t.unsqueeze(1) for t in (x, dt)),
        A,
        *(t.unsqueeze(1) for t in (B, C)),
        D,
        dt_bias,
        stretch=None if stretch is None else stretch.unsqueeze(1),
        state=state,
    )
    wide = _wide(x)
    with torch.autocast(x.device.type, enabled=False):
        x_ = x.to(wide)
        dt = step_size(dt.to(wide), dt_bias, dt_softplus)
        taken, dt = stretched(x_, dt, stretch)
        repeats = x.shape[1] // B.shape[1]
        B, C = (t.to(wide).repeat_interleave(repeats, dim=1) for t in (B, C))  # (B, H, N)
        decay = (dt * A.to(wide)).exp()[..., None, None]
        added = (taken * dt.unsqueeze(-1)).unsqueeze(-1) * B.unsqueeze(-2)
        state = state.to(wide) * decay + added
        y = skip((state @ C.unsqueeze(-1)).squeeze(-1), x_, D)
    return y.to(x.dtype), state


def _wide(x: Tensor) -> torch.dtype:
    """The dtype of states and sums: float32, or float64 if x is."""
    return torch.promote_types(x.dtype, torch.float32)


def step_size(dt: Tensor, dt_bias: Tensor | None, dt_softplus: bool) -> Tensor:
    """dt after bias and softplus, in the dtype of dt."""
    if dt_bias is not None:
        dt = dt + dt_bias.to(dt.dtype)
    return F.softplus(dt) if dt_softplus else dt


def stretched(x: Tensor, dt: Tensor, stretch: Tensor | None) -> tuple[Tensor, Tensor]:
    """x and dt of a scan without stretch whose states are those of x (..., H, P), dt (..., H) and
    stretch (..., H)."""
    if stretch is None:
        return x, dt
    stretch = stretch.to(dt.dtype)
    return (x / stretch.unsqueeze(-1)).to(x.dtype), dt * stretch


def skip(y: Tensor, x: Tensor, D: Tensor | None) -> Tensor:
    """y + D x, for D (H,) or (H, P) and y, x (..., H, P)."""
    if D is None:
        return y
    return y + x * (D if D.dim() == 2 else D.unsqueeze(-1)).to(x.dtype)


def check_scan(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    dt_bias: Tensor | None,
    seq_idx: Tensor | None = None,
    chunk_size: int | None = None,
    stretch: Tensor | None = None,
    **states: Tensor | None,
) -> None:
    """Raise ValueError where the scan's arguments do not fit, as `ssd_scan` says.

    states: by the caller's name for the argument.
    """
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"chunk_size must be at least 1, got {chunk_size}")
    if x.dim() != 4 or x.shape[1] == 0:
        raise ValueError(
            f"x must be (batch, time, heads, channels) with at least one step, got {tuple(x.shape)}"
        )
    if not x.dtype.is_floating_point:
        raise ValueError(f"x must be floating point, got {x.dtype}")
    batch, length, heads, channels = x.shape
    if B.dim() != 4 or B.shape[:2] != x.shape[:2]:
        raise ValueError(f"B must be ({batch}, {length}, groups, states), got {tuple(B.shape)}")
    if B.shape[2] == 0 or heads % B.shape[2]:
        raise ValueError(f"B has {B.shape[2]} groups, which do not divide the {heads} heads of x")
    expect_shape("C", C, B.shape)
    expect_shape("dt", dt, (batch, length, heads))
    expect_shape("A", A, (heads,))
    if D is not None:
        expect_shape("D", D, (heads, channels) if D.dim() == 2 else (heads,))
    if dt_bias is not None:
        expect_shape("dt_bias", dt_bias, (heads,))
    if seq_idx is not None:
        expect_shape("seq_idx", seq_idx, (batch, length))
        check_integer(seq_idx)
    if stretch is not None:
        expect_shape("stretch", stretch, (batch, length, heads))
    for name, value in states.items():
        if value is not None:
            expect_shape(name, value, (batch, heads, channels, B.shape[-1]))
