"""Product embeddings: aggregation by hand, training, what novel nodes must not change."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from graphs import graph_of
from toy import toy_cache, toy_columns, toy_manifest

from trainer.cache.reader import CacheError, TensorCache
from trainer.cache.writer import write_cache
from trainer.graph import product_embeddings
from trainer.graph.config import SageConfig
from trainer.graph.degrees import BUMPS, MAX_LEVEL, degree_features
from trainer.graph.holdout import hold_out
from trainer.graph.known import COPURCHASE, HIERARCHY, SUBSTITUTION, known_graph
from trainer.graph.loss import LinkLoss
from trainer.graph.quality import dot_products
from trainer.graph.sage import PATHS, GraphSage, Neighbours, SageLayer, message_paths
from trainer.graph.training import _targets, train_vectors

SMALL = SageConfig(width=8, epochs=3, width_in=4, width_hidden=6, negatives=16)
PRODUCTS = 40


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> TensorCache:
    return toy_cache(tmp_path_factory.mktemp("toy") / "cache")


def cache_of(folder, columns) -> TensorCache:
    write_cache(folder, columns, toy_manifest())
    return TensorCache(folder)


def embed(cache, **options):
    return product_embeddings(cache, **{"width": 8, "epochs": 3, "progress": False} | options)


# Aggregation.


def test_weighted_means_by_hand():
    """0 and 1 bought together (weight 3), 0 and 2 (weight 1); product 3 alone."""
    graph = graph_of(4, copurchase={(0, 1): 3, (0, 2): 1})
    x = torch.tensor([[1.0, 0.0], [2.0, 10.0], [6.0, -2.0], [100.0, 100.0]])
    path = Neighbours.both_ways(graph.pairs[COPURCHASE])
    assert path.rows.tolist() == [0, 1, 2]
    assert path.mean(x).tolist() == [[3.0, 7.0], [1.0, 0.0], [1.0, 0.0]]


def test_one_layer_by_hand():
    """Two products of a category: own part 1, co-purchase 10, substitute 100, above 1000, below
    10000, each times the mean of those neighbours, and a bias of 0.5."""
    graph = graph_of(
        3,
        copurchase={(0, 1): 3, (0, 2): 1},
        substitution={(1, 2): 0.2},
        category=[0, 0, 0],
        parent=[-1],
    )
    layer = SageLayer(1, 1)
    with torch.no_grad():
        layer.itself.weight.fill_(1)
        layer.itself.bias.fill_(0.5)
        for linear, factor in zip(layer.neighbours, (10, 100, 1000, 10000), strict=True):
            linear.weight.fill_(factor)
        y = layer(torch.tensor([[1.0], [2.0], [6.0], [5.0]]), message_paths(graph))
    # Means: 0 <- (3 * 2 + 6) / 4 = 3; 1 and 2 <- 1 by co-purchase, each other as substitutes.
    assert y.flatten().tolist() == [
        1 + 0.5 + 10 * 3 + 1000 * 5,
        2 + 0.5 + 10 * 1 + 100 * 6 + 1000 * 5,
        6 + 0.5 + 10 * 1 + 100 * 2 + 1000 * 5,
        5 + 0.5 + 10000 * 3,
    ]


def test_a_pair_given_in_both_directions_counts_once(tmp_path):
    columns = toy_columns()
    both = known_graph(toy_cache(tmp_path / "both"))
    edges = np.stack([columns["graph.source"], columns["graph.target"]], 1)
    first = (columns["graph.type"] != COPURCHASE) | (edges[:, 0] < edges[:, 1])
    for name in ("source", "target", "type", "weight"):
        columns[f"graph.{name}"] = columns[f"graph.{name}"][first]
    assert not first.all()
    once = known_graph(cache_of(tmp_path / "once", columns))
    for a, b in zip(both.pairs, once.pairs, strict=True):
        assert torch.equal(a.ends, b.ends)
        assert torch.equal(a.weight, b.weight)


def test_every_matrix_gets_a_gradient(cache):
    graph = known_graph(cache)
    model = GraphSage(graph, SMALL)
    z = model(degree_features(torch.ones(len(graph.nodes))), message_paths(graph))
    source, partner = _targets(graph, COPURCHASE, graph.pairs[COPURCHASE].ends, 1.0)
    loss_of = LinkLoss(graph.pairs[COPURCHASE].ends, len(graph.nodes), graph.products, 0.5)
    loss_of(z, source, partner, 16).backward()
    names = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert not names, "nothing reaches these"
    assert len(model.first.neighbours) == len(model.second.neighbours) == PATHS


def test_degree_features():
    features = degree_features(torch.tensor([0, 7]))
    assert features.shape == (2, 1 + BUMPS)
    assert float(features[1, 0]) == pytest.approx(np.log(8) / MAX_LEVEL)
    assert features[0, 1] == 1, "the first bump is at degree 0"


# The known graph.


def test_paths_and_pairs_of_the_toy(cache):
    graph = known_graph(cache)
    assert graph.products == PRODUCTS - 1
    assert graph.path[0].tolist() == [0, 4, 6, 8]
    assert graph.path[-1].tolist() == [9, 10, 10, 10], "a department is its own path"
    assert len(graph.pairs[COPURCHASE]) == PRODUCTS - 2
    assert len(graph.pairs[HIERARCHY]) == PRODUCTS - 1 + 8
    child, parent = graph.pairs[HIERARCHY].ends[0].tolist()
    assert (child, parent) == (0, graph.products)


@pytest.mark.parametrize(
    ("name", "value"), [("graph.target", 99), ("graph.type", 3), ("graph.weight", -1.0)]
)
def test_damaged_graph_table(tmp_path, name, value):
    columns = toy_columns()
    columns[name] = columns[name].copy()
    columns[name][0] = value
    with pytest.raises(CacheError, match="export again|run python -m dbt_project.export"):
        embed(cache_of(tmp_path / "cache", columns))


# Loss.


def test_loss_by_hand():
    """One true pair 0-1 of three nodes; every negative is node 2."""
    loss_of = LinkLoss(torch.tensor([[0, 1]]), 3, 3, 0.5)
    with torch.no_grad():
        loss_of.threshold.fill_(1.0)
    loss_of.draw_weight = torch.tensor([0.0, 0.0, 1.0])
    z = torch.tensor([[1.0, 0.0], [3.0, 1.0], [0.0, 2.0]])

    def softplus(x):
        return np.log1p(np.exp(x))

    # Scores: 0-1 3 - 1 = 2; 0-2 0 - 1 = -1; 1-2 2 - 1 = 1.
    expected = softplus(-2) + (softplus(-1) + softplus(1)) / 2
    assert loss_of(z, torch.tensor([0, 1]), torch.tensor([1, 0]), 5).item() == pytest.approx(
        expected
    )


def test_links_among_the_negatives_do_not_count():
    loss_of = LinkLoss(torch.tensor([[0, 1], [1, 2]]), 4, 4, 0.5)
    rows, columns = torch.tensor([1, 2]), torch.tensor([0, 1, 2, 3])
    assert loss_of._linked(rows, columns).tolist() == [
        [True, True, True, False],
        [False, True, True, False],
    ]


def test_negatives_follow_the_power_of_the_degree():
    loss_of = LinkLoss(torch.tensor([[0, 1], [0, 2], [0, 3]]), 6, 5, 0.5)
    assert loss_of.draw_weight.tolist() == pytest.approx([2, 2**0.5, 2**0.5, 2**0.5, 1])


# What vectors depend on, and what they do not.


def test_same_seed_same_vectors(cache):
    first, again, other = embed(cache, seed=5), embed(cache, seed=5), embed(cache, seed=6)
    assert torch.equal(first.vectors, again.vectors)
    assert first.losses == again.losses
    assert not torch.equal(first.vectors, other.vectors)
    assert first.vectors.dtype == torch.float32
    assert first.vectors.shape == (PRODUCTS + 10, 8)


def test_threads_change_no_bit(cache):
    before = torch.get_num_threads()
    vectors = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        vectors.append(embed(cache).vectors)
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert torch.equal(*vectors)


def test_random_state_outside_is_left_alone(cache):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    embed(cache)
    assert torch.equal(torch.rand(3), expected)


def with_novel(columns: dict, product_at: int, category_at: int) -> dict:
    """The toy chain with another novel product and a novel sub-commodity, rows in between."""
    products, categories = len(columns["products.code"]), len(columns["categories.code"])
    moved_product = np.arange(products) + (np.arange(products) >= product_at)
    moved_category = np.arange(categories) + (np.arange(categories) >= category_at)
    new = dict(columns)
    for name, values in columns.items():
        table = name.partition(".")[0]
        if table == "products":
            new[name] = np.insert(values, product_at, values[0])
        elif table == "categories":
            new[name] = np.insert(values, category_at, values[0])
    new["products.category"] = np.insert(
        moved_category[columns["products.category"]], product_at, category_at
    )
    parent = columns["categories.parent"]
    new["categories.parent"] = np.insert(
        np.where(parent < 0, -1, moved_category[parent]), category_at, moved_category[4]
    )
    new["products.is_novel"][product_at] = True
    new["categories.is_novel"][category_at] = True
    new["products.pence"][product_at] = 77_777
    moved = np.concatenate([moved_product, products + 1 + moved_category])
    for end in ("graph.source", "graph.target"):
        new[end] = moved[columns[end]]
    new["items.token"] = moved_product[columns["items.token"] - 1] + 1
    return new


def without_last_product(columns: dict) -> dict:
    """The toy chain without its novel product, the last one."""
    last = len(columns["products.code"]) - 1
    new = {
        name: values[:-1] if name.startswith("products.") else values
        for name, values in columns.items()
    }
    for end in ("graph.source", "graph.target"):
        new[end] = columns[end] - (columns[end] > last)
    new["items.token"] = np.minimum(columns["items.token"], last)
    for table in ("anonymous_prices", "promotions"):
        product = columns[f"{table}.product"]
        for name in columns:
            if name.startswith(f"{table}."):
                new[name] = columns[name][product < last]
    return new


def test_novel_nodes_change_no_bit(tmp_path):
    columns = toy_columns()
    plain = embed(cache_of(tmp_path / "plain", columns))
    more = embed(cache_of(tmp_path / "more", with_novel(columns, product_at=3, category_at=2)))
    fewer = embed(cache_of(tmp_path / "fewer", without_last_product(columns)))
    known = plain.vectors[plain.is_known]
    assert len(known) == PRODUCTS - 1 + 10
    assert torch.equal(more.vectors[more.is_known], known)
    assert torch.equal(fewer.vectors[fewer.is_known], known)
    assert len(more.vectors) == len(plain.vectors) + 2
    assert more.losses == plain.losses == fewer.losses


def test_attributes_of_novel_products_change_no_bit(tmp_path):
    columns = toy_columns()
    plain = embed(cache_of(tmp_path / "plain", columns))
    for name in ("pence", "train_trips", "tier", "volume_share"):
        columns[f"products.{name}"] = columns[f"products.{name}"].copy()
        columns[f"products.{name}"][-1] = 1 if name == "volume_share" else 2
    other = embed(cache_of(tmp_path / "other", columns))
    assert torch.equal(plain.vectors, other.vectors)


def test_what_was_bought_later_changes_no_bit(tmp_path, cache):
    """Items, trips and customers are not read."""
    columns = toy_columns()
    columns["items.token"] = columns["items.token"][::-1].copy()
    columns["items.quantity"] = columns["items.quantity"] + 1
    assert torch.equal(embed(cache_of(tmp_path / "cache", columns)).vectors, embed(cache).vectors)


def test_held_out_links_are_absent():
    """Weights of held-out pairs have no effect, those of others have."""
    pairs = {tuple(sorted((n, (n + step) % 30))): 1.0 for n in range(30) for step in (1, 4)}
    graph = graph_of(30, copurchase=pairs, category=[n % 3 for n in range(30)], parent=[-1] * 3)
    task = hold_out(graph, 0.2, seed=1)
    held = {tuple(pair) for pair in task.held.tolist()}

    def vectors(changed):
        weights = {pair: 9.0 if pair in changed else 1.0 for pair in pairs}
        other = graph_of(
            30, copurchase=weights, category=[n % 3 for n in range(30)], parent=[-1] * 3
        )
        return train_vectors(hold_out(other, 0.2, seed=1).graph, SMALL, 0, False)[0]

    plain = train_vectors(task.graph, SMALL, 0, False)[0]
    assert torch.equal(vectors(held), plain)
    assert not torch.equal(vectors(set(sorted(set(pairs) - held)[:9])), plain)


# Fallbacks.


def test_novel_product_takes_its_category(cache):
    embeddings = embed(cache)
    assert not embeddings.is_known[PRODUCTS - 1]
    assert int(embeddings.is_known.sum()) == PRODUCTS - 1 + 10
    category = PRODUCTS + int(cache["products.category"][-1])
    assert torch.equal(embeddings.vectors[PRODUCTS - 1], embeddings.vectors[category])


def test_novel_category_takes_its_nearest_known_ancestor(tmp_path):
    """The last product's sub-commodity and the level above are novel too: rows 3 and 5."""
    columns = toy_columns()
    columns["products.is_novel"] = columns["products.category"] == 3
    columns["categories.is_novel"] = np.isin(np.arange(10), [3, 5])
    columns["categories.parent"] = np.array([4, 4, 4, 5, 6, 7, 8, 9, -1, -1])
    embeddings = embed(cache_of(tmp_path / "cache", columns))
    for row in (PRODUCTS - 1, PRODUCTS + 3, PRODUCTS + 5):
        assert not embeddings.is_known[row]
        assert torch.equal(embeddings.vectors[row], embeddings.vectors[PRODUCTS + 7])


def test_without_known_ancestor_the_mean_of_departments(tmp_path):
    columns = toy_columns()
    columns["products.is_novel"] = columns["products.category"] >= 2
    columns["categories.is_novel"] = np.isin(np.arange(10), [2, 3, 5, 7, 9])
    columns["categories.parent"] = np.array([4, 4, 5, 5, 6, 7, 8, 9, -1, -1])
    columns["categories.code"] = columns["categories.code"].copy()
    embeddings = embed(cache_of(tmp_path / "cache", columns))
    department = embeddings.vectors[PRODUCTS + 8]
    assert torch.equal(embeddings.vectors[PRODUCTS - 1], department)
    assert torch.equal(embeddings.vectors[PRODUCTS + 9], department)


# What is learnt.


def planted(seed: int, groups: int = 6, size: int = 20):
    """Products bought together in hidden groups, which categories reveal in part."""
    draw = np.random.default_rng(seed)
    group = np.arange(groups * size) // size
    pairs = {}
    for a in range(groups * size):
        for b in draw.choice(np.flatnonzero(group == group[a]), 5, replace=False):
            if a != b:
                pairs[min(a, b), max(a, b)] = 1.0 + draw.random()
    category = [int(n) for n in group * 2 + np.arange(groups * size) % 2]
    return graph_of(groups * size, copurchase=pairs, category=category, parent=[-1] * groups * 2)


def test_communities_are_found():
    task = hold_out(planted(seed=1), 0.1, seed=1)
    config = SageConfig(width=32, epochs=40, width_in=16, width_hidden=32, negatives=128)
    vectors, losses = train_vectors(task.graph, config, 0, False)
    found = task.measure(dot_products(task.graph, vectors))
    untrained, _ = train_vectors(task.graph, SageConfig(width=32, epochs=1), 0, False)
    before = task.measure(dot_products(task.graph, untrained))
    assert losses[-1] < losses[0] / 2
    assert found["auc"] > 0.85, "a sixth of the non-edges is within a group: 0.92 is the most"
    assert found["hits_at_10"] > 0.4, "20 in a group, 120 in all"
    assert found["mrr"] > 2 * 0.045, "chance is the mean of 1 / rank over 120 products"
    assert found["auc"] > before["auc"] + 0.1


# Degenerate graphs.


def only(columns: dict, kinds: set[int]) -> dict:
    """The toy chain with edges of some types only."""
    kept = np.isin(columns["graph.type"], list(kinds))
    return columns | {
        f"graph.{name}": columns[f"graph.{name}"][kept]
        for name in ("source", "target", "type", "weight")
    }


def test_without_substitutes(tmp_path):
    cache = cache_of(tmp_path / "cache", only(toy_columns(), {COPURCHASE, HIERARCHY}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        embeddings = embed(cache)
    assert embeddings.edges["substitution"] == 0
    assert embeddings.vectors.isfinite().all()


def test_without_copurchases_the_hierarchy_is_learnt(tmp_path):
    cache = cache_of(tmp_path / "cache", only(toy_columns(), {SUBSTITUTION, HIERARCHY}))
    with pytest.warns(UserWarning, match="no co-purchase edges.*hierarchy alone"):
        embeddings = embed(cache, epochs=60)
    assert embeddings.losses[-1] < embeddings.losses[0]
    z = embeddings.vectors
    category = cache["products.category"][: PRODUCTS - 1].astype(int)
    scores = z[: PRODUCTS - 1] @ z[PRODUCTS : PRODUCTS + 4].T
    assert (scores.argmax(1).numpy() == category).mean() > 0.5, "chance is 0.25"


def test_without_any_edge(tmp_path):
    cache = cache_of(tmp_path / "cache", only(toy_columns(), set()))
    with pytest.warns(UserWarning, match="not at all"):
        embeddings = embed(cache)
    assert embeddings.losses == []
    assert embeddings.vectors.isfinite().all()
    assert torch.equal(embeddings.vectors, embed_quietly(cache).vectors)


def embed_quietly(cache):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return embed(cache)


def test_isolated_nodes_have_vectors(tmp_path):
    """Product 7 has no edge of any type."""
    columns = toy_columns()
    kept = (columns["graph.source"] != 7) & (columns["graph.target"] != 7)
    for name in ("source", "target", "type", "weight"):
        columns[f"graph.{name}"] = columns[f"graph.{name}"][kept]
    embeddings = embed(cache_of(tmp_path / "cache", columns))
    assert embeddings.vectors[7].isfinite().all()
    assert embeddings.vectors[7].any()


@pytest.mark.parametrize("edge", [True, False])
def test_one_known_product(tmp_path, edge):
    columns = only(toy_columns(), {HIERARCHY} if edge else set())
    columns["products.is_novel"] = np.arange(PRODUCTS) > 0
    columns["categories.is_novel"] = ~np.isin(np.arange(10), [0, 4, 6, 8])
    embeddings = embed_quietly(cache_of(tmp_path / "cache", columns))
    assert embeddings.vectors.isfinite().all()
    assert int(embeddings.is_known.sum()) == 5


def test_nothing_sold_in_training(tmp_path):
    columns = toy_columns()
    columns["products.is_novel"] = np.ones(PRODUCTS)
    with pytest.raises(CacheError, match="no product was sold"):
        embed(cache_of(tmp_path / "cache", columns))


@pytest.mark.parametrize("option", ["width", "epochs"])
def test_sizes_below_one(cache, option):
    with pytest.raises(ValueError, match=f"{option} must be at least 1, got 0"):
        embed(cache, **{option: 0})
