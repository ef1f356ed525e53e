"""Files of order lines with every fate that a line can have, and files of another kind, each with
its layout.
"""

from __future__ import annotations

import datetime
import gzip
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

LAYOUT = """
currency: EUR
country: DE
files: "*.csv*"
delimiter: semicolon
encoding: cp1252
decimal: ","
basket: [Shop, Slip]
customer: Card
no_card: [0.0, 99-99]
product: Article
store: Shop
date: Day
date_format: "%d.%m.%Y"
time: At
quantity: Number
weighed: {Unit: [kg, l]}
paid: Gross - Off
regular: Gross
coupon: "- Coupon"
categories: [Group, Dept]
set_aside: {fuel: {Dept: FUEL}, deposit: {Article: ["007", 8.0], Unit: ST}}
lookups: {articles.csv: Article = Id}
"""
HEADER = "Shop;Slip;Day;At;Card;Article;Text;Number;Unit;Gross;Off;Coupon"
ARTICLES = """Id;Group;Dept
A1;Brie;"Dairy; eggs"
A2;;Fruit
F1;Diesel;FUEL
A4;"Crème
fraîche";
"""
GOOD = {
    "Shop": "S1", "Slip": "1", "Day": "04.03.2024", "At": "18:05", "Card": "K1", "Article": "A1",
    "Text": "x", "Number": "2", "Unit": "ST", "Gross": "2,00", "Off": "0,50", "Coupon": "",
}  # fmt: skip


def line(**changes: str) -> str:
    assert changes.keys() <= GOOD.keys()
    return ";".join((GOOD | changes).values())


MONEY = "missing or no number (decimal comma)"
CENTS = "not in whole hundredths, or above 21474836.47"

# What becomes of a line, or None, and the line; each is in a basket of its own.
LINES: list[tuple[str | None, str]] = [
    (None, line(Slip="1")),
    (None, line(Slip="2", Number="0,534", Unit="kg", Off="")),
    (None, line(Slip="3", Number="1", Unit="l", Coupon="-0,20")),
    (None, line(Slip="4", Number="+3,000", Off="NULL", Card="")),
    (None, line(Slip="42", Card="0.0")),
    (None, line(Slip="43", Card=" 99-99 ")),
    (None, line(Slip="5", Text='"two\r\nlines; and ""more"""', Article="A4")),
    (None, line(Slip="6", Day="1.4.2024", Article=" 501.0 ")),
    (None, line(Slip="7", Gross="2,00000000", Off="2")),
    ("fuel", line(Slip="8", Article="F1", Number="30,51", Unit="l", Gross="52,99")),
    ("deposit", line(Slip="9", Article="007", Number="-1", Gross="-0,25", Off="")),
    ("return", line(Slip="10", Number="-1", Gross="-2,00", Off="-0,50")),
    ("return", line(Slip="11", Number="-0,3", Unit="kg", Gross="-2", Off="", Coupon="0,10")),
    ("return", line(Slip="12", Gross="1,00", Off="1,50")),
    ("blank line", ""),
    ("wrong number of fields", line(Slip="13") + ";more"),
    ("quotation mark not closed, or inside a field", line(Slip="14", Text='"never')),
    ("NUL character", line(Slip="15", Text="\0")),
    ("not cp1252", line(Slip="16", Text="\udc81")),
    ("Slip missing", line(Slip="N/A")),
    ("Shop missing", line(Slip="17", Shop=" ")),
    ("Article missing", line(Slip="18", Article="")),
    ("Card in scientific notation: its digits are lost", line(Slip="19", Card="9.94E+14")),
    ("Day or At missing or not %d.%m.%Y", line(Slip="20", Day="31.02.2024")),
    ("Day or At missing or not %d.%m.%Y", line(Slip="21", Day="04.03.24")),
    ("Day or At missing or not %d.%m.%Y", line(Slip="22", Day="2024-03-04")),
    ("Day or At missing or not %d.%m.%Y", line(Slip="23", At="24:00")),
    ("Day or At missing or not %d.%m.%Y", line(Slip="24", At="")),
    ("Day or At missing or not %d.%m.%Y", line(Slip="25", Day="04.03.1024")),
    (f"Number {MONEY}", line(Slip="26", Number="1.5")),
    (f"Number {MONEY}", line(Slip="27", Number="1e2")),
    ("Number zero", line(Slip="28", Number="0,0")),
    ("Number too large (at most 2147483647)", line(Slip="29", Number="2147483648")),
    (f"Gross - Off {MONEY}", line(Slip="30", Gross="")),
    (f"Gross - Off {MONEY}", line(Slip="31", Gross="2.00")),
    (f"Gross - Off {MONEY}", line(Slip="32", Off="half")),
    (f"Gross - Off {MONEY}", line(Slip="33", Gross="1.000,00")),
    (f"Gross - Off {MONEY}", line(Slip="34", Gross="12345678901234567890")),
    (f"Gross - Off {CENTS}", line(Slip="35", Gross="2,005")),
    (f"Gross - Off {CENTS}", line(Slip="36", Gross="21474836,98")),
    (None, line(Slip="37", Gross="21474836,47", Off="")),
    (f"- Coupon {MONEY}", line(Slip="38", Coupon="free")),
    ("- Coupon negative", line(Slip="39", Coupon="0,10")),
    ("basket with several customers", line(Slip="40")),
    ("basket with several customers", line(Slip="40", Card="K2")),
    (None, line(Slip="41")),
    (None, line(Slip="41")),
    ("basket of more than 2147483647 units or 21474836.47", line(Slip="44", Gross="20000000,00")),
    ("basket of more than 2147483647 units or 21474836.47", line(Slip="44", Gross="20000000,00")),
    ("deposit", line(Slip="46", Article="8")),
    ("deposit", line(Slip="47", Article="8.00")),
    (None, line(Slip="48", Article="08.0")),
    (None, line(Shop="S1/2", Slip="45")),
    (None, line(Shop="S1", Slip="2/45", Card="K2")),
]  # fmt: skip
ACCEPT = "thresholds: {max_rejected_share: 1, max_rejected_share_of_file_or_week: 1}\n"


def write_lines(folder: Path, layout: Path) -> None:
    """Write the lines in one file and some in another, and their layout."""
    lines = "\r\n".join([HEADER, *(text for _, text in LINES)]).encode("cp1252", "surrogateescape")
    (folder / "sales_1.csv").write_bytes(lines)
    again = line(Slip="1")
    more = "\n".join([HEADER.lower(), line(Slip="90"), line(Slip="91", Number="0"), again, ""])
    (folder / "sales_2.csv.gz").write_bytes(gzip.compress(more.encode("cp1252")))
    (folder / "articles.csv").write_text(ARTICLES, encoding="cp1252")
    for name in ("manual.pdf", "_old.csv", "._sales_1.csv"):
        (folder / name).write_text("no receipts")
    layout.write_text(LAYOUT + ACCEPT, encoding="utf-8")


UTC = """
currency: USD
time_zone: America/New_York
files: [lines.parquet, dates.csv]
encoding: UTF8
basket: ticket
product: sku
date: stamp
quantity: units
paid: units * price
"""


def write_utc(folder: Path, layout: Path) -> None:
    """Write files in which little is said, in UTC: one store, no customers, prices of a unit."""
    stamps = [datetime.datetime(2024, 3, 11, hour, 30) for hour in (3, 4, 5)]  # New York is at -4
    table = pa.table(
        {
            "ticket": pa.array([900719925474099, 2, 3]),
            "sku": pa.array(["a", "b", "b"]).dictionary_encode(),
            "stamp": pa.array(stamps, pa.timestamp("us", "UTC")),
            "units": pa.array([2.0, 0.534, None]),
            "price": pa.array([Decimal("1.25"), Decimal("2.99"), Decimal("1.00")]),
            "nested": pa.array([[1], [2], [3]]),
        }
    )
    pq.write_table(table, folder / "lines.parquet")
    (folder / "dates.csv").write_text(
        "\ufeffticket,sku,stamp,units,price\n4,a,20240311,1,1.25\n", encoding="utf-8"
    )
    layout.write_text(UTC + ACCEPT)


STAMPS = """
currency: USD
files: lines.csv
basket: ticket
product: sku
date: day
date_format: "%b %d'%y"
time: at
time_format: "%I:%M %p"
quantity: units
paid: units * price
"""
STAMPED = """ticket,sku,day,at,units,price
1,a,Jan 05'24,12:05 AM,1,1.25
2,a,mar 5'99,1:05 pm,1,1.25
3,a,Feb 30'24,01:05 am,1,1.25
4,a,Feb 29'24,13:05 AM,1,1.25
5,a,Feb 29'24,00:05 AM,1,1.25
6,a,Sept 1'24,11:05 AM,1,1.25
7,a,SEP 1'24,11:05 AM,0.000001,4999.999999
8,a,Dec 31'68,11:59 Pm,0.000001,5000
"""


def write_stamps(folder: Path, layout: Path) -> None:
    """Write a file in which dates and times have letters, and years two digits. Of two prices of a
    millionth one comes to a cent by a trillionth.
    """
    (folder / "lines.csv").write_text(STAMPED, encoding="utf-8")
    layout.write_text(STAMPS + ACCEPT)
