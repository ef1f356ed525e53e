"""Receipts written by hand: a few lines in the publisher's layout, and ways to spoil them."""

from __future__ import annotations

from pathlib import Path

HEADER = (
    "SHOP_WEEK,SHOP_DATE,SHOP_WEEKDAY,SHOP_HOUR,QUANTITY,SPEND,PROD_CODE,PROD_CODE_10,PROD_CODE_20,"
    "PROD_CODE_30,PROD_CODE_40,CUST_CODE,seg_1,seg_2,BASKET_ID,BASKET_SIZE,"
    "BASKET_PRICE_SENSITIVITY,BASKET_TYPE,BASKET_DOMINANT_MISSION,STORE_CODE,STORE_FORMAT,"
    "STORE_REGION"
)

TIME = """shop_week,date_from,date_to
200607,20060410,20060416
200608,20060417,20060423
200609,20060424,20060430
"""

GOOD = {
    "shop_week": "200607",
    "shop_date": "20060413",
    "shop_weekday": "5",
    "shop_hour": "20",
    "quantity": "1",
    "spend": "0.93",
    "prod_code": "PRD0900001",
    "prod_code_10": "CL00001",
    "prod_code_20": "DEP00001",
    "prod_code_30": "G00001",
    "prod_code_40": "D00001",
    "cust_code": "CUST0000000001",
    "seg_1": "BG",
    "seg_2": "BU",
    "basket_id": "994100100000001",
    "basket_size": "S",
    "basket_price_sensitivity": "MM",
    "basket_type": "Small Shop",
    "basket_dominant_mission": "Fresh",
    "store_code": "STORE00001",
    "store_format": "LS",
    "store_region": "E02",
}


def line(**changes: str) -> str:
    """One line of a transactions file: a good one, with these fields changed."""
    assert changes.keys() <= GOOD.keys()
    return ",".join((GOOD | changes).values())


def write_raw(
    folder: Path, lines: list[str], name: str = "transactions_200607.csv", header: str = HEADER
) -> Path:
    """A raw folder with one transactions file of these lines and a calendar of three weeks."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "time.csv").write_text(TIME)
    (folder / name).write_text("\n".join([header, *lines]) + "\n")
    return folder
