"""Reference policies: what they do, and that looking ahead pays in the true world."""

from __future__ import annotations

import json

import numpy as np
import pytest

from simulator.environments.__main__ import main
from simulator.environments.coupon_policies import (
    AtRandom,
    ByRecency,
    CouponOracle,
    Everybody,
    nobody,
)
from simulator.environments.coupons import Menu
from simulator.environments.lives import FITTED, live, worth
from simulator.environments.opening import Episode, Opening
from simulator.environments.policies import Myopic, Schedule, best_depth, plan, searched
from simulator.environments.pricing import SPAN, Scope
from simulator.environments.valuation import table, value

OPENING = Opening(customers=100, products=80, stores=5, warm_up=6, weeks=52)
SHORT = Opening(customers=60, products=80, stores=5, warm_up=6, weeks=6)


def scope_of(opening: Opening, category: int | None = None) -> Scope:
    return Scope.of(opening.start()[0].setting.catalogue.group, category)


def nothing() -> None:
    pass


def surely(values, sign: int) -> bool:
    """Whether the mean of paired differences is beyond three standard errors on one side."""
    values = np.asarray(values)
    return sign * values.mean() > 3 * values.std(ddof=1) / np.sqrt(values.size)


def test_short_sighted_prices_win_the_first_weeks_and_lose_the_year():
    """The same shoppers with the same draws. The highest prices earn most at once, week by week,
    because habits and pantries hold; customers whose price image suffers come less and less."""
    scope = scope_of(OPENING)
    greedy, patient = Schedule(scope, (SPAN,)), Schedule(scope, (1.25,))
    now, later, year = [], [], []
    for run in range(4):
        a, b = (live(policy, OPENING, run, nothing) for policy in (greedy, patient))
        gain = a.profits - b.profits
        now.append(gain[:4].sum())
        later.append(gain[26:].sum())
        year.append(gain.sum())

    assert surely(now, 1)
    assert surely(later, -1)
    assert surely(year, -1)


def test_the_myopic_policy_is_the_greedy_one():
    """By the elasticity of a single week, prices near the limit are right."""
    episode = Episode(OPENING, 0)
    scope = scope_of(OPENING)
    asked = Myopic(scope, copies=4)(episode)
    base = Schedule(scope)(episode)
    usual = episode.books.usual.units * base.regular

    assert np.average(asked.regular / base.regular, weights=usual) > 1.5
    earned = {}
    for name, actions in (("asked", asked), ("base", base)):
        earned[name] = [episode.copy(run).step(actions).profit.sum() for run in range(4)]
    assert surely(np.subtract(earned["asked"], earned["base"]), 1)


def test_a_deep_promotion_borrows_sales_from_the_weeks_after():
    opening = Opening(customers=300, products=80, stores=5, warm_up=6, weeks=6)
    s = opening.start()[0].setting
    keeps = np.flatnonzero(s.economy.storable[s.catalogue.need] >= 0.8)
    scope = Scope(keeps, np.zeros(keeps.size, int))
    lift = []
    for run in range(5):
        units = []
        for depth in (0.4, 0.0):
            episode = Episode(opening, run)
            week = [
                episode.step(scope.actions(episode, 1.0, depth if number == 0 else 0.0))
                for number in range(5)
            ]
            units.append([result.units[keeps].sum() for result in week])
        lift.append(np.subtract(*units))
    lift = np.array(lift)

    assert surely(lift[:, 0], 1)
    assert surely(lift[:, 1:].sum(1), -1)


def test_the_plan_is_the_managers():
    episode = Episode(SHORT, 0)
    world = episode.world.copy()
    a, b = episode.step(plan(episode)), world.step()

    assert np.array_equal(a.units, b.units)


def test_levels_follow_each_other_and_promotions_rotate():
    opening = Opening(**{**vars(SHORT), "weeks": 8})
    scope, episode = scope_of(opening), Episode(opening, 0)
    policy = Schedule(scope, (1.0, 1.5), 0.3)
    dear = episode.world.setting.catalogue.price > 300
    weeks = []
    for _ in range(8):
        weeks.append(policy(episode))
        episode.step(weeks[-1])

    rise = [np.median(w.regular[dear] / weeks[0].regular[dear]) for w in weeks]
    assert max(rise[:4]) < 1.1 and min(rise[4:]) > 1.3
    promoted = np.stack([w.depth[0] > 0 for w in weeks])
    assert (promoted[:4].sum(0) == 1).all() and (promoted[4:].sum(0) == 1).all()
    assert set(weeks[0].depth.ravel()) == {0.0, 0.3}


def test_what_is_fitted_is_fitted_on_other_lives():
    assert FITTED > 10_000
    scope, runs = scope_of(SHORT), []

    class Spy(Schedule):
        def __call__(self, episode):
            runs.append(episode.world.run)
            return super().__call__(episode)

    worth(Spy(scope), SHORT, 2, nothing)
    assert set(runs) == {FITTED, FITTED + 1}


def test_the_search_earns_more_in_lives_it_never_saw():
    scope = scope_of(SHORT)
    oracle = searched(scope, SHORT, 1, nothing)
    fixed = best_depth(scope, SHORT, 1, nothing)
    gain = [
        live(oracle, SHORT, run, nothing).profit - live(Schedule(scope), SHORT, run, nothing).profit
        for run in range(4)
    ]

    assert surely(gain, 1)
    assert fixed.levels == (1.0,) and fixed.depth > 0


def test_coupon_policies_choose_whom_they_say():
    menu, episode = Menu.of(SHORT), Episode(SHORT, 0)
    books = episode.books
    pairs = SHORT.customers * menu.product.size
    everyone = Everybody(menu)(episode).coupons
    some = AtRandom(menu)(episode).coupons
    lapsing = ByRecency(menu)(episode).coupons

    assert not len(nobody(episode).coupons)
    assert len(everyone) == pairs
    assert 0.05 * pairs < len(some) < 0.15 * pairs
    assert (books.weeks - books.last_trip[lapsing.household] >= 4).all()
    assert set(lapsing.product) <= set(menu.product)
    episode.step(Everybody(menu)(episode))
    assert not len(Everybody(menu)(episode).coupons)


def test_the_coupon_oracle_gives_less_and_earns_more_than_everybody():
    opening = Opening(customers=150, products=80, stores=5, warm_up=8, weeks=4)
    menu = Menu.of(opening, size=3, depth=0.5)
    oracle, everybody = CouponOracle(menu, copies=3), Everybody(menu)
    given = oracle(Episode(opening, 0)).coupons
    gain = [
        live(oracle, opening, run, nothing).profit - live(everybody, opening, run, nothing).profit
        for run in range(4)
    ]

    assert 0 < len(given) < opening.customers * 3 / 2
    assert surely(gain, 1)


def test_a_valuation_by_hand():
    scope = scope_of(SHORT)
    policies = {"plan": plan, "dear": Schedule(scope, (1.2,))}
    answers = value(policies, SHORT, 3, nothing)
    profit = {
        name: [live(policy, SHORT, run, nothing).profit / SHORT.weeks for run in range(3)]
        for name, policy in policies.items()
    }
    gain = np.subtract(profit["dear"], profit["plan"])

    assert answers["dear"]["profit"]["mean"] == pytest.approx(np.mean(profit["dear"]))
    assert answers["dear"]["profit_gain"]["mean"] == pytest.approx(gain.mean())
    assert answers["dear"]["profit_gain"]["se"] == pytest.approx(gain.std(ddof=1) / np.sqrt(3))
    assert answers["plan"]["profit_gain"]["mean"] == 0
    assert [line.split(" | ")[0] for line in table(answers)][2:] == ["| plan", "| dear"]


SMALL = ["--customers", "30", "--products", "62", "--stores", "5", "--weeks", "3", "--lives", "2"]


@pytest.mark.parametrize(
    ("environment", "first", "rows"), [("pricing", "current plan", 5), ("coupons", "nobody", 5)]
)
def test_the_command_prints_a_table_and_writes_figures(tmp_path, capsys, environment, first, rows):
    file = tmp_path / "values.json"
    assert main([environment, *SMALL, "--fitted", "1", "--json", str(file)]) == 0
    printed = capsys.readouterr().out.splitlines()

    assert len(printed) == rows + 2
    assert printed[2].startswith(f"| {first} |")
    content = json.loads(file.read_text(encoding="utf-8"))
    assert content["environment"] == environment
    assert list(content["policies"])[0] == first
    assert main([environment, *SMALL, "--fitted", "1", "--json", str(file)]) == 0


def test_the_command_replaces_no_file_of_others(tmp_path, capsys):
    file = tmp_path / "services.json"
    file.write_text('{"services": {"web": {"environment": {"PORT": 80}}}}')
    assert main(["pricing", *SMALL, "--json", str(file)]) == 2
    assert "this command did not write it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["prices"], "invalid choice"),
        (["pricing", "--category", "99"], "a whole number from 0 to"),
        (["coupons", "--category", "3"], "--category"),
        (["pricing", "--lives", "1"], "a whole number from 2"),
        (["pricing", "--products", "10"], "a whole number from 62"),
    ],
)
def test_what_the_command_cannot_do_is_one_line(capsys, arguments, words):
    assert main(arguments) == 2
    error = capsys.readouterr().err.strip()
    assert words in error and len(error.splitlines()) == 1
