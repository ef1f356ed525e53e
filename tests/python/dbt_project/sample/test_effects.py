"""The command that says what a change does in a chain."""

from __future__ import annotations

import json

import pyarrow.parquet
import pytest

from dbt_project.sample import ChainConfig, generate_chain
from dbt_project.sample.effects import main


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("effects") / "raw"
    config = ChainConfig(customers=150, products=120, stores=6, weeks=16)
    generate_chain(config, folder)
    return folder


@pytest.fixture
def run(raw, capsys):
    """Run the command; gives exit code, stdout and the last line of stderr."""

    def call(*extra, folder=raw):
        code = main(["--raw", str(folder), "--after=6", "--weeks=4", "--runs=2", *extra])
        out, err = capsys.readouterr()
        return code, out, err.splitlines()[-1]

    return call


def test_higher_prices_lose_units_and_the_table_is_written(run, tmp_path):
    path = tmp_path / "effects.parquet"
    code, out, _ = run("--price", "1.5", "--out", str(path))
    assert code == 0
    assert out.splitlines()[0].split() == ["total", "before", "after", "difference", "error"]
    rows = {row["total"]: row for row in pyarrow.parquet.read_table(path).to_pylist()}
    units = rows["units"]
    assert units["difference"] == pytest.approx(units["after"] - units["before"])
    assert units["difference"] < -5 * units["standard_error"]
    assert rows["units of these products"] == units | {"total": "units of these products"}
    assert rows["units of their rivals"]["before"] == 0


def test_a_table_replaces_none_but_its_own(run, tmp_path):
    mine, path = tmp_path / "receipts.parquet", tmp_path / "effects.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"total": [1]}), mine)
    code, _, error = run("--price", "1.5", "--out", str(mine))
    assert code == 2 and "this command did not write it" in error
    assert pyarrow.parquet.read_table(mine).to_pydict() == {"total": [1]}
    assert [run("--price", "1.5", "--out", str(path))[0] for _ in range(2)] == [0, 0]


def test_a_promotion_of_a_department_for_a_while(run):
    code, out, _ = run("--products", "D00003", "--promotion", "0.4", "--lasts", "1")
    assert code == 0
    rows = {line[:26].strip(): line[26:].split() for line in out.splitlines()[1:]}
    assert float(rows["units of these products"][2].replace(",", "")) > 0


def test_elasticities_by_department(run, tmp_path):
    path = tmp_path / "elasticities.parquet"
    code, out, _ = run("--elasticities", "department", "--out", str(path))
    assert code == 0 and out.split()[0] == "elasticities"
    table = pyarrow.parquet.read_table(path).to_pylist()
    large = next(row for row in table if row["sold"] == "D00002")
    assert large["elasticity"] < -0.3 and large["standard_error"] < 0.3


def test_what_customers_are_worth(run, tmp_path):
    path = tmp_path / "customers.parquet"
    code, out, _ = run("--customers", "--out", str(path))
    table = pyarrow.parquet.read_table(path).to_pandas()
    tenths = [float(line.split()[3].replace(",", "")) for line in out.splitlines()[1:11]]
    assert code == 0 and tenths == sorted(tenths, reverse=True)
    assert 100 < len(table) <= 150 and 0.9 < table.stays.mean() <= 1
    assert (table.profit_if_lost_pence <= table.profit_pence.clip(lower=0) + 1e-6).mean() > 0.95


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--after", "13"], "--after 13 and --weeks 4: the chain has 16 weeks; choose smaller"),
        (["--price", "0"], "--price must be from 0.1 to 10, not 0"),
        (["--promotion", "1"], "--promotion must be from 0 to 0.95, not 1"),
        (["--products", "D00099", "--price", "2"], "--products: the chain has no D00099"),
        (["--price", "1"], "nothing changes: add --price or --promotion"),
        (["--price", "2", "--lasts", "5"], "--lasts 5 is longer than --weeks 4"),
        (["--customers", "--promotion", "0.3"], "--promotion changes nothing that is measured"),
        (["--elasticities", "need", "--products", "D00003"], "--products changes nothing"),
        (["--elasticities", "need", "--customers"], "not allowed with"),
        (["--price", "2", "--runs", "100000"], "--runs"),
    ],
)
def test_bad_options_are_named(run, options, message):
    code, out, error = run(*options)
    assert (code, out) == (2, "")
    assert error.startswith("error: ") and message in error


@pytest.mark.filterwarnings("error")
def test_one_future_has_no_standard_error(run):
    code, out, _ = run("--elasticities", "chain", "--runs", "1")
    assert code == 0 and out.split()[-1] == "nan"


@pytest.mark.parametrize("damage", ["[" * 100_000, '{"customers": true}'])
def test_damaged_chains_are_named(run, raw, tmp_path, damage):
    content = (raw / "truth/chain.json").read_text()
    if damage.startswith("{"):
        content = json.loads(content)
        content["config"] |= json.loads(damage)
        damage = json.dumps(content)
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth/chain.json").write_text(damage)
    code, _, error = run("--price", "2", folder=tmp_path)
    assert code == 2 and "chain.json cannot be read" in error


def test_other_folders_are_refused(run, raw, tmp_path):
    code, _, error = run("--price", "2", folder=tmp_path)
    assert code == 2 and "chain.json cannot be read" in error
    content = json.loads((raw / "truth/chain.json").read_text())
    del content["config"]["behaviour"]
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth/chain.json").write_text(json.dumps(content))
    code, _, error = run(folder=tmp_path)
    assert code == 2 and "--behaviour responsive" in error
