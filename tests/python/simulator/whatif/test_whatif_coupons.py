"""Coupons in a comparison: what they cost, who bears it, what is said of them, what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_up_runs import MadeUp
from toy_start import START

from simulator.coupon_log import CouponLog
from simulator.coupons import Answer, Coupon
from simulator.planned_prices import PriceChange
from simulator.run import main as run
from simulator.scenario import Scenario
from simulator.tensor_file import padded
from simulator.whatif import what_if
from simulator.whatif.__main__ import main
from simulator.whatif.checks import check
from simulator.whatif.content import notes
from simulator.whatif.counting import ADDITIVE
from trainer.cache.json_files import read_json
from trainer.commands.errors import InputError
from trainer.model.checkpoint import save_checkpoint

WEEKS, SEEDS = 3, (3, 4, 5)
FIRST = START + 2
PLAN = f"""coupons:
  - {{products: [PRD0003], weeks: {START + 1}, off: 10%, redeemed: 0.5%}}
"""


def coupon(cache, tokens=(4,), customers=range(50), first=FIRST, last=FIRST, **how) -> Coupon:
    token = np.zeros(cache.vocabulary.input_size, bool)
    token[list(tokens)] = True
    return Coupon(
        token, np.isin(np.arange(60), customers), first, last,
        **({"share": 0.25, "redeemed": 0.01} | how),
    )  # fmt: skip


@pytest.fixture(scope="module")
def plan(chain):
    cache, _ = chain
    return Scenario(coupons=(coupon(cache), coupon(cache, (9, 12), share=0.0, pence=5.0)))


@pytest.fixture(scope="module")
def made_up(chain):
    return MadeUp(chain[0], START)


@pytest.fixture(scope="module")
def found(chain, made_up, plan):
    return what_if([made_up], plan, WEEKS, SEEDS, costs=chain[0]["products.pence"] * 0.5)


def test_customers_pay_less_and_the_retailer_bears_it(made_up, plan, found):
    """Made-up customers buy the same, so that spend and margin fall by what coupons take off."""
    assert found.measures[3:] == ("spend_pence", "coupon_pence", "margin_pence")
    runs = [made_up.run(WEEKS, seed, made_up.settled(plan)) for seed in SEEDS]
    cost = np.mean([each.coupon_pence.sum() for each in runs])
    total = found.tables["total"].difference
    assert cost > 0
    np.testing.assert_allclose(total.change[0], [0, 0, 0, -cost, cost, -cost])
    assert total.without[0, 4] == 0
    plain = what_if([made_up], Scenario(coupons=plan.coupons[:1]), WEEKS, SEEDS)
    assert plain.measures == ("units", "trips", "customers", "spend_pence", "coupon_pence")


def test_every_breakdown_adds_up_to_the_total(found):
    total = found.tables["total"].difference
    assert {*found.tables} >= {"part", "changed_product", "coupon"}
    for name in {*found.tables} - {"total", "changed_product", "coupon"}:
        for measure in ADDITIVE:
            column = found.measures.index(measure)
            parts = found.tables[name].difference.change[:, column]
            assert parts.sum() == pytest.approx(total.change[0, column], abs=1e-6), (name, measure)


def test_coupons_are_told_apart(chain, made_up, plan, found):
    """Of each, the customers who used it are its purchases, and what it took off."""
    table = found.tables["coupon"]
    assert table.keys["coupon"].tolist() == [1, 2] and table.keys["holders"].tolist() == [50, 50]
    used = np.zeros((2, 2))
    for seed in SEEDS:
        each = made_up.run(WEEKS, seed, made_up.settled(plan))
        trip = np.searchsorted(each.items.cumsum(), each.coupon_line, side="right")
        assert (each.week[trip] == FIRST).all() and (each.customer[trip] < 50).all()
        for row in range(2):
            inside = each.coupon == row + 1
            assert len(set(each.customer[trip[inside]])) == inside.sum()
            used[row] += inside.sum() / 3, each.coupon_pence[inside].sum() / 3
    names = [found.measures.index(name) for name in ("customers", "coupon_pence")]
    np.testing.assert_allclose(table.difference.change[:, names], used)
    said = notes(found, chain[0])
    share = f"{2 * used[0, 0]:.1f} %" if used[0, 0] < 5 else f"{2 * used[0, 0]:.0f} %"
    assert f"Coupon 1: All of them have it in mind. Here {share} of 50 holders used it." in said


def test_shelves_of_a_coupon_are_the_changed_ones(found):
    roles = found.tables["product"].keys
    changed = roles["product"][roles["role"] == "changed"].tolist()
    assert changed == ["PRD0003", "PRD0008", "PRD0011"]
    part = found.tables["part"].difference
    off = found.measures.index("coupon_pence")
    assert part.change[0, off] > 0 and (part.change[1:, off] == 0).all()


@pytest.fixture(scope="module")
def simulated(chain, simulator):
    """Receipts of the toy chain without coupons, and with one for half of its customers that holds
    from the second week on."""
    cache, _ = chain
    own = coupon(cache, range(1, 11), range(30), last=FIRST + 1, share=0.5)
    plan = Scenario(coupons=(replace(own, answer=Answer(0.8, 1.0, "", 0.2, 0.5)),))
    return [simulator.run(2, 5, scenario) for scenario in (Scenario(), plan)]


def lines(receipts, chosen):
    """Of trips (trips,) bool."""
    inside = np.repeat(chosen, receipts.items)
    names = ("token", "quantity", "pence")
    whole = [getattr(receipts, name)[inside].tolist() for name in names]
    return whole + [receipts.customer[chosen].tolist(), receipts.store[chosen].tolist()]


def test_before_it_and_for_others_nothing_changes(simulated):
    """But for what is sold in a week being known in the next one."""
    before = [lines(each, each.week < FIRST) for each in simulated]
    others = [lines(each, (each.week == FIRST) & (each.customer >= 30)) for each in simulated]
    assert before[0] == before[1] and others[0] == others[1] and len(others[0][0]) > 20


def test_holders_buy_more_of_it_and_use_it_once(simulated):
    plain, given = simulated
    assert not len(plain.coupon_line)
    trip = np.repeat(np.arange(len(given.items)), given.items)[given.coupon_line]
    who = given.customer[trip]
    assert 5 < len(who) == len(set(who)) and who.max() < 30
    token, pence = (each[given.coupon_line] for each in (given.token, given.pence))
    assert token.max() <= 10
    unit = pence / given.quantity[given.coupon_line]
    np.testing.assert_allclose(given.coupon_pence, unit / 2, atol=1)
    bought = [
        (np.repeat(each.customer, each.items)[each.token <= 10] < 30).sum() for each in simulated
    ]
    assert bought[1] > bought[0]


def test_what_makes_no_sense_is_refused(chain):
    cache, _ = chain
    one = coupon(cache)
    for plan, says in (
        ((one, replace(one, token=one.token)), "entry 2: a customer would have two coupons on a"),
        ((coupon(cache, pence=100_000.0),), "entry 1: off: 1000.00 is not below the price of PRD0"),
        ((coupon(cache, first=40, last=41),), "the scenario changes nothing in weeks 26-28"),
        ((one, coupon(cache, (9,), redeemed=None)), "entry 2: redeemed: say what share"),
    ):
        with pytest.raises(InputError, match=says):
            check(cache, Scenario(coupons=plan), START + 1, START + WEEKS)
    apart = (one, replace(one, first=FIRST + 1, last=FIRST + 1), coupon(cache, (4,), [55]))
    assert check(cache, Scenario(coupons=apart), START + 1, START + WEEKS) is None


def test_an_amount_is_held_against_planned_prices(chain):
    cache, _ = chain
    token = np.arange(cache.vocabulary.input_size) == 4
    stores = np.ones(cache.rows("stores"), bool)
    plan = Scenario(
        prices=(PriceChange(token, stores, FIRST, FIRST, pence=30.0),),
        coupons=(coupon(cache, share=0.0, pence=40.0),),
    )
    longer = coupon(cache, first=START + 1, last=START + WEEKS, share=0.0, pence=40.0)
    for each in (plan, replace(plan, coupons=(longer,))):  # which is dearer in its first week
        with pytest.raises(InputError, match="0.40 is not below the price of PRD0003, 0.30 in"):
            check(cache, each, START + 1, START + WEEKS)
    check(cache, Scenario(coupons=plan.coupons), START + 1, START + WEEKS)


@pytest.fixture
def command(chain, tmp_path, monkeypatch):
    """`command(*more)` of a plan with a coupon and a checkpoint, in their folder."""
    cache, model = chain
    save_checkpoint(tmp_path / "best", model, cache, {})
    (tmp_path / "plan.yml").write_text(PLAN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "simulator.whatif.__main__.ready_simulator",
        lambda _, cache, start, instrument: MadeUp(cache, start),
    )
    given = [
        "best", "--cache", str(cache.folder), "--start", str(START), "--weeks", "2", "--runs", "2",
        "--scenario", "plan.yml", "--out", "out", "--processes", "1",
    ]  # fmt: skip
    return lambda *more, command=main: command([*given, *more])


def test_page_tables_and_screen_state_coupons(command, tmp_path, capsys):
    assert command() == 0
    printed = capsys.readouterr().out
    assert "customers who used" in printed and "coupon 1, 5 holders" not in printed
    assert "coupon 1, 60 holders" in printed and "Coupon 1: All of them have" in printed
    content = read_json(tmp_path / "out/whatif.json")
    (row,) = content["tables"]["coupon"]
    assert row["holders"] == 60 and row["coupon_pence"]["change"] > 0
    assert content["tables"]["total"][0]["coupon_pence"]["without"] == 0
    text = (tmp_path / "out/whatif.html").read_text(encoding="utf-8")
    assert "Purchases with which a coupon was used" in text and "coupon 1" in text
    head = (tmp_path / "out/tables/coupon.csv").read_text().splitlines()[0]
    assert head.startswith("coupon,holders,measure,without")


def trial_of(cache, **change) -> CouponLog:
    """One in which nobody got or bought anything."""
    none = np.zeros(0, np.int64)
    log = CouponLog(
        padded([code.decode() for code in cache["customers.code"].tolist()]), padded(["PRD0003"]),
        np.zeros(1, np.int64), np.ones(1, np.int64), np.zeros((1, 60, 1), bool), *[none] * 7,
        first=1, lasts=4, depth=0.1, chain="",
    )  # fmt: skip
    return replace(log, **change)


def test_a_trial_is_read_where_a_coupon_asks_for_it(chain, command, tmp_path, capsys):
    trial_of(chain[0]).save(tmp_path / "trial")
    assert command("--trial", "trial") == 2
    assert "plan.yml: no coupon asks for the trial" in capsys.readouterr().err
    (tmp_path / "plan.yml").write_text(PLAN.replace(", redeemed: 0.5%", ""))
    assert command("--trial", "trial") == 0
    assert command("--trial", "nowhere", "--out", "other") == 2
    assert "nowhere: there is no such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"customer": padded([f"C{row}" for row in range(60)])}, "cards are not those of the"),
        ({"code": padded(["OTHER"])}, "has a coupon on OTHER, which the receipts do not have"),
        ({"lasts": START + 1}, f"the trial ends after week {START}"),
    ],
)
def test_a_trial_of_another_chain_is_refused_at_once(
    chain, command, tmp_path, capsys, change, says
):
    (tmp_path / "plan.yml").write_text(PLAN.replace(", redeemed: 0.5%", ""))
    trial_of(chain[0], **change).save(tmp_path / "trial")
    assert command("--trial", "trial") == 2
    said = capsys.readouterr().err
    assert "--trial: trial: the trial" in said and says in said and said.count("\n") == 1


def test_receipts_of_a_run_have_no_place_for_coupons(command, capsys):
    assert command(command=run) == 2
    assert "coupons: the layout LGSR has no place for what they take off" in capsys.readouterr().err
