"""Warehouses of the default chain beside the receipts they were made from.

`default` has the project's own vars. `early` learns from the first weeks only and has other
thresholds throughout, so that every one is seen to count, and so that there are stores and
products which the training weeks lack. `first` learns from one week, which lacks a whole
department and most substitutes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml
from futures import SPLIT
from ledger import Ledger, read_ledger, table

PROJECT = Path(__file__).resolve().parents[4] / "dbt_project.yml"
EARLY = {
    **SPLIT,
    "train_last_week": 12,
    "validation_last_week": 50,
    "base_price_weeks": 6,
    "promotion_min_depth": 0.15,
    "regular_price_fade": 0.001,
    "price_level_min_prices": 20,
    "doubtful_price_pence": 600,
    "doubtful_depth": 0.3,
    "doubtful_missing_share": 0.6,
    "doubtful_variation": 0.1,
    "copurchase_min_lift": 2,
    "copurchase_min_share": 0.006,
    "copurchase_min_chi_square": 2.7,
    "copurchase_top": 4,
    "substitution_min_customers": 2,
    "substitution_min_evidence": 0.05,
    "substitution_max_together": 0.4,
    "value_percentile": 0.3,
    "premium_percentile": 0.7,
}
FIRST = {
    **SPLIT,
    "train_last_week": 1,
    "validation_last_week": 50,
    "full_history_trips": 50,
    "switching_weeks": 2,
}


@dataclass(frozen=True)
class Build:
    """A warehouse, the receipts it was built from and the dbt vars it was built with."""

    path: Path
    ledger: Ledger
    vars: SimpleNamespace

    def table(self, query: str) -> pd.DataFrame:
        """Rows of a query or of a whole table."""
        return table(self.path, query)


@pytest.fixture(scope="session")
def ledger(chain) -> Ledger:
    """The default chain's receipts."""
    return read_ledger(chain)


@pytest.fixture(scope="session")
def default_build(warehouse, ledger) -> Build:
    """The default chain with the project's own vars."""
    return Build(warehouse.path, ledger, project_vars())


@pytest.fixture(scope="session")
def early_build(built, chain, ledger) -> Build:
    """The default chain with an early split and other thresholds."""
    path = built("early_warehouse", chain, "--vars", json.dumps(EARLY)).path
    return Build(path, ledger, project_vars(**EARLY))


@pytest.fixture(scope="session")
def first_build(built, chain, ledger) -> Build:
    """The default chain with one week of training."""
    path = built("first_warehouse", chain, "--vars", json.dumps(FIRST)).path
    return Build(path, ledger, project_vars(**FIRST))


@pytest.fixture(scope="session", params=["default", "early", "first"])
def build(request) -> Build:
    """Each of the three in turn, or those that a module asks for."""
    return request.getfixturevalue(f"{request.param}_build")


def project_vars(**changed) -> SimpleNamespace:
    """The vars of dbt_project.yml and the split of the default chain, with some changed."""
    given = yaml.safe_load(PROJECT.read_text())["vars"]
    assert changed.keys() <= given.keys()
    return SimpleNamespace(**given | SPLIT | changed)
