"""The synthetic chain's receipts as another chain would write them: the files of
docs/your_own_receipts.md, with more receipts.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from pathlib import Path

import pyarrow.parquet as pq

DOCUMENT = Path(__file__).resolve().parents[4] / "docs" / "your_own_receipts.md"
TEXTS = ("Crème\nfraîche; 200 g", 'Käse "jung"', "Äpfel", "Brot", "Müsli; 1 kg")
HEADER = [
    "store", "receipt", "date", "time", "card", "article", "text", "quantity", "unit", "gross",
    "discount", "coupon",
]  # fmt: skip


STORE = ("CODE", "FORMAT", "REGION")


def documented(name: str) -> str:
    """The contents of a file that the document shows, by its name."""
    (content,) = re.findall(
        rf"`{re.escape(name)}`:\n\n```\w*\n(.*?)```",
        DOCUMENT.read_text(encoding="utf-8"),
        re.DOTALL,
    )
    return content


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_bytes(text.encode("latin-1"))


def comma(pence: int) -> str:
    return f"{pence / 100:.2f}".replace(".", ",")


def write_own_chain(chain: Path, folder: Path) -> dict[str, int]:
    """Write the receipts of a synthetic chain as files by month; returns how many lines were added
    that are no sale, by reason.

    Every line has its article's text, every seventh a discount, single pieces of articles sold by
    weight a weight; every 40th receipt gives something back, and every 60th is for fuel alone.
    """
    lines = []
    for path in sorted(chain.glob("transactions_*.csv")):
        with path.open(newline="") as file:
            lines += csv.DictReader(file)
    lines.sort(key=lambda line: (line["SHOP_DATE"], line["STORE_CODE"], line["BASKET_ID"]))
    truth = pq.read_table(
        chain / "truth" / "products.parquet", columns=["product", "random_weight"]
    )
    weighed = {row["product"] for row in truth.to_pylist() if row["random_weight"]}

    receipts: dict[str, str] = {}
    numbers: dict[tuple[str, str], int] = defaultdict(int)
    months: dict[str, list[list[str]]] = defaultdict(list)
    added = {"return": 0, "fuel": 0}

    def add(line: dict[str, str], receipt: str, article: str, *rest: str) -> None:
        day = line["SHOP_DATE"]
        months[day[:6]].append(
            [
                line["STORE_CODE"], receipt, f"{day[6:]}.{day[4:6]}.{day[:4]}",
                f"{int(line['SHOP_HOUR']):02}:{int(receipt) % 60:02}", line["CUST_CODE"], article,
                TEXTS[hash_of(article) % len(TEXTS)], *rest,
            ]
        )  # fmt: skip

    for number, line in enumerate(lines):
        place = (line["STORE_CODE"], line["SHOP_DATE"])
        if line["BASKET_ID"] not in receipts:
            numbers[place] += 1
            if len(receipts) % 60 == 59:
                add(line, str(numbers[place]), "F1", "41,20", "l", "68,35", "", "")
                added["fuel"] += 1
                numbers[place] += 1
            receipts[line["BASKET_ID"]] = str(numbers[place])
            if len(receipts) % 40 == 39:
                add(line, str(numbers[place]), line["PROD_CODE"], "-1", "pc", "-1,99", "", "")
                added["return"] += 1
        paid, discount = round(float(line["SPEND"]) * 100), 20 * (number % 7 == 0)
        quantity, unit = line["QUANTITY"], "pc"
        if line["PROD_CODE"] in weighed and quantity == "1":
            quantity, unit = ("1", "kg") if number % 9 == 0 else (f"0,{100 + number % 800}", "kg")
        add(
            line, receipts[line["BASKET_ID"]], line["PROD_CODE"], quantity, unit,
            comma(paid + discount), comma(discount) if discount else "", "",
        )  # fmt: skip

    for month, rows in months.items():
        with (folder / f"sales_{month[:4]}-{month[4:]}.csv").open(
            "w", newline="", encoding="latin-1"
        ) as file:
            csv.writer(file, delimiter=";").writerows([HEADER, *rows])
    by_code = {line["PROD_CODE"]: line for line in lines}
    write(folder, "articles.csv", _table(
        "article;name;group;department",
        [[code, TEXTS[hash_of(code) % len(TEXTS)], line["PROD_CODE_20"], line["PROD_CODE_40"]]
         for code, line in sorted(by_code.items())] + [["F1", "Diesel", "Fuel", "Fuel"]],
    ))  # fmt: skip
    write(folder, "stores.csv", _table(
        "store;format;region",
        sorted({tuple(line[f"STORE_{of}"] for of in STORE) for line in lines}),
    ))  # fmt: skip
    return added


def hash_of(code: str) -> int:
    return sum(map(ord, code))


def _table(header: str, rows) -> str:
    quoted = [";".join('"' + value.replace('"', '""') + '"' for value in row) for row in rows]
    return "\n".join([header, *quoted, ""])
