"""The responsive chain: what a week's actions do, and what they leave alone."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from small_worlds import at_price, lines, without_promotions

from dbt_project.sample import Behaviour, ChainConfig, Coupons, World
from trainer.commands.errors import InputError

CONFIG = ChainConfig(customers=250, products=200, stores=8, weeks=40, seed=5)


@pytest.fixture(scope="module")
def lived() -> World:
    """A world after its tenth week, to be copied."""
    world = World(CONFIG)
    for _ in range(10):
        world.step()
    return world


def test_copies_live_alike_and_apart(lived):
    one, other, free = lived.copy(), lived.copy(), lived.copy(run=1)
    expected = [lines(one.step()) for _ in range(3)]
    dear = lived.copy()
    dear.step(at_price(dear.plan(), 3))
    assert [lines(other.step()) for _ in range(3)] == expected
    assert lines(free.step()) != expected[0]
    assert lived.week == 11 and other.week == 14
    for f in fields(lived.memory):
        before, after = getattr(lived.memory, f.name), getattr(other.memory, f.name)
        if isinstance(before, np.ndarray):
            assert not np.shares_memory(before, after)


def test_a_plan_is_asked_for_without_consequences(lived):
    asked, other = lived.copy(), lived.copy()
    plans = [asked.plan() for _ in range(3)]
    assert plans[0] is plans[2]
    assert lines(asked.step(plans[0])) == lines(other.step())


def test_the_households_do_not_know_of_each_other():
    world = World(CONFIG, Behaviour(leaving=0, returning=0))
    plan = world.plan()
    everyone = lines(world.copy().step(plan))
    some = world.copy()
    some.memory.lost[1::3] = True
    assert lines(some.step(plan)) == [row for row in everyone if row[0] % 3 != 1]


def remembers_otherwise(one: World, other: World) -> np.ndarray:
    """(households,) whether anything of a household's memory differs."""
    a, b = one.memory, other.memory
    needs, first = one.setting.needs, one.setting.repertoire.bounds[:, 0]
    differs = a.image != b.image
    for name in ("reference", "pantry"):
        differs |= (getattr(a, name) != getattr(b, name)).reshape(-1, needs).any(1)
    habits = (a.habit != b.habit) | (a.product != b.product)
    return differs | np.logical_or.reduceat(habits, first)


def test_a_price_moves_nothing_but_its_need_that_week(lived):
    catalogue = lived.setting.catalogue
    product = int(np.argmax(catalogue.popularity * (catalogue.partner < 0)))
    need = np.flatnonzero(catalogue.need == catalogue.need[product])
    touched = set(need.tolist()) | set(catalogue.partner[need].tolist())
    plain, changed = lived.copy(), lived.copy()
    factor = np.ones(catalogue.need.size)
    factor[product] = 1.5
    before, after = plain.step(), changed.step(at_price(changed.plan(), factor))
    assert after.units[product] < before.units[product]
    assert lines(before, touched) == lines(after, touched)
    # Households that met the price remember it: their later trips may differ, others' may not.
    met = remembers_otherwise(plain, changed)
    assert 0 < met.sum() < met.size / 2
    plan = plain.plan()  # the manager would answer to what sold
    next_before, next_after = (lines(w.step(plan), touched) for w in (plain, changed))
    assert [x for x in next_before if not met[x[0]]] == [x for x in next_after if not met[x[0]]]


def test_doubling_all_prices_loses_more_than_a_third_of_units(lived):
    plain, dear = lived.copy(), lived.copy()
    units = []
    for _ in range(16):
        plan = plain.plan()
        results = plain.step(), dear.step(at_price(plan, 2))
        units.append([r.units.sum() for r in results])
    units = np.array(units)
    assert units[:4, 1].sum() < 2 / 3 * units[:4, 0].sum()
    assert units[8:, 1].sum() < units[8:, 0].sum() / 2
    assert dear.memory.image.mean() > plain.memory.image.mean() + 0.05
    assert dear.memory.lost.sum() > plain.memory.lost.sum() + 10


def promoted(world: World, products: np.ndarray, weeks: int, after: int):
    """Units of products with a promotion of a third off, and without: (weeks + after, 2)."""
    plain, deal = world.copy(), world.copy()
    depth = np.zeros(world.setting.at.size)
    depth[products] = 1 / 3
    units = []
    for week in range(weeks + after):
        plans = [without_promotions(w.plan()) for w in (plain, deal)]
        if week < weeks:
            plans[1] = replace(plans[1], depth=depth)
        units.append([
            w.step(p).units[products].sum() for w, p in zip((plain, deal), plans, strict=True)
        ])  # fmt: skip
    return np.array(units)


@pytest.fixture(scope="module")
def big() -> World:
    world = World(replace(CONFIG, customers=1200))
    for _ in range(8):
        world.step()
    return world


def test_deals_fill_the_pantry_and_sales_dip_afterwards(big):
    setting = big.setting
    storable = setting.economy.storable[setting.catalogue.need]
    dips = []
    for kind in (storable > 0.7, storable < 0.2):
        # Every other need, so that the level of prices hardly moves.
        chosen = np.flatnonzero(kind & (setting.catalogue.need % 2 == 0))
        units = promoted(big, chosen, weeks=2, after=12)
        up, down, later = (units[a:b].sum(0) for a, b in ((0, 2), (2, 5), (9, 14)))
        assert up[1] > 1.2 * up[0]
        dips.append(down[1] / down[0])
        assert later[1] / later[0] > dips[-1]
    assert dips[0] < 0.96
    assert dips[0] < dips[1] - 0.03


def test_purchases_form_habits(big):
    """Who was brought to a product by a deal buys it more often when the deal is long over."""
    catalogue, setting = big.setting.catalogue, big.setting
    size = np.diff(setting.start)[catalogue.need]
    fresh = setting.economy.storable[catalogue.need] < 0.2
    chosen = np.flatnonzero(fresh & (size > 2) & (catalogue.popularity < 0.01))[::3]
    units = promoted(big, chosen, weeks=8, after=14)
    assert units[12:, 1].sum() > 1.01 * units[12:, 0].sum()


def test_reference_prices_follow_and_losses_weigh_more(lived):
    """A lasting rise hurts most at first; a rise costs more than a cut of the same size brings."""
    behaviour = Behaviour(visits=0, leaving=0, returning=0, habit=0, stock_up=0)
    world = World(replace(CONFIG, customers=900), behaviour)
    for _ in range(6):
        world.step()
    plan, units = without_promotions(world.plan()), {}
    for factor in (1 / 1.3, 1.0, 1.3):
        w = world.copy()
        units[factor] = [w.step(at_price(plan, factor)).units.sum()]
        for _ in range(11):
            units[factor].append(w.step(at_price(plan, factor)).units.sum())
    first = {f: u[0] / units[1.0][0] for f, u in units.items()}
    last = {f: sum(u[-3:]) / sum(units[1.0][-3:]) for f, u in units.items()}
    assert -np.log(first[1.3]) > 1.1 * np.log(first[1 / 1.3])
    assert first[1.3] < last[1.3] - 0.02


def test_the_lost_do_not_shop_until_they_come_back():
    world = World(replace(CONFIG, weeks=30), Behaviour(leaving=0.02, returning=0.05))
    lost = np.zeros(world.memory.lost.size, bool)
    moves = [0, 0]
    for _ in range(30):
        result = world.step()
        assert not lost[result.returned].sum() < result.returned.size
        assert not lost[result.left].any()
        lost[result.left], lost[result.returned] = True, False
        assert (lost == world.memory.lost).all()
        assert not lost[result.receipts.household].any()
        moves = [moves[0] + result.left.size, moves[1] + result.returned.size]
    assert min(moves) > 10


def test_money_by_hand(lived):
    """Revenue, cost and profit of a week, added up line by line."""
    world, e = lived.copy(), lived.setting.economy
    plan, week = world.plan(), world.week
    depth = np.full(plan.regular.size, 0.25)
    result = world.step(replace(plan, depth=depth))
    s, r = world.setting, result.receipts
    profit = np.zeros(plan.regular.size)
    factor = (1.0, 1.02, 1.05, 1.0)
    weighed = 0
    for trip, product, quantity, spend in zip(r.trip, r.product, r.quantity, r.spend, strict=True):
        shelf = max(round(plan.regular[product] * factor[s.stores.format[r.store[trip]]]), 1)
        paid = max(np.rint(shelf * 0.75), 1)
        amount = spend / paid if s.catalogue.random_weight[product] else quantity
        weighed += s.catalogue.random_weight[product]
        if not s.catalogue.random_weight[product]:
            assert spend == quantity * paid
        supplier = e.funding[product, week - 1] * (shelf - paid)
        profit[product] += spend - amount * (e.cost[product, week - 1] - supplier)
    assert weighed > 5
    np.testing.assert_allclose(result.profit, profit, atol=1e-6)
    np.testing.assert_allclose(result.revenue - result.cost, result.profit)
    assert result.revenue.sum() == r.spend.sum()
    assert result.units.sum() == r.quantity.sum()
    assert result.trips == r.household.size == np.unique(r.trip).size
    assert result.household_profit.sum() == pytest.approx(result.profit.sum())


def test_what_is_not_there_is_not_sold(lived):
    world = lived.copy()
    plan = world.plan()
    off = plan.assortment & (np.arange(plan.assortment.size) % 3 == 0)
    result = world.step(replace(plan, assortment=plan.assortment & ~off))
    assert not result.units[off | ~plan.assortment].any()
    r = result.receipts
    region = world.setting.households.region[r.household[r.trip]]
    assert result.missing.sum() > 0
    assert not result.missing[region, r.product].any()
    # Half of the buyers take a substitute: rivals gain.
    rivals = ~off & np.isin(world.setting.catalogue.need, world.setting.catalogue.need[off])
    assert result.units[rivals].sum() > lived.copy().step().units[rivals].sum()


def test_the_plan_launches_and_delists(lived):
    s = lived.setting
    world = World(CONFIG)
    offered = []
    for _ in range(CONFIG.weeks):
        offered.append(world.plan().assortment)
        world.step()
    offered = np.array(offered)
    assert (offered.any(0)).all()
    assert (offered.argmax(0) + 1 == s.catalogue.first_week).all()
    delisted = s.economy.last_week < CONFIG.weeks
    assert 3 < delisted.sum() < 40
    assert (offered[-1] == ~delisted).all()
    with pytest.raises(InputError, match="the chain has 40 weeks, and all are lived"):
        world.step()


def test_costs_move_prices_and_nothing_else(lived):
    """The cost shock is an instrument: at the same prices nobody buys anything else."""
    world = lived.copy()
    e = world.setting.economy
    shock = e.cost_shock + 0.3
    costly = lived.copy()
    costly.setting = replace(
        world.setting, economy=replace(e, cost_shock=shock, cost=e.cost * np.exp(0.3))
    )
    plans = world.plan(), costly.plan()
    change = np.log(plans[1].regular / plans[0].regular)
    assert (change >= 0).all() and 3 < (change > 0.1).sum() < 40
    first, other = world.step(plans[0]), costly.step(plans[0])
    assert lines(first) == lines(other)
    assert other.profit.sum() < first.profit.sum()


PLAN = World(CONFIG).plan()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"regular": PLAN.regular[:-1]}, "regular must have the shape"),
        ({"regular": PLAN.regular * 1.0}, "regular must be whole pence"),
        ({"regular": PLAN.regular * 0}, "regular must be from 1"),
        ({"depth": np.full(200, 0.96)}, "depth must be from 0 to 0.95"),
        ({"depth": np.full(200, np.nan)}, "depth must be from 0 to 0.95"),
        ({"assortment": np.ones(200)}, "assortment must be an array of bool"),
        ({"coupons": Coupons.on_products([900], [0], 0.2)}, "households 0 to 249"),
        ({"coupons": Coupons.on_products([0], [200], 0.2)}, "products below 200"),
        ({"coupons": Coupons.on_products([0], [-1], 0.2)}, "either a product or a need"),
        ({"coupons": Coupons.on_products([0], [1], 0.0)}, "a coupon's depth must be above 0"),
        ({"coupons": Coupons.on_products([0.0], [1], 0.2)}, "whole numbers as household"),
        ({"coupons": Coupons.on_products([0], [1.5], 0.2)}, "whole numbers as product"),
        (
            {"coupons": replace(Coupons.on_products([0], [1], 0.2), until=np.array([10]))},
            "until must be 0 or a week from 11 on",
        ),
        ({"depth": np.full(200, "0.1")}, "depth must be from 0 to 0.95"),
        (
            {"coupons": replace(Coupons.on_products([0], [1], 0.2), depth=np.zeros(2))},
            "coupons need one household, product, need, depth and until for each",
        ),
    ],
)
def test_bad_actions_are_named(lived, change, message):
    with pytest.raises(InputError, match=message) as error:
        lived.copy().step(replace(PLAN, **change))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"visits": -1.0}, "visits must be from 0 to 100"),
        ({"margin_low": 0.9}, "margin_low"),
        ({"market": float("nan")}, "market must be from -10 to 10, not nan"),
        ({"learning": 5.0}, "learning must be from 0 to 1"),
        ({"cost_memory": 3.0}, "cost_memory must be from 0 to 1"),
    ],
)
def test_bad_behaviour_is_named(values, message):
    with pytest.raises(InputError, match=message):
        Behaviour(**values)


def test_a_week_without_a_trip(lived):
    world = lived.copy()
    world.memory.lost[:] = True
    world.memory.image[:] = 9
    plan = replace(world.plan(), coupons=Coupons.on_products([0, 1], [3, 3], 0.3))
    result = world.step(plan)
    assert (result.trips, result.units.sum(), result.profit.sum()) == (0, 0, 0)


def test_bad_choices_are_named():
    with pytest.raises(InputError, match="pricing must be one of managed, random, not free"):
        ChainConfig(pricing="free")


@pytest.mark.parametrize("pricing", ["managed", "random"])
def test_a_plan_cannot_be_changed_in_place(pricing):
    """Its prices are the chain's own, of all copies and all weeks."""
    plan = World(replace(CONFIG, pricing=pricing)).plan()
    for values in (plan.regular, plan.depth):
        with pytest.raises(ValueError, match="read-only"):
            values *= 2
