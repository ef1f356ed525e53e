"""Sections as one self-contained HTML document."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from trainer.report.markup import Markup, element, join
from trainer.report.style import STYLE

# Whatever a code in the data contains, the browser must not load or run anything.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def document(
    title: str, introduction: str, sections: Mapping[str, Markup], script: str = ""
) -> str:
    """The document: a title, a line about it, and numbered sections by name with links to them.
    script: the only one that the browser may run."""
    return "<!doctype html>\n" + element(
        "html",
        element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", http_equiv="Content-Security-Policy", content=_policy(script)),
            element("title", title),
            element("style", Markup(STYLE)),
        ),
        element(
            "body",
            _header(title, introduction, sections),
            _main(sections),
            element("script", Markup(script)) if script else None,
        ),
        lang="en",
    )


def _policy(script: str) -> str:
    if not script:
        return POLICY
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"{POLICY}; script-src 'sha256-{digest}'"


def _header(title: str, introduction: str, sections: Mapping[str, Markup]) -> Markup:
    links = (
        element("a", f"{number} {name}", href=f"#part-{number}")
        for number, name in enumerate(sections, start=1)
    )
    return element(
        "header",
        element("h1", title),
        element("p", introduction),
        element("nav", *links, aria_label="Sections"),
    )


def _main(sections: Mapping[str, Markup]) -> Markup:
    parts = (
        element(
            "section",
            element("h2", f"{number} {name}"),
            content,
            id=f"part-{number}",
        )
        for number, (name, content) in enumerate(sections.items(), start=1)
    )
    return element("main", join(parts, "\n"))
