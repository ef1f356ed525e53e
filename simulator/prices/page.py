"""Elasticities and a plan as a page with pictures that needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from simulator.prices import charts
from simulator.prices.elasticities import NEVER_MOVED, OWN_SALES, TYPICAL
from simulator.prices.plan_page import plan_section
from simulator.prices.product_page import (
    Row,
    decimal,
    is_known,
    pairs_section,
    products_section,
    sales,
)
from simulator.prices.text_report import NINETY, OF_WHOM, announced, asked, cross, relative_gain
from trainer.report.charts.rows import Bar, bars, stacks
from trainer.report.document import document
from trainer.report.figures import NONE, count, fixed, percent
from trainer.report.markup import Markup, element, join
from trainer.report.script import SCRIPT
from trainer.report.tables import table

TITLE = "RetailSim: prices"
MOST = 14
"""Rows of a chart of departments or categories, those that sell most."""
MEANS = {
    OWN_SALES: "what its own sales did when its price moved",
    TYPICAL: "what other products do: its price moved, but its own sales say little",
    NEVER_MOVED: "nothing: its price never moved, so the elasticity is set to 0 and not known",
}


def page(content: Mapping[str, Any], command: str) -> str:
    """The document, from what `content` made. command: the command line that made it."""
    known = [row for row in content["products"] if is_known(row)]
    sections = {
        "In short": _short(content, known),
        "How demand answers to a product's own price": _own(known),
        "What that rests on": _rests_on(content, known),
        "Products": products_section(content),
        "What replaces what": pairs_section(content),
    }
    if "plan" in content:
        sections["Prices worth charging"] = plan_section(content)
    sections |= {
        "How far to trust it": _trust(content),
        "Reproduction": join(
            [
                element("p", "Written by"),
                element("pre", command),
                element("p", f"of cache {content['cache_digest'][:12]}."),
            ]
        ),
    }
    return document(
        f"{TITLE}, as of week {content['start']}",
        f"{count(len(content['products']))} products, learned from receipts up to week "
        f"{content['start']}; for prices that change today and are held for {_weeks(content)}",
        sections,
        SCRIPT,
    )


def _weeks(content: Mapping[str, Any]) -> str:
    return "one week" if content["weeks"] == 1 else f"{content['weeks']} weeks"


def _short(content: Mapping[str, Any], known: Sequence[Row]) -> Markup:
    own, visits, rests = content["own"], content["visits"], content["rest_on"]
    is_clear = abs(visits["elasticity"]) > NINETY * visits["standard_error"]
    verdict = "can be told" if content["switches"] else "cannot be told"
    cards = [
        _card(
            "Own elasticity", f"{decimal(own['median'])} (median)",
            f"8 in 10 products lie between {decimal(own['low'])} and {decimal(own['high'])}",
        ),
        _card(
            "Resting on their own sales",
            f"{count(rests.get(OWN_SALES, 0))} of {count(len(content['products']))} products",
            f"{count(rests.get(TYPICAL, 0))} on those of others; the prices of "
            f"{count(rests.get(NEVER_MOVED, 0))} never moved",
        ),
        _card("What replaces what", verdict, f"{cross(content)}."),
        _card(
            "Visits", f"{decimal(visits['elasticity'])} ± {fixed(visits['standard_error'], 2)}",
            "change of trips, in %, when a customer's usual basket costs 1 % more, ± its standard "
            f"error{'' if is_clear else ': not distinguishable from 0'}",
        ),
    ]  # fmt: skip
    if content["announced"]:
        cards.append(
            _card("Display and mailer", "told apart", f"{announced(content['announced'])}.")
        )
    instead = content["instead"]
    cards.append(
        _card("When one is missing", f"{percent(instead['share'], 0)} to rivals", instead["words"])
    )
    if plan := content.get("plan"):
        cards.append(
            _card(
                "Prices worth charging",
                f"expected profit{relative_gain(plan) or ': see below'}".replace("-", "−"),
                f"with {count(plan['changed'])} prices changed; less than that will come: part 6",
            )
        )
    lead = None
    if known:
        answer = 1.1 ** own["median"] - 1
        lead = element(
            "p",
            f"When its price alone goes up by 10 %, the product in the middle sells "
            f"{percent(abs(answer), 0)} {'fewer' if answer < 0 else 'more'} units.",
            class_="lead",
        )
    reading = (
        "An elasticity of −2 says: 1 % dearer, 2 % fewer units. Below −1 a higher price brings in "
        "less money, between −1 and 0 more. An interval holds the middle 90 % of what the receipts "
        f"leave open. All {OF_WHOM}."
    )
    return join(
        [element("div", *cards, class_="cards"), lead, element("p", reading, class_="note")]
    )


def _card(title: str, verdict: str, more: str) -> Markup:
    return element(
        "article", element("h3", title), element("p", verdict, class_="verdict"), element("p", more)
    )


def _own(known: Sequence[Row]) -> Markup:
    if not known:
        return element("p", "No price of a product that sells enough ever moved.")
    drawn = [
        charts.histogram(
            "own", "Products by elasticity", "elasticity", {
                name: _column([row for row in known if row["rests_on"] == name], "elasticity")
                for name in (OWN_SALES, TYPICAL)
            },
        ),
        charts.intervals(
            "intervals", "All products, with their intervals", "elasticity",
            *(_column(known, key) for key in ("elasticity", "low", "high")),
        ),
        *(
            bars(f"by-{key}", f"{title}: the middle product, and 8 in 10", "elasticity",
                 [_spread(name, rows) for name, rows in _groups(known, key)[:MOST]], losses=False)
            for key, title in (("department", "Departments"), ("category", "Finest categories"))
        ),
    ]  # fmt: skip
    note = (
        "The first two pictures cut off one product in a hundred on each side. Of departments and "
        f"categories the {MOST} that sell most are drawn; the bar ends at the product in the "
        "middle, the line holds eight in ten products. How surely each is known is in the list of "
        "products."
    )
    return join([element("div", *drawn, class_="charts"), element("p", note, class_="note")])


def _groups(rows: Sequence[Row], key: str) -> list[tuple[str, list[Row]]]:
    """Rows by department or category, the one that sells most first."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row[key], []).append(row)
    return sorted(found.items(), key=lambda group: -sum(map(sales, group[1])))


def _spread(name: str, rows: Sequence[Row]) -> Bar:
    low, middle, high = np.quantile(_column(rows, "elasticity"), [0.1, 0.5, 0.9]).tolist()
    words = (
        f"{fixed(middle, 2)}, 8 in 10 between {fixed(low, 2)} and {fixed(high, 2)}, "
        f"{count(len(rows))} products"
    )
    return Bar(name, middle, words, (low, high))


def _rests_on(content: Mapping[str, Any], known: Sequence[Row]) -> Markup:
    groups = _groups(content["products"], "department")
    drawn = [
        stacks(
            "rests-on", "Products of each department", "products", [n for n, _ in groups[:MOST]],
            {of: [sum(row["rests_on"] == of for row in rows) for _, rows in groups[:MOST]]
             for of in MEANS},
        ),
    ]  # fmt: skip
    kinds = [[row for row in known if row["rests_on"] == of] for of in (OWN_SALES, TYPICAL)]
    if known:
        drawn.append(
            charts.evidence(
                "evidence", "How often prices moved, and how surely elasticities are known",
                [_column(rows, "weeks_with_a_move") for rows in kinds],
                [_column(rows, "high") - _column(rows, "low") for rows in kinds],
                [OWN_SALES, TYPICAL],
            )
        )  # fmt: skip
    lines = [_of_department(name, rows) for name, rows in groups]
    heads = ["", "products", *MEANS, "median", "10 % below", "10 % above", "width of intervals"]
    return join(
        [
            *(
                element("p", element("strong", f"{of.capitalize()}: "), f"{means}.")
                for of, means in MEANS.items()
            ),
            element("div", *drawn, class_="charts"),
            table("Departments", heads, lines),
            element("p", f"As a whole: {content['evidence']}. {LEFT_OUT}", class_="note"),
        ]
    )


LEFT_OUT = (
    "Products that sell too seldom, and those sold by weight, which have no shelf price, are not "
    "here."
)


def _of_department(name: str, rows: Sequence[Row]) -> list[str]:
    known = [row for row in rows if is_known(row)]
    counts = [count(sum(row["rests_on"] == of for row in rows)) for of in MEANS]
    if not known:
        return [name, count(len(rows)), *counts, NONE, NONE, NONE, NONE]
    low, middle, high = np.quantile(_column(known, "elasticity"), [0.1, 0.5, 0.9])
    width = np.median(_column(known, "high") - _column(known, "low"))
    return [name, count(len(rows)), *counts, *(fixed(x, 2) for x in (middle, low, high, width))]


def _trust(content: Mapping[str, Any]) -> Markup:
    said = [
        "Intervals come from the errors of the estimates. They do not know that the formulas or "
        "the groups of substitutes may be wrong; against a chain whose truth is known they were "
        "somewhat too narrow (docs/prices.md).",
        "Prices in receipts were not set at random. Slow changes of demand are taken out, so that "
        "a manager who promotes what sells anyway does not mislead; what is timed to the day "
        "would. --instrument asks what suppliers charged whether it does.",
        *(f"{text[0].upper()}{text[1:]}." for text in _asked(content)),
        "Where a price cut was announced by display or mailer, what is measured holds the "
        "announcement too.",
        f"All figures are for prices that change today and are held for {_weeks(content)}. At once "
        "customers stock up and compare with what they remember; later they get used to a price, "
        "and come more or less often. --weeks asks for another horizon.",
        "Nothing is said of prices far from any that were charged, or of what rivals do.",
    ]
    return join(element("p", text) for text in said)


def _asked(content: Mapping[str, Any]) -> list[str]:
    return asked(content["instrument"]) if "instrument" in content else []


def _column(rows: Sequence[Row], key: str) -> np.ndarray:
    return np.array([row[key] for row in rows], dtype=float)
