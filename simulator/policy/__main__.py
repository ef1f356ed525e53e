"""Command line: python -m simulator.policy: made in the learned world, valued in the true one."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from dbt_project.sample.effects import made_of
from simulator.environments.learned.learn import learn_world
from simulator.environments.learned.opening import LearnedOpening
from simulator.environments.learned.records import read_records
from simulator.environments.opening import Opening
from trainer.cache.atomic import new_file
from trainer.cache.json_files import is_intact, read_json, write_json
from trainer.cache.reader import TensorCache
from trainer.commands.command import run_command
from trainer.commands.errors import InputError
from trainer.commands.options import CommandParser, check_output, seed, whole
from trainer.commands.yaml_files import read_yaml

from .learners import LEARNERS
from .limits import Limits
from .made import Made
from .optimiser import best_factors
from .page import page
from .values import ORACLE, PLAN, compared, lives_of, table

WORLD, POLICY = rb"retailsim\.learned_world", rb"retailsim\.policy"
"""In the files that commands write, so that they replace no others."""
START, WEEKS, LIVES = 104, 104, 8


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m simulator.policy",
        description="Train pricing policies in the world learned from receipts, and value them in "
        "the synthetic chain, which answers as it truly would: docs/policies.md.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("learn", help="learn the world from receipts and books").add_argument
    add("raw", type=Path, help="folder of python -m dbt_project.sample")
    add("--cache", type=Path, required=True, help="tensor cache of its receipts")
    add(
        "--start", type=whole(), default=START, metavar="WEEK",
        help=f"last week that is read (default: {START})",
    )  # fmt: skip
    add("--out", type=Path, required=True, metavar="FILE", help="the learned world")

    add = commands.add_parser("train", help="make a policy").add_argument
    add("policy", type=Path, help="YAML: its kind, name, limits and settings")
    _world(add)
    add("--cache", type=Path, help="tensor cache: for the optimiser")
    add("--seed", type=seed, default=0, metavar="N", help="of training (default: 0)")
    add("--out", type=Path, required=True, metavar="FILE", help="the policy")

    add = commands.add_parser("value", help="what policies are worth in one world").add_argument
    add("policies", type=Path, nargs="+", help="files of train")
    _world(add)
    _lives(add)
    add(
        "--limits", type=Path, metavar="FILE", help="YAML: what all are judged by (default: Limits)"
    )
    add("--json", type=Path, required=True, metavar="FILE", help="all weeks of all lives")

    add = commands.add_parser(
        "compare", help="table and page: promised in the learned world, earned in the true one"
    ).add_argument
    add(
        "values", type=Path, nargs="+",
        help="files of value --json in pairs: a chain's learned world, then its truth",
    )  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="write the figures here as well")
    add("--page", type=Path, metavar="FILE", help="write a page with pictures")
    return parser


def _world(add: Callable) -> None:
    add("--world", type=Path, metavar="FILE", help="the learned world: a file of learn")
    add("--raw", type=Path, metavar="FOLDER", help="or the true one: a folder of the sample chain")
    add(
        "--start", type=whole(), default=START, metavar="WEEK",
        help=f"last week before episodes in the true world (default: {START})",
    )  # fmt: skip
    add(
        "--weeks", type=whole(1, 400), default=WEEKS, metavar="N",
        help=f"of an episode (default: {WEEKS})",
    )  # fmt: skip


def _lives(add: Callable) -> None:
    add(
        "--lives", type=whole(2, 10_000), default=LIVES, metavar="N",
        help=f"how often each policy is tried, with other draws (default: {LIVES})",
    )  # fmt: skip


def _opening(options: argparse.Namespace) -> Opening | LearnedOpening:
    if (options.world is None) == (options.raw is None):
        raise InputError("name one world: --world, the learned one, or --raw, the true one")
    if options.world:
        return LearnedOpening(str(options.world), options.weeks)
    config, behaviour = made_of(options.raw)
    if options.start + options.weeks != config.weeks:
        raise InputError(
            f"{options.raw} has {config.weeks} weeks, which must be those of --start and --weeks: "
            f"a chain's products and costs depend on how long it is"
        )
    if config.pricing != "managed":
        raise InputError(f"{options.raw}: the chain of --pricing random has no manager's plan")
    return Opening(
        config.customers, config.products, config.stores, config.seed, options.start,
        options.weeks, behaviour,
    )  # fmt: skip


def _run(options: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    commands = {"learn": _learn, "train": _train, "value": _value, "compare": _compare}
    commands[options.command](options)


def _learn(options: argparse.Namespace) -> None:
    check_output("--out", options.out, WORLD)
    cache = TensorCache(options.cache)
    known = learn_world(cache, read_records(options.raw, options.start), options.start)
    with new_file(options.out) as fresh:
        known.save(fresh)
    lasting, passing, stocking, visits = known.of_need
    print(
        f"{options.out}: {known.code.shape[0]:,} products, {known.rate.size:,} customers, weeks up "
        f"to {known.start}; effects of a price on purchases: lasting {lasting:.2f}, passing "
        f"{passing:.2f}, stocking up {stocking:.2f}; on visits {visits:.2f}"
    )


def _train(options: argparse.Namespace) -> None:
    check_output("--out", options.out, POLICY)
    content = read_yaml(options.policy)
    kind = content.pop("policy", None)
    known = [*LEARNERS, "optimiser"]
    if kind not in known:
        raise InputError(f"{options.policy}: policy must be one of {', '.join(known)}, not {kind}")
    name = str(content.pop("name", PLAN if kind == "plan" else kind))
    if name == PLAN and kind != "plan":
        raise InputError(f"{options.policy}: only the policy plan may be named {PLAN}")
    if name == ORACLE and options.raw is None:
        raise InputError(
            f"{options.policy}: what is named {ORACLE} is made in the true world: --raw"
        )
    limits = Limits.of(content.pop("limits", {}))
    opening = _opening(options)
    opening.start()  # what cannot be opened is said before the work
    with tqdm(unit="week", desc=name, file=sys.stderr) as bar:
        if kind == "optimiser":
            _settings(options.policy, content, {})
            if options.cache is None or not isinstance(opening, LearnedOpening):
                raise InputError("the optimiser needs --cache, and --world for costs and week")
            arrays, curve = best_factors(TensorCache(options.cache), opening, limits), []
        else:
            learner, defaults = LEARNERS[kind]
            settings = _settings(options.policy, content, defaults)
            arrays, curve = learner(opening, limits, settings, options.seed, bar.update)
    training = {"seed": options.seed, "settings": content, "curve": curve}
    with new_file(options.out) as fresh:
        Made(name, kind, limits, arrays, training).save(fresh)


def _settings(path: Path, content: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Defaults with a file's own values; raises InputError for others, or of another type."""
    found = dict(defaults)
    for name, text in content.items():
        if name not in defaults:
            names = ", ".join([*defaults, "policy", "name", "limits"])
            raise InputError(f"{path}: unknown setting {name}. Known are {names}")
        like = defaults[name]
        try:
            if isinstance(like, list):
                found[name] = [_finite(float(each)) for each in _list(text)]
            elif isinstance(like, int):
                found[name] = _positive(int(text))
            else:
                found[name] = _finite(type(like)(text))
        except (TypeError, ValueError):
            raise InputError(f"{path}: {name} must be like {like!r}, not {text!r}") from None
    return found


def _list(value: Any) -> list:
    if not isinstance(value, list) or not value:
        raise ValueError
    return value


def _positive(number: int) -> int:
    if number < 1:
        raise ValueError
    return number


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError
    return value


def _value(options: argparse.Namespace) -> None:
    check_output("--json", options.json, rb'"lives": ')
    opening = _opening(options)
    policies = [Made.load(path) for path in options.policies]
    names = [made.name for made in policies]
    if len(set(names)) < len(names):
        raise InputError("two policies have the same name: name them in their YAML files")
    limits = Limits.of(read_yaml(options.limits)) if options.limits else Limits()
    found = {}
    weeks = len(policies) * options.lives * opening.weeks
    with tqdm(total=weeks, unit="week", desc="weeks", file=sys.stderr) as bar:
        for made in policies:
            found[made.name] = lives_of(made, limits, opening, options.lives, bar.update)
            found[made.name]["curve"] = made.training["curve"]
    world = "model" if isinstance(opening, LearnedOpening) else "truth"
    with new_file(options.json) as fresh:
        content = {"lives": options.lives, "weeks": opening.weeks, "world": world}
        write_json(fresh, content | {"policies": found})
    for name, own in found.items():
        weekly = [sum(life) / len(life) for life in own["profit"]]
        print(f"{name}: {sum(weekly) / len(weekly):,.0f} pounds a week")


def _compare(options: argparse.Namespace) -> None:
    check_output("--json", options.json, rb'"spearman": ')
    check_output("--page", options.page, rb"RetailSim: policies")
    if len(options.values) % 2:
        raise InputError("values must come in pairs: the learned world's and the true one's")
    chains = []
    for model, truth in zip(options.values[::2], options.values[1::2], strict=True):
        promised, earned = _read(model, "model"), _read(truth, "truth")
        if promised["weeks"] != earned["weeks"]:
            raise InputError(
                f"{model} has lives of {promised['weeks']} weeks, {truth} of {earned['weeks']}"
            )
        worlds = {"model": promised["policies"], "truth": earned["policies"]}
        shared = [name for name in worlds["truth"] if name in worlds["model"]]
        if PLAN not in shared:
            raise InputError(f"{truth}: the policy {PLAN} must be among those valued in both")
        chains.append({n: {w: worlds[w][n] for w in worlds} for n in shared})
    found = compared(chains)
    print("\n".join(table(found)))
    if options.json:
        with new_file(options.json) as fresh:
            write_json(fresh, found)
    if options.page:
        command = "python -m simulator.policy compare " + " ".join(map(str, options.values))
        with new_file(options.page) as fresh:
            fresh.write_text(page(found, chains, command), encoding="utf-8")


def _read(path: Path, world: str) -> dict[str, Any]:
    """What `value` wrote of a world."""
    try:
        content = read_json(path)
        found, intact = content["world"], is_intact(content)
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{path} is no file of python -m simulator.policy value") from None
    if not intact or "weeks" not in content:
        raise InputError(f"{path} was changed or is of an earlier version: value it again")
    if found != world:
        raise InputError(f"{path} is of the {found}, where {world} is expected")
    return content


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    return run_command(_parser(), _run, arguments)


if __name__ == "__main__":
    sys.exit(main())
