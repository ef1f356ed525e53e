"""Off-policy values of coupon policies from logged trials, against what they truly earn.

    python -m benchmarks.off_policy

Each log is a trial of four weeks with its own draws; the true value is the mean of `--lives` lives
under the target policy, with other draws. Held is the share of logs whose 95 % interval holds it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.common import parser, write_result
from simulator.environments.coupons import Menu
from simulator.environments.lives import FITTED
from simulator.environments.opening import Opening
from simulator.policy.coupon_trial import TARGETS, Trial, nobody
from simulator.policy.off_policy import doubly_robust, inverse_propensity, self_normalised
from trainer.commands.command import run_command
from trainer.commands.options import whole

ESTIMATORS = {
    "inverse propensity": inverse_propensity, "self-normalised": self_normalised,
    "doubly robust": doubly_robust,
}  # fmt: skip


def _run(options: argparse.Namespace) -> None:
    opening = Opening(customers=options.customers, warm_up=26, weeks=4)
    trial = Trial(opening, Menu.of(opening, depth=options.depth))
    bar = tqdm(total=options.logs + len(TARGETS) * options.lives, unit="life", file=sys.stderr)
    logs = []
    for run in range(options.logs):
        logs.append(trial.log(run))
        bar.update()
    none = trial.probabilities(nobody)
    truth = {}
    for name, target in TARGETS.items():
        truth[name] = np.zeros(options.lives)
        for life in range(options.lives):
            truth[name][life] = trial.earned(target, FITTED + life)
            bar.update()
    bar.close()
    rows = []
    for name, target in TARGETS.items():
        chances = trial.probabilities(target)
        asked = {"value": (chances, truth[name], ESTIMATORS)}
        if target is not nobody:
            linear = {k: v for k, v in ESTIMATORS.items() if v is not self_normalised}
            asked["gain over nobody"] = chances - none, truth[name] - truth["nobody"], linear
        for what, (weights, true, estimators) in asked.items():
            for label, estimator in estimators.items():
                found = [estimator(log, weights) for log in logs]
                rows.append(_row(name, what, label, found, true))
    heads = ["policy", "figure", "estimator", "truth", "mean estimate", "half interval", "held"]
    print("\n".join(f"| {' | '.join(line)} |" for line in [heads, ["---"] * len(heads)]))
    for row in rows:
        cells = [row["policy"], row["figure"], row["estimator"], f"{row['truth']:.3f}"]
        cells += [f"{row['mean']:.3f}", f"{row['half']:.3f}", f"{row['held']:.0%}"]
        print(f"| {' | '.join(cells)} |")
    write_result(options.json, {"benchmark": "off_policy", "logs": options.logs, "rows": rows})


def _row(policy: str, figure: str, estimator: str, found: list, true: np.ndarray) -> dict:
    value = float(true.mean())
    return {
        "policy": policy, "figure": figure, "estimator": estimator, "truth": value,
        "truth_error": float(true.std(ddof=1) / np.sqrt(true.size)),
        "mean": float(np.mean([e.mean for e in found])),
        "half": float(np.mean([(e.high - e.low) / 2 for e in found])),
        "held": float(np.mean([e.low <= value <= e.high for e in found])),
    }  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    made = parser(__doc__)
    add = made.add_argument
    add("--customers", type=whole(), default=1000, help="with a card (default: 1000)")
    add("--logs", type=whole(2), default=100, help="trials (default: 100)")
    add("--lives", type=whole(2), default=100, help="for the truth (default: 100)")
    add("--depth", type=float, default=0.3, help="of coupons (default: 0.3)")
    add("--json", type=Path, metavar="FILE", help="write the figures")
    return run_command(made, _run, arguments)


if __name__ == "__main__":
    sys.exit(main())
