"""Tables whose last column is a sentence fit the page: lines of words may break, not of numbers."""

from trainer.report.style import STYLE
from trainer.report.tables import table


def test_only_named_columns_wrap():
    found = str(table("Policies", ["policy", "profit", "broken"], [["a", "1", "b (2)"]], wraps={2}))

    assert '<td class="number">1</td>' in found
    assert '<td class="wraps">b (2)</td>' in found
    assert "tbody .wraps{white-space:normal}" in STYLE
