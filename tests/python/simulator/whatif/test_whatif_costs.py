"""Costs from a file, and the one line for what cannot be read."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from simulator.costs import read_costs
from trainer.commands.errors import InputError

HEAD = "product_code,unit_cost_pence\n"


def test_costs_of_a_csv_and_of_a_parquet_file(chain, tmp_path):
    cache, _ = chain
    table = tmp_path / "costs.csv"
    table.write_text("name,unit_cost_pence,product_code\nx,12.5,PRD0003\ny,0,PRD0000\nz,7,OTHER\n")
    expected = np.full(cache.products, np.nan)
    expected[[3, 0]] = 12.5, 0
    np.testing.assert_array_equal(read_costs(table, cache), expected)
    columns = {"product_code": ["PRD0003", "PRD0000", "OTHER"], "unit_cost_pence": [12.5, 0, 7]}
    pq.write_table(pa.table(columns), tmp_path / "costs.parquet")
    np.testing.assert_array_equal(read_costs(tmp_path / "costs.parquet", cache), expected)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEAD + "PRD0000,1\nPRD0000,2\n", "line 3, product_code: PRD0000 stands in line 2 already"),
        (HEAD + "PRD0000,cheap\n", "line 2, unit_cost_pence: 'cheap', where pence from 0"),
        (HEAD + "PRD0000,\n", "line 2, unit_cost_pence: '', where pence"),
        (HEAD + "PRD0000,-1\n", "line 2, unit_cost_pence: '-1', where pence"),
        (HEAD + "PRD0000,nan\n", "line 2, unit_cost_pence: 'nan'"),
        (HEAD + "PRD0000,1,2\n", "line 2: another number of fields than the header"),
        (HEAD + "OTHER,1\n", "none of its 1 products is one of the chain's 40, such as PRD0000"),
        (HEAD, "none of its 0 products"),
        (
            "product,cost\nPRD0000,1\n",
            "column product_code is not there; expected are product_code",
        ),
        ("", "column product_code is not there"),
        (HEAD + '"PRD0000,1\n', "not CSV"),
    ],
)
def test_what_cannot_be_read_ends_in_one_line(chain, tmp_path, text, told):
    path = tmp_path / "costs.csv"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_costs(path, chain[0])
    message = str(error.value)
    assert told in message and "costs.csv" in message and "\n" not in message


def test_parquet_files_that_are_none_or_lack_a_cost(chain, tmp_path):
    path = tmp_path / "costs.parquet"
    path.write_bytes(b"PAR0")
    with pytest.raises(InputError, match="not a Parquet file that can be read"):
        read_costs(path, chain[0])
    pq.write_table(pa.table({"product_code": ["PRD0000"], "unit_cost_pence": [None]}), path)
    with pytest.raises(InputError, match="row 1, unit_cost_pence: None, where pence"):
        read_costs(path, chain[0])
    with pytest.raises(InputError, match="there is no such file"):
        read_costs(tmp_path / "nowhere.csv", chain[0])
