"""What can be done in a week of the chain."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from trainer.commands.errors import InputError

from .coupons import Coupons

DEEPEST = 0.95


@dataclass(frozen=True)
class Actions:
    """Prices, promotions, coupons and assortment of a week. R regions, N products in code order.

    Arrays of shape (N,) hold for every region.
    """

    regular: np.ndarray
    """(N,) or (R, N) regular prices in whole pence, per kilogram where random-weight, before the
    factors of small formats."""
    depth: np.ndarray
    """(N,) or (R, N) share of the regular price that a promotion takes off, 0 for none."""
    assortment: np.ndarray
    """(N,) or (R, N) whether on sale; prices of what is not count for nothing."""
    coupons: Coupons = field(default_factory=Coupons.none)
    """Coupons handed out this week, good from now on."""


def checked(
    a: Actions, week: int, regions: int, products: int, households: int, needs: int
) -> Actions:
    """The actions of a week with arrays of shape (R, N); raises InputError saying what is wrong."""
    shape = (regions, products)
    arrays = {}
    for name in ("regular", "depth", "assortment"):
        value = np.asarray(getattr(a, name))
        if value.shape not in (shape, shape[1:]):
            raise InputError(
                f"{name} must have the shape {shape[1:]} or {shape} (regions, products), "
                f"not {value.shape}"
            )
        arrays[name] = np.broadcast_to(value, shape)
    regular, depth, assortment = arrays.values()
    if regular.dtype.kind not in "iu":
        raise InputError("regular must be whole pence (an array of integers)")
    if regular.min() < 1 or regular.max() > 10_000_000:
        raise InputError("regular must be from 1 to 10,000,000 pence")
    if (
        depth.dtype.kind not in "iuf"
        or not np.isfinite(depth).all()
        or depth.min() < 0
        or depth.max() > DEEPEST
    ):
        raise InputError(f"depth must be from 0 to {DEEPEST}")
    if assortment.dtype != bool:
        raise InputError("assortment must be an array of bool")
    _check_coupons(a.coupons, week, products, households, needs)
    return Actions(regular.astype(np.int64), depth, assortment, a.coupons)


def _check_coupons(c: Coupons, week: int, products: int, households: int, needs: int) -> None:
    sizes = {np.asarray(v).shape for v in (c.household, c.product, c.need, c.depth, c.until)}
    if len(sizes) != 1 or len(next(iter(sizes))) != 1:
        raise InputError("coupons need one household, product, need, depth and until for each")
    if not len(c):
        return
    for name in ("household", "product", "need", "until"):
        if np.asarray(getattr(c, name)).dtype.kind not in "iu":
            raise InputError(f"coupons need an array of whole numbers as {name}")
    if c.household.min() < 0 or c.household.max() >= households:
        raise InputError(f"coupons are for households 0 to {households - 1}, those with a card")
    if c.product.max() >= products or c.need.max() >= needs:
        raise InputError(f"coupons name products below {products} or needs below {needs}")
    if ((c.product >= 0) == (c.need >= 0)).any():
        raise InputError("a coupon is on either a product or a need; the other is -1")
    if not np.isfinite(c.depth).all() or c.depth.min() <= 0 or c.depth.max() > DEEPEST:
        raise InputError(f"a coupon's depth must be above 0 and at most {DEEPEST}")
    if ((c.until != 0) & (c.until < week)).any():
        raise InputError(f"a coupon's until must be 0 or a week from {week} on, the coming one")
