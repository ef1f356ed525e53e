"""Write the table of speeds in README.md from the results of the other benchmarks.

    python -m benchmarks.table benchmarks/results/*.json

The table replaces what stands between the lines `<!-- speed: ... -->` and `<!-- /speed -->`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, parser
from trainer.cache.atomic import new_file
from trainer.commands.command import run_command
from trainer.commands.errors import InputError

PLACE = re.compile(r"(<!-- speed: [^\n]* -->\n).*?(<!-- /speed -->)", re.DOTALL)
Result = dict[str, Any]
Row = tuple[str, str]
"""What was measured, and the figures."""


def number(value: float) -> str:
    """Three significant digits, with thousands separators."""
    short = float(f"{value:.3g}")
    return f"{short:,.0f}" if short >= 100 else f"{short:g}"


def percent(share: float) -> str:
    """A share in whole percent."""
    return f"{share * 100:.0f} %"


def training(result: Result) -> list[Row]:
    """Rows of `benchmarks.training`."""
    step, loader, config = result["step"], result["loader"], result["configuration"]
    padding = loader["padding"]
    share, inner = (result[name]["share_of_ceiling"] for name in ("step", "forward_backward"))
    return [
        (
            f"training `{config['preset']}`, scan by {config['backend']}",
            f"{number(step['items_per_s'])} items/s, {number(step['tokens_per_s'])} tokens/s; "
            f"{number(result['peak_memory_gb'])} GB",
        ),
        (
            f"share of the {config['dtype']} rate of large matrix products",
            f"{percent(share)} in the whole step, {percent(inner)} in forward and backward",
        ),
        (
            "its loader alone, one process",
            f"{number(loader['items_per_s'])} items/s; padding {percent(padding['encoder'])} of "
            f"the encoder's steps, {percent(padding['decoder'])} of the decoder's slots",
        ),
    ]


def encoder(result: Result) -> list[Row]:
    """Rows of `benchmarks.encoder`."""
    lengths, spread = result["lengths"], result["ours_max_over_min"]
    first, last = lengths[0], lengths[-1]

    def ratios(name: str) -> str:
        chosen = (first, lengths[len(lengths) // 2], last)
        return ", ".join(
            f"{number(row['time_over_ours'][name])} at {row['length']:,}" for row in chosen
        )

    return [
        (
            f"encoder of `{result['configuration']['preset']}`, scan by "
            f"{result['configuration']['backend']}, per trip of history",
            f"{number(last['us_per_trip']['ours'])} µs and "
            f"{number(last['bytes_per_trip']['ours'] / 1000)} kB at {last['length']:,} trips; "
            f"largest over smallest from {first['length']:,} on: {number(spread['time'])} and "
            f"{number(spread['memory'])}",
        ),
        ("time over it: a Transformer of as many parameters", ratios("transformer")),
        ("time over it: each trip's history encoded afresh", ratios("afresh")),
    ]


def scaling(result: Result) -> list[Row]:
    """Rows of `benchmarks.scaling`."""
    first, last = result["sizes"][0], result["sizes"][-1]
    rows = [
        (
            f"training on {number(last['customers'] / first['customers'])} times the customers",
            f"{number(last['time_per_item_over_first'])} times the time per item; of all sizes the "
            "largest over the smallest "
            f"{number(result['time_per_item_max_over_min'])}",
        )
    ]
    rows += [
        (f"in {ranks['ranks']} processes", f"{number(ranks['over_one'])} times the items/s of one")
        for ranks in result["ranks"]
        if ranks["ranks"] > 1
    ]
    return rows


def inference(result: Result) -> list[Row]:
    """Rows of `benchmarks.inference`."""
    config = result["configuration"]

    def figures(measured: dict[str, float], unit: str = "ms") -> str:
        past, step, questions, answer = (
            measured[f"{name}_{unit}"] for name in ("prefill", "step", "questions", "answer")
        )
        return (
            f"past {number(past)} {unit}, a finished trip {number(step)} {unit}, "
            f"next basket {number(questions + answer)} {unit}"
        )

    return [
        (f"`{config['preset']}` in use, one customer", figures(result["one_customer"])),
        (f"and {config['batch']} customers together", figures(result["batch"])),
        (f"and all {result['all']['customers']:,}, in such batches", figures(result["all"], "s")),
    ]


ROWS: dict[str, Callable[[Result], list[Row]]] = {
    "training": training,
    "encoder": encoder,
    "scaling": scaling,
    "inference": inference,
}
"""By the name in a result, in the order of the table."""


def hardware(result: Result) -> str:
    """The hardware of a result, as text."""
    about, threads = result["hardware"], result["configuration"]["threads"]
    if about["device"] == "cuda":
        return about["gpu"]
    return f"{threads} thread{'s' * (threads > 1)} of {about['processor']}, {about['cores']} cores"


def rows(path: Path) -> tuple[int, list[str]]:
    """The position of a result in the table, and its lines. Raises ValueError for a result that
    lacks a figure, is not JSON or is of a benchmark without rows."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        name = result["benchmark"]
        if name not in ROWS:
            raise InputError(f"{path}: {name!r} has no rows: leave it out")
        made, on = ROWS[name](result), hardware(result)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: not JSON ({error}): run its benchmark again") from error
    except KeyError as error:
        raise InputError(f"{path}: no {error}: run its benchmark again") from error
    return list(ROWS).index(name), [f"| {what} | {figures} | {on} |" for what, figures in made]


def table(paths: Iterable[Path]) -> str:
    """Markdown."""
    lines = ["| | | on |", "|---|---|---|"]
    for _, of_result in sorted(rows(path) for path in paths):
        lines += of_result
    return "\n".join(lines)


def write(readme: Path, paths: Iterable[Path]) -> None:
    """Replace the table. Raises ValueError where its markers or a result's figure are missing."""
    text = readme.read_text(encoding="utf-8")
    if not PLACE.search(text):
        raise InputError(
            f"{readme}: no lines <!-- speed: ... --> and <!-- /speed -->: "
            "put them where the table belongs"
        )
    made = table(paths)
    with new_file(readme) as fresh:
        fresh.write_text(PLACE.sub(lambda m: f"{m[1]}{made}\n{m[2]}", text), encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit code: 0, or 2 with one line that says what is wrong."""
    made = parser(__doc__)
    made.add_argument("results", type=Path, nargs="+", metavar="RESULT", help="JSON files")
    made.add_argument("--readme", type=Path, default=ROOT / "README.md", help="file to write")
    return run_command(made, lambda options: write(options.readme, options.results), arguments)


if __name__ == "__main__":
    sys.exit(main())
