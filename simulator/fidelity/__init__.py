"""How real simulated weeks are: measured on weeks that came, beside copies of the past.

A simulation is a list of runs, each a `TripSet` of the window's customers and weeks:

    window = Window(cache, start=95, weeks=9)
    content = measure(window, {"simulated": runs})
"""

from simulator.fidelity.gate import measure
from simulator.fidelity.trip_sets import TripSet
from simulator.fidelity.window import Window

__all__ = ["TripSet", "Window", "measure"]
