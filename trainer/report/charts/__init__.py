"""Charts as inline SVG, drawn by matplotlib: no script, no external reference, light and dark."""

import logging

# A report should not print where matplotlib keeps its cache of fonts, or that it is building it.
logging.getLogger("matplotlib").setLevel(logging.ERROR)
