"""From the marts to the tensor cache that the trainer reads."""

from .prepare import prepare_tensor_cache
from .warehouse import ExportError

__all__ = ["ExportError", "prepare_tensor_cache"]
