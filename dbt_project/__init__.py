"""Python around the warehouse: a synthetic chain to fill it and tools that read it."""

from __future__ import annotations

from typing import Any

__all__ = ["prepare_tensor_cache"]


def __getattr__(name: str) -> Any:
    """Import the export only when asked for: machines that only train have no DuckDB. dbt, which
    imports every package whose name begins with dbt_, asks for its `plugins`.
    """
    if name in __all__:
        from dbt_project.export import prepare_tensor_cache

        return prepare_tensor_cache
    if name == "plugins":
        from dbt_project.spark import plugins

        return plugins
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
