"""Results of `benchmarks.price_rivals` side by side: managed prices, random ones, means over seeds.

python -m benchmarks.price_rivals_table managed-*.json random-*.json
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import parser
from benchmarks.price_rivals import OURS, OURS_INSTRUMENTED, TYPICAL
from trainer.commands.command import run_command
from trainer.commands.errors import InputError

PRICING = {"managed": "confounded", "random": "clean"}
COLUMNS = (
    ("own: r", "own", "r", "{:.2f}"), ("slope", "own", "slope", "{:.2f}"),
    ("mean", "own", "mean", "{:.2f}"), ("sign", "own", "sign", "{:.2f}"),
    ("**WMAPE**", "wmape", "all", "{:.3f}"), ("products", "wmape", "products", "{:.3f}"),
    ("departments", "wmape", "departments", "{:.3f}"),
    ("everything", "wmape", "everything", "{:.3f}"),
    ("rivals", "wmape", "rivals", "{:.3f}"), ("total", "wmape", "total", "{:.3f}"),
    ("bias", "causaldemand", "mean_abs_bias", "{:.2f}"),
    ("overstated", "causaldemand", "share_overstated", "{:.2f}"),
)  # fmt: skip
"""Heading, place in a method's figures, format."""
NOT_RIVALS = OURS, OURS_INSTRUMENTED, TYPICAL, "true own elasticities"


def _run(options: argparse.Namespace) -> None:
    results: dict[str, list[dict[str, Any]]] = {}
    for path in options.results:
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            results.setdefault(result["configuration"]["chain"]["pricing"], []).append(result)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} is no result of benchmarks.price_rivals ({error})") from None
    print(
        "\n\n".join("\n".join(table(PRICING[pricing], rows)) for pricing, rows in results.items())
    )
    if len(results) == len(PRICING):
        print("\n" + "\n".join(goals(results["random"], results["managed"])))


def table(name: str, results: list[dict[str, Any]]) -> list[str]:
    """A table in Markdown: a row a method, means over results, which differ in their seed."""
    seeds = sorted(result["configuration"]["chain"]["seed"] for result in results)
    heads = [head for head, *_ in COLUMNS]
    lines = [
        f"| {name}, seeds {', '.join(map(str, seeds))} | {' | '.join(heads)} |",
        "|" + "---|" * (len(heads) + 1),
    ]
    for method in results[0]["methods"]:
        values = [(form, mean(results, method, *place)) for _, *place, form in COLUMNS]
        cells = ["" if np.isnan(value) else form.format(value) for form, value in values]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    true = np.mean([result["methods"][OURS]["own"]["true_mean"] for result in results])
    chance = np.mean([result["noise"] for result in results])
    weak = [f"{result['instrument']['first_stage_f']:.0f}" for result in results]
    return [
        *lines, "",
        f"True mean {true:.2f}; chance in the truth {chance:.3f}; F of the first stage "
        f"{', '.join(weak)}.",
    ]  # fmt: skip


def goals(clean: list[dict[str, Any]], confounded: list[dict[str, Any]]) -> list[str]:
    """Our WMAPE beside the best rival's on the clean twin, and with confounding."""
    rivals = {
        name: mean(clean, name, "wmape", "all")
        for name in clean[0]["methods"]
        if name not in NOT_RIVALS
    }
    best = min(rivals, key=rivals.get)
    ours, managed = (mean(found, OURS, "wmape", "all") for found in (clean, confounded))
    told = mean(confounded, OURS_INSTRUMENTED, "wmape", "all")
    return [
        f"clean: ours {ours:.3f}, best rival {rivals[best]:.3f} ({best}); goal: at most that",
        f"confounded: ours {managed:.3f}, {managed / ours:.2f} x clean; with the instrument "
        f"{told:.3f}, {told / ours:.2f} x; goal: at most 1.3",
    ]


def mean(results: list[dict[str, Any]], method: str, kind: str, key: str) -> float:
    """Of a figure over results."""
    values = [result["methods"][method][kind][key] for result in results]
    return float(np.mean([np.nan if value is None else value for value in values]))


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    made = parser(__doc__)
    made.add_argument("results", type=Path, nargs="+", metavar="FILE", help="of --json")
    return run_command(made, _run, arguments)


if __name__ == "__main__":
    sys.exit(main())
