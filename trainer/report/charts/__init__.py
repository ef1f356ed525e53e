"""Charts as inline SVG: no script, no outside reference, readable on light and dark."""
