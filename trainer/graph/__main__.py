"""Command line: `python -m trainer.graph CACHE --out FILE.npy` or `--quality`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trainer.cache.atomic import new_file
from trainer.cache.reader import TensorCache
from trainer.commands.command import run_command
from trainer.commands.errors import InputError
from trainer.commands.options import CommandParser, check_output, seed
from trainer.graph import link_quality, product_embeddings
from trainer.graph.config import SageConfig

SPLITS = 3
MARK = rb"NUMPY.*'<f4', 'fortran_order': False, 'shape': \(\d+, %d\)" % SageConfig.width
"""Of the files that --out writes: numpy's format has no room for a name."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code: 0, or 2 with a message on stderr."""
    parser = CommandParser(
        prog="python -m trainer.graph",
        description="Learn product and category embeddings from a tensor cache's product graph.",
    )
    parser.add_argument("cache", type=Path, help="folder of the tensor cache")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, help="write the vectors to this .npy file")
    what.add_argument(
        "--quality",
        action="store_true",
        help="print as JSON how well held-out links are predicted, against other methods",
    )
    parser.add_argument(
        "--seed", type=seed, default=0, help=f"first of {SPLITS} with --quality (default: 0)"
    )
    return run_command(parser, _run, arguments)


def _run(options: argparse.Namespace) -> None:
    if options.quality:
        cache = TensorCache(options.cache)
        print(json.dumps(_quality(cache, options.seed), indent=1))
        return
    if options.out.suffix != ".npy":
        raise InputError(f"--out: {options.out}: the name must end in .npy")
    cache = TensorCache(options.cache)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    check_output("--out", options.out, MARK)
    _write(cache, options.seed, options.out)


def _write(cache: TensorCache, seed: int, path: Path) -> None:
    embeddings = product_embeddings(cache, seed=seed)
    with new_file(path) as fresh:
        np.save(fresh, embeddings.vectors.numpy(), allow_pickle=False)
    rows, width = embeddings.vectors.shape
    fallbacks = rows - int(embeddings.is_known.sum())
    print(
        f"{path}: {rows} rows of {width}, {fallbacks} of them taken from an ancestor",
        file=sys.stderr,
    )


def _quality(cache: TensorCache, seed: int) -> dict[str, Any]:
    started = time.perf_counter()
    result = link_quality(cache, seeds=range(seed, seed + SPLITS))
    return {
        **result,
        "seconds": round(time.perf_counter() - started, 1),
        "hardware": {"cpu": platform.machine(), "cores": os.cpu_count()},
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "cache_digest": cache.digest,
    }


if __name__ == "__main__":
    sys.exit(main())
