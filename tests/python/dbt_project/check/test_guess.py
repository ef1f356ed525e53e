"""What is guessed of files that chains in many places might write."""

from __future__ import annotations

import datetime
import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dbt_project.check.__main__ import as_yaml, main
from dbt_project.check.guess import guess
from dbt_project.check.tables import tables_in


def keys_of(folder):
    found = guess(tables_in(folder, 1000)[0])
    as_yaml(found)
    return found


def write(folder, name: str, text: str, encoding: str = "utf-8") -> None:
    (folder / name).write_bytes(text.encode(encoding))


def test_an_online_shop(tmp_path):
    """Times in the date, prices of one unit, American dates."""
    write(
        tmp_path, "online.csv",
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
        '536365,85123A,"HOLDER, WHITE",6,12/13/2010 8:26,2.55,17850,United Kingdom\n'
        "536365,71053,LANTERN,6,12/13/2010 8:26,3.39,17850,United Kingdom\n"
        "C536379,D,Discount,-1,12/1/2010 9:41,27.50,14527,United Kingdom\n",
    )  # fmt: skip
    found = keys_of(tmp_path)
    assert found.keys == {
        "files": "online.csv", "basket": "InvoiceNo", "customer": "CustomerID",
        "product": "StockCode", "date": "InvoiceDate", "date_format": "%m/%d/%Y %H:%M",
        "quantity": "Quantity", "paid": "Quantity * UnitPrice", "store_region": "Country",
    }  # fmt: skip
    assert found.unused == ["Description"] and not found.missing
    assert found.notes == ["no column found for store: there is one store"]


def test_a_german_supermarket(tmp_path):
    """Windows-1252 with tabs, amounts before discounts, files by month, tills of their own."""
    for month in ("01", "02"):
        write(
            tmp_path, f"bons_2023{month}.txt",
            "Filiale\tBon-Nr.\tDatum\tUhrzeit\tKundenkarte\tArtikel-Nr.\tMenge\tBetrag\tRabatt\n"
            f"1\t1\t2023{month}04\t0805\tK\u20ac1\t17\t1\t1,99\t0,20\n"
            f"2\t1\t2023{month}05\t2359\t\t17\t2\t3,98\t\n"
            f"2\t1\t2023{month}06\t2359\tK2\t18\t0,5\t3,00\t\n",
            "cp1252",
        )  # fmt: skip
    write(
        tmp_path, "artikel.txt", "Nr\tWarengruppe\tAbteilung\n17\tMilch\tMoPro\n18\tObst\tFrische\n"
    )
    found = keys_of(tmp_path)
    assert found.keys == {
        "files": "bons_*.txt", "delimiter": "tab", "encoding": "cp1252", "decimal": ",",
        "basket": ["Bon-Nr.", "Filiale", "Datum"], "customer": "Kundenkarte",
        "product": "Artikel-Nr.", "store": "Filiale", "date": "Datum", "time": "Uhrzeit",
        "time_format": "%H%M", "quantity": "Menge", "paid": "Betrag",
        "categories": ["Warengruppe", "Abteilung"], "lookups": {"artikel.txt": "Artikel-Nr. = Nr"},
    }  # fmt: skip
    assert found.notes == [
        "Rabatt: taken for off Betrag already; if not, write paid: Betrag - Rabatt, "
        "and regular: Betrag"
    ]


def test_parquet_and_times_in_utc(tmp_path):
    stamp = datetime.datetime(2024, 1, 1, 3, tzinfo=datetime.UTC)
    columns = {
        "transaction_id": [1, 2], "household_id": [5, 6], "product_id": [7, 7],
        "sold_at": [stamp, stamp], "qty": [1.0, 2.0], "net_sales": [1.25, 2.5],
        "list_price": [1.5, 1.5],
    }  # fmt: skip
    pq.write_table(pa.table(columns), tmp_path / "lines.parquet")
    found = keys_of(tmp_path)
    assert found.keys == {
        "files": "lines.parquet", "basket": "transaction_id", "customer": "household_id",
        "product": "product_id", "date": "sold_at", "quantity": "qty", "paid": "net_sales",
        "regular": "qty * list_price",
    }  # fmt: skip
    assert found.notes[0] == "sold_at is in UTC: add time_zone, such as Europe/Paris"


@pytest.mark.parametrize("sign", ["", "-"])
def test_discounts_and_coupons_of_either_sign(tmp_path, sign):
    """A negative discount that is taken off would make everything dearer."""
    write(
        tmp_path, "a.csv",
        "receipt;sku;date;gross - amount;discount;coupon\n"
        f"1;2;2024-01-31;1,00;{sign}0,20;0,00\n1;3;2024-01-31;2,00;0,00;{sign}0,30\n",
    )  # fmt: skip
    found = keys_of(tmp_path)
    assert found.keys["paid"] == f"`gross - amount` {'+' if sign else '-'} discount"
    assert found.keys["coupon"] == ("- coupon" if sign else "coupon")
    assert found.keys["decimal"] == "," and not found.unused


def test_an_amount_that_may_be_another_with_tax(tmp_path):
    """All prices would seem cut by the rate of the tax."""
    write(tmp_path, "a.csv", "bon;artikel;datum;netto;brutto\n1;2;2024-01-31;1,00;1,19\n")
    found = keys_of(tmp_path)
    assert (found.keys["paid"], found.keys["regular"]) == ("netto", "brutto")
    assert found.notes[0] == (
        "brutto: taken for netto before discounts; if it is that with tax, write paid: brutto, and "
        "no regular"
    )


@pytest.mark.parametrize("second", ["3.00", "2.00"])
def test_an_amount_that_may_be_that_of_the_receipt(tmp_path, second):
    lines = ["1,2,2024-01-31,3.00", f"1,3,2024-01-31,{second}", "2,2,2024-01-31,5.00"]
    text = "\n".join(["receipt,sku,date,total", *lines, lines[-1].replace(",2,", ",3,"), ""])
    write(tmp_path, "a.csv", text)
    told = "total is the same on all lines of each receipt: if it is the sum of them, name in paid"
    assert any(note.startswith(told) for note in keys_of(tmp_path).notes) == (second == "3.00")


@pytest.mark.parametrize("amount", ["15.000", "1,250", "1,99", "2"])
def test_signs_between_thousands(tmp_path, amount):
    """Where a currency has no cents: as decimals, they make a thousandth of every amount."""
    text = f"receipt;sku;date;total\n1;2;2024-01-31;{amount}\n1;3;2024-01-31;900\n"
    write(tmp_path, "a.csv", text)
    told = [note for note in keys_of(tmp_path).notes if "digits" in note]
    assert told == [
        f"total: the last three digits of {shown} are read as decimals: if they are not, write "
        "amounts without signs between thousands"
        for shown in {amount} - {"1,99", "2"}
    ]


@pytest.mark.parametrize(
    ("time", "written"), [("0805", "%H%M"), ("080559", "%H%M%S"), ("8.05", "%H.%M")]
)
def test_times_without_a_colon(tmp_path, time, written):
    write(tmp_path, "a.csv", f"receipt,sku,date,time,total\n1,2,2024-01-31,{time},1.00\n")
    assert keys_of(tmp_path).keys["time_format"] == written


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_names_in_quotation_marks(tmp_path, delimiter):
    """As databases export: divided by another delimiter, such a header cannot be read at all."""
    rows = ["receipt", "sku", "date", "total"], ["1", "2", "2024-01-31", "1.00"]
    text = "\n".join(delimiter.join(f'"{value}"' for value in row) for row in rows)
    write(tmp_path, "a.csv", f"{text}\n", "utf-8-sig")
    found = keys_of(tmp_path)
    assert {"basket": "receipt", "product": "sku", "paid": "total"}.items() <= found.keys.items()


def test_day_and_month_either_way_round(tmp_path):
    write(tmp_path, "a.csv", "receipt,sku,date,total\n1,2,03/04/2024,1.00\n2,2,05/06/2024,2.00\n")
    found = keys_of(tmp_path)
    assert found.keys["date_format"] == "%d/%m/%Y"
    assert found.notes == [
        "date: day and month could be either way round",
        "no column found for customer: all shoppers are anonymous",
        "no column found for store: there is one store",
        "no column found for quantity: each line is one unit",
    ]


def test_lines_stamped_one_by_one_of_receipts_numbered_anew_every_day(tmp_path):
    """As the time is part of what tells baskets apart, every line would be one."""
    lines = [
        f"S1,{number},2024-01-0{day} 10:0{number}:{second},{second},1.00"
        for day in (1, 2) for number in (1, 2) for second in (10, 20)
    ]  # fmt: skip
    for stamp, notes in ((lambda text: text, 1), (lambda text: text.replace(":20,", ":10,"), 0)):
        text = "\n".join(["store,receipt,datetime,sku,total", *map(stamp, lines)])
        write(tmp_path, "a.csv", f"{text}\n")
        found = keys_of(tmp_path)
        assert found.keys["basket"] == ["receipt", "datetime"]
        told = [note for note in found.notes if "give the day a column of its own" in note]
        assert len(told) == notes


def test_months_in_another_order_or_with_more_columns(tmp_path):
    """All that have the columns of lines are read, and what is not read is named."""
    write(tmp_path, "sales_1.csv", "receipt,sku,date,total\n1,2,2024-01-02,1.00\n")
    write(tmp_path, "sales_2.csv", "Total,receipt,sku,till,date\n2.00,2,2,9,2024-02-02\n")
    write(tmp_path, "sales_3.csv", "receipt;sku;date;total\n1;2;2024-03-02;1.00\n")
    write(tmp_path, "plans.csv", "day,visitors\n1,2\n")
    found = keys_of(tmp_path)
    assert found.keys == {
        "files": ["sales_1.csv", "sales_2.csv"], "basket": "receipt", "product": "sku",
        "date": "date", "paid": "total",
    }  # fmt: skip
    assert found.notes[:2] == [
        f"{name} is not read: {why}, nor codes that add columns"
        for name, why in [
            ("plans.csv", "no column receipt"),
            ("sales_3.csv", "another delimiter than sales_1.csv has"),
        ]
    ]


@pytest.mark.parametrize(
    ("names", "files"),
    [
        (["2024-11.csv", "2024-12.csv"], "????-??.csv"),
        (["2024-11.csv", "november.csv"], ["2024-11.csv", "november.csv"]),
        (["p11.csv", "p12.csv"], "p*.csv"),
    ],
)
def test_the_next_file_has_the_same_kind_of_name(tmp_path, names, files):
    """Named one by one, the files of a layout would leave it out without a word."""
    for name in names:
        write(tmp_path, name, "receipt,sku,date,total\n1,2,2024-01-02,1.00\n")
    write(tmp_path, "products.csv", "sku,category\n2,Milk\n")
    found = keys_of(tmp_path)
    assert found.keys["files"] == files
    assert found.keys["lookups"] == {"products.csv": "sku"}


def test_a_code_with_another_name_elsewhere_is_that_of_the_lines(tmp_path):
    write(tmp_path, "a.csv", "receipt,Article No,date,total\n1,A1,2024-01-02,1\n")
    write(tmp_path, "b.csv", "sku,category\nA1,C\n")
    keys = keys_of(tmp_path).keys
    assert (keys["product"], keys["lookups"]) == ("Article No", {"b.csv": "Article No = sku"})
    assert keys["categories"] == ["category"]


def test_a_file_cut_short_is_named(tmp_path, capsys):
    text = "".join(f"{line},a,2024-01-02,1\n" for line in range(5000))
    packed = gzip.compress(f"receipt,sku,date,total\n{text}".encode())
    (tmp_path / "a.csv.gz").write_bytes(packed[:-100])
    assert main([str(tmp_path)]) == 2
    assert "a.csv.gz: damaged or cut short" in capsys.readouterr().err
    write(tmp_path, "time.csv", "shop_week\n")
    (tmp_path / "a.csv.gz").rename(tmp_path / "transactions.csv.gz")
    assert main([str(tmp_path)]) == 2
    assert "transactions.csv.gz: " in capsys.readouterr().err


def test_stores_numbered_as_products_are(tmp_path):
    write(
        tmp_path, "a.csv", "receipt,sku,shop,date,total\n1,1,2,2024-01-02,1\n2,2,1,2024-01-02,1\n"
    )
    write(tmp_path, "b.csv", "shop,region\n1,N\n2,S\n")
    assert keys_of(tmp_path).keys["lookups"] == {"b.csv": "shop"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "no files of receipts. Expected CSV"),
        ("Sales of May\n\nreceipt,sku,date,total\n", "a.csv: one column only. Expected the names"),
        ("receipt,sku\n" + "1" * 3_000_000, "a.csv: line 2 is longer than 2 MB"),
        ("receipt,sku,when,how much\n1,2,today,3\n", "no column found for date, paid: name the"),
    ],
)
def test_a_folder_that_does_not_fit(tmp_path, capsys, text, told):
    if text:
        write(tmp_path, "a.csv", text)
    out = tmp_path / "my.yml"
    assert main([str(tmp_path), "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and told in said
    assert out.exists() == ("no column found" in said)  # what is known, to be completed


def test_columns_of_a_file_that_adds_nothing(tmp_path):
    """A file whose codes fit, but whose columns have no part, is not read, nor are they named."""
    write(tmp_path, "sales.csv", "receipt,sku,date,total\n1,2,2024-01-02,1.00\n")
    write(tmp_path, "shelves.csv", "sku,shelf_depth\n2,40\n")
    found = keys_of(tmp_path)
    assert "lookups" not in found.keys and found.unused == []
    assert found.notes[0].startswith("shelves.csv is not read")


def test_a_code_of_all_who_show_no_card(tmp_path):
    lines = [f"{n},7,2024-01-02,1.00,{0 if n < 22 else n}" for n in range(25)]
    write(tmp_path, "sales.csv", "\n".join(["receipt,sku,date,total,card", *lines, ""]))
    note = "card is 0 on 88% of the lines: if that stands for no card, add no_card: [0]"
    assert note in keys_of(tmp_path).notes
