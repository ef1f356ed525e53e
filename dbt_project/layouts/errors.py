"""What can be wrong with a layout or with files as a whole."""

from __future__ import annotations


class LayoutError(ValueError):
    """A layout, or a file read by one, that cannot be used; the message is one line that names the
    file, the key, column or line, and what is expected."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))
