"""Logits over all tokens, and a focal loss that does not keep their matrix.

A training step computes thousands of logits per row, of which a handful are targets. Their matrix
is the largest tensor of a step, and every elementwise operation on it, forward and backward, is a
pass through memory. So it is computed once, turned into its gradient block by block while a block
is in the processor's cache, and consumed by two matrix products. The idea is that of Liger Kernel's
FusedLinearCrossEntropy (Hsu et al., Liger Kernel, 2024, section 3.2).

Shape letters: R rows, C channels, V tokens, E scores of single products, G targets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 1 << 19
"""Logits per block on a CPU: two megabytes, which stay in its cache."""


DENSE = 1 << 21
"""Logits that are worked with at a time outside training: eight megabytes, and as much for each
further matrix of their shape."""


def row_blocks(rows: int, width: int) -> list[slice]:
    """Consecutive rows of a matrix, `DENSE` cells or one row at a time; one empty block of none."""
    step = max(1, DENSE // width)
    return [slice(first, first + step) for first in range(0, max(rows, 1), step)]


@dataclass(frozen=True)
class TokenScores:
    """Logits (R, V), as the parts that add up to them."""

    z: Tensor
    """(R, C): the network's part is z @ vectors.T."""
    vectors: Tensor
    """(V, C)."""
    tables: tuple[tuple[Tensor, Tensor], ...]
    """Pairs of a table (n, V) and, for each row of logits, the row of it to add, (R,) int64."""
    groups: tuple[Tensor, Tensor, Tensor]
    """A table (n, K) of scores that tokens share, the row of it for each row of logits, (R,) int64,
    and the column for each token, (V,) int64."""
    history: Tensor
    """(E,) scores of single products: of those bought before and, in training, of targets."""
    entries: tuple[Tensor, Tensor, Tensor]
    """Where they are added: row (n,) ascending, token (n,) and index (n,) into `history`, int64."""
    absent: tuple[Tensor, Tensor]
    """Row (n,) ascending and token (n,) of logits that are minus infinity, int64."""

    def dense(self) -> Tensor:
        """The logits (R, V)."""
        logits = self.z @ self.vectors.T
        for table, of_row in self.tables:
            logits = logits + table.index_select(0, of_row)
        table, of_row, of_token = self.groups
        logits = logits + table.index_select(0, of_row).index_select(1, of_token)
        row, token, entry = self.entries
        cell = row * logits.shape[1] + token
        added = self.history.to(logits.dtype).index_select(0, entry)
        row, token = self.absent
        absent = row * logits.shape[1] + token
        flat = logits.flatten().index_add(0, cell, added).index_fill(0, absent, -torch.inf)
        return flat.view_as(logits)

    def parts(self, row: int, token: int) -> dict[str, float]:
        """What one logit is the sum of: `network`, `table 1` onwards, `group` and `history`."""
        parts = {"network": self.z[row] @ self.vectors[token]}
        for number, (table, of_row) in enumerate(self.tables, start=1):
            parts[f"table {number}"] = table[of_row[row], token]
        table, of_row, of_token = self.groups
        parts["group"] = table[of_row[row], of_token[token]]
        of_rows, of_tokens, entry = self.entries
        here = entry[(of_rows == row) & (of_tokens == token)]
        parts["history"] = self.history[here].sum()
        return {name: value.item() for name, value in parts.items()}

    def cut(self, rows: slice) -> TokenScores:
        """The scores of consecutive rows, whose logits may be computed without those of others."""
        start, stop, _ = rows.indices(len(self.z))
        edges = torch.tensor([start, stop], device=self.z.device)

        def within(row: Tensor, *columns: Tensor) -> tuple[Tensor, ...]:
            first, last = torch.searchsorted(row, edges).tolist()
            return row[first:last] - start, *(column[first:last] for column in columns)

        table, of_row, of_token = self.groups
        return replace(
            self,
            z=self.z[rows],
            tables=tuple((table, of_row[rows]) for table, of_row in self.tables),
            groups=(table, of_row[rows], of_token),
            entries=within(*self.entries),
            absent=within(*self.absent),
        )

    def top(self, k: int) -> tuple[Tensor, Tensor]:
        """The k highest logits of each row, highest first, and their tokens: (R, k) each.

        Exact, and computed block by block; of equal logits any may be left out.
        """
        blocks = row_blocks(len(self.z), len(self.vectors))
        found = [self.cut(rows).dense().topk(k, dim=1) for rows in blocks]
        return torch.cat([top.values for top in found]), torch.cat([top.indices for top in found])

    def focal(self, targets: Tensor, weights: Tensor, rows: Tensor, gamma: float) -> Tensor:
        """The weighted sum of focal losses, 0-dimensional: see `training.loss_parts.FocalLoss`.

        targets (G,) tokens, weights (G,), rows (G,) int64 of the logits that predict them. Under
        autocast the matrix products are in its dtype.
        """
        order = rows.argsort(stable=True)
        ordered = rows[order], targets[order].long(), weights[order]
        tables, index = zip(*self.tables, strict=True)
        device = self.z.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
        with torch.autocast(device, enabled=False):
            return _Focal.apply(
                self.z, self.vectors, self.history, self.entries, self.absent, ordered, index,
                gamma, dtype or self.z.dtype, *self.groups, *tables,
            )  # fmt: skip


class _Focal(torch.autograd.Function):
    """`TokenScores.focal`. The forward pass computes the gradient and the backward pass scales it,
    so that the logits need not be kept."""

    @staticmethod
    def forward(
        ctx, z, vectors, history, entries, absent, targets, index, gamma, dtype, groups, group_row,
        group_of_token, *tables,
    ):  # fmt: skip
        wide = torch.promote_types(z.dtype, torch.float32)
        z_cast, vectors_cast = z.to(dtype), vectors.to(dtype)
        logits = z_cast @ vectors_cast.T
        total = logits.new_zeros((), dtype=wide)
        of_history = torch.zeros_like(history, dtype=wide)
        of_tables = [torch.zeros_like(table, dtype=wide) for table in tables]
        of_groups = torch.zeros_like(groups, dtype=wide)
        for rows, (entry_row, entry_token, entry), out, (row, token, weight) in _blocks(
            logits, entries, absent, targets
        ):
            x = logits[rows].to(wide)
            flat = x.view(-1)
            for table, of_row in zip(tables, index, strict=True):
                x += table.index_select(0, of_row[rows])
            x += groups.index_select(0, group_row[rows]).index_select(1, group_of_token)
            width = x.shape[1]
            cell = (entry_row - rows.start) * width + entry_token
            flat.index_add_(0, cell, history[entry].to(wide))
            flat.index_fill_(0, (out[0] - rows.start) * width + out[1], -torch.inf)
            row = row - rows.start
            target = row * width + token
            at_target = flat[target]
            # From here on x holds the softmax, then the gradient.
            top = x.amax(1, keepdim=True)
            scale = x.sub_(top).exp_().sum(1, keepdim=True)
            log_p = at_target - (top + scale.log()).squeeze(1)[row]
            # 1 - p, exact where p is near 1. At p = 1 a gamma below 1 has no finite slope.
            miss = (-log_p.expm1()).clamp_min(torch.finfo(wide).tiny)
            power = miss**gamma
            total -= (weight * power * log_p).sum()
            slope = weight * (gamma * miss ** (gamma - 1) * log_p.exp() * log_p - power)
            slopes = slope.new_zeros(len(x)).index_add(0, row, slope)
            x *= -slopes[:, None] / scale
            flat.index_add_(0, target, slope)
            of_history.index_add_(0, entry, flat[cell])
            for gradient, of_row in zip(of_tables, index, strict=True):
                gradient.index_add_(0, of_row[rows], x)
            # By rows of the transpose, which add up several times as fast as its columns.
            by_group = x.new_zeros(groups.shape[1], len(x))
            by_group.index_add_(0, group_of_token, x.T.contiguous())
            of_groups.index_add_(0, group_row[rows], by_group.T)
            if dtype != wide:
                logits[rows] = x
        ctx.save_for_backward(
            (logits @ vectors_cast).to(z.dtype),
            (logits.T @ z_cast).to(vectors.dtype),
            of_history.to(history.dtype),
            of_groups.to(groups.dtype),
            *(of_table.to(table.dtype) for of_table, table in zip(of_tables, tables, strict=True)),
        )
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        # Scaled before rounding: a factor rounded to bfloat16 would bias all gradients alike.
        of_z, of_vectors, of_history, of_groups, *of_tables = (
            (part.to(gradient.dtype) * gradient).to(part.dtype) for part in ctx.saved_tensors
        )
        return of_z, of_vectors, of_history, *[None] * 6, of_groups, None, None, *of_tables


def _blocks(logits: Tensor, *parts: tuple[Tensor, ...]):
    """Slices of rows, each with the entries of `parts` in it; on a GPU one slice of all rows.

    parts: tuples of tensors of one length, the first of which holds rows, ascending.
    """
    count, width = logits.shape
    if logits.device.type != "cpu" or not count:
        yield slice(0, count), *parts
        return
    edges = torch.arange(0, count + 1, max(1, BLOCK // width))
    if edges[-1] < count:
        edges = F.pad(edges, (0, 1), value=count)
    splits = [torch.searchsorted(rows, edges).tolist() for rows, *_ in parts]
    for number, (start, stop) in enumerate(
        zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    ):
        yield (
            slice(start, stop),
            *(
                tuple(column[split[number] : split[number + 1]] for column in part)
                for part, split in zip(parts, splits, strict=True)
            ),
        )
