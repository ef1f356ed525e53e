"""The command that predicts: known answers, its options, its file, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from toy import LABELS, WEEKS, toy_cache

from trainer.cache.reader import TensorCache
from trainer.features.calendar import EPOCH
from trainer.features.chain import Chain
from trainer.features.chain_sales import chain_sales_after
from trainer.features.plans import TripPlan
from trainer.features.replay import finished_trips
from trainer.features.shelf_prices import ShelfPrices
from trainer.model.calibration import basket_p
from trainer.model.checkpoint import load_checkpoint, save_checkpoint
from trainer.model.state import CustomerState, recorded_states
from trainer.model.world_model import create_world_model
from trainer.next_baskets.basket_sizes import BasketSizes
from trainer.next_baskets.likely_visits import Given, possible_visits
from trainer.next_baskets.table import SCHEMA
from trainer.predict import main

END = EPOCH + timedelta(13_000 + 7 * WEEKS - 1)
NEXT = str(END + timedelta(3))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A cache of 70 customers, more than a batch, and a calibrated checkpoint."""
    folder = tmp_path_factory.mktemp("predict")
    cache = toy_cache(folder / "cache", trips_of=[WEEKS // 3] * 66 + [WEEKS * 2, 1, 2, 3], seed=5)
    assert cache["trips.week"].max() == WEEKS
    torch.manual_seed(0)
    model = create_world_model("tiny", cache).eval()
    with torch.no_grad():
        model.output.weight.normal_(std=0.02)
        for row, values in enumerate(model.calibration.values):
            values[:] = torch.tensor([1.1 + row / 10, 0.03, 0.9, 1.1, 1.2, 1.0])
    save_checkpoint(folder / "best", model, cache, {})
    return folder


@pytest.fixture(scope="module")
def chain(folder):
    cache = TensorCache(folder / "cache")
    return Chain(cache, chain_sales_after(cache, WEEKS), ShelfPrices.from_cache(cache))


@pytest.fixture
def predict(folder, tmp_path, capsys):
    """`predict("--date", ...)` is the table that the command writes."""

    def run(*options):
        out = tmp_path / "predictions.parquet"
        arguments = [str(folder / "best"), "--cache", str(folder / "cache"), "--out", str(out)]
        assert main([*arguments, *map(str, options)]) == 0, capsys.readouterr().err
        assert str(out) in capsys.readouterr().out
        return pq.read_table(out)

    return run


@pytest.fixture
def refused(folder, tmp_path, capsys):
    """`refused("--date", ...)` is the one line that the command ends with."""

    def run(*options):
        out = tmp_path / "predictions.parquet"
        arguments = [str(folder / "best"), "--cache", str(folder / "cache"), "--out", str(out)]
        assert main([*arguments, *map(str, options)]) == 2
        assert not out.exists()
        return capsys.readouterr().err.strip().splitlines()[-1]

    return run


def rows_of(table, customer):
    return [row for row in table.to_pylist() if row["customer_code"] == customer]


def expected_p(folder, chain, customer, plan, task, items):
    """Calibrated probabilities of `model.answer`, (N,), given the expected number of items."""
    cache, model = TensorCache(folder / "cache"), load_checkpoint(folder / "best").model()
    states = recorded_states(chain, cache, [int(customer[4:])], WEEKS)
    logits = model.answer(states, [plan]).logits
    logits[:, [0, *plan.visible, -2, -1]] = -torch.inf
    log_p = model.calibration.items(logits, task)
    return basket_p(log_p, torch.tensor([items]), model.calibration.slopes(task))[0, 1:-2]


def test_every_customer_has_the_likeliest_products_of_the_whole_catalogue(folder, chain, predict):
    table = predict("--date", NEXT, "--hour", 11, "--store", "STORE001", "--products", 40)
    assert table.schema.equals(SCHEMA)
    assert len(set(table["customer_code"].to_pylist())) == 70 and len(table) == 70 * 40
    plan = TripPlan(date.fromisoformat(NEXT), 11, 1)
    for customer in ("CUST0000", "CUST0066", "CUST0067"):
        rows = rows_of(table, customer)
        (items,) = {row["expected_items"] for row in rows}
        p = expected_p(folder, chain, customer, plan, "next_unknown", items)
        assert float(p.sum()) == pytest.approx(items, rel=1e-4)
        order = p.argsort(descending=True).tolist()
        assert [row["product_code"] for row in rows] == [f"PRD{n:04d}" for n in order]
        assert [row["product_rank"] for row in rows] == list(range(1, 41))
        found = [row["probability"] for row in rows]
        assert found == pytest.approx(p[order].tolist(), abs=1e-5)


def test_the_trip_is_the_likeliest_or_as_given(folder, chain, predict):
    cache, model = TensorCache(folder / "cache"), load_checkpoint(folder / "best").model()
    free = rows_of(predict(), "CUST0066")[0]
    day = free["trip_date"]
    assert day > END and free["data_until"] == END and free["visible_items"] == 0
    visits = model.next_visits(recorded_states(chain, cache, [66], WEEKS))
    store = chain.store(free["store_code"])
    p = visits.kind([day], [store], torch.tensor([free["trip_hour"]]))[0]
    assert free["basket_size"] == LABELS["size"][int(p.argmax())]
    hours = visits.hours([day], [store])[0]
    assert free["trip_hour"] == int(hours.argmax())
    assert free["trip_hour_probability"] == pytest.approx(float(hours.max()), abs=1e-5)
    given = rows_of(
        predict("--date", day, "--hour", free["trip_hour"], "--store", free["store_code"]),
        "CUST0066",
    )[0]
    for name in ("trip_date_probability", "trip_hour_probability", "store_probability"):
        assert free[name] is not None and given[name] is None
    assert given["kind_probability"] == pytest.approx(free["kind_probability"], abs=1e-5)


def test_baskets_are_those_of_all_possible_trips(folder, chain, predict):
    """Without a day, a store and an hour they are the mean of what each of four visits holds."""
    rows = rows_of(predict("--products", 40), "CUST0066")
    cache, model = TensorCache(folder / "cache"), load_checkpoint(folder / "best").model()
    states = recorded_states(chain, cache, [66], WEEKS)
    customers = [state.features for state in states]
    sizes, p, items = BasketSizes(cache, WEEKS), 0, 0
    possible = possible_visits(model.next_visits(states), customers, Given(), END + timedelta(1))
    assert len(possible) == 4 and len({each.dates[0] for each in possible}) > 2
    for each in possible:
        plan = TripPlan(each.dates[0], int(each.hours[0]), int(each.stores[0]))
        (expected,) = sizes.expected(customers, each.size_p).mean.tolist()
        p = p + expected_p(folder, chain, "CUST0066", plan, "next_unknown", expected) / 4
        items += expected / 4
    assert rows[0]["expected_items"] == pytest.approx(items, rel=1e-5)
    order = p.argsort(descending=True).tolist()
    assert [row["product_code"] for row in rows] == [f"PRD{n:04d}" for n in order]
    assert [row["probability"] for row in rows] == pytest.approx(p[order].tolist(), abs=1e-5)


def test_a_declared_kind_has_the_calibration_of_known_kinds(folder, chain, predict):
    kind = ["size=L", "type=Top Up"]
    table = predict("--date", NEXT, "--hour", 9, "--store", "STORE000", "--kind", *kind)
    row = rows_of(table, "CUST0002")[0]
    assert (row["basket_size"], row["trip_type"], row["trip_focus"]) == ("L", "Top Up", None)
    assert row["kind_probability"] is None
    plan = TripPlan(date.fromisoformat(NEXT), 9, 0, chain.kind(size="L", type="Top Up"))
    p = expected_p(folder, chain, "CUST0002", plan, "next_known", row["expected_items"])
    assert row["probability"] == pytest.approx(float(p.max()), abs=1e-5)


def test_completion(folder, chain, predict):
    options = ["--date", NEXT, "--hour", 9, "--store", "STORE000", "--products", 40]
    table = predict(*options, "--basket", "PRD0003", "PRD0007", "--customers", "CUST0066")
    rows = table.to_pylist()
    assert len(rows) == 38 and {row["visible_items"] for row in rows} == {2}
    assert not {"PRD0003", "PRD0007"} & {row["product_code"] for row in rows}
    total = sum(row["probability"] for row in rows)
    assert total == pytest.approx(rows[0]["expected_items"], rel=1e-4)
    plan = TripPlan(date.fromisoformat(NEXT), 9, 0, visible=(4, 8))
    one = expected_p(folder, chain, "CUST0066", plan, "completion", 3.0)
    order = [f"PRD{n:04d}" for n in one.argsort(descending=True).tolist()]
    assert [row["product_code"] for row in rows] == order[:38]
    size = [row["basket_size"] for row in rows][0]
    assert size in LABELS["size"] and rows[0]["kind_probability"] is None


def test_repeat_and_new_divide_the_list(folder, predict):
    cache = TensorCache(folder / "cache")
    options = ["--customers", "CUST0067", "CUST0001", "--products", 40]
    every, repeat, new = (predict(*options, *only) for only in
                          ([], ["--only", "repeat"], ["--only", "new"]))  # fmt: skip
    for customer in ("CUST0067", "CUST0001"):
        first, stop = cache["customers.trip_offsets"][[int(customer[4:]), int(customer[4:]) + 1]]
        items = slice(*cache["trips.item_offsets"][[first, stop]].tolist())
        bought = {f"PRD{token - 1:04d}" for token in cache["items.token"][items].tolist()}
        of_all = {row["product_code"]: row["probability"] for row in rows_of(every, customer)}
        for table, wanted in ((repeat, bought), (new, of_all.keys() - bought)):
            rows = rows_of(table, customer)
            assert {row["product_code"] for row in rows} == wanted
            assert {row["is_repeat"] for row in rows} == {wanted == bought}
            assert [row["probability"] for row in rows] == pytest.approx(
                sorted((of_all[code] for code in wanted), reverse=True), abs=1e-6
            )


def test_customers_of_a_list(predict, tmp_path):
    listed = tmp_path / "customers.txt"
    listed.write_text("\ufeffCUST0004\n\n CUST0001 \nCUST0004\n", encoding="utf-8")
    table = predict("--customers-from", listed, "--products", 1)
    assert sorted(table["customer_code"].to_pylist()) == ["CUST0001", "CUST0004"]


def receipts(cache, customers, path, change=lambda lines: lines):
    """Trips of a cache as a file of receipts, with all columns."""
    offsets = cache["customers.trip_offsets"].astype(int)
    lines = [
        "basket_id,customer_code,shop_date,shop_hour,store_code,product_code,quantity,spend_pence,"
        "basket_size,trip_price_sensitivity,trip_type,trip_focus"
    ]
    names = ("size", "sensitivity", "type", "focus")
    for customer in customers:
        trips = finished_trips(cache, np.arange(*offsets[[customer, customer + 1]]))
        for number, trip in enumerate(trips):
            plan = trip.plan
            kind = [LABELS[n][code - 1] if code else "" for n, code in zip(names, plan.kind)]  # noqa: B905
            for place, (token, units) in enumerate(
                zip(trip.tokens.tolist(), trip.quantities.tolist(), strict=True)
            ):
                spend = trip.spend_pence if place == 0 else 0
                lines.append(
                    f"{customer}-{number},S{customer},{plan.date},{plan.hour},STORE{plan.store:03d},"
                    f"PRD{token - 1:04d},{units},{spend},{','.join(kind)}"
                )
    path.write_text("\n".join(change(lines)) + "\n")
    return path


def test_strangers_of_a_file_of_receipts(folder, chain, predict, tmp_path):
    """What observing their trips one by one gives; lines in any order of baskets."""
    cache, model = TensorCache(folder / "cache"), load_checkpoint(folder / "best").model()
    path = receipts(cache, [67, 69], tmp_path / "r.csv", lambda lines: [lines[0], *lines[:0:-1]])
    options = ["--date", NEXT, "--hour", 9, "--store", "STORE000", "--products", 40]
    table = predict("--receipts", path, *options)
    assert set(table["customer_code"].to_pylist()) == {"S67", "S69"}
    state = CustomerState(chain)
    for trip in finished_trips(cache, np.arange(*cache["customers.trip_offsets"][[69, 70]])):
        state.observe(replace(trip, pence=None))
    plan = TripPlan(date.fromisoformat(NEXT), 9, 0)
    logits = model.answer([state], [plan]).logits[0, 1:-2]
    order = [f"PRD{n:04d}" for n in logits.argsort(descending=True).tolist()]
    assert [row["product_code"] for row in rows_of(table, "S69")] == order


def test_strangers_whose_trips_are_later_than_the_data(folder, predict, refused, tmp_path):
    """Then the next one is after these."""
    path = receipts(
        TensorCache(folder / "cache"), [67], tmp_path / "receipts.csv",
        lambda lines: [lines[0], changed(2, "shop_date", NEXT)(lines)[1]],
    )  # fmt: skip
    (row,) = predict("--receipts", path, "--products", 1).to_pylist()
    assert row["data_until"] == END and row["trip_date"] > date.fromisoformat(NEXT)
    (tmp_path / "predictions.parquet").unlink()
    error = refused("--receipts", path, "--date", NEXT)
    assert f"--date: {NEXT} is not after the last trip of S67, on {NEXT}" in error


def changed(line, column, value):
    """A change of one value of a file of receipts, in a line counted from 1."""

    def change(lines):
        place = lines[0].split(",").index(column)
        fields = lines[line - 1].split(",")
        fields[place] = value
        return [*lines[: line - 1], ",".join(fields), *lines[line:]]

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changed(1, "quantity", "units"), "column quantity is not in the header"),
        (changed(1, "trip_type", "quantity"), "column quantity is twice in the header"),
        (changed(3, "quantity", "0"), "line 3, quantity: '0', where a whole number from 1"),
        (changed(3, "spend_pence", "1.5"), "line 3, spend_pence: '1.5', where a whole number"),
        (changed(2, "product_code", "P"), "line 2, product_code: 'P', where one of the chain's 40"),
        (changed(2, "customer_code", ""), "line 2, customer_code: ''"),
        (changed(3, "shop_hour", "24"), "line 3, shop_hour: '24', where"),
        (lambda lines: [lines[0], changed(2, "shop_date", "2005-13-01")(lines)[1]],
         "line 2, shop_date: '2005-13-01', where a day such as 2008-07-01"),
        (lambda lines: [lines[0], changed(2, "shop_date", "1999-01-01")(lines)[1]],
         "is not in the chain's calendar"),
        (lambda lines: [lines[0], changed(2, "shop_date", "2999-01-01")(lines)[1]],
         "line 2, shop_date: '2999-01-01', where a day up to "),
        (lambda lines: [lines[0], changed(2, "store_code", "X")(lines)[1]],
         "line 2, store_code: 'X', where one of the chain's 5 stores"),
        (lambda lines: [lines[0], changed(2, "trip_focus", "X")(lines)[1]],
         "line 2, trip_focus: 'X', where one of Fresh, Grocery, Mixed, Nonfood"),
        (lambda lines: [*lines[:2], lines[2] + ",", *lines[3:]], "line 3: another number"),
        (lambda lines: lines[:1], "no receipts below the header"),
        (lambda lines: [*lines[:2], "", *lines[2:]], None),
    ],
)  # fmt: skip
def test_receipts_that_cannot_be_read(folder, refused, predict, tmp_path, change, said):
    path = receipts(TensorCache(folder / "cache"), [66], tmp_path / "receipts.csv", change)
    if said is None:  # a blank line is none
        assert len(predict("--receipts", path, "--products", 1)) == 1
        return
    error = refused("--receipts", path)
    assert error.startswith(f"error: {path}: ") and said in error


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--customers", "CUST0001", "nobody"], "--customers: nobody is none of the 70 customers"),
        (["--date", END], f"--date: {END} is not within a year after the data, which end on {END}"),
        (["--date", "2100-01-01"], "is not within a year after the data"),
        (["--date", "2008-02-30"], "argument --date: there is no day 2008-02-30"),
        (["--hour", "24"], "argument --hour: expected a whole number from 0 to 23"),
        (["--store", "X"], "--store: no store 'X' among the chain's 5, such as STORE000, STORE001"),
        (["--kind", "size=XL"], "--kind: size: expected one of S, M, L, not 'XL'"),
        (["--kind", "Fresh"], "--kind: expected NAME=LABEL, each name once of size, sensitivity"),
        (["--basket", "PRD0001", "PRD0001"], "--basket: the same product twice"),
        (["--basket", "P"], "--basket: no product 'P' among the chain's 40, such as PRD0000"),
        (["--products", "41"], "--products: the chain has 40 products"),
        (["--customers", "CUST0001", "--receipts", "r.csv"], "not allowed with argument"),
        (["--receipts", "nowhere.csv"], "nowhere.csv: No such file or directory"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(refused, options, said):
    assert said in refused(*options)


def test_a_list_names_its_line(refused, tmp_path):
    listed = tmp_path / "customers.txt"
    listed.write_text("CUST0001\nnobody\n")
    assert f"{listed}: line 2: nobody is none of the 70" in refused("--customers-from", listed)
    listed.write_text("\n")
    assert "no customers in it, a code a line" in refused("--customers-from", listed)
    listed.write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8 text" in refused("--customers-from", listed)


def test_more_in_the_basket_than_any_trip_held(refused):
    basket = [f"PRD{n:04d}" for n in range(20)]
    assert "20 products in the basket: no recorded trip" in refused("--basket", *basket)


def test_only_its_own_file_is_replaced(folder, predict, tmp_path, capsys):
    predict("--customers", "CUST0001")
    assert len(predict("--customers", "CUST0001", "--products", 3)) == 3
    other = tmp_path / "other.parquet"
    pq.write_table(pq.read_table(tmp_path / "predictions.parquet").replace_schema_metadata(), other)
    before = other.read_bytes()
    arguments = [str(folder / "best"), "--cache", str(folder / "cache"), "--out", str(other)]
    assert main(arguments) == 2
    assert "this command did not write it" in capsys.readouterr().err
    assert other.read_bytes() == before
