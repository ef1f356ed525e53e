"""The bound on what receipts can tell of elasticities."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.price_truth import most_r


def test_one_product_by_hand():
    # Log prices of -1 and 1 around their mean, 3 trips at each: information 6. Truths of -1 and 1
    # have variance 1, so that 1 / 7 of it stays unknown.
    trips = np.full((2, 1, 2), 3.0)
    pence = np.exp(np.array([[[4.0, 6.0]], [[1.0, 3.0]]]))
    assert most_r(trips, pence, np.array([-1.0, 1.0])) == pytest.approx((6 / 7) ** 0.5)


def test_a_price_that_never_moved_tells_nothing():
    trips, pence = np.full((3, 2, 5), 9.0), np.full((3, 2, 5), 120.0)
    assert most_r(trips, pence, np.array([-1.0, -2.0, -3.0])) == 0


def test_the_best_estimate_of_simulated_receipts_reaches_it():
    draw = np.random.default_rng(0)
    products, weeks, level = 600, 40, 1.0
    truth = draw.normal(-2, 0.7, products)
    price = draw.normal(0, 0.15, (products, 1, weeks))
    mean = np.exp(level + truth[:, None, None] * price)
    trips = draw.poisson(mean)
    # The posterior mean on a grid, the level known.
    grid = np.linspace(-6, 2, 201)
    log_p = (
        grid * (trips * price).sum((1, 2))[:, None]
        - np.exp(level + grid[:, None, None, None] * price).sum((2, 3)).T
        - ((grid + 2) / 0.7) ** 2 / 2
    )
    weight = np.exp(log_p - log_p.max(1, keepdims=True))
    estimate = (weight * grid).sum(1) / weight.sum(1)
    found = np.corrcoef(estimate, truth)[0, 1]
    assert found == pytest.approx(most_r(trips, 100 * np.exp(price), truth), abs=0.03)
