"""The frame of a chart: its figure, axes, grid and titles."""

from __future__ import annotations

from trainer.report.charts.scales import Scale
from trainer.report.markup import Markup, element

Ticks = list[tuple[float, str]]


def figure(
    identifier: str, title: str, description: str, width: float, height: float, *content: Markup
) -> Markup:
    """A chart with its title above it; the description says the same to whoever cannot see it.

    identifier: unique on the page. width and height in pixels, at 100 %.
    """
    drawing = element(
        "svg",
        element("title", title, id=f"{identifier}-title"),
        element("desc", description, id=f"{identifier}-text"),
        *content,
        viewBox=f"0 0 {width:g} {height:g}",
        width=width,
        height=height,
        role="img",
        aria_labelledby=f"{identifier}-title {identifier}-text",
    )
    return element("figure", element("figcaption", title), drawing, id=identifier)


def x_axis(
    scale: Scale, top: float, bottom: float, title: str, ticks: Ticks | None = None
) -> Markup:
    """Grid lines from top to bottom, values and the title below; ticks: the scale's if left out."""
    parts = []
    for value, label in scale.ticks() if ticks is None else ticks:
        x = scale(value)
        parts.append(element("line", x1=x, x2=x, y1=top, y2=bottom, class_="grid"))
        parts.append(element("text", label, x=x, y=bottom + 16, text_anchor="middle"))
    parts.append(
        element("line", x1=scale.start, x2=scale.stop, y1=bottom, y2=bottom, class_="axis")
    )
    middle = (scale.start + scale.stop) / 2
    parts.append(
        element("text", title, x=middle, y=bottom + 34, text_anchor="middle", class_="title")
    )
    return element("g", *parts, class_="x")


def y_axis(scale: Scale, left: float, right: float, title: str, above: float = 10) -> Markup:
    """Grid lines from left to right, values to the left, the title `above` pixels higher."""
    parts = []
    for value, label in scale.ticks():
        y = scale(value)
        parts.append(element("line", x1=left, x2=right, y1=y, y2=y, class_="grid"))
        parts.append(element("text", label, x=left - 6, y=y + 4, text_anchor="end"))
    parts.append(element("line", x1=left, x2=left, y1=scale.start, y2=scale.stop, class_="axis"))
    top = min(scale.start, scale.stop)
    parts.append(element("text", title, x=left - 30, y=top - above, class_="title"))
    return element("g", *parts, class_="y")
