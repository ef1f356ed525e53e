"""Small shapes: what tells series apart beside their colours."""

from __future__ import annotations

from trainer.report.markup import Markup, element, px

SHAPES = ("circle", "square", "triangle", "diamond", "wedge")


def outline(shape: str, x: float, y: float, r: float) -> str:
    """A path of a shape around (x, y), r pixels from its middle to its edge."""
    d = px(2 * r)
    r_ = px(r)
    if shape == "circle":
        half = f"a{r_},{r_} 0 1 0"
        return f"M{px(x - r)},{px(y)}{half} {d},0{half} -{d},0z"
    if shape == "square":
        return f"M{px(x - r)},{px(y - r)}h{d}v{d}h-{d}z"
    if shape == "triangle":
        return f"M{px(x)},{px(y - r)}l{r_},{d}h-{d}z"
    if shape == "wedge":
        return f"M{px(x)},{px(y + r)}l{r_},-{d}h-{d}z"
    return f"M{px(x)},{px(y - r)}l{r_},{r_}l-{r_},{r_}l-{r_},-{r_}z"


def style(number: int) -> str:
    """The class that colours series `number`, from 0."""
    return f"s{number % 12 + 1}"


def shape(number: int) -> str:
    """The shape of series `number`, from 0."""
    return SHAPES[number % len(SHAPES)]


def legend(names: list[str], x: float, y: float, spacing: float | None = None) -> Markup:
    """Shapes with names: in a row from (x, y), or one below the other `spacing` pixels apart."""
    parts = []
    for number, name in enumerate(names):
        parts.append(
            element("path", d=outline(shape(number), x, y, 4), class_=f"mark {style(number)}")
        )
        parts.append(element("text", name, x=x + 9, y=y + 4))
        if spacing is None:
            x += 9 + 7.2 * len(name) + 16  # about the width of the text
        else:
            y += spacing
    return element("g", *parts, class_="legend")
