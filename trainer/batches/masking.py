"""Masking: which items and which trip contexts are hidden.

Pure functions on flat packed items: `tokens` (T,) beside `trip_of_item` (T,), in any order. Random
numbers are drawn on the generator's device, so that a CPU generator masks the same items whichever
device the batch is on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainer.cache.vocabulary import PAD, UNKNOWN, Vocabulary

MASKED_SHARE = 0.8
REPLACED_SHARE = 0.1
ZERO = np.uint8(ord("0"))
FNV_OFFSET, FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)


@dataclass(frozen=True)
class MaskedItems:
    """Items with some of them hidden, and the targets."""

    tokens: Tensor
    """(T,) int64: products; `[MASK]` or another product at chosen positions, unless kept."""
    targets: Tensor
    """(T,) int64: the true product at chosen positions, `[PAD]` elsewhere."""
    price_hidden: Tensor
    """(T,) bool: True at every chosen position."""
    fully_hidden: Tensor
    """(trips,) bool: True where every item of the trip is `[MASK]`."""


def mask_items(
    tokens: Tensor,
    trip_of_item: Tensor,
    trips: int,
    vocabulary: Vocabulary,
    rate: float,
    fully_hidden_share: float,
    generator: torch.Generator,
) -> MaskedItems:
    """Choose items to predict and hide them.

    tokens (T,), products only; trip_of_item (T,) in 0..trips-1. Each item is chosen with
    probability `rate`, and the one with the smallest draw in any case, so that every trip with
    items has a target. Of the chosen, 80 % become `[MASK]`, 10 % another product, drawn uniformly,
    and 10 % are kept (Devlin et al., BERT, 2019, section 3.1). A share `fully_hidden_share` of the
    trips is hidden completely, every item `[MASK]`: the next-basket question. Trips without items
    are never `fully_hidden`.

    The price is hidden at every chosen position. Beside `[MASK]` or another product it would reveal
    the true one; beside a kept product it would confirm it, and distinguish kept from replaced.

    With a vocabulary of one product a replaced item keeps it. Raises ValueError for shares outside
    0..1, tokens that are no product and trips out of range.
    """
    _check_share("rate", rate)
    _check_share("fully_hidden_share", fully_hidden_share)
    _check_items(tokens, trip_of_item, trips)
    products = vocabulary.products
    if not vocabulary.is_product(tokens).all():
        raise ValueError(f"tokens: expected products 1..{products}, found others")
    tokens, trip_of_item = tokens.long(), trip_of_item.long()

    draw = _uniform(len(tokens), generator, tokens)
    smallest = draw.new_ones(trips).scatter_reduce(0, trip_of_item, draw, "amin")
    has_items = torch.bincount(trip_of_item, minlength=trips) > 0
    fully_hidden = (_uniform(trips, generator, tokens) < fully_hidden_share) & has_items
    in_fully_hidden = fully_hidden[trip_of_item]
    chosen = (draw < rate) | (draw == smallest[trip_of_item]) | in_fully_hidden

    action = _uniform(len(tokens), generator, tokens)
    masked = chosen & ((action < MASKED_SHARE) | in_fully_hidden)
    replaced = chosen & ~masked & (action < MASKED_SHARE + REPLACED_SHARE)
    step = torch.randint(
        max(products - 1, 1), tokens.shape, generator=generator, device=generator.device
    )
    replacement = (tokens + step.to(tokens.device)) % products + 1
    return MaskedItems(
        tokens=tokens.where(~replaced, replacement).masked_fill(masked, vocabulary.mask),
        targets=tokens.masked_fill(~chosen, PAD),
        price_hidden=chosen,
        fully_hidden=fully_hidden,
    )


def hide_context(trips: int, probability: float, generator: torch.Generator) -> Tensor:
    """Which trip contexts (T6) to hide: (trips,) bool, on the generator's device.

    Raises ValueError for a probability outside 0..1.
    """
    _check_share("probability", probability)
    return torch.rand(trips, generator=generator, device=generator.device) < probability


def apply_hidden(codes: Tensor, hidden: Tensor) -> Tensor:
    """The trip context with `unknown` (0) in every part where hidden.

    codes (trips, parts), any integer dtype; hidden (trips,) bool. Returns a new tensor like codes.
    Raises ValueError where shapes disagree.
    """
    if codes.ndim != 2:
        raise ValueError(f"codes: expected (trips, parts), not {tuple(codes.shape)}")
    if hidden.shape != codes.shape[:1]:
        raise ValueError(f"hidden: expected ({len(codes)},), not {tuple(hidden.shape)}")
    return codes.masked_fill(hidden.to(codes.device)[:, None], UNKNOWN)


def evaluation_mask(
    tokens: Tensor,
    trip_of_item: Tensor,
    keys: Tensor,
    *,
    seed: int,
    share: float = 0.15,
) -> Tensor:
    """The items that basket completion hides: (T,) bool.

    tokens (T,); trip_of_item (T,) index into keys (trips,), the baskets' `mask_keys`. Of a trip's n
    items, share x n are masked, halves rounded up, at least one, and one stays visible where
    n >= 2. They are the items with the smallest hash of seed, basket and token: the same whatever
    the order of items, the other trips of the batch and the device. As long as basket ids and
    tokens stay the same, so does the mask, also in a cache that is exported again. Raises
    ValueError for a share outside 0..1 and trips out of range.
    """
    _check_share("share", share)
    _check_items(tokens, trip_of_item, len(keys))
    trip_of_item = trip_of_item.long()
    key = _splitmix64(torch.full_like(keys, seed, dtype=torch.int64))
    key = _splitmix64(key ^ keys.long())
    key = _splitmix64(key[trip_of_item] ^ tokens.long())

    by_key = key.argsort(stable=True)
    order = by_key[trip_of_item[by_key].argsort(stable=True)]  # by trip, then by key
    items = torch.bincount(trip_of_item, minlength=len(keys))
    first = items.cumsum(0) - items
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device) - first[trip_of_item[order]]

    wanted = (items.double() * share + 0.5).floor().long().clamp_min(1)
    masked = wanted.minimum(items - (items >= 2).long())
    return rank < masked[trip_of_item]


def mask_keys(basket_ids: np.ndarray) -> np.ndarray:
    """A number for each basket id, by which its mask is drawn: (n,) int64.

    basket_ids (n,) fixed-width bytes, as in the cache. An id that is a plain number, digits without
    a leading zero and at most 2^63 - 1, is its own key; any other has the 64-bit FNV-1a hash of its
    bytes (Fowler, Noll and Vo), read as signed. Two baskets with one key have their items hidden by
    the same draws and stay two baskets.
    """
    width = basket_ids.dtype.itemsize
    letters = np.ascontiguousarray(basket_ids).view(np.uint8).reshape(-1, width)
    length = (letters > 0).sum(1)  # behind a shorter id are zeros
    number = np.zeros(len(letters), np.uint64)
    hashed = np.full(len(letters), FNV_OFFSET)
    plain = (length > 0) & (length < 20) & ((letters[:, 0] != ZERO) | (length == 1))
    for place in range(length.max(initial=0)):
        letter, inside = letters[:, place], place < length
        digit = letter - ZERO  # what is before the digits wraps around to large numbers
        plain &= (digit < 10) | ~inside
        number = np.where(inside, number * np.uint64(10) + digit, number)
        hashed = np.where(inside, (hashed ^ letter) * FNV_PRIME, hashed)
    plain &= number < 1 << 63  # 19 digits do not wrap around
    return np.where(plain, number, hashed).astype(np.int64)


def _splitmix64(values: Tensor) -> Tensor:
    """One output of SplitMix64 for each state, int64 that wraps around.

    Source: Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, 2014, with
    Vigna's constants (prng.di.unimi.it/splitmix64.c). The constants are written as signed.
    """
    z = values - 0x61C8864680B583EB  # + 0x9E3779B97F4A7C15
    z = (z ^ _shift_right(z, 30)) * -0x40A7B892E31B1A47  # 0xBF58476D1CE4E5B9
    z = (z ^ _shift_right(z, 27)) * -0x6B2FB644ECCEEE15  # 0x94D049BB133111EB
    return z ^ _shift_right(z, 31)


def _shift_right(values: Tensor, bits: int) -> Tensor:
    """Logical shift to the right, filling with zeros: `>>` of int64 repeats the sign."""
    return (values >> bits) & ((1 << (64 - bits)) - 1)


def _uniform(count: int, generator: torch.Generator, like: Tensor) -> Tensor:
    """(count,) float64 in [0, 1), on the device of `like`."""
    draws = torch.rand(count, generator=generator, device=generator.device, dtype=torch.float64)
    return draws.to(like.device)


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name}: expected a number in 0..1, not {value}")


def _check_items(tokens: Tensor, trip_of_item: Tensor, trips: int) -> None:
    if tokens.ndim != 1:
        raise ValueError(f"tokens: expected (T,), not {tuple(tokens.shape)}")
    if trip_of_item.shape != tokens.shape:
        raise ValueError(
            f"trip_of_item: expected {tuple(tokens.shape)}, not {tuple(trip_of_item.shape)}"
        )
    if tokens.numel() and (trip_of_item.min() < 0 or trip_of_item.max() >= trips):
        raise ValueError(f"trip_of_item: expected 0..{trips - 1}, found others")
