"""Co-purchase pairs held out of a graph, and the measures computed on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.commands.errors import InputError
from trainer.graph.known import COPURCHASE, KnownGraph
from trainer.graph.ranking import auc, ranks

ROWS_AT_ONCE = 256
MORE = (
    "lower copurchase_min_share or copurchase_min_chi_square in dbt_project.yml, or take more "
    "data, and build and export again"
)

Scorer = Callable[[Tensor], Tensor]
"""(Q,) known products -> (Q, products) scores of a link with each known product."""


class NothingToHoldOut(InputError):
    """The graph has too few co-purchase pairs to measure anything."""


@dataclass(frozen=True)
class Holdout:
    """A graph without some of its co-purchase pairs, and questions about them."""

    graph: KnownGraph
    """Without the held-out pairs; methods read nothing else."""
    held: Tensor
    """(H, 2) known products: the held-out pairs."""
    linked: Tensor
    """(products, products) bool: pairs of the whole graph, and each product paired with itself."""
    matched: Tensor
    """(M, 4): a held-out pair beside a pair without an edge, of the same degrees in `graph`. The
    first end is the same in both, so that a scorer may treat the two ends differently."""

    def measure(self, scorer: Scorer) -> dict[str, float]:
        """`auc` against the matched non-edges, `hits_at_10` and `mrr` over both ends of each pair.

        Ranks are filtered (A. Bordes and others, "Translating embeddings", NIPS 2013): the other
        true partners of a product, held out or not, do not compete; every other known product
        does.
        """
        query = self.held.flatten()
        answer = self.held.flip(1).flatten()
        rank = torch.cat(
            [
                ranks(scorer(rows), truth, self.linked[rows])
                for rows, truth in zip(
                    query.split(ROWS_AT_ONCE), answer.split(ROWS_AT_ONCE), strict=True
                )
            ]
        )
        positive, negative = (_of_pairs(scorer, part) for part in self.matched.split(2, dim=1))
        return {
            "auc": auc(positive, negative),
            "hits_at_10": float((rank <= 10).double().mean()),
            "mrr": float((1 / rank).mean()),
        }


def hold_out(graph: KnownGraph, share: float, seed: int) -> Holdout:
    """Hold a random share of the co-purchase pairs out of the graph, in both directions.

    Each held-out pair is matched with two non-edges: each end in turn is replaced by a random
    product of the same degree class, if there is one (a hub may be alone in its class). Degrees
    are those of the remaining graph, so that a score made of degrees alone cannot do better than
    chance. Classes are single degrees up to 3, then half octaves. Raises NothingToHoldOut where no
    pair would be held out, none would remain, or no non-edge matches.
    """
    draw = torch.Generator().manual_seed(seed)
    pairs = graph.pairs[COPURCHASE]
    order = torch.randperm(len(pairs), generator=draw)
    count = round(share * len(pairs))
    if not 0 < count < len(pairs):
        raise NothingToHoldOut(
            f"{len(pairs)} co-purchase pairs are too few to hold some out: {MORE}"
        )
    held, rest = pairs.ends[order[:count].sort().values], pairs[order[count:].sort().values]

    linked = torch.eye(graph.products, dtype=torch.bool)
    linked[pairs.ends[:, 0], pairs.ends[:, 1]] = True
    linked = linked | linked.T
    degree_class = _degree_class(rest.ends.flatten().bincount(minlength=graph.products))
    matched = []
    for pair in held.tolist():
        for kept, replaced in (pair, pair[::-1]):
            choice = ((degree_class == degree_class[replaced]) & ~linked[kept]).nonzero().flatten()
            if len(choice):
                substitute = choice[torch.randint(len(choice), (1,), generator=draw)]
                matched.append([kept, replaced, kept, int(substitute)])
    if not matched:
        raise NothingToHoldOut(f"no pair of products without an edge has matching degrees: {MORE}")
    return Holdout(graph.with_copurchases(rest), held, linked, torch.tensor(matched))


def _degree_class(degree: Tensor) -> Tensor:
    """(products,) int64: 0, 1, 2, 3, then two classes per octave: 4-5, 6-7, 8-11, 12-15, ..."""
    octave = degree.clamp(min=1).double().log2().floor()
    upper_half = degree >= 1.5 * 2**octave
    return torch.where(degree < 4, degree, (2 * octave + upper_half).long())


def _of_pairs(scorer: Scorer, pairs: Tensor) -> Tensor:
    """(P,) scores of single pairs (P, 2)."""
    return torch.cat(
        [scorer(part[:, 0]).gather(1, part[:, 1:]).flatten() for part in pairs.split(ROWS_AT_ONCE)]
    )
