"""An episode as a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

WIDTH, HEIGHT, DOTS = 6.0, 4.5, 80
PANELS = {"price": "price level", "units": "units a week", "profit": "profit, £ a week"}


def draw(weeks: Sequence[dict[str, float]], horizon: int) -> np.ndarray:
    """Price level, units and profit of the weeks so far, (height, width, 3) bytes.

    weeks: an `info` for each; horizon: weeks of an episode.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((WIDTH, HEIGHT), dpi=DOTS, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(len(PANELS), sharex=True)
    for panel, (name, label) in zip(axes, PANELS.items(), strict=True):
        values = [week[name] for week in weeks]
        panel.plot(range(1, len(weeks) + 1), values, marker=".")
        panel.set_ylim(min([0, *values]), 1.1 * max([1, *values]))
        panel.set_title(label, loc="left", fontsize="small")
        panel.set_xlim(0.5, horizon + 0.5)
        panel.spines[["top", "right"]].set_visible(False)
    axes[-1].set_xlabel("week of the episode")
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
