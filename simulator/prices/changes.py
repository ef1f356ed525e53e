"""Command line: python -m simulator.prices.changes: demand after price changes, predicted."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from simulator.fidelity.text_report import table
from simulator.prices.cross import cross_prices
from simulator.prices.demand import Demand, fit
from simulator.prices.events import MIN_WEEKLY_TRIPS, Events, events_of, noise_floor, scores
from simulator.prices.panel import MOVE, Panel, read_panel
from simulator.prices.rivals import Regression, blend, boosting, recent
from trainer.cache.atomic import new_file
from trainer.cache.json_files import write_json
from trainer.cache.reader import EXPORT, TensorCache
from trainer.cache.split import split_weeks
from trainer.commands.command import run_command
from trainer.commands.errors import InputError
from trainer.commands.options import CommandParser, check_output, seed, whole
from trainer.features.price_evidence import check_prices_move

MIN_WEEKS = 12
"""Weeks that must be there to learn from."""
BOOSTING_WEIGHT = 0.3
"""Of LightGBM in the blend with our model, chosen on weeks 23-44 of The Complete Journey."""
MARK = rb'\A\{\s*"price changes": \{\s*"fitted_to": '
"""Of the files that the command writes, so that it replaces no others."""
OURS, BLENDED = "our model", "our model and LightGBM"
BLIND, BLIND_TO_ALL = "our model, blind to prices", "our model, blind to features too"
TREES, REGRESSION = "LightGBM, with features", "own elasticities, with features"

GOALS: tuple[tuple[str, str, float, float], ...] = (
    ("WMAPE", "wmape", 0, 0.255),
    ("Poisson deviance of an event", "deviance", 0, 1.85),
    ("sign of the change", "sign", 0.85, 1),
    ("WMAPE, display and mailer as before", "price_alone", 0, 0.35),
    ("slope of observed on predicted change", "slope", 0.95, 1.05),
    ("bias on cuts", "cuts", -0.05, 0.05),
    ("bias on rises", "rises", -0.05, 0.05),
    ("deviance gained on the twin blind to prices and features", "gain", 2.5, np.inf),
)
"""Name, key of the scores, and the range to be in."""


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m simulator.prices.changes",
        description="Predict trips with a product in weeks in which its price moved by 10 % or "
        "more, from earlier weeks and the week's own prices, display, mailer and traffic; beside "
        "rivals. Refuses receipts whose prices do not move: docs/price_changes.md.",
    )
    add = parser.add_argument
    add("--cache", type=Path, default=Path("cache"), help="tensor cache folder (default: cache)")
    add(
        "--start", type=whole(), metavar="WEEK",
        help="last week that models are fitted on (default: the first test week; choose on earlier "
        "ones)",
    )  # fmt: skip
    add(
        "--end", type=whole(), metavar="WEEK",
        help="last week whose price changes are predicted (default: the last one)",
    )  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="write scores and elasticities to this file")
    add("--seed", type=seed, default=0, help="of the intervals and the noise floor (default: 0)")
    return parser


def _run(options: argparse.Namespace) -> None:
    check_output("--json", options.json, MARK)
    cache = TensorCache(options.cache)
    weeks = cache.rows("weeks")
    start = options.start or split_weeks(cache, "test")[0]
    end = options.end or weeks
    if not MIN_WEEKS <= start < end <= weeks:
        raise InputError(
            f"weeks {start + 1} to {end} cannot be predicted: {options.cache} has {weeks} weeks, "
            f"of which the first {MIN_WEEKS} at least are to learn from (--start, --end)"
        )
    check_prices_move(cache)
    if "promotions.product" not in cache.manifest["columns"]:
        raise InputError(
            f"{cache.folder} was exported before caches held display and mailer: {EXPORT}"
        )
    panel = read_panel(cache, start)
    events = events_of(panel, start, end)
    if not len(events.trips):
        raise InputError(
            f"{options.cache}: no price of a product with {MIN_WEEKLY_TRIPS:.0f} trips a week "
            f"moved by {MOVE:.0%} in weeks {start + 1} to {end}: take other weeks (--start, --end)"
        )
    content = _measured(cache, panel, events, start, end, options.seed)
    if options.json:
        with new_file(options.json) as fresh:
            write_json(fresh, content)
    print("\n".join(_report(content)))


def _measured(
    cache: TensorCache, panel: Panel, events: Events, start: int, end: int, seed: int
) -> dict[str, Any]:
    """Everything that is measured, for JSON."""
    nothing = np.zeros(panel.shape)
    featureless = dataclasses.replace(panel, display=nothing, mailer=nothing)
    demand = fit(panel, start, progress=True)
    cross = cross_prices(panel, demand, seed)
    pooled = {
        name: Regression(panel, start, with_features=features, own=False)
        for name, features in (("without", False), ("with", True))
    }
    predictions: dict[str, Callable[[], np.ndarray]] = {
        "last week x traffic": lambda: recent(panel, 1),
        "eight weeks x traffic": lambda: recent(panel, 8),
        "pooled elasticity": lambda: pooled["without"].expected,
        "own elasticities": lambda: Regression(panel, start, False, True).expected,
        REGRESSION: lambda: Regression(panel, start, True, True).expected,
        "LightGBM, price-blind": lambda: boosting(panel, start, False, False),
        "LightGBM": lambda: boosting(panel, start, True, False),
        TREES: lambda: boosting(panel, start, True, True),
        "the two with features": lambda: blend(found[REGRESSION], found[TREES], 0.5),
        BLIND: lambda: fit(panel, start, with_prices=False).expected(panel),
        BLIND_TO_ALL: lambda: fit(featureless, start, with_prices=False).expected(featureless),
        OURS: lambda: demand.expected(panel),
        BLENDED: lambda: blend(found[OURS], found[TREES], BOOSTING_WEIGHT),
    }
    found: dict[str, np.ndarray] = {}
    bar = tqdm(
        predictions.items(), desc="predicting", file=sys.stderr, delay=3, leave=False,
    )  # fmt: skip
    for name, predict in bar:
        found[name] = predict()
    scored = {name: scores(events, expected, seed) for name, expected in found.items()}
    for name in (OURS, BLENDED):
        for key, twin in (("gain", BLIND_TO_ALL), ("gain_on_price_blind", BLIND)):
            scored[name][key] = scored[twin]["deviance"] - scored[name]["deviance"]
    return {
        "price changes": {
            "fitted_to": start, "predicted_to": end, "events": len(events.trips),
            "products": events.products, "cuts": int(events.is_cut.sum()),
            "price_alone": int(events.is_price_alone.sum()), "trips": int(events.trips.sum()),
        },
        "zones": [int(stores) for stores in np.bincount(panel.zone)],
        "scores": scored,
        "noise_floor": noise_floor(events, found[OURS], seed=seed),
        "goals": {
            key: {"name": name, "range": [low, high], "value": scored[OURS][key],
                  "met": bool(low <= scored[OURS][key] <= high)}
            for name, key, low, high in GOALS
        },
        "elasticity": _elasticities(demand, pooled),
        "cross_prices": {
            **dataclasses.asdict(cross), "is_identifiable": cross.is_identifiable,
            "verdict": str(cross),
        },
        "products": list(_products(cache, panel, demand)),
    }  # fmt: skip


def _elasticities(demand: Demand, pooled: dict[str, Regression]) -> dict[str, Any]:
    """Of the pooled regressions, and of the products that our model tells."""
    known = demand.elasticity[demand.moving]
    error = demand.elasticity_error[demand.moving]
    return {
        **{
            f"pooled_{name}_features": [
                float(rival.coefficients[0, 0]), float(rival.error[0, 0])
            ]
            for name, rival in pooled.items()
        },
        "products": len(demand.moving),
        "not_identified": int((~demand.moving).sum()),
        "quantiles": np.quantile(known, [0.1, 0.25, 0.5, 0.75, 0.9]).tolist(),
        "median_error": float(np.median(error)),
        "significant": float((known < -1.645 * error).mean()),
        "above_zero": float((known > 0).mean()),
    }  # fmt: skip


def _products(cache: TensorCache, panel: Panel, demand: Demand) -> Iterator[dict[str, Any]]:
    """Each product's elasticity and the evidence for it."""
    codes, evidence = cache["products.code"][panel.token - 1], demand.evidence
    for row, code in enumerate(codes.tolist()):
        is_known = bool(demand.moving[row])
        yield {
            "code": code.decode(),
            "elasticity": float(demand.elasticity[row]),
            "error": float(demand.elasticity_error[row]) if is_known else None,
            "is_identified": is_known,
            "moves": int(evidence.moves[row]),
            "deviation": float(evidence.deviation[row]),
            "moved": float(panel.moved[row]),
        }


def _report(content: dict[str, Any]) -> Iterator[str]:
    told, elasticity = content["price changes"], content["elasticity"]
    yield (
        f"Fitted on weeks 1 to {told['fitted_to']}; {told['events']:,} price changes of "
        f"{told['products']:,} products in weeks {told['fitted_to'] + 1} to "
        f"{told['predicted_to']}, {told['cuts']:,} of them cuts, {told['price_alone']:,} with "
        "display and mailer as before; price zones of "
        f"{' and '.join(map(str, content['zones']))} stores."
    )
    yield ""
    yield from table(
        ("", "WMAPE", "90 %", "deviance", "90 %", "sign", "price alone", "slope", "cuts", "rises"),
        [_row(name, found) for name, found in content["scores"].items()]
        + [
            (
                "noise floor", _number(content["noise_floor"]["wmape"]), "",
                _number(content["noise_floor"]["deviance"]), *[""] * 6,
            )
        ],
    )  # fmt: skip
    yield ""
    yield from table(
        (f"goals of {OURS}", "figure", "goal", ""),
        [
            (
                goal["name"], f"{goal['value']:.3f}", _range(*goal["range"]),
                "met" if goal["met"] else "missed",
            )
            for goal in content["goals"].values()
        ],
    )  # fmt: skip
    yield ""
    low, _, middle, _, high = elasticity["quantiles"]
    yield (
        f"Own elasticities, display and mailer as they are: median {middle:.2f}, one in ten "
        f"below {low:.2f}, one in ten above {high:.2f}; median standard error "
        f"{elasticity['median_error']:.2f}; {elasticity['significant']:.0%} below zero with 95 % "
        f"certainty. Of {elasticity['products']:,} products the prices of "
        f"{elasticity['not_identified']:,} never moved enough: 0, not identified."
    )
    for name in ("without", "with"):
        value, error = elasticity[f"pooled_{name}_features"]
        yield f"One elasticity for all, {name} features: {value:.2f} (standard error {error:.2f})."
    verdict = content["cross_prices"]["verdict"]
    yield f"{verdict[0].upper()}{verdict[1:]}."


def _row(name: str, found: dict[str, Any]) -> tuple[str, ...]:
    return (
        name,
        _number(found["wmape"]), _interval(found["wmape_interval"]),
        _number(found["deviance"]), _interval(found["deviance_interval"]),
        _number(found["sign"]), _number(found["price_alone"]), _number(found["slope"]),
        f"{found['cuts']:+.3f}", f"{found['rises']:+.3f}",
    )  # fmt: skip


def _number(value: float) -> str:
    return f"{value:.3f}"


def _interval(ends: Sequence[float]) -> str:
    return f"{ends[0]:.2f}-{ends[1]:.2f}"


def _range(low: float, high: float) -> str:
    if high == np.inf:
        return f"{low:g} or more"
    return f"{low:g} to {high:g}"


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    return run_command(_parser(), _run, arguments)


if __name__ == "__main__":
    sys.exit(main())
