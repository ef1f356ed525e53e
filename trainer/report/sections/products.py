"""A map of the vectors that the model has learned for products."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch
from torch import Tensor

from trainer.cache.reader import TensorCache
from trainer.cache.rows import top_categories
from trainer.model.world_model import WorldModel
from trainer.report.charts.points import Group, points
from trainer.report.figures import count, percent
from trainer.report.markup import Markup, element, join

MOST_GROUPS = 12
"""Departments with a colour of their own; the others share one."""


def products(model: WorldModel, cache: TensorCache) -> Markup:
    """Known products along the two directions in which their vectors vary most."""
    known = np.flatnonzero(~cache["products.is_novel"])
    with torch.no_grad():
        vectors = model.product.table()[1:-2].double().cpu()[torch.from_numpy(known)]
    if len(known) < 3:
        return element("p", "Fewer than three known products: there is nothing to map.")
    places, shares = two_dimensions(vectors)
    groups = _groups(places, departments(cache)[known])
    x, y = (
        f"{name} axis, {percent(share)} of the variance"
        for name, share in zip(("first", "second"), shares, strict=True)
    )
    sizes = ", ".join(group.name for group in groups)
    title = f"Vectors of {count(len(known))} known products, by department"
    chart = points(
        "product-map", title, f"Two axes; products of each: {sizes}.", x, y, groups,
        radius=1.8 if len(known) > 500 else 3,
    )  # fmt: skip
    return join([element("p", _meaning(shares, vectors.shape[1])), chart])


def two_dimensions(vectors: Tensor) -> tuple[np.ndarray, tuple[float, float]]:
    """First two principal components (Pearson, 1901) of vectors (n, d).

    Returns places (n, 2) and the share of the variance along each axis. The largest loading of an
    axis is positive, so that the same vectors make the same map.
    """
    centred = vectors - vectors.mean(0)
    u, s, v = torch.linalg.svd(centred, full_matrices=False)
    largest = v[:2].abs().argmax(1)
    sign = v[torch.arange(2), largest].sign()
    shares = (s[:2] ** 2 / (s**2).sum()).nan_to_num().tolist()
    return (u[:, :2] * s[:2] * sign).numpy(), (shares[0], shares[1])


def departments(cache: TensorCache) -> np.ndarray:
    """(N,) the code of each product's topmost category."""
    top = top_categories(cache["categories.parent"])[cache["products.category"]]
    return np.array([code.decode(errors="replace") for code in cache["categories.code"]])[top]


def _groups(places: np.ndarray, department: np.ndarray) -> list[Group]:
    """The departments with the most products in the order of their codes, then the others."""
    sizes = sorted(Counter(department.tolist()).items(), key=lambda pair: (-pair[1], pair[0]))
    names = sorted(name for name, _ in sizes[:MOST_GROUPS])
    groups = [_group(name, places[department == name]) for name in names]
    others = ~np.isin(department, names)
    return [*groups, _group("other", places[others])] if others.any() else groups


def _group(name: str, places: np.ndarray) -> Group:
    return Group(f"{name} ({count(len(places))})", places[:, 0].tolist(), places[:, 1].tolist())


def _meaning(shares: tuple[float, float], width: int) -> str:
    return (
        f"The two axes hold {percent(sum(shares))} of the variance in {width} dimensions; the rest "
        "is not visible here, so products that look close may be far apart. Departments cluster by "
        "construction, because a product's vector includes what was learned for its categories. "
        "The axes have no unit; the same length means the same distance on both."
    )
