"""Costs by week from a file, of which later weeks are not read, and the one line for others."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from simulator.costs import read_weekly_costs
from trainer.commands.errors import InputError

HEAD = "product_code,week,unit_cost_pence\n"


def test_a_week_without_a_cost_has_that_of_the_one_before(chain, tmp_path):
    cache, _ = chain
    table = tmp_path / "costs.csv"
    table.write_text(
        "unit_cost_pence,name,week,product_code\n50,x,2,PRD0003\n60,x,4,PRD0003\n7,x,1,OTHER\n"
    )
    found = read_weekly_costs(table, cache, 5)
    assert found.shape == (cache.products, 5)
    np.testing.assert_array_equal(found[3], [np.nan, 50, 50, 60, 60])
    assert np.isnan(np.delete(found, 3, axis=0)).all()
    codes = cache["weeks.shop_week"][[1, 3]].tolist()
    columns = {
        "shop_week": codes, "unit_cost_pence": [50.0, 60.0], "product_code": ["PRD0003"] * 2
    }  # fmt: skip
    pq.write_table(pa.table(columns), tmp_path / "costs.parquet")
    np.testing.assert_array_equal(read_weekly_costs(tmp_path / "costs.parquet", cache, 5), found)


def test_of_weeks_after_the_start_nothing_is_read(chain, tmp_path):
    cache, _ = chain
    known = HEAD + "PRD0000,1,50\nPRD0000,2,55\n"
    found = []
    for later in ("", "PRD0000,3,90\n", "PRD0000,3,1\nPRD0000,3,none\nOTHER,999,-5\n"):
        table = tmp_path / "costs.csv"
        table.write_text(known + later)
        found.append(read_weekly_costs(table, cache, 2))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


class TwoWeeks(dict):
    """A chain whose second week is of another year."""

    products = 1


def test_a_week_within_the_calendar_that_it_lacks_is_named(tmp_path):
    weeks = {"products.code": np.array([b"A"]), "weeks.shop_week": np.array([200652, 200701])}
    table = tmp_path / "invoices.csv"
    table.write_text("product_code,shop_week,unit_cost_pence\nA,200601,9\nA,200652,5\nA,200702,8\n")
    np.testing.assert_array_equal(read_weekly_costs(table, TwoWeeks(weeks), 2), [[5, 5]])
    table.write_text("product_code,shop_week,unit_cost_pence\nA,200653,5\n")
    with pytest.raises(InputError, match="line 2, shop_week: 200653 is no week of the chain's"):
        read_weekly_costs(table, TwoWeeks(weeks), 2)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEAD + "PRD0000,1,0\n", "line 2, unit_cost_pence: '0', where pence above 0"),
        (HEAD + "PRD0000,1,x\n", "line 2, unit_cost_pence: 'x', where pence above 0"),
        (HEAD + "PRD0000,1,1_0\n", "line 2, unit_cost_pence: '1_0', where pence above 0"),
        (HEAD + "PRD0000,1_0,5\n", "line 2, week: '1_0', where a whole number from 1"),
        (HEAD + "PRD0000,0,5\n", "line 2, week: '0', where a whole number from 1 is expected"),
        (HEAD + "PRD0000,May,5\n", "line 2, week: 'May', where a whole number"),
        (HEAD + f"PRD0000,{'9' * 5000},5\n", "line 2, week: '999999999999...9999999999999', where"),
        (HEAD + f"PRD0000,1,{'9' * 5000}\n", "unit_cost_pence: '999999999999...9999999999999', w"),
        (
            HEAD + "PRD0000,1,5\nPRD0000,1,6\n",
            "line 3, product_code: PRD0000 in week 1 stands in line 2 already",
        ),
        (HEAD + "OTHER,1,5\n", "holds no cost of a product of the chain up to week 3"),
        (HEAD + "PRD0000,4,5\n", "holds no cost of a product of the chain up to week 3"),
        (
            "product_code,unit_cost_pence\nPRD0000,5\n",
            "column week or shop_week is not there; expected are product_code, unit_cost_pence and "
            "week or shop_week",
        ),
        (
            "product_code,week,shop_week,unit_cost_pence\nPRD0000,1,200607,5\n",
            "column week or shop_week is twice there",
        ),
    ],
)
def test_what_cannot_be_read_ends_in_one_line(chain, tmp_path, text, told):
    path = tmp_path / "costs.csv"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_weekly_costs(path, chain[0], 3)
    message = str(error.value)
    assert told in message and "costs.csv" in message and "\n" not in message
