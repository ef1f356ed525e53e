"""Receipts that no model can learn from: the build says why, and what to do."""

from __future__ import annotations

import json

import pytest
from receipts import line, write_raw

TESTS = (
    "there_are_trips", "there_are_training_trips", "there_are_trips_to_evaluate",
    "there_are_identified_customers",
)  # fmt: skip
SPLIT = "{train_last_week: %d, validation_last_week: %d, test_last_week: 3}"
SECOND_WEEK = {"shop_week": "200608", "shop_date": "20060420"}


@pytest.mark.parametrize(
    ("lines", "split", "returncode", "told"),
    [
        ([line()], (0, 0), 1, ["there_are_training_trips: no trip in the training weeks 1-0, the"]),
        (
            [line(**SECOND_WEEK)], (1, 1), 1,
            [
                "there_are_training_trips: no trip in the training weeks 1-1, the first is in week "
                "2: move the vars train_last_week, validation_last_week and test_last_week of "
                "dbt_project.yml"
            ],
        ),
        (
            [line()], (1, 2), 0,
            [
                "warning: there_are_trips_to_evaluate: no trip after week 2, where the validation "
                "weeks end; the last is in week 1: to fit and evaluate a model, move the vars "
                "train_last_week and validation_last_week of dbt_project.yml"
            ],
        ),
        ([line(), line(basket_id="2", **SECOND_WEEK)], (1, 1), 0, []),
        (
            [line(cust_code=""), line(basket_id="2", cust_code="", **SECOND_WEEK)], (1, 1), 0,
            [
                "warning: there_are_identified_customers: none of 2 trips is of a known customer "
                "(all customer codes are empty): a model needs the trips of customers"
            ],
        ),
        ([], (1, 1), 1, ["there_are_trips: the files of receipts hold headers and no rows"]),
        (
            [line(quantity="0")], (1, 1), 1,
            ["there_are_trips: all 1 rows are rejected: see the table rejected_rows"],
        ),
    ],
)  # fmt: skip
def test_there_is_something_to_learn_from(dbt, tmp_path, lines, split, returncode, told):
    result = dbt(
        "build", "--quiet", "--indirect-selection", "empty", "--select", "+int_trips", "int_split",
        *TESTS, "--vars", SPLIT % split, raw=write_raw(tmp_path, lines),
    )  # fmt: skip
    assert result.returncode == returncode
    found = [text for text in result.output.splitlines() if any(f"{t}: " in text for t in TESTS)]
    assert len(found) == len(told)
    for text, start in zip(found, told, strict=True):
        assert text.startswith(start)


@pytest.mark.parametrize(
    ("split", "told"),
    [
        ("1, validation_last_week: 2", "set all three of them, or none"),
        ("2, validation_last_week: 1, test_last_week: 3", "2, 1, 3. Expected ascending weeks"),
        # Text sorts otherwise, and a half would be rounded.
        ('"9", validation_last_week: "10", test_last_week: "11"', "9, 10, 11. Expected ascending"),
        ('1, validation_last_week: "2", test_last_week: 3', "1, 2, 3. Expected ascending weeks"),
        ("0.5, validation_last_week: 1, test_last_week: 2", "0.5, 1, 2. Expected ascending weeks"),
    ],
)
def test_splits_that_cannot_be(dbt, tmp_path, split, told):
    result = dbt(
        "compile", "--select", "int_split", "--vars", f"{{train_last_week: {split}}}", raw=tmp_path
    )
    assert result.returncode != 0
    said = " ".join(result.output.split())
    assert f"vars train_last_week, validation_last_week, test_last_week: {told}" in said


# What dbt passes on of an error of DuckDB or Spark, and what is printed.
ERRORS = {
    "Runtime Error in model stg_transactions (models/x.sql)\n  IO Error: Unexpected end of GZIP stream: "
    "/my raw/transactions_1.csv.gz": "/my raw/transactions_1.csv.gz: damaged or cut short. Copy or",
    "Runtime Error in model stg_transactions (models/x.sql)\n  Invalid Input Error: No magic bytes found "
    "at end of file '/raw/transactions_1.parquet'": "/raw/transactions_1.parquet: damaged or cut short",
    "Runtime Error in model prices (models/x.sql)\n  IO Error: Could not write file \"/d/w.duckdb\": No "
    "space left on device": "the disk is full. Make room, or name other places in RETAILSIM_DB and",
    "Runtime Error in model prices (models/x.sql)\n  Out of Memory Error: failed to offload data block\n"
    "This limit was set by the 'max_temp_directory_size' setting.": "the disk is full. Make room",
    "Runtime Error in model prices (models/x.sql)\n  Out of Memory Error: could not allocate block\n"
    "* Disabling insertion-order preservation": "out of memory. Raise RETAILSIM_MEMORY or lower RETAI",
    "Compilation Error in model stg_transactions (models/x.sql)\n  Raw data: /raw/a.zip: not read. "
    "Expected .parquet\n  \n  > in macro raw_error (macros/raw/raw_files.sql)\n  > called by x":
        "Raw data: /raw/a.zip: not read. Expected .parquet",
    "Runtime Error in model clusters (models/x.py)\n  Python model failed:\n  Traceback (most recent call "
    "last):\n    File y\n  KeyError: 'z'": "KeyError: 'z'",
    "Runtime Error in model prices (models/x.sql)\n  Conversion Error: no such number": "Conversion Err",
    "[CAST_OVERFLOW] The value 2147483648L cannot be cast. SQLSTATE: 22003\n== SQL (line 7, position 5) ==\n"
    "sum(units)": "[CAST_OVERFLOW] The value 2147483648L cannot be cast. SQLSTATE: 22003 == SQL",
    "[PATH_NOT_FOUND] Path does not exist.": "[PATH_NOT_FOUND] Path does not exist.",
}  # fmt: skip


def test_errors_of_engines_say_what_to_do(dbt, tmp_path):
    selects = " union all ".join(
        f"select {number} as number, $${{{{ error_advice({json.dumps(error)}) }}}}$$ as advice"
        for number, error in enumerate(ERRORS)
    )
    result = dbt("--quiet", "show", "--output", "json", "--inline", selects, "--limit", "99", raw=tmp_path)
    rows = json.loads(result.output)["show"]
    told = [row["advice"] for row in sorted(rows, key=lambda row: row["number"])]
    assert len(told) == len(ERRORS)
    for advice, start in zip(told, ERRORS.values(), strict=True):
        assert advice.startswith(start) and "\n" not in advice and "macro" not in advice
