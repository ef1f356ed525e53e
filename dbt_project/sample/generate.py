"""Generate a chain: its files, and its truth beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from trainer.cache.atomic import beside

from .behaviour import Behaviour
from .chain import build_chain
from .config import ChainConfig, written
from .folder import check, install
from .independent import Independent
from .lived import Lived
from .truth import write_truth
from .write import write_time


def generate_chain(
    config: ChainConfig,
    out: Path | str,
    workers: int = 1,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
    behaviour: Behaviour | None = None,
) -> dict:
    """Write a synthetic chain and its truth into the folder `out`.

    The files depend on `config` only, not on `workers`. `progress` is called with the rows of
    each finished week. `behaviour` is that of a responsive chain, the default one if left out.
    Several workers are spawned processes: a script that asks for them keeps
    its calls under `if __name__ == "__main__"`.

    Returns what truth/chain.json holds: sizes, parameters, rows, baskets and spend in pence.
    Raises FolderError when the folder holds anything but a chain of this command (or holds one
    and `overwrite` is not set). Everything is written beside first and moved into place at the
    end, so an interrupted run leaves the folder as it was.
    """
    out = Path(out)
    check(out, overwrite)
    total = {"rows": 0, "baskets": 0, "spend_pence": 0}
    with beside(out / "truth") as staging:
        kept = staging.with_name("kept")
        staging.mkdir()
        kept.mkdir()
        write_time(staging, config.weeks)
        chain = build_chain(config)
        independent = config.behaviour == "independent"
        weeks = Independent(chain) if independent else Lived(chain, behaviour)
        for week in weeks.write(staging, kept, workers):
            total = {name: total[name] + week[name] for name in total}
            if progress is not None:
                progress(week["rows"])
        write_truth(staging / "truth", weeks.truth())
        facts = {"config": written(config), **total, "parameters": weeks.parameters()}
        install(staging, out, facts)
    return facts
