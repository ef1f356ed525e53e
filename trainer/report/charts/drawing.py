"""What the charts share: their look, and the way from a matplotlib figure to inline SVG.

matplotlib wants colours as numbers; the page has CSS variables, which differ between light and
dark. So charts are drawn in placeholder colours, and the SVG is rewritten to the variables.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Sequence
from xml.etree import ElementTree

import matplotlib.style
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from trainer.report.markup import Markup, element, join, px

WIDTH = 460
"""Of every chart. A unit is a CSS pixel on a wide screen and about 0.8 on a phone, where text of 12
units is still legible."""

MOST_TICKS = 6

VARIABLES = ("ink", "soft", "rule", "paper", "accent", *(f"c{n}" for n in range(1, 13)))
"""CSS variables of the page's stylesheet."""
PLACEHOLDERS = {f"#0000{number:02x}": name for number, name in enumerate(VARIABLES, start=1)}
INK, SOFT, RULE, PAPER, ACCENT, *SERIES = PLACEHOLDERS
MARKERS = ("o", "s", "^", "D", "v")
"""Series differ in shape, not only in colour."""

SVG = "{http://www.w3.org/2000/svg}"
GROUP, MARK, TITLE = f"{SVG}g", f"{SVG}use", f"{SVG}title"
LINK = "{http://www.w3.org/1999/xlink}href"

LOOK = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a dollar sign in a product code is a dollar sign
    "font.family": "DejaVu Sans",  # comes with matplotlib, so the layout is the same everywhere
    "font.size": 12,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": SOFT,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "grid.color": RULE,
    "grid.linewidth": 1,
    "xtick.bottom": False,
    "xtick.labelcolor": SOFT,
    "ytick.left": False,
    "ytick.labelcolor": SOFT,
    "lines.linewidth": 1.8,
    "lines.markersize": 6,
    "lines.markeredgewidth": 0,
    "legend.frameon": False,
    "figure.frameon": False,
}
in_page_style = matplotlib.style.context(["default", LOOK])
"""Decorator of the functions that draw; a matplotlibrc file of the user changes nothing."""


class Chart:
    """One pair of axes that becomes a figure of the page.

    identifier: unique on the page. height: in units; every chart is WIDTH across.
    """

    def __init__(self, identifier: str, height: float):
        self.identifier, self.height = identifier, height
        # matplotlib writes an inch as 72 units.
        self.figure = Figure(figsize=(WIDTH / 72, height / 72), layout="constrained")
        self.axes = self.figure.add_subplot()
        self.axes.locator_params(nbins=MOST_TICKS)
        self._tooltips: dict[str, list[str]] = {}

    def tooltip(self, artist: Artist, *texts: str) -> None:
        """What pointing at an artist shows: one text, or one per marker of a line."""
        name = f"tooltip-{len(self._tooltips)}"
        artist.set_gid(name)  # becomes the id of the artist's group
        self._tooltips[name] = list(texts)

    def legend(self, handles: Sequence[Artist], names: Sequence[str], place: str) -> None:
        """Names in as many columns as fit, outside the axes; place: "upper" or "lower"."""
        column = 36 + 7.5 * max(map(len, names))
        legend = self.figure.legend(
            handles, [printable(name) for name in names], loc=f"outside {place} left",
            ncols=max(1, int(WIDTH // column)), handlelength=1,
        )  # fmt: skip
        for handle in legend.legend_handles:
            if isinstance(handle, Line2D):
                handle.set_markersize(6)  # however small the marks are

    def markup(self, title: str, description: str) -> Markup:
        """The figure with its title above it; the description says the same in words."""
        title_id, text_id = f"{self.identifier}-title", f"{self.identifier}-text"
        svg = element(
            "svg",
            element("title", title, id=title_id),
            element("desc", description, id=text_id),
            _inline(self._drawing()),
            viewBox=f"0 0 {WIDTH} {self.height:g}",
            role="img",
            aria_labelledby=f"{title_id} {text_id}",
        )
        return element("figure", element("figcaption", title), svg, id=self.identifier)

    def _drawing(self) -> ElementTree.Element:
        """What matplotlib drew, with tooltips, and ids that are unique on the page."""
        for artist in self.figure.findobj():
            artist.set_clip_on(False)  # nothing lies outside the axes
        written = io.BytesIO()
        with warnings.catch_warnings():
            # The browser's font may have a glyph that the font of the layout lacks.
            warnings.filterwarnings("ignore", message="Glyph")
            self.figure.savefig(written, format="svg")
        drawing = ElementTree.fromstring(written.getvalue()).find(f"{SVG}g")
        ids: dict[str, str] = {}
        for part in drawing.iter():
            texts = self._tooltips.get(part.attrib.pop("id", "")) if part.tag == GROUP else None
            if texts:
                hosts = [part] if len(texts) == 1 else [*part.iter(MARK)]
                for host, text in zip(hosts, texts, strict=True):
                    title = ElementTree.Element(TITLE)
                    title.text = text
                    host.insert(0, title)
            if "id" in part.attrib:
                part.set("id", ids.setdefault(part.get("id"), f"{self.identifier}-{len(ids)}"))
            if LINK in part.attrib:
                part.set("href", f"#{ids[part.attrib.pop(LINK)[1:]]}")
        return drawing


def look(number: int) -> tuple[str, str]:
    """Colour and marker of series `number`, from 0."""
    return SERIES[number % len(SERIES)], MARKERS[number % len(MARKERS)]


def printable(text: str) -> str:
    """Text without control characters: XML does not allow them, or they would break the line."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\ufffe\uffff]", "\N{REPLACEMENT CHARACTER}", text)


def _inline(part: ElementTree.Element) -> Markup:
    """A part of the drawing in the page's colours and font, without needless bytes."""
    marks = part.findall(MARK)
    if len({mark.get("style") for mark in marks}) == 1:
        part.set("style", [mark.attrib.pop("style") for mark in marks][0])
    attributes = {name: _attribute(name, value) for name, value in part.attrib.items()}
    content = join([(part.text or "").strip(), *map(_inline, part)])
    if part.tag == GROUP and part.find(TITLE) is None and not any(attributes.values()):
        return content
    return element(part.tag.removeprefix(SVG), content, **attributes)


def _attribute(name: str, value: str) -> str | None:
    if name == "style":
        value = re.sub(r"font-(size|family): [^;]*(; |$)", "", value)
        return re.sub(r"#\w+", lambda m: f"var(--{PLACEHOLDERS[m[0]]})", value) or None
    if name in ("d", "x", "y", "transform"):
        value = re.sub(r"-?\d+\.\d+", lambda m: px(float(m[0])), " ".join(value.split()))
        return None if value.startswith("rotate(-0 ") else value
    return value
