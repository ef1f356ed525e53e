"""Chains with another future: all rows from a week on dropped, or put out of order."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

SPLIT = {"train_last_week": 80, "validation_last_week": 95, "test_last_week": 117}
"""That of the default chain, as dbt vars."""


def cut(chain: Path, folder: Path, first: int) -> None:
    """Copy the chain without the weeks from `first` (shop_week) on."""
    for path in chain.glob("*.csv"):
        if not path.stem.startswith("transactions") or path.stem < f"transactions_{first}":
            shutil.copy(path, folder)


def scramble(chain: Path, folder: Path, first: int) -> None:
    """Copy the chain; from `first` on, products, amounts, shoppers and shops change places."""
    cut(chain, folder, first)
    shuffle = random.Random(11)
    earlier_ids = []
    for path in sorted(chain.glob("transactions_*.csv")):
        header, *lines = path.read_text().splitlines()
        rows = [line.split(",") for line in lines]
        if path.stem < f"transactions_{first}":
            earlier_ids += [row[14] for row in rows]
            continue
        # Groups of columns that stay together: amounts, product, shopper with basket labels, shop.
        for columns in ((4, 5), range(6, 11)):
            values = [[row[c] for c in columns] for row in rows]
            shuffle.shuffle(values)
            for row, value in zip(rows, values, strict=True):
                for c, v in zip(columns, value, strict=True):
                    row[c] = v
        baskets = {row[14]: row[11:14] + row[15:22] for row in rows}
        others = list(baskets.values())
        shuffle.shuffle(others)
        swapped = dict(zip(baskets, others, strict=True))
        for row in rows:
            row[11:14], row[15:22] = swapped[row[14]][:3], swapped[row[14]][3:]
        # Codes that never existed before, early in code order, so that keys of all others move.
        for n in range(0, len(rows), 50):
            rows[n][6] = f"PRD00{n:05d}"
        # Basket ids that earlier weeks used already.
        for n in range(0, len(rows), 70):
            rows[n][14] = shuffle.choice(earlier_ids)
        text = "\n".join([header, *(",".join(row) for row in rows)])
        (folder / path.name).write_text(text + "\n")
