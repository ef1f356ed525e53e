"""The world learned from receipts: the chain's interface and contract, and the formulas it says."""

from __future__ import annotations

import warnings
from dataclasses import replace

import gymnasium
import numpy as np
import pyarrow.parquet as pq
import pytest
from gymnasium.utils.env_checker import check_env
from toy import toy_cache
from toy_knowledge import knowledge, with_sure_sales

import simulator.environments  # noqa: F401
from dbt_project.sample.__main__ import main as sample
from simulator.environments.books import base_prices
from simulator.environments.learned.knowledge import Knowledge
from simulator.environments.learned.learn import _Learner
from simulator.environments.learned.opening import LearnedOpening
from simulator.environments.learned.records import Records, read_records
from simulator.environments.learned.world import LearnedWorld
from simulator.environments.opening import Episode
from trainer.commands.errors import InputError

NAME = "RetailSim/Pricing-v0"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("learned") / "world.safetensors"
    knowledge().save(path)
    return str(path)


def made(checkpoint: str, **more):
    return gymnasium.make(NAME, world="model", checkpoint=checkpoint, weeks=4, **more)


def test_gymnasium_accepts_it(checkpoint):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(made(checkpoint, render_mode="rgb_array").unwrapped)


def test_stable_baselines_accepts_it(checkpoint):
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checker.check_env(made(checkpoint), warn=True)


def test_spaces_are_those_of_the_chain(checkpoint):
    chain = gymnasium.make(NAME, customers=40, products=62, stores=5, warm_up=3, weeks=4)
    env = made(checkpoint)

    assert env.observation_space == chain.observation_space
    assert env.action_space == chain.action_space


def test_a_vector_lives_the_episodes_of_single_ones(checkpoint):
    options = {"world": "model", "checkpoint": checkpoint, "weeks": 4}
    several = gymnasium.make_vec(NAME, num_envs=2, vectorization_mode="sync", **options)
    single = made(checkpoint)
    action = np.full(single.action_space.shape, 0.1, np.float32)
    seen, _ = several.reset(seed=[4, 5])
    first, _ = single.reset(seed=5)
    _, rewards, *_ = several.step(np.stack([action, action]))
    _, reward, *_ = single.step(action)

    assert np.array_equal(seen[1], first)
    assert rewards[1] == reward != rewards[0]


def test_nobody_knows_who_is_lost_there(checkpoint):
    episode = Episode(LearnedOpening(checkpoint, 4), 0)
    env = made(checkpoint)
    env.reset(seed=0)

    assert np.isnan(episode.kept)
    assert "kept" not in env.step(env.action_space.sample())[4]


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        (NAME, {"world": "moon"}, "world must be chain or model"),
        (NAME, {"world": "model"}, "needs checkpoint"),
        (NAME, {"checkpoint": "x"}, "checkpoint is of world=model"),
        (NAME, {"world": "model", "checkpoint": "none.safetensors"}, "no such file"),
        (NAME, {"world": "model", "checkpoint": "x", "customers": 3}, "customers is the chain's"),
    ],
)
def test_what_it_cannot_be_is_said_in_one_line(name, options, says):
    with pytest.raises(InputError, match=says):
        gymnasium.make(name, **options)


def test_another_chain_and_coupons_are_refused(checkpoint):
    with pytest.raises(InputError, match="knows no coupons"):
        gymnasium.make("RetailSim/Coupons-v0", world="model", checkpoint=checkpoint)
    env = made(checkpoint)
    with pytest.raises(InputError, match="of one chain"):
        env.reset(options={"chain": 8})


def test_a_file_comes_back_as_it_was_and_no_other_is_taken(tmp_path):
    path = tmp_path / "world.safetensors"
    known = knowledge()
    known.save(path)
    again = Knowledge.load(path)
    (tmp_path / "text").write_text("no tensors")

    assert all(np.array_equal(getattr(again, n), getattr(known, n)) for n in vars(known))
    with pytest.raises(InputError, match="cannot be read"):
        Knowledge.load(tmp_path / "text")


def test_base_prices_and_plan_are_those_of_the_last_week():
    world = LearnedWorld(knowledge(), 4)

    assert np.allclose(base_prices(world), world.known.listed)
    assert np.array_equal(world.plan().regular, world.known.listed)


def test_offers_of_weeks_to_come_are_of_the_past_and_differ_by_run():
    k = knowledge(weeks=16)
    funding = np.repeat(np.array([0.0, 0.5, 0.9, 0.2]), 4) * np.ones((k.listed.size, 1))
    one, two = (LearnedWorld(replace(k, funding=funding), 8, run) for run in (1, 2))
    offers = one.setting.economy.funding

    assert np.array_equal(offers[:, :16], funding)
    assert set(np.unique(offers[:, 16:])) == {0.0, 0.2, 0.5, 0.9}
    assert (offers[:, 16:20] == offers[:, 16:17]).all()
    assert not np.array_equal(offers, two.setting.economy.funding)
    assert np.array_equal(one.copy(2).setting.economy.funding, two.setting.economy.funding)


def test_the_first_week_sells_what_the_formula_says():
    """All prices a tenth up: within a need nothing switches, so that x = -(lasting + passing) l."""
    k = with_sure_sales(knowledge())
    still, dearer = LearnedWorld(k, 4, 1), LearnedWorld(k, 4, 1)
    plan = still.plan()
    before = still.step(plan)
    after = dearer.step(replace(plan, regular=np.rint(plan.regular * 1.1).astype(np.int64)))
    change = np.log(np.rint(plan.regular * 1.1) / plan.regular)
    # Who comes is the same: nobody has learnt of the new prices yet.
    assert np.array_equal(before.receipts.household, after.receipts.household)
    count = np.bincount(before.receipts.household, minlength=k.rate.size)
    visits = np.bincount(k.segment, count, 2)
    expected = (visits * np.exp(-k.factor * 0.8 * change.mean())).sum() / visits.sum()

    assert after.units.sum() / before.units.sum() == pytest.approx(expected, rel=2e-3)
    assert after.revenue.sum() == pytest.approx(
        (after.units * np.rint(plan.regular * 1.1)).sum()
    )  # fmt: skip


def test_one_price_of_a_need_moves_sales_to_the_other():
    k = with_sure_sales(knowledge())
    still, cut = LearnedWorld(k, 4, 1), LearnedWorld(k, 4, 1)
    plan = still.plan()
    depth = np.zeros(k.listed.size)
    depth[0] = 0.2
    before, after = still.step(plan).units, cut.step(replace(plan, depth=depth)).units

    assert after[0] > 1.2 * before[0]
    assert after[1] < before[1]
    assert np.array_equal(after[2:], before[2:])


def test_suppliers_pay_their_share_of_a_promotion():
    k = knowledge()
    world = LearnedWorld(k, 4, 1)
    plan = world.plan()
    result = world.step(replace(plan, depth=np.full(k.listed.size, 0.1)))
    paid = k.funding[:, 0] * 0.1 * plan.regular

    assert np.allclose(result.cost, result.units * (k.cost[:, 0] - paid))


def test_dear_weeks_bring_fewer_trips_later_and_not_at_once():
    k = replace(knowledge(customers=400), rate=np.full(400, 3.0))
    still, dearer = LearnedWorld(k, 20, 1), LearnedWorld(k, 20, 1)
    plan = still.plan()
    up = replace(plan, regular=(plan.regular * 1.5).astype(np.int64))
    trips = np.array([(still.step(plan).trips, dearer.step(up).trips) for _ in range(20)])

    assert trips[0, 0] == trips[0, 1]
    assert trips[12:, 1].sum() < 0.75 * trips[12:, 0].sum()


def test_receipts_of_another_chain_than_the_books_are_refused(tmp_path):
    cache = toy_cache(tmp_path / "cache", trips_of=[30] * 20, seed=4)
    codes = [code.decode() for code in cache["products.code"].tolist()]
    weeks = cache.rows("weeks")

    def books(pence: float, names: list[str]) -> Records:
        one = np.ones((len(names), weeks))
        return Records(names, one[:, 0], pence * one[:, 0], pence * one, 0 * one, one, 0 * one)

    with pytest.raises(InputError, match="of the same chain"):
        _Learner(cache, books(1e7, codes), weeks)
    with pytest.raises(InputError, match="is not in the price list"):
        _Learner(cache, books(100, codes[1:]), weeks)


def test_books_of_weeks_after_the_start_are_not_read(tmp_path):
    arguments = ["--customers", "30", "--products", "70", "--stores", "5", "--weeks", "12"]
    assert sample([*arguments, "--out", str(tmp_path / "raw")]) == 0
    before = read_records(tmp_path / "raw", 8)
    for name, column, week in (
        ("costs", "unit_cost_pence", "week"), ("costs", "supplier_share", "week"),
        ("shelf_prices", "regular_price_pence", "week_from"), ("promotions", "depth", "week_from"),
    ):  # fmt: skip
        path = tmp_path / "raw" / "truth" / f"{name}.parquet"
        table = pq.read_table(path).to_pandas()
        table.loc[table[week] > 8, column] = 9
        table.to_parquet(path)
    after = read_records(tmp_path / "raw", 8)

    assert before.cost.shape == (70, 8)
    assert np.isfinite(before.cost).all()
    for name in ("cost", "funding", "regular", "depth", "listed", "group"):
        assert np.array_equal(getattr(before, name), getattr(after, name)), name
