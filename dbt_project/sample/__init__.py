"""A synthetic grocery chain in the publisher's file format, with the truth beside it."""

from .chain import generate_chain
from .config import ChainConfig
from .folder import FolderError

__all__ = ["ChainConfig", "FolderError", "generate_chain"]
