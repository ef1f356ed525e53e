"""Held-out links, their measures, and the methods beside GraphSAGE: known answers."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
import torch
from graphs import graph_of

from trainer.graph.holdout import Holdout, NothingToHoldOut, _degree_class, hold_out
from trainer.graph.known import COPURCHASE
from trainer.graph.ranking import auc, ranks
from trainer.graph.rules import link_rules
from trainer.graph.spectral import spectral_embeddings


def test_auc_by_hand():
    """Wins of 3 over 1 and 2, of 2 over 1; 2 against 2 is half a win: 3.5 of 4."""
    assert auc(torch.tensor([3.0, 2.0]), torch.tensor([1.0, 2.0])) == 3.5 / 4
    assert auc(torch.zeros(3), torch.zeros(5)) == 0.5
    assert auc(torch.tensor([0.0]), torch.tensor([1.0, 2.0])) == 0


def test_auc_counts_pairs():
    draw = torch.Generator().manual_seed(0)
    positive, negative = (torch.randint(0, 9, (n,), generator=draw) for n in (40, 70))
    wins = (positive[:, None] > negative).double() + (positive[:, None] == negative) / 2
    assert auc(positive, negative) == pytest.approx(float(wins.mean()), abs=1e-12)


def test_ranks_by_hand():
    scores = torch.tensor([[5.0, 4.0, 3.0, 2.0], [1.0, 1.0, 1.0, 1.0]])
    truth = torch.tensor([2, 0])
    nobody = torch.zeros(2, 4, dtype=torch.bool)
    assert ranks(scores, truth, nobody).tolist() == [3, 1 + 3 / 2]
    assert ranks(torch.full((1, 4), torch.nan), truth[:1], nobody[:1]).tolist() == [4]
    without = torch.tensor([[True, False, True, False], [False, True, False, False]])
    assert ranks(scores, truth, without).tolist() == [2, 1 + 2 / 2]


def test_measures_by_hand():
    """Five products, pair (0, 1) held out, 0-2 kept. Product 4 outranks 1 for 0 and 0 for 1."""
    graph = graph_of(5, copurchase={(0, 1): 1, (0, 2): 1})
    linked = torch.eye(5, dtype=torch.bool)
    for a, b in ((0, 1), (0, 2)):
        linked[a, b] = linked[b, a] = True
    scores = torch.tensor(
        [
            [9.0, 2.0, 8.0, 1.0, 3.0],
            [2.0, 9.0, 4.0, 1.0, 3.0],
            [0.0, 0.0, 0.0, 0.0, 0.0],
            [0.0, 0.0, 0.0, 0.0, 0.0],
            [0.0, 0.0, 0.0, 0.0, 0.0],
        ]
    )
    matched = torch.tensor([[0, 1, 0, 3], [0, 1, 1, 4]])
    task = Holdout(graph, torch.tensor([[0, 1]]), linked, matched)
    # For 0: above 1 is 4 (2 is a known partner): rank 2. For 1: above 0 are 2 and 4: rank 3.
    # Held-out pairs score 2, 2 and their non-edges 1, 3: half of the comparisons are won.
    assert task.measure(lambda rows: scores[rows]) == {
        "auc": 0.5,
        "hits_at_10": 1.0,
        "mrr": pytest.approx((1 / 2 + 1 / 3) / 2),
    }


def test_hits_counts_the_first_ten():
    graph = graph_of(30, copurchase={(0, 10): 1, (1, 11): 1})
    linked = torch.eye(30, dtype=torch.bool)
    order = -torch.arange(30.0).repeat(30, 1)  # product 0 first, whoever asks
    task = Holdout(graph, torch.tensor([[0, 10], [1, 11]]), linked, torch.tensor([[0, 10, 0, 9]]))
    # 10 is tenth for 0 (itself left out), 11 is eleventh for 1; 0 and 1 are first and second.
    assert task.measure(lambda rows: order[rows])["hits_at_10"] == 3 / 4


def test_degree_classes():
    degree = torch.tensor([0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 15, 16])
    assert _degree_class(degree).tolist() == [0, 1, 2, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8]


@pytest.fixture(scope="module")
def ring():
    """60 products in a ring with chords."""
    pairs = {tuple(sorted((n, (n + step) % 60))): 1.0 + n for n in range(60) for step in (1, 7)}
    return graph_of(60, copurchase=pairs)


def test_holdout_parts_the_pairs(ring):
    task = hold_out(ring, 0.1, seed=3)
    rest = {tuple(pair) for pair in task.graph.pairs[COPURCHASE].ends.tolist()}
    held = {tuple(pair) for pair in task.held.tolist()}
    every = {tuple(pair) for pair in ring.pairs[COPURCHASE].ends.tolist()}
    assert len(held) == 12
    assert not rest & held
    assert rest | held == every
    assert int(task.linked.sum()) == 2 * 120 + 60


def test_holdout_keeps_weights_with_their_pairs(ring):
    task = hold_out(ring, 0.1, seed=3)
    whole = dict(zip(map(tuple, ring.pairs[0].ends.tolist()), ring.pairs[0].weight, strict=True))
    rest = task.graph.pairs[COPURCHASE]
    for pair, weight in zip(rest.ends.tolist(), rest.weight, strict=True):
        assert whole[tuple(pair)] == weight


def test_non_edges_match_in_degree_and_are_no_edges(ring):
    task = hold_out(ring, 0.1, seed=3)
    degree = task.graph.pairs[COPURCHASE].ends.flatten().bincount(minlength=60)
    kinds = _degree_class(degree)
    held = {tuple(pair) for pair in task.held.tolist()}
    for kept, replaced, again, other in task.matched.tolist():
        assert tuple(sorted((kept, replaced))) in held
        assert again == kept
        assert not task.linked[kept, other]
        assert kinds[other] == kinds[replaced]


def test_too_few_pairs_to_hold_out():
    with pytest.raises(NothingToHoldOut, match="1 co-purchase pairs"):
        hold_out(graph_of(4, copurchase={(0, 1): 1}), 0.1, seed=0)


def test_rules_by_hand():
    """0-1, 0-2, 1-2, 2-3: 1 and 3 share product 2 of degree 3, 0 and 1 too."""
    pairs = {(0, 1): 1, (0, 2): 1, (1, 2): 1, (2, 3): 1}
    trips = [9, 1, 3, 2]
    graph = graph_of(4, copurchase=pairs, category=[0, 0, 1, 1], parent=[2, 2, -1], trips=trips)
    rules = dict(link_rules(graph))
    rows = torch.tensor([1])
    assert rules["chance"](rows).tolist() == [[0, 0, 0, 0]]
    assert rules["popularity"](rows).tolist() == [[9, 1, 3, 2]]
    assert rules["degree"](rows).tolist() == [[4, 4, 6, 2]]
    assert rules["common category"](rows)[0].round().tolist() == [2, 2, 1, 1]
    shared = rules["common neighbours"](rows)[0]
    assert float(shared[0]) == pytest.approx(1 / log(3))
    assert float(shared[3]) == pytest.approx(1 / log(3))
    assert shared[0] > shared[3], "equal counts go to the more popular product"


def test_spectral_by_hand():
    """A triangle, a pair and an isolated product: one constant eigenvector per component."""
    graph = graph_of(6, copurchase={(0, 1): 1, (0, 2): 1, (1, 2): 1, (3, 4): 1})
    z = dict(spectral_embeddings(graph, 2))["without hierarchy, unweighted, unscaled"]
    similarity = z @ z.T
    expected = np.zeros((6, 6))
    expected[:3, :3], expected[3:5, 3:5] = 1 / 3, 1 / 2
    np.testing.assert_allclose(similarity.numpy(), expected, atol=1e-5)


def test_spectral_of_full_width_rebuilds_the_graph():
    """Scaled and times the root of the degree, dot products are A with its negative part cut."""
    graph = graph_of(4, copurchase={(0, 1): 3, (1, 2): 1}, substitution={(2, 3): 5})
    z = dict(spectral_embeddings(graph, 4))[
        "without hierarchy, weighted, scaled, times root degree"
    ]
    adjacency = torch.zeros(4, 4)
    for (a, b), weight in {(0, 1): 1.5, (1, 2): 0.5, (2, 3): 1.0}.items():  # by type's mean
        adjacency[a, b] = adjacency[b, a] = weight
    root = adjacency.sum(1).sqrt()
    value, vector = torch.linalg.eigh(adjacency / root / root[:, None])
    positive = (vector * value.clamp(min=0)) @ vector.T * root * root[:, None]
    torch.testing.assert_close(z @ z.T, positive, atol=1e-5, rtol=0)


def test_spectral_variants_are_all_there():
    graph = graph_of(4, copurchase={(0, 1): 3}, category=[0, 0, 0, 0], parent=[-1])
    names = [name for name, _ in spectral_embeddings(graph, 2)]
    assert len(set(names)) == 16
