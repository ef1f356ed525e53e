"""Reading the rules of a price plan from a YAML file.

most_move: 10%              # no price changes by more
endings: [9, 99]            # in pence: of changed prices, the last digits
least_margin: 20%           # of changed prices
index: 100%                 # the price level of today's sales stays at or below this
most_changes: 50            # products
products: [PRD0900121]      # or categories: [DEP00001], of any level; all if left out
parity:
  - {product: PRD0900121, times: 1.5, of: PRD0900122, within: 5%}
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from simulator.prices.optimise import Rules
from simulator.prices.panel import Panel
from trainer.cache.reader import TensorCache
from trainer.commands.errors import InputError
from trainer.commands.yaml_files import read_yaml

KNOWN = (
    "most_move",
    "endings",
    "least_margin",
    "index",
    "most_changes",
    "products",
    "categories",
    "parity",
)


def read_rules(path: Path, cache: TensorCache, panel: Panel) -> tuple[Rules, np.ndarray]:
    """Rules, and (P,) bool: whose price may change.

    Raises InputError in one line, with the file, the rule and what is expected.
    """
    content = read_yaml(path)
    for key in content:
        if key not in KNOWN:
            raise InputError(f"{path}: unknown rule {key}. Known are {', '.join(KNOWN)}")
    codes = {
        cache["products.code"][token - 1].decode(): row for row, token in enumerate(panel.token)
    }
    index, changes = content.get("index"), content.get("most_changes")
    rules = Rules(
        most_move=_share(path, "most_move", content.get("most_move", "10%"), 0.001, 0.9),
        endings=_endings(path, content.get("endings", [])),
        least_margin=_share(path, "least_margin", content.get("least_margin", "0"), -10, 0.99),
        index=None if index is None else _share(path, "index", index, 0.1, 10),
        most_changes=None if changes is None else _whole(path, "most_changes", changes, 10**6),
        parity=tuple(
            _parity(path, number, entry, codes)
            for number, entry in enumerate(_listed(path, "parity", content.get("parity", [])), 1)
        ),
    )  # fmt: skip
    return rules, _chosen(path, content, cache, panel, codes)


def _number(text: Any) -> float:
    """NaN where it is none; of per cent the share."""
    found = re.fullmatch(r"\s*(-?\d+(?:\.\d+)?)\s*(%?)\s*", text) if isinstance(text, str) else None
    return float(found[1]) / (100 if found[2] else 1) if found else math.nan


def _share(path: Path, name: str, text: Any, low: float, high: float) -> float:
    """A number, or per cent."""
    value = _number(text)
    if not low <= value <= high:
        raise InputError(
            f"{path}: {name}: expected a share from {low:g} to {high:g}, such as 10%, not {text!r}"
        )
    return value


def _whole(path: Path, name: str, text: Any, most: int) -> int:
    """Digits alone: 5.0 is no ending, and 100% no number of products."""
    is_whole = isinstance(text, str) and re.fullmatch(r"\s*[0-9]{1,9}\s*", text)
    if not is_whole or int(text) > most:
        raise InputError(f"{path}: {name}: expected a whole number from 0 to {most}, not {text!r}")
    return int(text)


def _listed(path: Path, name: str, value: Any) -> list:
    if not isinstance(value, list):
        raise InputError(f"{path}: {name}: expected a list, not {value!r}")
    return value


def _endings(path: Path, value: Any) -> tuple[int, ...]:
    """All last two digits that are meant: 9 stands for 09, 19 and so on."""
    found: set[int] = set()
    for text in _listed(path, "endings", value):
        digits = _whole(path, "endings", text, 99)
        found |= {digits} if len(text.strip()) > 1 else set(range(digits, 100, 10))
    return tuple(sorted(found))


def _parity(path: Path, number: int, entry: Any, codes: dict) -> tuple[int, int, float, float]:
    where = f"parity, entry {number}"
    known = {"product", "of", "times", "within"}
    if not isinstance(entry, dict) or not {"product", "of"} <= set(entry) <= known:
        raise InputError(f"{path}: {where}: expected product, times, of, within")
    rows = [_row(path, where, entry[end], codes) for end in ("product", "of")]
    times = _share(path, f"{where}: times", entry.get("times", "1"), 0.001, 1000)
    return *rows, times, _share(path, f"{where}: within", entry.get("within", "0"), 0, 1)


def _row(path: Path, where: str, code: Any, codes: dict[str, int]) -> int:
    if str(code) not in codes:
        raise InputError(
            f"{path}: {where}: {code} is no product with enough sales and a shelf price"
        )
    return codes[str(code)]


def _chosen(path: Path, content: dict, cache: TensorCache, panel: Panel, codes: dict) -> np.ndarray:
    if not {"products", "categories"} & set(content):
        return np.ones(len(panel.token), bool)
    found = np.zeros(len(panel.token), bool)
    for code in _listed(path, "products", content.get("products", [])):
        found[_row(path, "products", code, codes)] = True
    names = [code.decode() for code in cache["categories.code"].tolist()]
    parent = cache["categories.parent"].astype(np.int64)
    for code in _listed(path, "categories", content.get("categories", [])):
        if str(code) not in names:
            raise InputError(f"{path}: categories: the chain has no {code}")
        above, inside = panel.category.copy(), np.zeros(len(found), bool)
        while (above >= 0).any():
            inside |= (above >= 0) & (np.array(names, object)[above] == str(code))
            above = np.where(above >= 0, parent[above], -1)
        found |= inside
    if not found.any():
        raise InputError(
            f"{path}: products, categories: none of them has enough sales and a shelf price: name "
            "others, or leave both out for all products"
        )
    return found
