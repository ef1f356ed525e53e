"""Summary figures of raw transactions, beside those of LGSR.

    python -m dbt_project.summary RAW_DIR

reads the raw files as they are (CSV, gzipped CSV or Parquet, either release's header) and prints
what a chain looks like from its receipts: baskets, labels, popularity, repeat purchases, prices,
customers and stores. Use it to see whether synthetic data resemble real data, or real data LGSR.
"""

from __future__ import annotations

import argparse
import glob
import json
import os
import sys
from pathlib import Path

import duckdb

from dbt_project.layouts.text_tables import files_of
from trainer.cache.atomic import new_file
from trainer.commands.command import run_command
from trainer.commands.errors import InputError
from trainer.commands.options import CommandParser, check_output

# From this week on LGSR's trips are copies of earlier ones; repeat shares are of weeks before it.
FIRST_REPLAYED_WEEK = 105

# The publisher's 5,000-customer sample (LGSR, 113 weekly files), measured by this command.
LGSR: dict[str, float] = {
    "rows": 2536726, "baskets": 398937, "customers": 4030, "products": 4997, "stores": 761,
    "weeks": 113, "spend per item, pounds": 1.901, "anonymous share of rows": 0.2336,
    "items per basket, mean": 6.359, "items per basket, sd": 6.578, "items per basket, p50": 4,
    "items per basket, p75": 8, "items per basket, p90": 16, "items per basket, p95": 20,
    "items per basket, p99": 30, "items per basket, max": 87, "baskets of 1 item": 0.1933,
    "baskets of 2 items": 0.1592, "baskets of 3 items": 0.1177, "baskets of 4 items": 0.08503,
    "baskets of 5 items": 0.06591, "anonymous share of baskets": 0.2433,
    "spend per basket, pounds": 12.09, "size L": 0.3317, "size M": 0.4057, "size S": 0.2626,
    "type Full Shop": 0.1051, "type Small Shop": 0.5533, "type Top Up": 0.3282, "type XX": 0.01343,
    "mission Fresh": 0.5053, "mission Grocery": 0.1917, "mission Mixed": 0.2379,
    "mission Nonfood": 0.0517, "mission XX": 0.01343, "sensitivity LA": 0.2314,
    "sensitivity MM": 0.513, "sensitivity UM": 0.2366, "sensitivity XX": 0.01905,
    "format LS": 0.5787, "format MS": 0.2512, "format SS": 0.1008, "format XLS": 0.06924,
    "mean items, size L": 13.31, "mean items, size M": 3.866, "mean items, size S": 1.425,
    "mean items, type Full Shop": 20.7, "mean items, type Small Shop": 2.405,
    "mean items, type Top Up": 8.651, "mean items, type XX": 1.041, "mean items, format LS": 6.995,
    "mean items, format MS": 5.513, "mean items, format SS": 4.469,
    "mean items, format XLS": 6.856, "rows of top 0.2 % of products": 0.09597,
    "rows of top 1 % of products": 0.1885, "rows of top 2 % of products": 0.249,
    "rows of top 10 % of products": 0.4676, "rows of top 20 % of products": 0.6108,
    "rows of top 50 % of products": 0.8407, "rows of D00001": 0.08942, "rows of D00002": 0.4845,
    "rows of D00003": 0.2882, "rows of D00004": 0.007268, "rows of D00005": 0.1084,
    "rows of D00006": 0.001801, "rows of D00007": 7.963e-05, "rows of D00008": 0.01622,
    "rows of D00009": 0.004101, "quantity 1": 0.8217, "quantity 10+": 0.005068,
    "quantity 3": 0.1351, "quantity 4": 0.01906, "quantity 5": 0.004315, "quantity 6": 0.007448,
    "quantity 7": 0.003055, "quantity 8": 0.002348, "quantity 9": 0.001889,
    "product price p5, pounds": 0.28, "product price p25, pounds": 0.71,
    "product price p50, pounds": 1.19, "product price p75, pounds": 1.96,
    "product price p95, pounds": 4.441, "random-weight share of products": 0.03442,
    "random-weight share of rows": 0.09536, "repeat share, trips 1-5": 0.1853,
    "repeat share, trips 6-20": 0.4688, "repeat share, trips 21-60": 0.6279,
    "repeat share, trips 61+": 0.7473, "trips per customer, p10": 1, "trips per customer, p25": 6,
    "trips per customer, p50": 37, "trips per customer, p75": 109, "trips per customer, p90": 193,
    "trips per customer, p99": 471.7, "first week of a customer, p50": 4,
    "first week of a customer, p75": 32, "first week of a customer, p90": 75,
    "last week of a customer, p5": 24, "last week of a customer, p10": 54,
    "last week of a customer, p25": 106, "stores per customer, p10": 1,
    "stores per customer, p50": 3, "stores per customer, p90": 8, "trips at primary store": 0.7883,
    "products first sold after week 1": 0.3474,
    "products first sold after 40 % of the weeks": 0.06804,
    "products first sold after 82 % of the weeks": 0.001801,
    "stores first seen after week 1": 0.1235, "customers of segment AZ": 0.2355,
    "customers of segment BG": 0.26, "customers of segment CT": 0.3784,
    "customers of segment DY": 0.1261, "customers of stage AT": 0.1258,
    "customers of stage BU": 0.4529, "customers of stage CZ": 0.1042,
    "customers of stage DI": 0.1122, "customers of stage EQ": 0.03251,
    "customers of stage FN": 0.06898, "customers of stage none": 0.1035,
    "baskets at hour 08": 0.06056, "baskets at hour 09": 0.04103, "baskets at hour 10": 0.05557,
    "baskets at hour 11": 0.07066, "baskets at hour 12": 0.08129, "baskets at hour 13": 0.0895,
    "baskets at hour 14": 0.09098, "baskets at hour 15": 0.08837, "baskets at hour 16": 0.08443,
    "baskets at hour 17": 0.07682, "baskets at hour 18": 0.06899, "baskets at hour 19": 0.05835,
    "baskets at hour 20": 0.04738, "baskets at hour 21": 0.08607,
}  # fmt: skip

COLUMNS = (
    "SHOP_WEEK", "SHOP_DATE", "SHOP_HOUR", "QUANTITY", "SPEND", "PROD_CODE", "PROD_CODE_10",
    "PROD_CODE_40", "CUST_CODE", "BASKET_ID", "BASKET_SIZE", "BASKET_PRICE_SENSITIVITY",
    "BASKET_TYPE", "BASKET_DOMINANT_MISSION", "STORE_CODE", "STORE_FORMAT",
)  # fmt: skip
SEGMENTS = (("SEG_1", "SEG_2"), ("CUST_PRICE_SENSITIVITY", "CUST_LIFESTAGE"))
CSV = ", header = true, all_varchar = true, delim = ','"
"""How DuckDB is to read text."""


def load(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Create table `item` (one row per raw row, pence) and `basket` (one per basket)."""
    calendar = _files(folder, "time.csv")
    if not calendar:
        raise FileNotFoundError(f"{folder / 'time.csv'} is missing")
    kinds = (
        ("transactions*.csv", "read_csv", CSV),
        ("transactions*.csv.gz", "read_csv", f"{CSV}, compression = 'gzip'"),
        ("transactions*.parquet", "read_parquet", ""),
    )
    parts = []
    for pattern, reader, more in kinds:
        names = _files(folder, pattern)
        if not names:
            continue
        relation = f"{reader}($files, union_by_name = true, hive_partitioning = false{more})"
        found = {
            row[0].upper()
            for row in connection.execute(
                f"describe select * from {relation}", {"files": names}
            ).fetchall()
        }
        pair = next((p for p in SEGMENTS if set(p) <= found), None)
        missing = [c for c in COLUMNS if c not in found] + ([] if pair else list(SEGMENTS[0]))
        if missing:
            raise InputError(f"{folder}: {pattern} lack the column(s) {', '.join(missing)}")
        parts.append((names, relation, pair))
    if not parts:
        raise FileNotFoundError(
            f"{folder} holds no transactions*.csv, transactions*.csv.gz or transactions*.parquet"
        )
    for number, (names, relation, pair) in enumerate(parts):
        connection.execute(
            f"""{"create table item as" if number == 0 else "insert into item"}
            select SHOP_WEEK::int as shop_week,
                left(replace(SHOP_DATE::varchar, '-', ''), 8)::int * 100 + SHOP_HOUR::int as moment,
                SHOP_HOUR::int as hour, QUANTITY::int as quantity,
                round(SPEND::double * 100)::int as pence, PROD_CODE as product,
                PROD_CODE_10 as cl, PROD_CODE_40 as department,
                nullif(CUST_CODE::varchar, '') as customer,
                nullif({pair[0]}::varchar, '') as seg_1, nullif({pair[1]}::varchar, '') as seg_2,
                BASKET_ID::varchar as basket,
                BASKET_SIZE as size, BASKET_PRICE_SENSITIVITY as sensitivity,
                BASKET_TYPE as type, BASKET_DOMINANT_MISSION as mission,
                STORE_CODE as store, STORE_FORMAT as format
            from {relation}""",
            {"files": names},
        )
    connection.execute(
        """create table week as
        select shop_week, row_number() over (order by shop_week)::int as w
        from read_csv($files, hive_partitioning = false)""",
        {"files": calendar},
    )
    connection.execute(
        """create table basket as
        select basket, any_value(customer) as customer, any_value(store) as store,
            any_value(format) as format, any_value(moment) as moment, any_value(w) as w,
            any_value(hour) as hour, any_value(size) as size, any_value(type) as type,
            any_value(mission) as mission, any_value(sensitivity) as sensitivity,
            count(*) as items, sum(quantity) as units, sum(pence) as pence
        from item join week using (shop_week) group by basket"""
    )
    if not connection.execute("from basket limit 1").fetchall():
        raise InputError(f"{folder}: transactions* hold no row of a week of time.csv")


def _files(folder: Path, pattern: str) -> list[str]:
    """The files of a folder whose names match, whatever their capitals, as patterns of DuckDB that
    stand for one file each."""
    return (
        [glob.escape(str(path)) for path in files_of(folder, (pattern,))] if folder.is_dir() else []
    )


# Each query answers rows of (figure, value).
QUERIES = (
    """select * from (select count(*) as rows, count(distinct basket) as baskets,
        count(distinct customer) as customers, count(distinct product) as products,
        count(distinct store) as stores, count(distinct shop_week) as weeks,
        sum(pence) / count(*) / 100 as "spend per item, pounds",
        avg((customer is null)::int) as "anonymous share of rows" from item)""",
    """select avg(items) as "items per basket, mean", stddev(items) as "items per basket, sd",
        quantile_cont(items, .5) as "items per basket, p50",
        quantile_cont(items, .75) as "items per basket, p75",
        quantile_cont(items, .9) as "items per basket, p90",
        quantile_cont(items, .95) as "items per basket, p95",
        quantile_cont(items, .99) as "items per basket, p99",
        max(items) as "items per basket, max",
        avg((items = 1)::int) as "baskets of 1 item",
        avg((items = 2)::int) as "baskets of 2 items",
        avg((items = 3)::int) as "baskets of 3 items",
        avg((items = 4)::int) as "baskets of 4 items",
        avg((items = 5)::int) as "baskets of 5 items",
        avg((customer is null)::int) as "anonymous share of baskets",
        avg(pence) / 100 as "spend per basket, pounds" from basket""",
    *(
        f"""select '{name} ' || {name}, count(*) / sum(count(*)) over () from basket
        group by {name} order by {name}"""
        for name in ("size", "type", "mission", "sensitivity", "format")
    ),
    *(
        f"""select 'mean items, {name} ' || {name}, avg(items) from basket
        group by {name} order by {name}"""
        for name in ("size", "type", "format")
    ),
    """with n as (select product, count(*) as n from item group by product),
        r as (select n / sum(n) over () as share, row_number() over (order by n desc, product)
            / count(*) over () as rank from n)
        select coalesce(sum(share) filter (rank <= .002), 0) as "rows of top 0.2 % of products",
            coalesce(sum(share) filter (rank <= .01), 0) as "rows of top 1 % of products",
            sum(share) filter (rank <= .02) as "rows of top 2 % of products",
            sum(share) filter (rank <= .1) as "rows of top 10 % of products",
            sum(share) filter (rank <= .2) as "rows of top 20 % of products",
            sum(share) filter (rank <= .5) as "rows of top 50 % of products" from r""",
    """select 'rows of ' || department, count(*) / sum(count(*)) over () from item
        group by department order by department""",
    """select 'quantity ' || case when quantity < 10 then quantity::varchar else '10+' end as k,
        count(*) / sum(count(*)) over () from item group by k order by k""",
    """with p as (select product, median(pence / quantity) / 100 as price from item
            group by product)
        select quantile_cont(price, .05) as "product price p5, pounds",
            quantile_cont(price, .25) as "product price p25, pounds",
            quantile_cont(price, .5) as "product price p50, pounds",
            quantile_cont(price, .75) as "product price p75, pounds",
            quantile_cont(price, .95) as "product price p95, pounds" from p""",
    # Random-weight: among further sales of one unit in the same store and week, the unit price
    # is mostly a new one. Products with fewer than five such pairs are left out.
    """with c as (select product, store, shop_week, count(*) as n, count(distinct pence) as d
            from item where quantity = 1 group by all),
        p as (select product, sum(d - 1) / sum(n - 1) as fresh from c where n > 1 group by product
            having sum(n - 1) >= 5)
        select (select count(*) from p where fresh > .5) / count(distinct product)
                as "random-weight share of products",
            avg((product in (select product from p where fresh > .5))::int)
                as "random-weight share of rows" from item""",
    f"""with trip as (select basket, row_number() over (partition by customer order by moment,
                basket) as k from basket where customer is not null and w < {FIRST_REPLAYED_WEEK}),
        seen as (select k,
                row_number() over (partition by customer, product order by k) > 1 as again
            from item join trip using (basket))
        select 'repeat share, trips ' || case when k <= 5 then '1-5' when k <= 20 then '6-20'
                when k <= 60 then '21-60' else '61+' end as trips,
            avg(again::int) from seen group by trips order by min(k)""",
    """with c as (select customer, count(*) as n, min(w) as f, max(w) as l from basket
            where customer is not null group by customer)
        select quantile_cont(n, .1) as "trips per customer, p10",
            quantile_cont(n, .25) as "trips per customer, p25",
            quantile_cont(n, .5) as "trips per customer, p50",
            quantile_cont(n, .75) as "trips per customer, p75",
            quantile_cont(n, .9) as "trips per customer, p90",
            quantile_cont(n, .99) as "trips per customer, p99",
            quantile_cont(f, .5) as "first week of a customer, p50",
            quantile_cont(f, .75) as "first week of a customer, p75",
            quantile_cont(f, .9) as "first week of a customer, p90",
            quantile_cont(l, .05) as "last week of a customer, p5",
            quantile_cont(l, .1) as "last week of a customer, p10",
            quantile_cont(l, .25) as "last week of a customer, p25" from c""",
    """with s as (select customer, store, count(*) as n from basket where customer is not null
            group by customer, store),
        c as (select customer, count(*) as stores, max(n) as most, sum(n) as n from s
            group by customer)
        select quantile_cont(stores, .1) as "stores per customer, p10",
            quantile_cont(stores, .5) as "stores per customer, p50",
            quantile_cont(stores, .9) as "stores per customer, p90",
            sum(most) filter (n >= 20) / sum(n) filter (n >= 20) as "trips at primary store"
        from c""",
    """with f as (select product, min(w) as f from item join week using (shop_week)
            group by product), span as (select max(w) as last from basket)
        select avg((f > 1)::int) as "products first sold after week 1",
            avg((f > .4 * last)::int) as "products first sold after 40 % of the weeks",
            avg((f > .82 * last)::int) as "products first sold after 82 % of the weeks"
        from f, span""",
    """with f as (select store, min(w) as f from basket group by store)
        select avg((f > 1)::int) as "stores first seen after week 1" from f""",
    """with c as (select customer, any_value(seg_1) as s from item where customer is not null
            group by customer)
        select 'customers of segment ' || coalesce(s, 'none'), count(*) / sum(count(*)) over ()
        from c group by s order by s""",
    """with c as (select customer, any_value(seg_2) as s from item where customer is not null
            group by customer)
        select 'customers of stage ' || coalesce(s, 'none'), count(*) / sum(count(*)) over ()
        from c group by s order by s""",
    """select 'baskets at hour ' || lpad(hour::varchar, 2, '0'),
        count(*) / sum(count(*)) over () from basket group by hour order by hour""",
)


def summarise(folder: Path | str) -> dict[str, float]:
    """Summary figures of the raw files in `folder`, by name.

    Shares are fractions of 1. Raises FileNotFoundError when files are missing and ValueError when
    a column is.
    """
    figures: dict[str, float] = {}
    with duckdb.connect() as connection:
        connection.execute("set enable_progress_bar = false")
        load(connection, Path(folder))
        for query in QUERIES:
            rows = connection.execute(query)
            names = [d[0] for d in rows.description]
            found = rows.fetchall()
            tall = len(names) == 2 and all(isinstance(row[0], str) for row in found)
            pairs = found if tall else zip(names, found[0], strict=True)
            figures.update({name: float(value or 0) for name, value in pairs})
    return figures


def table(figures: dict[str, float]) -> str:
    """The figures beside LGSR's, as text."""
    names = [*figures, *(n for n in LGSR if n not in figures)]
    width = max(len(n) for n in names)
    lines = [f"{'figure':<{width}}  {'here':>14}  {'LGSR':>14}"]
    for name in names:
        cells = [
            "-" if v is None else f"{v:,.0f}" if v == int(v) and v > 20 else f"{v:,.4g}"
            for v in (figures.get(name), LGSR.get(name))
        ]
        lines.append(f"{name:<{width}}  {cells[0]:>14}  {cells[1]:>14}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    parser = CommandParser(
        prog="python -m dbt_project.summary",
        description="Summarise raw transactions and print the figures beside LGSR's.",
    )
    default = os.environ.get("RETAILSIM_RAW", "raw_data")
    parser.add_argument(
        "raw_dir", nargs="?", type=Path, default=Path(default),
        help="folder with transactions* and time.csv (default: RETAILSIM_RAW, or raw_data)",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    return run_command(parser, _run, arguments, expected=(duckdb.Error,))


def _run(options: argparse.Namespace) -> None:
    check_output("--json", options.json, rb'"anonymous share of rows"')
    figures = summarise(options.raw_dir)
    if options.json:
        with new_file(options.json) as fresh:
            fresh.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(table(figures))


if __name__ == "__main__":
    sys.exit(main())
