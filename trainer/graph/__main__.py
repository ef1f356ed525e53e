"""Command line: `python -m trainer.graph CACHE --out FILE.npy` or `--quality`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trainer.cache.reader import CacheError, TensorCache
from trainer.graph import link_quality, product_embeddings
from trainer.graph.holdout import NothingToHoldOut

SPLITS = 3


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code: 0, or 2 with a message on stderr."""
    parser = argparse.ArgumentParser(
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
        "--seed", type=_seed, default=0, help=f"first of {SPLITS} with --quality (default: 0)"
    )
    options = parser.parse_args(arguments)
    if options.out is not None and options.out.suffix != ".npy":
        parser.error(f"--out {options.out}: the name must end in .npy")
    try:
        cache = TensorCache(options.cache)
        if options.quality:
            print(json.dumps(_quality(cache, options.seed), indent=1))
        else:
            _write(cache, options.seed, options.out)
    except NothingToHoldOut as error:
        print(
            f"error: {error}; lower copurchase_min_trips or copurchase_min_lift in "
            "dbt_project.yml, or take more data, and build and export again",
            file=sys.stderr,
        )
        return 2
    except (CacheError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _seed(text: str) -> int:
    """A seed that torch's generators accept, also after adding the number of splits."""
    seed = int(text)
    if not 0 <= seed < 2**32:
        raise ValueError
    return seed


def _write(cache: TensorCache, seed: int, path: Path) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        embeddings = product_embeddings(cache, seed=seed)
    for warning in caught:
        print(f"warning: {warning.message}", file=sys.stderr)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, embeddings.vectors.numpy(), allow_pickle=False)
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
