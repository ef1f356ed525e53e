"""What the warehouse has to know of a source of receipts besides its files: layouts, one YAML each.

How the files of a layout are read is SQL, models/staging/<layout>.
"""

from __future__ import annotations

from .errors import LayoutError
from .layout import Layout, load_layout

__all__ = ["Layout", "LayoutError", "load_layout"]
