"""A synthetic grocery chain in the file format of LGSR's publisher, with its truth."""

from .chain import generate_chain
from .config import ChainConfig
from .folder import FolderError

__all__ = ["ChainConfig", "FolderError", "generate_chain"]
