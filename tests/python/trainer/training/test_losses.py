"""Losses against arithmetic by hand, naive formulas, and one rank against two."""

from __future__ import annotations

import math
import socket
from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn import functional as F

from trainer.model.outputs import Predictions
from trainer.training.loss_parts import ContrastiveLoss, FocalLoss, context_cross_entropy
from trainer.training.losses import LossWeights, Targets, WorldModelLoss
from trainer.training.targets import trip_weights

CODES = {"size": 4, "sensitivity": 5, "type": 5, "focus": 6}
PART_WEIGHTS = {
    "focal": 0.6,
    "contrastive": 0.2,
    "size": 0.08,
    "sensitivity": 0.08,
    "mission": 0.04,
    "visit": 0.05,
}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(7)


def make_batch(items: int, trips: int, seed: int) -> tuple[Predictions, Targets]:
    """A batch in float64; two embeddings per trip, about half the trips hidden."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=draw, dtype=torch.float64).requires_grad_()

    predictions = Predictions(
        logits=normal(items, 12),
        embeddings=normal(2 * trips, 6),
        visits=normal(trips, 7),
        context={column: normal(trips, codes) for column, codes in CODES.items()},
    )
    targets = Targets(
        tokens=torch.randint(0, 12, (items,), generator=draw),
        hidden=torch.rand(trips, generator=draw) < 0.5,
        context={
            column: torch.randint(0, codes, (trips,), generator=draw)
            for column, codes in CODES.items()
        },
        basket_ids=torch.arange(trips).repeat(2) + 100 * seed,
        visits=torch.arange(trips) % 3 > 0,
    )
    return predictions, targets


def leaves(predictions: Predictions) -> list[torch.Tensor]:
    return [
        predictions.logits, predictions.embeddings, predictions.visits,
        *predictions.context.values(),
    ]  # fmt: skip


# focal


def test_focal_by_hand():
    """p = 1/2, 1/4 and 9/10: losses (1/2)^2 ln 2, (3/4)^2 ln 4 and (1/10)^2 ln(10/9)."""
    logits = torch.tensor([[0.2, 0.5, 0.3], [0.25, 0.25, 0.5], [0.05, 0.05, 0.9]]).log()
    total, count = FocalLoss()(logits, torch.tensor([1, 1, 2]))
    by_hand = 0.25 * math.log(2) + 0.5625 * math.log(4) + 0.01 * math.log(10 / 9)
    assert total.item() == pytest.approx(by_hand, rel=1e-5)
    assert count.item() == 3


def test_focal_weights_scale_the_sum_and_the_normaliser():
    logits = torch.tensor([[0.2, 0.5, 0.3], [0.25, 0.25, 0.5], [0.1, 0.2, 0.7]]).log()
    total, count = FocalLoss()(logits, torch.tensor([1, 1, 0]), torch.tensor([2.0, 0.5, 9.0]))
    assert total.item() == pytest.approx(
        2 * 0.25 * math.log(2) + 0.5 * 0.5625 * math.log(4), rel=1e-5
    )
    assert count.item() == 2.5


def test_focal_gamma_zero_is_cross_entropy():
    logits = torch.randn(50, 9, requires_grad=True)
    targets = torch.randint(0, 9, (50,))
    expected = F.cross_entropy(logits, targets, ignore_index=0, reduction="sum")
    total, count = FocalLoss(gamma=0)(logits, targets)
    torch.testing.assert_close(total, expected)
    assert count == (targets > 0).sum()
    torch.testing.assert_close(
        *(torch.autograd.grad(value, logits)[0] for value in (total, expected))
    )


@pytest.mark.parametrize("garbage", [3.0, 1e30, math.inf, math.nan])
def test_focal_never_reads_pad(garbage):
    targets = torch.tensor([3, 0, 2, 0, 1])
    logits = torch.randn(5, 6)
    spoilt = logits.masked_fill((targets == 0)[:, None], garbage).requires_grad_()
    total, count = FocalLoss()(spoilt, targets)
    expected, expected_count = FocalLoss()(logits[targets > 0], targets[targets > 0])
    assert total == expected
    assert count == expected_count == 3
    total.backward()
    assert not spoilt.grad[targets == 0].any()
    assert spoilt.grad[targets > 0].any(1).all()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 3.5])
def test_focal_gradient(gamma):
    logits = torch.randn(8, 7, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([1, 2, 3, 0, 6, 6, 0, 4])
    weights = torch.rand(8, dtype=torch.float64)
    loss = FocalLoss(gamma)
    assert torch.autograd.gradcheck(lambda x: loss(x, targets, weights)[0], logits)

    p = logits.softmax(-1)[torch.arange(8), targets]
    naive = (-((1 - p) ** gamma) * p.log() * weights * (targets != 0)).sum()
    total, _ = loss(logits, targets, weights)
    torch.testing.assert_close(total, naive)
    torch.testing.assert_close(*(torch.autograd.grad(value, logits)[0] for value in (total, naive)))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_is_finite_at_large_logits(gamma):
    logits = torch.tensor([[0.0, 1e4, -1e4], [0.0, 1e4, -1e4]], requires_grad=True)
    total, _ = FocalLoss(gamma)(logits, torch.tensor([1, 2]))
    total.backward()
    assert total.item() == pytest.approx(2e4)
    assert logits.grad.isfinite().all()
    assert not logits.grad[0].any()


def test_focal_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="gamma"):
        FocalLoss(gamma=-1)
    with pytest.raises(ValueError, match="logits"):
        FocalLoss()(torch.zeros(2, 3, 4), torch.ones(2))
    with pytest.raises(ValueError, match="targets"):
        FocalLoss()(torch.zeros(2, 3), torch.ones(3))
    with pytest.raises(ValueError, match="weights"):
        FocalLoss()(torch.zeros(2, 3), torch.ones(2), torch.ones(1))


def test_trip_weights_count_every_trip_once():
    targets = torch.tensor([5, 6, 0, 7, 8, 0])
    trip = torch.tensor([0, 0, 0, 2, 0, 3])
    third = 1 / 3
    expected = torch.tensor([third, third, 0, 1, third, 0])
    torch.testing.assert_close(trip_weights(targets, trip, trips=4), expected)
    torch.testing.assert_close(trip_weights(targets, trip, 4, power=0.0), (targets > 0).float())
    torch.testing.assert_close(trip_weights(targets, trip, 4, power=0.5), expected.sqrt())


# contrastive


def test_contrastive_by_hand():
    """Baskets {a, b}, {c}, {d}: cosines ab 0, ac 1, ad -1, bc 0, bd 0. Only a and b are anchors."""
    embeddings = torch.tensor([[2.0, 0.0], [0.0, 3.0], [1.0, 0.0], [-5.0, 0.0]])
    total, count = ContrastiveLoss(temperature=0.5)(embeddings, torch.tensor([4, 4, 9, 8]))
    anchor_a = math.log(math.exp(0) + math.exp(2) + math.exp(-2))
    anchor_b = math.log(3)
    assert total.item() == pytest.approx(anchor_a + anchor_b, rel=1e-5)
    assert count.item() == 2


def test_contrastive_averages_several_positives():
    """Three items of one basket, one other at a right angle to all; tau 1."""
    embeddings = torch.tensor([[1.0, 0, 0], [1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]])
    total, count = ContrastiveLoss(temperature=1.0)(embeddings, torch.tensor([1, 1, 1, 2]))
    twin = math.log(math.e + 2) - (1 + 0) / 2
    assert total.item() == pytest.approx(2 * twin + math.log(3), rel=1e-5)
    assert count.item() == 3


def test_contrastive_ignores_length_and_order():
    embeddings = torch.randn(20, 8, dtype=torch.float64)
    ids = torch.randint(0, 9, (20,))
    loss = ContrastiveLoss()
    total, count = loss(embeddings, ids)
    lengths = torch.rand(20, 1, dtype=torch.float64) * 100 + 0.1
    order = torch.randperm(20)
    for other in (loss(embeddings * lengths, ids), loss(embeddings[order], ids[order])):
        torch.testing.assert_close(other, (total, count))


def test_contrastive_temperature_divides_the_cosines():
    x = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    ids = torch.tensor([0, 0, 1])
    for tau in (0.07, 0.5, 2.0):
        a = math.log(1 + math.exp((0 - 0.6) / tau))
        b = math.log(1 + math.exp((0.8 - 0.6) / tau))
        total, _ = ContrastiveLoss(tau)(x, ids)
        assert total.item() == pytest.approx(a + b, rel=1e-4)
    with pytest.raises(ValueError, match="temperature"):
        ContrastiveLoss(0)


@pytest.mark.parametrize("ids", [[], [3], [1, 2, 3]])
def test_contrastive_without_positives_is_zero(ids):
    embeddings = torch.randn(len(ids), 4, requires_grad=True)
    total, count = ContrastiveLoss()(embeddings, torch.tensor(ids, dtype=torch.int64))
    total.backward()
    assert total == 0
    assert count == 0
    assert torch.equal(embeddings.grad, torch.zeros(len(ids), 4))


@pytest.mark.parametrize("block", [1, 30, 1 << 19])
def test_contrastive_gradient(monkeypatch, block):
    """Of own embeddings and of other ranks', whatever the number of rows in a block."""
    monkeypatch.setattr("trainer.training.log_sums.BLOCK", block)
    embeddings, others = torch.randn(2, 7, 4, dtype=torch.float64, requires_grad=True)
    ids = torch.tensor([0, 1, 0, 2, 1, 1, 3])
    loss = ContrastiveLoss(0.3)
    assert torch.autograd.gradcheck(lambda x: loss(x, ids)[0], embeddings)
    assert torch.autograd.gradcheck(lambda x, y: loss(x, ids, y)[0], (embeddings, others))


def test_contrastive_takes_other_ranks_as_negatives():
    """As if they were baskets of one embedding each, which are no anchors."""
    embeddings, others = torch.randn(2, 6, 4, dtype=torch.float64)
    ids = torch.tensor([0, 1, 0, 2, 1, 1])
    together = torch.cat([embeddings, others]), torch.cat([ids, torch.arange(10, 16)])
    torch.testing.assert_close(
        ContrastiveLoss()(embeddings, ids, others), ContrastiveLoss()(*together)
    )


# auxiliary


@pytest.mark.parametrize("garbage", [0.0, 50.0, math.nan])
def test_context_counts_only_where_hidden_and_known(garbage):
    codes = torch.tensor([1, 2, 0, 3, 2])
    hidden = torch.tensor([True, False, True, True, False])
    counted = torch.tensor([True, False, False, True, False])
    clean = torch.randn(5, 4)
    logits = clean.masked_fill(~counted[:, None], garbage).requires_grad_()
    total, count = context_cross_entropy(logits, codes, hidden)
    log_p = clean.log_softmax(-1)
    torch.testing.assert_close(total, -log_p[0, 1] - log_p[3, 3])
    assert count == 2
    total.backward()
    assert not logits.grad[~counted].any()
    assert logits.grad[counted].any(1).all()


def test_context_all_visible_is_zero():
    logits = torch.randn(3, 4, requires_grad=True)
    total, count = context_cross_entropy(logits, torch.tensor([1, 2, 3]), torch.zeros(3).bool())
    total.backward()
    assert total == 0
    assert count == 0
    assert not logits.grad.any()


# combination


def test_default_weights_are_the_design():
    weights = LossWeights()
    assert {part: getattr(weights, part) for part in PART_WEIGHTS} == PART_WEIGHTS
    with pytest.raises(ValueError, match="size"):
        LossWeights(size=-0.1)


def test_total_is_the_weighted_sum_of_means():
    predictions, targets = make_batch(items=40, trips=15, seed=1)
    total, parts = WorldModelLoss()(predictions, targets)

    def mean(pairs):
        sums, counts = zip(*pairs, strict=True)
        return sum(sums) / sum(counts)

    def context(column):
        codes = targets.context[column]
        return context_cross_entropy(predictions.context[column], codes, targets.hidden)

    expected = {
        "focal": mean([FocalLoss()(predictions.logits, targets.tokens)]),
        "contrastive": mean([ContrastiveLoss()(predictions.embeddings, targets.basket_ids)]),
        "size": mean([context("size")]),
        "sensitivity": mean([context("sensitivity")]),
        "mission": mean([context("type"), context("focus")]),
        "visit": predictions.visits.sum() / 15,  # whether they came or not
    }
    for part, value in expected.items():
        torch.testing.assert_close(parts[part], value.detach())
        assert not parts[part].requires_grad
    assert parts["focal_count"] == (targets.tokens != 0).sum()
    assert parts["contrastive_count"] == 30
    torch.testing.assert_close(
        total, sum(PART_WEIGHTS[part] * value for part, value in expected.items())
    )


def test_token_weights_reach_the_focal_part():
    predictions, targets = make_batch(items=10, trips=4, seed=2)
    weights = torch.rand(10, dtype=torch.float64)
    weighted = Targets(tokens=targets.tokens, hidden=targets.hidden, token_weights=weights)
    total, parts = WorldModelLoss(LossWeights(1, 0, 0, 0, 0, 0))(predictions, weighted)
    value, count = FocalLoss()(predictions.logits, targets.tokens, weights)
    torch.testing.assert_close(total, value / count)
    torch.testing.assert_close(parts["focal_count"], weights[targets.tokens != 0].sum())


def test_parts_of_weight_zero_are_not_computed():
    predictions, targets = make_batch(items=10, trips=4, seed=3)
    warm_up = WorldModelLoss(LossWeights(1, 0, 0, 0, 0, 0))
    total, parts = warm_up(
        Predictions(logits=predictions.logits), Targets(targets.tokens, targets.hidden)
    )
    assert set(parts) == {"focal", "focal_count"}
    value, count = FocalLoss()(predictions.logits, targets.tokens)
    torch.testing.assert_close(total, value / count)


@pytest.mark.parametrize("name", ["logits", "embeddings", "context", "visits"])
def test_a_missing_prediction_is_named(name):
    predictions, targets = make_batch(items=10, trips=4, seed=3)
    kept = {key: value for key, value in vars(predictions).items() if key != name}
    with pytest.raises(ValueError, match=name):
        WorldModelLoss()(Predictions(**kept), targets)


def test_micro_batches_add_up_to_one_batch():
    """Ragged micro-batches, whose own means would weigh wrongly. Negatives stay within each."""
    loss = WorldModelLoss(LossWeights(contrastive=0))
    batches = [make_batch(items, trips, seed=items) for items, trips in ((30, 9), (3, 2), (11, 5))]
    counts = loss.all_ranks(sum(loss.count(targets) for _, targets in batches))
    totals, parts = zip(*(loss(*batch, counts) for batch in batches), strict=True)
    sum(totals).backward()

    ones = [leaves(predictions) for predictions, _ in batches]
    logits, _, visits, *context = (
        torch.cat(values).detach().requires_grad_() for values in zip(*ones, strict=True)
    )
    whole = Predictions(
        logits=logits, visits=visits, context=dict(zip(CODES, context, strict=True))
    )
    whole_targets = Targets(
        tokens=torch.cat([targets.tokens for _, targets in batches]),
        hidden=torch.cat([targets.hidden for _, targets in batches]),
        context={
            column: torch.cat([targets.context[column] for _, targets in batches])
            for column in CODES
        },
        visits=torch.cat([targets.visits for _, targets in batches]),
    )
    total, whole_parts = loss(whole, whole_targets)
    total.backward()
    torch.testing.assert_close(sum(totals), total)
    for part, value in whole_parts.items():
        if not part.endswith("_count"):
            torch.testing.assert_close(sum(each[part] for each in parts), value)
    torch.testing.assert_close(torch.cat([one[0].grad for one in ones]), logits.grad)
    for i, column in enumerate(context):
        torch.testing.assert_close(torch.cat([one[3 + i].grad for one in ones]), column.grad)


def test_contrastive_micro_batches_share_one_divisor():
    loss = WorldModelLoss(LossWeights(0, 1, 0, 0, 0, 0))
    batches = [make_batch(items=1, trips=trips, seed=trips) for trips in (2, 6)]
    counts = sum(loss.count(targets) for _, targets in batches)
    total = sum(loss(*batch, counts)[0] for batch in batches)
    sums = [ContrastiveLoss()(p.embeddings, t.basket_ids)[0] for p, t in batches]
    torch.testing.assert_close(total, sum(sums) / (4 + 12))


def _two_ranks(rank: int, port: int, folder: str) -> None:
    """One of two ranks: unequal batches, the second without a hidden trip."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    predictions, targets = _batch_of_rank(rank)
    total, parts = WorldModelLoss()(predictions, targets)
    total.backward()
    gradients = [leaf.grad for leaf in leaves(predictions)]
    torch.save(
        {"total": total.detach(), "parts": parts, "gradients": gradients}, f"{folder}/{rank}"
    )
    dist.destroy_process_group()


def _batch_of_rank(rank: int) -> tuple[Predictions, Targets]:
    predictions, targets = make_batch(items=(40, 5)[rank], trips=(12, 3)[rank], seed=20 + rank)
    if rank == 1:
        targets.hidden.zero_()
    return predictions, targets


def test_two_ranks_are_one(tmp_path):
    """Averaged over ranks, as DistributedDataParallel does, gradients are those of one process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    mp.spawn(_two_ranks, args=(port, str(tmp_path)), nprocs=2)
    ranks = [torch.load(tmp_path / str(rank), weights_only=True) for rank in (0, 1)]

    loss = WorldModelLoss()
    batches = [_batch_of_rank(rank) for rank in (0, 1)]
    counts = sum(loss.count(targets) for _, targets in batches)
    total, _ = loss(*_merged(batches))
    total.backward()
    torch.testing.assert_close((ranks[0]["total"] + ranks[1]["total"]) / 2, total.detach())
    for rank, (predictions, _) in zip(ranks, batches, strict=True):
        for gradient, leaf in zip(rank["gradients"], leaves(predictions), strict=True):
            torch.testing.assert_close(gradient / 2, leaf.grad)
    assert ranks[0]["parts"]["focal_count"] == counts[0] == ranks[1]["parts"]["focal_count"]
    assert ranks[1]["parts"]["size"] == 0


def _merged(batches) -> tuple[Predictions, Targets]:
    """What one process would see: embeddings of either batch are negatives of the other's."""
    predictions, targets = zip(*batches, strict=True)

    def joined(parts, name):
        return torch.cat([getattr(part, name) for part in parts])

    def joined_context(parts):
        return {column: torch.cat([part.context[column] for part in parts]) for column in CODES}

    return (
        Predictions(
            joined(predictions, "logits"), joined(predictions, "embeddings"),
            joined(predictions, "visits"), joined_context(predictions),
        ),
        Targets(
            joined(targets, "tokens"), joined(targets, "hidden"), joined_context(targets),
            joined(targets, "basket_ids"), visits=joined(targets, "visits"),
        ),
    )  # fmt: skip


@pytest.mark.parametrize(("items", "trips"), [(0, 0), (6, 3)])
def test_no_targets_is_zero(items, trips):
    predictions, targets = make_batch(items, trips, seed=4)
    targets.tokens.zero_()
    targets.hidden.zero_()
    targets = Targets(
        targets.tokens, targets.hidden, targets.context, basket_ids=torch.arange(2 * trips),
        visits=targets.visits[:0],
    )  # fmt: skip
    predictions = replace(predictions, visits=torch.zeros(0, 7, requires_grad=True))
    total, parts = WorldModelLoss()(predictions, targets)
    total.backward()
    assert total == 0
    assert all(value == 0 for value in parts.values())
    for leaf in leaves(predictions):
        assert torch.equal(leaf.grad, torch.zeros_like(leaf))


def test_autocast_computes_in_float32():
    """Inputs that bfloat16 holds exactly: the loss is float32's, whatever autocast would do."""
    predictions, targets = make_batch(items=30, trips=10, seed=5)

    def cast(dtype):
        logits, embeddings, visits, *context = (
            leaf.detach().bfloat16().to(dtype).requires_grad_() for leaf in leaves(predictions)
        )
        return Predictions(logits, embeddings, visits, dict(zip(CODES, context, strict=True)))

    expected, _ = WorldModelLoss()(cast(torch.float32), targets)
    for dtype in (torch.float32, torch.bfloat16):
        inputs = cast(dtype)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            total, _ = WorldModelLoss()(inputs, targets)
        assert total.dtype == torch.float32
        torch.testing.assert_close(total, expected, rtol=1e-6, atol=0)
        total.backward()
        assert all(leaf.grad.isfinite().all() for leaf in leaves(inputs))
