"""The names that the package promises, and what it may not import."""

import subprocess
import sys

import trainer


def test_every_public_name_is_there():
    for name in trainer.__all__:
        assert getattr(trainer, name).__name__ == name


def test_the_format_needs_no_torch_and_the_trainer_no_warehouse():
    """In processes of their own: other tests have imported everything."""

    def modules(statement):
        code = f"import sys; {statement}; print(*sys.modules)"
        return set(subprocess.check_output([sys.executable, "-c", code], text=True).split())

    assert "torch" not in modules("import trainer.cache.reader")
    assert not {"dbt", "duckdb"} & modules("import trainer.fit, trainer.evaluate")
