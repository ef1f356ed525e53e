"""`--like`: another warehouse in the words of a cache. Everything is worked out by head.

The reference is the warehouse of tiny.py: N = 5 products, so categories have the fallback tokens
8 (C1), 9 (C2), 10 (C3), 11 (C4), 12 (S1), 13 (S2), 14 (G1), 15 (G2), 16 (D1), 17 (D2).
"""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import tiny

from dbt_project.export.__main__ import main
from trainer.cache.reader import TensorCache
from trainer.cache.schema import COLUMN, STATIC_TABLES
from trainer.cache.writer import write_cache

PRICES = ("actual_price_pence", "previous_price_pence", "base_price_pence")
NOTHING = {
    "products": 0, "items": 0, "items_of_unknown_departments": 0, "trips": 0,
    "stores": 0, "trips_at_stores": 0, "labels": 0,
}  # fmt: skip


def recode_product(marts: tiny.Tables, old: str, new: str, **categories: str) -> None:
    """Another code (in the same place of the order), and other categories where given."""
    tiny.change(marts["products"], {"product_code": old}, product_code=new, **categories)
    tiny.change(marts["product_graph_nodes"], {"level": "product", "code": old}, code=new)


def recode_category(marts: tiny.Tables, level: int, old: str, new: str) -> None:
    """Another code (in the same place of the order) for a category of level 1 to 4."""
    column = f"category_{level}"
    tiny.change(marts["products"], {column: old}, **{column: new})
    tiny.change(marts["product_graph_nodes"], {"level": f"category_{level}", "code": old}, code=new)


def add_anonymous_trip(marts: tiny.Tables, key: int, product: int) -> None:
    """One unit of a product at STORE1 in week 1 for 10 pence."""
    trip = marts["trips"][0] | {"trip_key": key, "basket_id": 9000 + key}
    trip |= {"item_count": 1, "spend_pence": 10}
    item = {"trip_key": key, "product_key": product, "week": 1, "quantity": 1, "spend_pence": 10}
    marts["trips"].append(trip)
    marts["trip_items"].append(item)
    price = {"product_key": product, "store_key": 1, "week": 1, "sales": 1}
    marts["prices"].append(price | dict.fromkeys(PRICES, 10))
    week = marts["weeks"][0]
    for name, more in (("trips", 1), ("items", 1), ("spend_pence", 10)):
        week[name] = int(week[name]) + more


def test_itself_changes_nothing(tiny_cache, export):
    """But for one label: CUST3's lifestage is unknown in the reference too, and here it is said."""
    cache = export(tiny.tables(), like=tiny_cache.folder)
    for name in COLUMN:
        np.testing.assert_array_equal(cache[name], tiny_cache[name], err_msg=name)
    assert cache.digest == tiny_cache.digest
    assert cache.vocabulary_digest == tiny_cache.vocabulary_digest
    assert cache.manifest["reference_vocabulary"] == tiny_cache.vocabulary_digest
    assert cache.manifest["split_from"] == "reference"
    assert cache.manifest["unmapped"] == NOTHING | {"labels": 1}
    assert cache.manifest["unmapped_labels"] == {"lifestage": ["ZZ"]}


def test_unknown_products_count_as_their_finest_known_category(tiny_cache, export):
    marts = tiny.tables()
    recode_product(marts, "PRD2", "PRD15")  # C1 is known
    recode_category(marts, 1, "C2", "C25")
    recode_product(marts, "PRD3", "PRD35")  # C25 is not, S1 is
    recode_product(marts, "PRD5", "PRD55")  # C4 is known, if only as novel
    for level, old in ((1, "C3"), (2, "S2"), (3, "G2"), (4, "D2")):
        recode_category(marts, level, old, f"{old}5")
    recode_product(marts, "PRD4", "PRD45")  # nothing is: D1, the only department with trips
    cache = export(marts, like=tiny_cache.folder)

    # Trips 2, 4, 5, 7, 3, 8, 6.
    assert cache["items.token"].tolist() == [1, 8, 1, 1, 16, 1, 11, 12, 12, 8]
    assert cache["trips.has_novel_product"].tolist() == [True, False, True, True, True, True, True]
    assert cache["items.price"].tolist() == tiny_cache["items.price"].tolist()
    assert not len(cache["anonymous_prices.product"])  # that of PRD3, now PRD35
    assert cache["promotions.product"].tolist() == [0, 0, 0]  # without that of PRD2
    assert cache.manifest["unmapped"] == NOTHING | {
        "products": 4, "items": 6, "items_of_unknown_departments": 1, "trips": 6, "labels": 1,
    }  # fmt: skip
    for name in (n for n in COLUMN if n.partition(".")[0] in STATIC_TABLES):
        np.testing.assert_array_equal(cache[name], tiny_cache[name], err_msg=name)


def test_fallbacks_go_level_by_level(tiny_cache, export):
    marts = tiny.tables()
    recode_product(marts, "PRD3", "PRD35")
    for level, old, token in ((1, "C2", 12), (2, "S1", 14), (3, "G1", 16)):
        recode_category(marts, level, old, f"{old}5")
        cache = export(marts, f"to_{token}", like=tiny_cache.folder)
        assert cache["items.token"].tolist() == [1, 2, 1, 1, 4, 1, 5, token, token, 2]


def test_a_known_product_is_itself_whatever_its_categories(tiny_cache, export):
    marts = tiny.tables()
    for level, old in ((1, "C3"), (2, "S2"), (3, "G2"), (4, "D2")):
        recode_category(marts, level, old, f"{old}5")
    cache = export(marts, like=tiny_cache.folder)
    assert cache["items.token"].tolist() == tiny_cache["items.token"].tolist()
    assert cache.manifest["unmapped"] == NOTHING | {"labels": 1}


def test_what_shares_nothing_counts_as_the_most_frequent_department(tiny_cache, export):
    """Of the reference's training trips, D1's products are on six, D2's on `extra`."""
    for extra, token in ((5, 16), (6, 16), (7, 17)):
        marts = two_departments()
        for key in range(9, 9 + extra):
            add_anonymous_trip(marts, key=key, product=4)
        reference = export(marts, f"reference_{extra}")
        assert reference["products.train_trips"].tolist() == [3, 1, 2, extra, 0]
        stranger = tiny.tables()
        recode_category(stranger, 1, "C4", "C45")
        above = {"category_2": "S15", "category_3": "G15", "category_4": "D15"}
        recode_product(stranger, "PRD5", "PRD55", **above)
        tiny.rebuild_nodes(stranger)
        cache = export(stranger, f"stranger_{extra}", like=reference.folder)
        assert cache["items.token"].tolist() == [1, 2, 1, 1, 4, 1, token, 3, 3, 2]
        assert cache.manifest["unmapped"]["items_of_unknown_departments"] == 1


def test_kinds_of_trips_have_the_codes_of_the_reference(tiny_cache, export):
    """Types stand the other way round here, and trip 2 has a focus that the reference lacks."""
    marts = tiny.tables()
    for label, code in (("Full Shop", 1), ("Small Shop", 3)):
        tiny.change(marts["int_kind_labels"], {"label": label}, code=code)
    tiny.change(marts["int_kind_labels"], {"label": "Fresh"}, label="Baked")
    tiny.change(marts["trips"], {"trip_key": 2}, trip_focus="Baked")
    row = {"customer_key": 1, "as_of_week": 5}
    shares = {"type_shares": [0.5, 0.25, 0.25, 0], "focus_shares": [0.25, 0, 0, 0.75, 0]}
    tiny.change(marts["customer_missions"], row, **shares)
    cache = export(marts, like=tiny_cache.folder)
    assert cache.labels == tiny_cache.labels
    assert cache["trips.type"].tolist() == tiny_cache["trips.type"].tolist()
    assert tiny_cache["trips.focus"].tolist()[0] == 1
    assert cache["trips.focus"].tolist() == [0, *tiny_cache["trips.focus"].tolist()[1:]]
    assert cache["customer_weeks.type_shares"][4].tolist() == [0.25, 0.25, 0.5, 0]
    assert cache["customer_weeks.focus_shares"][4].tolist() == [0, 0, 0, 0.75, 0.25]
    assert cache.manifest["unmapped_labels"] == {"lifestage": ["ZZ"], "focus": ["Baked"]}


def test_two_unknown_products_of_a_basket_may_share_a_token(tiny_cache, export):
    marts = tiny.tables()
    recode_product(marts, "PRD1", "PRD05")
    recode_product(marts, "PRD2", "PRD15")
    cache = export(marts, like=tiny_cache.folder)
    # Trip 2 keeps both; trips 5 and 7 are in the order of tokens, so PRD05 comes last there.
    assert cache["items.token"].tolist() == [8, 8, 8, 4, 8, 5, 8, 3, 3, 8]
    assert cache["items.quantity"].tolist() == [2, 1, 1, 1, 1, 3, 1, 1, 1, 1]
    assert cache["shelf_prices.pence"][cache["items.price"]].tolist() == [
        95, 200, 80, 300, 100, 40, 100, 50, 50, 210
    ]  # fmt: skip
    assert cache["trips.spend_pence"].tolist() == tiny_cache["trips.spend_pence"].tolist()
    assert cache.manifest["unmapped"]["items"] == 6


@pytest.mark.parametrize(
    ("format_", "region", "figures", "codes"),
    [
        ("SS", "S01", (1, 1, 1, 3), (2, 2)),  # STORE2's own kind
        ("LS", "S01", (3, 1.5, 2.5, 1), (1, 2)),  # no large store there: STORE1, the large one
        ("ZZ", "S01", (2, 1.25, 1.75, 2), (0, 2)),  # no such format: half way between the two
        ("ZZ", "W01", (2, 1.25, 1.75, 2), (0, 0)),
    ],
)
def test_unknown_stores_are_appended(tiny_cache, export, format_, region, figures, codes):
    marts = tiny.tables()
    tiny.change(
        marts["stores"], {"store_key": 2},
        store_code="STORE25", store_format=format_, store_region=region,
    )  # fmt: skip
    cache = export(marts, like=tiny_cache.folder)
    assert cache["stores.code"].tolist() == [b"STORE1", b"STORE2", b"STORE3", b"STORE25"]
    assert (cache["stores.format"][3], cache["stores.region"][3]) == codes
    names = ("assortment_breadth", "trips_per_week", "items_per_week", "local_competition")
    assert tuple(cache[f"stores.{name}"][3] for name in names) == figures
    assert cache["stores.age_weeks"][3] == 0
    assert cache["stores.is_novel"][3]
    assert cache["trips.store"].tolist() == [0, 0, 0, 0, 3, 3, 2]
    assert cache["customer_weeks.primary_store"].tolist() == [0, 1, 1, 1, 1, 0, 4, 4, 0, 3]
    unknown = 1 + (codes[0] == 0) + (codes[1] == 0)  # CUST3's lifestage, as always
    expected = NOTHING | {"stores": 1, "trips_at_stores": 2, "labels": unknown}
    assert cache.manifest["unmapped"] == expected
    # The stores are part of the vocabulary; that the model's own is behind it is remembered.
    assert cache.vocabulary_digest != tiny_cache.vocabulary_digest
    assert cache.manifest["reference_vocabulary"] == tiny_cache.vocabulary_digest


def test_stores_without_timelines_are_not_appended(tiny_cache, export):
    marts = tiny.tables()
    marts["stores"].append(marts["stores"][1] | {"store_key": 4, "store_code": "STORE4"})
    assert export(marts, like=tiny_cache.folder).rows("stores") == 3


def test_stores_without_timelines_have_no_prices(tiny_cache, export):
    """Anonymous trip 1 moves to a new store."""
    marts = tiny.tables()
    marts["stores"].append(marts["stores"][1] | {"store_key": 4, "store_code": "STORE4"})
    tiny.change(marts["trips"], {"trip_key": 1}, store_key=4)
    tiny.change(marts["prices"], {"product_key": 3, "store_key": 1}, store_key=4)
    assert export(marts, "with")["anonymous_prices.store"].tolist() == [3]
    assert not len(export(marts, "without", like=tiny_cache.folder)["anonymous_prices.store"])


def test_unknown_labels_are_0_and_counted(tiny_cache, export):
    marts = tiny.tables()
    tiny.change(marts["customers"], {"customer_key": 1}, price_sensitivity="QQ")
    tiny.change(marts["customers"], {"customer_key": 2}, lifestage="AB")
    cache = export(marts, like=tiny_cache.folder, country="US")
    assert cache["customers.price_sensitivity"].tolist() == [0, 0, 1]
    assert cache["customers.lifestage"].tolist() == [2, 0, 0]
    # Every holiday of the United States in these weeks has a name that the reference knows.
    assert cache.manifest["unmapped_labels"] == {
        "price_sensitivity": ["QQ"], "lifestage": ["AB", "ZZ"],
    }  # fmt: skip
    assert cache.manifest["unmapped"]["labels"] == 3
    assert cache.labels == tiny_cache.labels


def test_unknown_holidays_are_holidays_without_a_name(tiny_cache, export):
    cache = export(tiny.tables(), like=tiny_cache.folder, country="GB-SCT")
    assert cache.manifest["unmapped_labels"]["holiday"] == ["New Year Holiday"]
    second_of_january = 22
    assert cache["days.holiday"][second_of_january] == 0
    assert cache["days.until_holiday"][second_of_january] == 0


def test_the_country_is_that_of_the_reference(export):
    scotland = export(tiny.tables(), "scotland", country="GB-SCT")
    cache = export(tiny.tables(), like=scotland.folder)
    assert cache.manifest["settings"]["country"] == "GB-SCT"
    assert cache.digest == scotland.digest


def two_departments() -> tiny.Tables:
    """The same with PRD4 sold in training: D2 is a department, with the rest of the shares."""
    marts = tiny.tables()
    tiny.change(marts["products"], {"product_key": 4}, is_novel=False, first_week=1)
    for row in marts["customer_history"]:
        shares = row["category_shares"]
        row["category_shares"] = shares and [shares[0], 1 - shares[0]]
    return marts


def test_department_shares_follow_the_reference(tiny_cache, export):
    two = export(two_departments(), "two")
    assert two.labels["department"] == ("D1", "D2")
    one_as_two = export(tiny.tables(), "one_as_two", like=two.folder)
    np.testing.assert_array_equal(
        one_as_two["customer_weeks.department_shares"][:, 0],
        tiny_cache["customer_weeks.department_shares"][:, 0],
    )
    assert not one_as_two["customer_weeks.department_shares"][:, 1].any()

    renamed = two_departments()  # D1 becomes unknown, D2 is now the first
    recode_category(renamed, 4, "D1", "D15")
    recode_category(renamed, 4, "D2", "D3")
    recode_category(renamed, 4, "D15", "D2")
    cache = export(renamed, "renamed", like=two.folder)
    found, was = (c["customer_weeks.department_shares"] for c in (cache, two))
    assert not found[:, 0].any()
    np.testing.assert_array_equal(found[:, 1], was[:, 0])
    assert cache.manifest["unmapped_labels"]["department"] == ["D3"]


def test_novel_to_the_reference_is_novel(tiny_cache, export):
    """PRD4 is of training here, not in the reference whose model is to score it."""
    marts = two_departments()
    cache = export(marts, like=tiny_cache.folder)
    assert cache["trips.has_novel_product"].tolist() == [False] * 2 + [True] * 2 + [False] * 3


class TestSplit:
    def test_longer_calendar(self, tiny_cache, export):
        """The warehouse calls weeks 3 to 5 later. What the reference knows is split as there."""
        marts = tiny.tables()
        for week in (3, 4):
            tiny.change(marts["weeks"], {"week": week}, split="later")
        marts["weeks"].append(
            marts["weeks"][3]
            | {"week": 5, "shop_week": 200647, "trips": 0, "items": 0, "spend_pence": 0}
            | {"date_from": "2007-01-08", "date_to": "2007-01-14"}
        )
        cache = export(marts, like=tiny_cache.folder)
        assert cache.split == {
            "train": (1, 2),
            "validation": (3, 3),
            "test": (4, 4),
            "later": (5, 5),
        }
        assert cache.manifest["split_from"] == "reference"
        assert cache.manifest["totals"]["test"]["identified"]["trips"] == 2
        assert cache.manifest["totals"]["later"]["identified"]["trips"] == 0

        longer = export(marts, "longer", like=cache.folder)
        assert longer.split == cache.split

    def test_shorter_calendar(self, tiny_cache, export):
        """The split keeps its meaning, though its last weeks are not there."""
        marts = tiny.tables()
        marts["weeks"].pop()
        for mart in ("trips", "trip_items", "prices"):
            marts[mart] = [row for row in marts[mart] if int(row["week"]) < 4]
        for mart in ("customer_history", "customer_missions", "customer_store_affinity"):
            marts[mart] = [row for row in marts[mart] if row["as_of_week"] != 4]
        tiny.change(marts["customer_history"], {"customer_key": 1, "as_of_week": 5}, trips=3)
        tiny.change(marts["customer_history"], {"customer_key": 2, "as_of_week": 5}, trips=1)
        cache = export(marts, like=tiny_cache.folder)
        assert cache.split == tiny_cache.split
        assert cache.rows("trips") == 5

    def test_another_calendar(self, tiny_cache, export, tmp_path, capsys):
        marts = tiny.tables()
        tiny.change(marts["weeks"], {"week": 1}, shop_week=200642)
        tiny.change(marts["weeks"], {"week": 3}, split="test")
        cache = export(marts, like=tiny_cache.folder)
        assert cache.split == {"train": (1, 2), "test": (3, 4)}
        assert cache.manifest["split_from"] == "warehouse"
        assert main(command(tmp_path / "cache.duckdb", tmp_path / "again", tiny_cache.folder)) == 0
        assert "calendar is not that of" in capsys.readouterr().err


def command(database, out, like) -> list[str]:
    return ["--database", str(database), "--out", str(out), "--like", str(like)]


def test_a_checkpoints_vocabulary_is_enough(tiny_cache, export, tmp_path):
    """A cache without customers: static tables and calendar only."""
    vocabulary = tmp_path / "checkpoint" / "vocabulary"
    columns = {name: np.array(tiny_cache[name]) for name in COLUMN}
    for name, column in COLUMN.items():
        if column.is_offsets:
            columns[name] = columns[name][:1]
        elif column.table not in (*STATIC_TABLES, "weeks", "days"):
            columns[name] = columns[name][:0]
    kept = ("labels", "split", "totals", "settings")
    write_cache(vocabulary, columns, {name: tiny_cache.manifest[name] for name in kept})
    of_checkpoint = export(tiny.tables(), "of_checkpoint", like=vocabulary.parent)
    of_folder = export(tiny.tables(), "of_folder", like=vocabulary)
    assert of_checkpoint.digest == of_folder.digest == tiny_cache.digest


def test_a_cache_can_be_written_over_its_own_reference(tiny_cache, export, tmp_path):
    shutil.copytree(tiny_cache.folder, tmp_path / "cache")
    assert export(tiny.tables(), "cache", like=tmp_path / "cache").digest == tiny_cache.digest


def test_the_command_says_what_it_could_not_map(tiny_cache, write_tiny, tmp_path, capsys):
    marts = tiny.tables()
    recode_product(marts, "PRD2", "PRD15")
    for level, old in ((1, "C3"), (2, "S2"), (3, "G2"), (4, "D2")):
        recode_category(marts, level, old, f"{old}5")
    recode_product(marts, "PRD4", "PRD45")
    tiny.change(marts["stores"], {"store_key": 2}, store_code="STORE25")
    database = write_tiny(tmp_path / "w.duckdb", marts)
    like = tiny_cache.folder
    assert main(command(database, tmp_path / "cache", like)) == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert [line[line.index("warning") :] for line in warnings] == [
        f"warning: 2 products are unknown to {like} and count as their category: "
        "3 items (30.0%) in 3 trips (42.9%)",
        f"warning: 1 items (10.0%) are of departments unknown to {like} and count as its most "
        "frequent department",
        f"warning: 1 stores are unknown to {like} and get figures of their kind: 2 trips (28.6%)",
        f"warning: lifestage has labels unknown to {like}, now 0: ZZ",
    ]
    assert TensorCache(tmp_path / "cache").manifest["unmapped"]["items"] == 3
