"""Spectral embedding of the same graph: the baseline of GraphSAGE.

Eigenvectors of the normalised Laplacian I - D^-1/2 A D^-1/2 with the smallest eigenvalues
(M. Belkin, P. Niyogi, "Laplacian eigenmaps for dimensionality reduction and data representation",
2003), here as those of D^-1/2 A D^-1/2 with the largest.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor

from trainer.graph.known import HIERARCHY, KnownGraph


def spectral_embeddings(graph: KnownGraph, width: int) -> Iterator[tuple[str, Tensor]]:
    """Name and (K, width) vectors of each variant; isolated nodes are 0.

    Variants: with and without the hierarchy; weights of each type divided by their mean, or all 1;
    eigenvectors alone or times the root of their eigenvalue, so that dot products
    rebuild the matrix; rows times the root of the degree or not, so that they rebuild A itself.
    Matrices are dense: several of 4 K^2 bytes.
    """
    for hierarchy, weighted in product((False, True), (True, False)):
        adjacency = _adjacency(graph, hierarchy, weighted)
        degree = adjacency.sum(1)
        linked = degree.nonzero().flatten()
        root = degree[linked].sqrt()
        matrix = adjacency[linked][:, linked] / root.unsqueeze(1) / root
        value, vector = torch.linalg.eigh(matrix)
        value, vector = value[-width:].clamp(min=0), vector[:, -width:]
        for scaled, by_degree in product((False, True), (False, True)):
            rows = vector * value.sqrt() if scaled else vector
            rows = rows * root.unsqueeze(1) if by_degree else rows
            z = torch.zeros(len(adjacency), width)
            z[linked, : rows.shape[1]] = rows
            yield (
                f"{'with' if hierarchy else 'without'} hierarchy, "
                f"{'weighted' if weighted else 'unweighted'}, "
                f"{'scaled' if scaled else 'unscaled'}{', times root degree' * by_degree}",
                z,
            )


def _adjacency(graph: KnownGraph, hierarchy: bool, weighted: bool) -> Tensor:
    """(K, K) float32, symmetric: the edge types added up."""
    adjacency = torch.zeros(len(graph.nodes), len(graph.nodes))
    for edge_type, pairs in enumerate(graph.pairs):
        if len(pairs) and (hierarchy or edge_type != HIERARCHY):
            weight = pairs.weight / pairs.weight.mean() if weighted else pairs.weight.sign()
            adjacency[pairs.ends[:, 0], pairs.ends[:, 1]] += weight
    return adjacency + adjacency.T
