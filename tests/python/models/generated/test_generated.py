"""Whatever the files look like, the warehouse holds what a slow reader finds in them."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from chains import Folder, folders
from engine import BuildStopped, Engine, engine
from hypothesis import given
from profiles import examples
from reader import HIERARCHY, LABELS, LARGEST, Line, Stops, read_folder

# What the labels are called behind staging.
NAMES = {
    "basket_price_sensitivity": "trip_price_sensitivity",
    "basket_type": "trip_type",
    "basket_dominant_mission": "trip_focus",
}
# What a row of the warehouse is compared by, and the reader's name of it.
TEXTS = {
    "lines.basket_id::varchar": "basket_id",
    "lines.product_code": "prod_code",
    "baskets.customer_code": "cust_code",
    "baskets.store_code": "store_code",
    "baskets.store_format": "store_format",
    "baskets.store_region": "store_region",
    "baskets.customer_price_sensitivity": "seg_1",
    "baskets.customer_lifestage": "seg_2",
    **{f"baskets.{NAMES.get(label, label)}": label for label in LABELS},
    **{f"lines.category_{n}": level for n, level in enumerate(HIERARCHY, start=1)},
}
ITEMS = f"""
    select
        lines.source_file, baskets.shop_week, baskets.shop_date, baskets.shop_hour,
        items.quantity, items.spend_pence, {", ".join(TEXTS)}
    from int_items as items
    inner join int_baskets as baskets on items.trip_key = baskets.trip_key
    inner join int_lines as lines on items.line_id = lines.line_id
"""
REJECTED = "select source_file, source_line, reject_reason from rejected_rows"
# A line that is no row of fields has no values, whatever stands where they would be.
TOTALS = """
    select source_file, count(*), coalesce(sum(spend_pence) filter (
        where coalesce(reject_reason, '') not in (
            'blank line', 'wrong number of fields', 'quotation mark inside a field'
        )
    ), 0)
    from stg_transactions group by source_file
"""


def item(line: Line) -> tuple:
    texts = (line.values[column] for column in TEXTS.values())
    return (line.file, line.week, line.date, line.hour, line.quantity, line.pence, *texts)


def pence_in(lines: list[Line]) -> int:
    known = [line.pence for line in lines if line.pence is not None]
    return sum(pence for pence in known if -LARGEST - 1 <= pence <= LARGEST)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    with engine(tmp_path_factory.mktemp("engine")) as made:
        yield made


def difference(name: str, warehouse: list[tuple], reader: list[tuple]) -> list[str]:
    found, expected = Counter(warehouse), Counter(reader)
    return [
        *(f"{name}: the warehouse alone has {row}" for row in (found - expected).elements()),
        *(f"{name}: the reader alone has {row}" for row in (expected - found).elements()),
    ]


def differences(models: Engine, raw: Path, first: str | None = None) -> list[str]:
    """What warehouse and reader disagree on."""
    stopped = stops = None
    try:
        models.build(raw, first)
    except BuildStopped as stop:
        stopped = str(stop)
    try:
        lines = read_folder(raw)
    except Stops as stop:
        stops = stop.args
    if stopped or stops:
        # dbt indents a message, so a line end in a name is followed by blanks.
        if stopped and stops and any(name in stopped.replace("\n  ", "\n") for name in stops):
            return []
        return [f"the warehouse stops: {stopped}", f"the reader stops at: {stops}"]

    by_file = defaultdict(list)
    for line in lines:
        by_file[line.file].append(line)
    return [
        *(f"{check} fails" for check in models.failed_checks()),
        *difference("items", models.rows(ITEMS), [item(line) for line in lines if not line.reason]),
        *difference(
            "rejected rows",
            models.rows(REJECTED),
            [(line.file, line.number, line.reason) for line in lines if line.reason],
        ),
        *difference(
            "rows and pence",
            models.rows(TOTALS),
            [(file, len(members), pence_in(members)) for file, members in by_file.items()],
        ),
    ]


@examples(300)
@given(folder=folders())
def test_the_warehouse_holds_what_the_files_say(models, folder: Folder):
    with tempfile.TemporaryDirectory() as parent:
        raw = folder.write(Path(parent))
        found = differences(models, raw)
        if not found and folder.has_late_file and models.calendar:
            folder.write_late_file(raw)
            found = differences(models, raw, first="stg_transactions")
    assert not found, "\n".join(["warehouse and reader disagree:", *found])
