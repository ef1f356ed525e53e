"""A synthetic grocery chain in the file format of LGSR's publisher, with its truth."""

from .actions import Actions
from .behaviour import Behaviour
from .config import ChainConfig
from .coupons import Coupons
from .folder import FolderError
from .generate import generate_chain
from .world import WeekResult, World

__all__ = [
    "Actions", "Behaviour", "ChainConfig", "Coupons", "FolderError", "WeekResult", "World",
    "generate_chain",
]  # fmt: skip
