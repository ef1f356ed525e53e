"""Links of the pages lead somewhere: to files of the repository, and to headings of the pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    page for folder in ("", "docs/", "benchmarks/") for page in ROOT.glob(f"{folder}*.md")
)
BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def links(text: str) -> list[str]:
    """Targets of a page's links but those of its code, and those to other sites."""
    prose = re.sub(r"`[^`\n]*`", "", BLOCK.sub("", text))
    return [link for link in LINK.findall(prose) if not re.match(r"[a-z]+:", link)]


def anchors(text: str) -> set[str]:
    """Anchors of a page's headings as GitHub makes them; of equal headings that of the first."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in HEADING.findall(BLOCK.sub("", text))
    }


def problem(link: str, page: Path) -> str | None:
    """Why a relative link of a page leads nowhere; None if it leads somewhere."""
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.is_relative_to(ROOT) or not target.exists():
        return f"{link}: there is no such file"
    if anchor and anchor not in anchors(target.read_text(encoding="utf-8")):
        return f"{link}: there is no such heading"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    found = [problem(link, page) for link in links(page.read_text(encoding="utf-8"))]
    assert not list(filter(None, found))


def test_wrong_links_are_found():
    readme = ROOT / "README.md"
    assert problem("docs/model.md#in-use", readme) is None
    assert problem("docs/nothing.md", readme) == "docs/nothing.md: there is no such file"
    assert problem("../elsewhere.md", readme) == "../elsewhere.md: there is no such file"
    assert problem("#nothing", readme) == "#nothing: there is no such heading"
    assert links("[a](b.md) `[c](d)`\n```\n[e](f)\n```\n[g](https://example.org)") == ["b.md"]
    assert anchors("# A b: `c-d`\n```\n# no heading\n```\n### E\n") == {"a-b-c-d", "e"}
