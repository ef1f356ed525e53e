"""The comparison as a page with pictures that needs no network and no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from simulator.whatif import charts
from simulator.whatif.figures import (
    TITLES,
    UNCLEAR,
    change,
    flow,
    interval,
    is_same,
    level,
    pairs,
    relative,
    verdict,
)
from simulator.whatif.parts import PARTS
from trainer.report.charts.rows import bars, waterfall
from trainer.report.document import document
from trainer.report.figures import count
from trainer.report.markup import Markup, element, join
from trainer.report.tables import table

TITLE = "RetailSim: what if"
MOST = 14
"""Rows of a chart or table of categories or stores, those that change most."""
CATEGORY = "category_2"
"""The level of categories on the page; the tables have all of them."""
DRAWN = ("units", "spend_pence")
"""Measures with a chart by row, and margin in the place of spend where it is known."""


def page(content: Mapping[str, Any], command: str) -> str:
    """The document, from what `content` made. command: the command line that made it."""
    first, last = content["weeks"]
    sections = {"In short": _short(content), "Weeks": _weeks(content)}
    if "part" in content["tables"]:
        sections["Where it comes from"] = _parts(content)
    if "coupon" in content["tables"]:
        sections["Coupons"] = _coupons(content)
    sections |= {
        "Products": _products(content),
        "Categories": _by(content, CATEGORY, "Categories of the second level"),
        "Customers": _by(content, "customer_group", "Customers by price sensitivity"),
        "Stores": join(
            [
                _by(content, "store_region", "Regions"),
                _by(content, "store_format", "Formats"),
                _by(content, "store", "Stores"),
            ]
        ),
        "How sure": _how_sure(content),
        "Reproduction": join(
            [element("p", "Written by"), element("pre", command), element("p", _made_of(content))]
        ),
    }
    return document(
        f"{TITLE}, weeks {first}–{last}",
        f"{content['scenario']}: {pairs(content)} of weeks {first}–{last}, with the change and "
        "without it, on the same chances",
        sections,
    )


def _short(content: Mapping[str, Any]) -> Markup:
    total = content["tables"]["total"][0]
    cards = [_card(name, total[name]) for name in content["measures"]]
    flows = flow(content, PARTS)
    warnings = [element("p", note, class_="warning") for note in content["notes"]]
    return join(
        [
            element("div", *cards, class_="cards"),
            *([element("p", flows, class_="lead")] if flows else []),
            *warnings,
            element("h3", "What changes"),
            element("pre", content["scenario_text"].strip()),
        ]
    )


def _card(name: str, figure: Mapping[str, Any]) -> Markup:
    found = f"{change(figure, name)} ({relative(figure)})"
    around = [interval(figure, name) or "no interval", verdict(figure)]
    return element(
        "article",
        element("h3", TITLES[name].capitalize()),
        element("p", found, class_="verdict"),
        element("p", ": ".join(filter(None, around))),
        element("p", f"{level(figure, name)} without, {level(figure, name, 'with')} with"),
    )


def _weeks(content: Mapping[str, Any]) -> Markup:
    rows = content["tables"]["week"]
    numbers = [row["week"] for row in rows]
    drawn, same = [], []
    for name in content["measures"]:
        figures, title = [row[name] for row in rows], TITLES[name].capitalize()
        if all(map(is_same, figures)):
            same.append(TITLES[name])
            continue
        drawn += [
            charts.weeks(f"weeks-{name}", f"{title} a week", numbers, figures, name),
            charts.differences(
                f"difference-{name}", f"{title}: what the change makes", numbers, figures, name
            ),
        ]
    said = [BANDS, f"The same in every run, week by week: {', '.join(same)}."] if same else [BANDS]
    notes = [element("p", text, class_="note") for text in said]
    return join([element("div", *drawn, class_="charts"), *notes])


BANDS = (
    "First the means of all runs, on a vertical axis that does not begin at zero; then their mean "
    "difference, and the band of its 90 % intervals, week by week. Spend and margin are in the "
    "currency of the receipts."
)


def _parts(content: Mapping[str, Any]) -> Markup:
    rows, total = content["tables"]["part"], content["tables"]["total"][0]
    measures = [name for name in content["measures"] if name in rows[0]]
    names = [*(PARTS[row["part"]] for row in rows), "all together"]
    drawn = [
        waterfall(
            f"parts-{name}", f"{TITLES[name].capitalize()}, part by part", TITLES[name],
            charts.rows(names, [*(row[name] for row in rows), total[name]], name),
        )
        for name in measures
    ]  # fmt: skip
    whole = {name: total[name] for name in measures}
    lines = [_line(name, row, measures) for name, row in zip(names, [*rows, whole], strict=True)]
    changed = [
        _line(f"{row['product']}, {row['when']}", row, content["measures"])
        for row in content["tables"]["changed_product"]
    ]
    return join(
        [
            element("div", *drawn, class_="charts"),
            element("p", MEANING, class_="note"),
            _table("All parts", measures, lines),
            _table("Products that change, those that move most", content["measures"], changed),
        ]
    )


def _coupons(content: Mapping[str, Any]) -> Markup:
    """What was bought with each; all of it is with the change."""
    measures = content["measures"]
    lines = [
        [
            f"coupon {row['coupon']}", count(row["holders"]),
            *(_cell(row[name], name) for name in measures),
        ]
        for row in content["tables"]["coupon"]
    ]  # fmt: skip
    heads = ["", "holders", *(TITLES[name] for name in measures)]
    return join(
        [
            table("Purchases with which a coupon was used", heads, lines),
            element("p", USED, class_="note"),
        ]
    )


USED = (
    "Customers are the holders who used theirs, coupons what it took off, and spend what they paid "
    "for these lines, which they may have bought without it too: what coupons add is above. Spend "
    "and margin have coupons taken off everywhere; the retailer bears them."
)


MEANING = (
    "Changed products: those of the scenario, where and while it is in force. Their rivals: other "
    "products of the same finest category, in the same stores and weeks. Other products and other "
    "stores: in these weeks. Afterwards: the changed products and their rivals in the weeks after, "
    "which is where stocking up shows. Everything else: what is left. The parts hold every line of "
    "the receipts once, so they add up. Faint bars are not distinguishable from 0."
)


def _products(content: Mapping[str, Any]) -> Markup:
    found = content["products"]
    movers = [*found["gainers"], *found["losers"][::-1]]
    if not movers:
        return element("p", "No product differs in any run.")
    measures = content["measures"]
    lines = [_line(f"{row['product']}, {row['role']}", row, measures) for row in movers]
    names = [f"{row['product']}, {row['role']}" for row in movers]
    drawn = [
        bars(
            f"products-{name}", f"{TITLES[name].capitalize()}: most gained, most lost",
            TITLES[name], charts.rows(names, [row[name] for row in movers], name),
        )
        for name in _drawn(content)
    ]  # fmt: skip
    words = (
        f"Of {count(found['differ'])} products whose units differ in any run, "
        f"{count(found['stand_out'])} stand out from chance. One in ten of those that the change "
        f"does not touch would by luck alone: some {count(round(found['differ'] / 10))}. All are "
        "in tables/product.csv."
    )
    return join(
        [
            element("p", words),
            element("div", *drawn, class_="charts"),
            _table("Products by units", measures, lines),
        ]
    )


def _by(content: Mapping[str, Any], name: str, title: str) -> Markup:
    """Charts and a table of one breakdown: its rows in their order, or those that change most."""
    rows, measures = content["tables"][name], content["measures"]
    if len(rows) > MOST:
        rows = sorted(rows, key=lambda row: -abs(row["spend_pence"]["change"]))[:MOST]
        title = f"{title}: the {MOST} whose spend changes most"
    names = [str(row[name]) for row in rows]
    drawn = [
        bars(
            f"{name}-{measure}", f"{title}: {TITLES[measure]}", TITLES[measure],
            charts.rows(names, [row[measure] for row in rows], measure),
        )
        for measure in _drawn(content)
    ]  # fmt: skip
    lines = [_line(text, row, measures) for text, row in zip(names, rows, strict=True)]
    return join([element("div", *drawn, class_="charts"), _table(title, measures, lines)])


def _drawn(content: Mapping[str, Any]) -> list[str]:
    units, money = DRAWN
    return [units, "margin_pence" if "margin_pence" in content["measures"] else money]


def _line(name: str, row: Mapping[str, Any], measures: Sequence[str]) -> list[str]:
    cells: list[str] = [name]
    for measure in measures:
        figure = row[measure]
        cells += [level(figure, measure), _cell(figure, measure)]
    return cells


def _cell(figure: Mapping[str, Any], measure: str) -> Markup:
    """A change above its interval; in brackets where it is not distinguishable from 0."""
    text = change(figure, measure)
    parts: list[str] = [text if figure["stands_out"] else f"({text})"]
    if around := interval(figure, measure):
        parts += [" ", element("span", around, class_="interval")]
    return join(parts)


def _table(title: str, measures: Sequence[str], lines: Sequence[Sequence[str]]) -> Markup:
    heads = [""]
    for measure in measures:
        heads += [TITLES[measure], "change"]
    return table(f"{title}; in brackets, {UNCLEAR}", heads, lines)


def _how_sure(content: Mapping[str, Any]) -> Markup:
    if content["models"] > 1:
        spread = (
            f"Each of {content['models']} models has {content['runs']} pairs of its own. Intervals "
            "are Student's of the models' means: what models make of the change, and chance in "
            "their runs, both widen them."
        )
    elif content["runs"] > 1:
        spread = (
            f"Intervals are Student's of the differences of {count(content['runs'])} pairs: they "
            "hold chance alone. What the model gets wrong is the same in all of them; several "
            "models that differ in their seed would show a part of it."
        )
    else:
        spread = "A single pair shows no spread."
    said = [
        "Both runs of a pair draw the same numbers wherever they ask the same question, so "
        "customers who are not touched by the change do the same in both, and differences have far "
        "less noise than the weeks themselves.",
        spread,
        "Intervals hold 90 %, each by itself: of rows that nothing changes, one in ten stands out "
        "by luck. No interval holds what no model can know: rivals' answers, weather, what was "
        "never tried.",
    ]
    if evidence := content["evidence"]:
        said.append(
            f"Evidence on prices: {evidence['words']}. Of the "
            f"{count(evidence['changed_products'])} whose price the scenario changes, "
            f"{count(evidence['changed_products_moved'])} did."
        )
    measures = content["measures"]
    models = [
        [f"model {number}", *(change(model, name, name) for name in measures)]
        for number, model in enumerate(content["by_model"], start=1)
    ]
    title = "What each model makes of it: the change in total"
    by_model = table(title, ["", *(TITLES[name] for name in measures)], models)
    paragraphs = [element("p", text) for text in said]
    return join([*paragraphs, by_model] if len(models) > 1 else paragraphs)


def _made_of(content: Mapping[str, Any]) -> str:
    weights = ", ".join(digest[:12] for digest in content["weights_digests"])
    return (
        f"of cache {content['cache_digest'][:12]}, weights {weights}, seeds from {content['seed']}."
    )
