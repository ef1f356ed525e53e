"""`python -m dbt_project.check FOLDER`: which layout fits a folder of receipts, and what a build
would do with them.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from dbt_project import text_files
from dbt_project.layouts import LayoutError
from dbt_project.layouts.order_lines import EXPECTED
from dbt_project.layouts.text_tables import files_of, parquet_rows
from trainer.commands.command import run_command
from trainer.commands.errors import ExpectedError, InputError
from trainer.commands.options import CommandParser, whole

from .guess import Guess, guess
from .sample import Outcome, copy_first_lines, try_build
from .tables import tables_in

LONGEST_EXAMPLE = 100
"""Characters of a line that are shown."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0 if the folder can be built, else 2 with one line
    that says what is in the way.
    """
    parser = CommandParser(
        prog="python -m dbt_project.check",
        description="Read a folder of receipts before any build: which layout fits, which columns "
        "are what, and which lines would be rejected or set aside, and why. It runs the rules of "
        "the warehouse on the first lines of each file.",
    )
    parser.add_argument("folder", type=Path, help="the folder with the files")
    parser.add_argument(
        "--layout", help="check this layout (a name, or the path of a YAML file); default: guess"
    )
    parser.add_argument("--out", type=Path, help="write the guessed layout to this new YAML file")
    parser.add_argument(
        "--lines", type=whole(), default=100_000, help="lines of each file (default: %(default)s)"
    )
    return run_command(parser, _run, arguments, expected=(LayoutError,))


def _run(options: argparse.Namespace) -> None:
    folder, out = options.folder, options.out
    if not folder.is_dir():
        raise InputError(f"{folder}: not a folder")
    for name in text_files.folder(str(folder))["unsayable"]:
        raise InputError(f"{folder / name}: its name is not UTF-8, or holds a \\. Rename it")
    if out and out.exists():
        raise InputError(f"--out: {out} is there already: name another file, or move it away")
    if out and options.layout:
        raise InputError("--out writes a layout that is guessed: leave out --layout")
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        layout = options.layout or _built_in(folder)
        if layout is None:
            found = _guessed(folder, options.lines)
            text = as_yaml(found)
            layout = str(out or work / "layout.yml")
            Path(layout).write_text(text, encoding="utf-8")
            print(_mapping(found, text))
            if found.missing:
                part = found.missing[0]
                raise InputError(
                    f"no column found for {', '.join(found.missing)}: name {EXPECTED[part]}, in "
                    f"{out or 'a layout that --out writes'}"
                )
        else:
            if out:
                raise InputError(f"--out: nothing to write, the files are in the layout {layout}")
            print(f"layout: {layout}")
        raw = work / "raw"
        raw.mkdir()
        more = copy_first_lines(folder, layout, options.lines, raw)
        if Path(layout).is_file():
            layout = str(Path(layout).resolve())
        outcome = try_build(raw, layout, work, folder)
        print(_account(outcome, options.lines if more else None))
        for warning in outcome.warnings:
            print(f"warning: {warning}")
        _check_shares(outcome)
    if str(layout).startswith(temporary):
        print("\n--out FILE writes this layout")
    else:
        print(
            f"\nRETAILSIM_LAYOUT={shlex.quote(str(out or options.layout or layout))} "
            f"RETAILSIM_RAW={shlex.quote(str(folder))} dbt build"
        )


def _built_in(folder: Path) -> str | None:
    """The layout of the project that a folder is in, by its files and their columns."""
    names = {path.name.lower() for path in folder.iterdir()}
    if {"transactions.parquet", "products.parquet", "demographics.parquet"} <= names:
        columns = next(parquet_rows(folder / "transactions.parquet")).fields
        if {"household_id", "sales_value", "coupon_match_disc"} <= set(columns):
            return "complete_journey"
    if "time.csv" in names and files_of(folder, ("transactions*",)):
        return "lgsr"
    return None


def _guessed(folder: Path, lines: int) -> Guess:
    tables, faults = tables_in(folder, lines)
    if not tables:
        raise InputError(
            faults[0]
            if faults
            else f"{folder}: no files of receipts. Expected CSV (.csv, .tsv, .txt, also .gz) or "
            "Parquet"
        )
    found = guess(tables)
    found.notes += faults
    return found


def as_yaml(found: Guess) -> str:
    """A layout's YAML."""
    comma = found.keys.get("decimal") == ","
    head = (
        f"currency: {'EUR' if comma else 'GBP'}  # a guess; ISO 4217\n"
        f"country: {'DE' if comma else 'GB'}  # a guess: whose public holidays\n"
    )
    return head + "".join(f"{key}: {_flow(value)}\n" for key, value in found.keys.items())


def _flow(value: Any) -> str:
    """A value as YAML on one line."""
    listed = yaml.safe_dump(
        [value], default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000
    )
    return listed.strip()[1:-1]


def _mapping(found: Guess, text: str) -> str:
    names = [table.path.name for table in found.tables]
    others = f" and {len(names) - 1} more" if len(names) > 1 else ""
    lines = [f"layout: your own (docs/your_own_receipts.md), lines in {names[0]}{others}", ""]
    lines += [f"    {line}" for line in text.splitlines()]
    if found.unused:
        lines += ["", f"not used: {', '.join(found.unused)}"]
    lines += [f"note: {note}" for note in found.notes]
    return "\n".join(lines)


def _account(outcome: Outcome, lines: int | None) -> str:
    accepted = outcome.lines - outcome.count("rejected") - outcome.count("set aside")
    which = f" (the first {lines:,} of each file)" if lines else ""
    rows = [
        "",
        f"{outcome.lines:>10,} lines read{which}",
        f"{accepted:>10,} accepted: {outcome.baskets:,} baskets, {outcome.products:,} products, "
        f"{outcome.stores:,} stores, {outcome.customers:,} customers, {outcome.first_date} to "
        f"{outcome.last_date}",
    ]
    for fate in outcome.fates:
        text = " ".join(fate.text.split())
        if len(text) > LONGEST_EXAMPLE:
            text = f"{text[:LONGEST_EXAMPLE]}..."
        rows.append(f"{fate.lines:>10,} {fate.what}: {fate.reason}")
        rows.append(f"{'':>11}{fate.file}:{fate.line}: {text}")
    return "\n".join(rows)


def _check_shares(outcome: Outcome) -> None:
    """Raise ExpectedError where a build would stop."""
    if not outcome.lines:
        raise ExpectedError("the files hold no line but their headers")
    if outcome.lines == outcome.count("rejected") + outcome.count("set aside"):
        raise ExpectedError("no line would be accepted: see the reasons above")
    if outcome.too_many:
        raise ExpectedError(f"a build would stop: {outcome.too_many[0]}")


if __name__ == "__main__":
    sys.exit(main())
