"""How many weeks of the synthetic chain an environment lives in a second.

    python -m benchmarks.environments

- core: `World.step` under the manager's plan, in one process.
- single: `RetailSim/Pricing-v0` in one process: the difference is what Gymnasium's side costs.
- vectorised: `gymnasium.make_vec`, a process for each episode, of one chain that is drawn once.
- model: the same environment in one process in a learned world, if `--checkpoint` names one.

Beside weeks a second there are CPU milliseconds a week, which say the same on a busy machine.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import torch

import simulator.environments  # noqa: F401
from benchmarks.common import answer, parser
from benchmarks.timing import facts
from simulator.environments.opening import Opening
from trainer.commands.options import whole

NAME = "RetailSim/Pricing-v0"


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The result for the options of the command line."""
    opening = Opening(customers=options.customers)
    begun = time.perf_counter()
    world, _ = opening.start()
    drawn = time.perf_counter() - begun

    still = np.zeros(gymnasium.make(NAME, customers=options.customers).action_space.shape)

    def core() -> None:
        life = world.copy(1)
        for _ in range(opening.weeks):
            life.step()

    def single(**world: str) -> Callable[[], None]:
        env = gymnasium.make(NAME, **world or {"customers": options.customers})

        def life() -> None:
            env.reset(seed=1)
            for _ in range(opening.weeks):
                env.step(still)

        return life

    vector = gymnasium.make_vec(NAME, num_envs=options.episodes, customers=options.customers)

    def vectorised() -> None:
        vector.reset(seed=1)
        for _ in range(opening.weeks):
            vector.step(np.stack([still] * options.episodes))

    side_by_side = opening.weeks * options.episodes
    found = {
        "core": _speed(core, opening.weeks, options.repeats),
        "single": _speed(single(), opening.weeks, options.repeats),
        "vectorised": _speed(vectorised, side_by_side, options.repeats),
    }
    if options.checkpoint:
        life = single(world="model", checkpoint=options.checkpoint)
        found["model"] = _speed(life, opening.weeks, options.repeats)
    # The work is done in other processes, whose time is known when they have ended.
    before = _cpu_of_children()
    vector.close()
    each = (_cpu_of_children() - before) / (side_by_side * (options.repeats + 1))
    own = found["vectorised"]["cpu_ms_per_week"]
    found["vectorised"]["cpu_ms_per_week"] = round(own + 1e3 * each, 2)
    configuration = {
        "customers": options.customers,
        "households": int(world.setting.households.rate.size),
        "products": opening.products,
        "episodes": options.episodes,
        "processors": len(os.sched_getaffinity(0)),
    }
    device = torch.device("cpu")
    return facts("environments", configuration, device) | {"drawn_s": round(drawn, 2)} | found


def _speed(life: Callable[[], None], weeks: int, repeats: int) -> dict[str, float]:
    """Weeks a second of the fastest of some repeats, after one that is not counted."""
    life()
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        life()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return {
        "weeks_per_s": round(weeks / min(walls), 1),
        "cpu_ms_per_week": round(1e3 * min(cpus) / weeks, 2),
    }


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit code."""
    made = parser(__doc__)
    add = made.add_argument
    add(
        "--customers", type=whole(), default=1000, metavar="N",
        help="households with a card (default: 1000)",
    )  # fmt: skip
    add(
        "--episodes", type=whole(), default=8, metavar="N", help="side by side (default: 8)"
    )  # fmt: skip
    add("--checkpoint", metavar="FILE", help="a world of python -m simulator.policy learn")
    add("--repeats", type=whole(), default=3, metavar="N", help="of each figure (default: 3)")
    return answer(made, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
