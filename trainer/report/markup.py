"""HTML and SVG as nested calls; text that is not yet markup is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

VOID = ("br", "input", "meta")
"""Elements that have no end tag."""


class Markup(str):
    """Text that is already HTML. Any other text is escaped when it enters an element."""

    __slots__ = ()


def element(name: str, /, *children: str | None, **attributes: str | float | None) -> Markup:
    """An element. None leaves a child or an attribute out.

    Attributes: `class_` is class, `text_anchor` is text-anchor; numbers as `px` writes them.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(children)}</{name}>")


def join(children: Iterable[str | None], separator: str = "") -> Markup:
    """Children one after the other, escaped where they are not markup."""
    return Markup(
        separator.join(
            child if isinstance(child, Markup) else escape(child)
            for child in children
            if child is not None
        )
    )


def px(value: float) -> str:
    """A coordinate to a tenth of a pixel, without needless zeros."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else px(value)
