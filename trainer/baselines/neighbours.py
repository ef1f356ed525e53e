"""Customers with similar purchases: UP-CF@r and TIFU-KNN.

Neighbours are customers of the training weeks, with their purchases until the end of these; nobody
is a neighbour of themselves. The customer of a question counts with all trips before it.
Shape letters: Q questions, U customers, V = N + 3 tokens.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.baselines.frequency import Weigh, in_groups, share_of_last
from trainer.baselines.history import EarlierItems, Once
from trainer.batches.batch import TimelineBatch
from trainer.cache.reader import TensorCache
from trainer.cache.rows import customer_of


class Blend(Protocol):
    """How the vectors of a customer and of others make a prediction."""

    def __call__(self, dots: Tensor, customer: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
        """dots (U, Q) inner products, -inf with whoever is no neighbour; customer (Q,) and others
        (U,) squared lengths. Returns the weights of the customer's vector (Q,) and of others
        (U, Q).
        """
        ...


class Neighbours:
    """c = n (w_u x_u + sum over customers v of w_v x_v), n trips that x_u is a mean of.

    x are vectors over products that `weigh` makes of a customer's purchases. Times n, c counts
    trips as the other rules do, and is 0 before the first trip.

    Args:
        cache: whose training weeks the neighbours' vectors are of.
        purchases: what was bought before the questions of a batch.
        weigh: the weight of each purchase in a vector.
        blend: how the vectors of the customer and of others are weighed.
        last: how many trips a vector is a mean of, at most; all if left out.
    """

    def __init__(
        self, cache: TensorCache, purchases: Once[EarlierItems], weigh: Weigh, blend: Blend,
        last: int | None = None,
    ) -> None:  # fmt: skip
        self._cache, self._purchases, self._weigh, self._blend = cache, purchases, weigh, blend
        self._last = last
        training = EarlierItems.of_training(cache)
        customers, tokens = len(training.trips), cache.vocabulary.size
        # A customer bought a few hundred of thousands of products: sparse is six times as fast.
        cell, place = (training.owner * tokens + training.token).unique(return_inverse=True)
        weights = torch.zeros(len(cell)).index_add_(0, place, weigh(training))
        owner, product = cell // tokens, cell % tokens
        self._squares = torch.zeros(customers).index_add_(0, owner, weights.square())
        self._vectors = _csr(owner, product, weights, (customers, tokens))
        order = product.argsort(stable=True)
        self._by_product = _csr(product[order], owner[order], weights[order], (tokens, customers))

    def __call__(self, batch: TimelineBatch) -> Tensor:
        """c, (Q, V) float32."""
        purchases = self._purchases(batch)
        device = purchases.owner.device
        vector = purchases.sums(self._weigh(purchases), self._cache.vocabulary.size)
        row = batch.trips.row[batch.questions.trip]
        customer = torch.from_numpy(customer_of(self._cache, row.cpu().numpy())).to(device)
        squares = self._squares.to(device)
        dots = self._vectors.to(device) @ vector.T.contiguous()
        # Customers without purchases in the training weeks are no neighbours.
        dots[squares == 0] = -torch.inf
        dots[customer, torch.arange(len(customer), device=device)] = -torch.inf
        weight, weights = self._blend(dots, vector.square().sum(1), squares)
        others = (self._by_product.to(device) @ weights).T
        trips = purchases.trips if self._last is None else purchases.trips.clamp(max=self._last)
        return (vector * weight[:, None] + others) * trips[:, None]


def _csr(row: Tensor, column: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    """A sparse matrix from its cells, in the order of rows, then columns; cells of 0 left out."""
    row, column, values = (part[values != 0] for part in (row, column, values))
    ends = torch.bincount(row, minlength=shape[0]).cumsum(0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR", UserWarning)
        return torch.sparse_csr_tensor(
            F.pad(ends, (1, 0)), column, values, shape, check_invariants=True
        )


@dataclass(frozen=True)
class AsymmetricCosine:
    """A neighbour weighs s^q, s = x_u x_v / (|x_u|^2a |x_v|^2(1 - a)), the customer 1 = s_uu.

    Faggioli, Polato and Aiolli, 2020, equations 3 and 4.
    """

    asymmetry: float
    """a from 0 to 1; 0.5 is the cosine."""
    locality: float
    """q: the higher, the fewer neighbours matter."""

    def __call__(self, dots: Tensor, customer: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
        lengths = others[:, None] ** (1 - self.asymmetry) * customer**self.asymmetry
        similarity = dots.clamp(min=0) / lengths.clamp(min=torch.finfo(dots.dtype).tiny)
        return torch.ones_like(customer), similarity**self.locality


@dataclass(frozen=True)
class Nearest:
    """The customer's vector weighs a, the mean of the k nearest others (Euclidean) 1 - a.

    Hu et al., 2020, equation 5.
    """

    neighbours: int
    """k."""
    alpha: float
    """a from 0 to 1."""

    def __call__(self, dots: Tensor, customer: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
        # |x_u - x_v|^2 = |x_u|^2 + |x_v|^2 - 2 x_u x_v, the first the same for all v.
        nearness = 2 * dots - others[:, None]
        found = nearness.topk(min(self.neighbours, len(nearness)), dim=0)
        counts = found.values.isfinite()
        share = (1 - self.alpha) / counts.sum(0).clamp(min=1)
        weights = torch.zeros_like(dots).scatter_(0, found.indices, counts * share)
        return torch.full_like(customer, self.alpha), weights


def up_cf(
    cache: TensorCache,
    purchases: Once[EarlierItems],
    *,
    last: int,
    asymmetry: float,
    locality: float,
) -> Neighbours:
    """User-wise popularity and collaborative filtering: UP-CF@r with r = `last`.

    Faggioli, Polato and Aiolli, Recency aware collaborative filtering for next basket
    recommendation, UMAP 2020.
    """
    blend = AsymmetricCosine(asymmetry, locality)
    return Neighbours(cache, purchases, share_of_last(last), blend, last)


def tifu_knn(
    cache: TensorCache, purchases: Once[EarlierItems], *, groups: int, within: float,
    between: float, neighbours: int, alpha: float,
) -> Neighbours:  # fmt: skip
    """Temporal-item-frequency-based user k-nearest neighbours.

    Hu et al., Modeling personalized item frequency information for next-basket recommendation,
    SIGIR 2020. In their letters: m = `groups`, r_b = `within`, r_g = `between`, k = `neighbours`,
    alpha.
    """
    weigh = in_groups(groups, within, between)
    return Neighbours(cache, purchases, weigh, Nearest(neighbours, alpha))
