"""The default synthetic chain and the warehouse that dbt builds from it, once per session."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbt_project.sample import ChainConfig, generate_chain


@pytest.fixture(scope="session")
def chain(tmp_path_factory) -> Path:
    """Raw folder of the default synthetic chain, the one of the demo."""
    folder = tmp_path_factory.mktemp("chain")
    generate_chain(ChainConfig(), folder)
    return folder


@pytest.fixture(scope="session")
def warehouse(dbt, chain):
    """The warehouse of the default chain, built with every dbt test."""
    result = dbt("build", raw=chain)
    assert result.returncode == 0, result.output
    return result
