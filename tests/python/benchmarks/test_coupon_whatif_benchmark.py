"""The benchmark of coupons in a what-if: what holders used, what lives of the chain say, and what
it refuses."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from toy import toy_cache

from benchmarks.coupon_whatif import FIGURES, main, promised, table, truth, used
from dbt_project.sample import Behaviour, ChainConfig
from dbt_project.sample.chain import build_chain
from simulator.coupon_log import CouponLog
from simulator.environments.opening import Opening, price_list
from simulator.intervals import paired
from simulator.tensor_file import padded

START, LASTS = 40, 4
CONFIG = ChainConfig(customers=60, products=70, stores=5, weeks=50, seed=7)


@pytest.fixture(scope="module")
def opening() -> Opening:
    return Opening.of(CONFIG, Behaviour(), START)


@pytest.fixture(scope="module")
def log(opening) -> CouponLog:
    """A trial of one round on the two products that sell most, in which each household got one."""
    codes = build_chain(CONFIG).codes
    cards = len(codes.customer)
    given = np.arange(2) == np.arange(cards)[:, None] % 2
    product = np.argsort(-opening.start()[1].usual.units)[:2]
    item = np.array([0, 0, 1, 2])
    return CouponLog(
        padded(codes.customer), padded(codes.product), product, np.array([30]), given[None],
        who=item, when=np.full(4, 31), trip=np.arange(4), bought=product[[0, 0, 1, 1]],
        units=np.ones(4, int), paid=np.full(4, 90), off=np.array([10, 0, 10, 0]), first=20,
        lasts=LASTS, depth=0.4, chain=price_list(opening.start()[0]),
    )  # fmt: skip


def test_who_used_a_coupon_is_a_share_of_its_holders(log):
    """Of 30 holders each, the first of the first coupon; and card 1, who bought with the second."""
    np.testing.assert_allclose(used(log), [1 / 30, 1 / 30])
    np.testing.assert_allclose(used(replace(log, given=~log.given)), [0, 0])


def test_deep_coupons_sell_more_and_some_of_it_is_taken_from_others(opening, log):
    codes = build_chain(CONFIG).codes.customer
    mean, error = truth(opening, log, codes, lives=3)
    found = dict(zip(FIGURES, mean, strict=True))
    assert found["units with coupons"] > 0 and found["units with coupons"] > found["all units"]
    assert found["coupons used"] > 0 and found["pounds taken off"] > 0
    assert np.isfinite(error).all()
    nobody, _ = truth(opening, log, codes[:0], lives=2)
    assert (nobody == 0).all()


def test_a_comparison_has_the_same_figures():
    """Of two pairs of runs: 4 and 6 units, 3 and 1 in all, 200 and 400 pence taken off."""

    def difference(*runs):
        whole = np.zeros((1, 2, 2, *np.shape(runs[0])))
        whole[0, :, 1] = runs
        return SimpleNamespace(difference=paired(whole))

    found = SimpleNamespace(
        measures=("units", "customers", "spend_pence", "coupon_pence"),
        tables={
            "part": difference([[4, 0, 0, 0], [-1, 0, 0, 0]], [[6, 0, 0, 0], [-5, 0, 0, 0]]),
            "total": difference([[3, 0, 500, 200]], [[1, 0, 700, 400]]),
            "coupon": difference([[0, 2, 0, 0], [0, 5, 0, 0]], [[0, 4, 0, 0], [0, 5, 0, 0]]),
        },
    )
    mean, error = promised(found)
    assert mean.tolist() == [5, 2, 8, 3, 6] and error.tolist() == [1, 1, 1, 1, 1]
    assert table({"the model": (mean, error)})[-1] == (
        "| the model | +5 ± 1 | +2 ± 1 | +8 ± 1 | +3 ± 1 | +6 ± 1 |"
    )


@pytest.mark.parametrize(("name", "says"), [("trial", "cannot be read"), ("none", "no such file")])
def test_what_is_no_trial_ends_in_one_line(chain_cache, tmp_path, capsys, name, says):
    (tmp_path / "trial").write_bytes(b"")
    given = [tmp_path, tmp_path, "--cache", chain_cache, "--trial", tmp_path / name]
    assert main([str(each) for each in given]) == 2
    said = capsys.readouterr().err
    assert f"{tmp_path / name}" in said and says in said and said.count("\n") == 1


@pytest.fixture(scope="module")
def chain_cache(tmp_path_factory):
    return toy_cache(tmp_path_factory.mktemp("coupons") / "cache", trips_of=[3] * 4).folder
