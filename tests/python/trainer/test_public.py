"""The names that the package promises, and what it may not import."""

import subprocess
import sys

import trainer


def test_every_public_name_is_there():
    for name in trainer.__all__:
        assert getattr(trainer, name).__name__ == name


def test_the_format_needs_no_torch_and_the_trainer_neither_warehouse_nor_matplotlib():
    """In processes of their own: other tests have imported everything."""

    def modules(statement):
        code = f"import sys; {statement}; print(*sys.modules)"
        return set(subprocess.check_output([sys.executable, "-c", code], text=True).split())

    assert "torch" not in modules("import trainer.cache.reader")
    entries = "import trainer.fit, trainer.evaluate, trainer.report.__main__"
    assert not {"dbt", "duckdb", "matplotlib"} & modules(entries)
