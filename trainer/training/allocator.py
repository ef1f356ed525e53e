"""How much memory a process holds on a CPU beyond what it needs at the moment."""

from __future__ import annotations

import ctypes
import os

TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = -1, -2, -4
"""Options of mallopt(3)."""


def keep_freed_memory() -> bool:
    """Tell glibc not to return freed memory to the system; False where there is no glibc.

    A step on a CPU allocates the same large tensors again and again. By default each is mapped
    anew, and the system fills every page with zeros first: a sixth of a step's processor time.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(MMAP_MAX, 0) and mallopt(TRIM_THRESHOLD, -1) and mallopt(TOP_PAD, 1 << 28))


def keep_few_kernels() -> None:
    """Tell oneDNN to keep the kernels of the last few shapes only; before its first operation.

    By default it keeps those of 1,024 shapes, with what they work in. Every batch has shapes of its
    own, so that most are never seen again, and a run would hold gigabytes of them.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "8")


def return_freed_memory() -> bool:
    """Return to the system what is free now, wherever it lies; False where nothing is or no glibc.

    Batches differ in size, so that what one leaves is often too small for the next, which takes
    more: without this a process grows to several times what it holds. Called every few batches it
    costs far less than a batch.
    """
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except (AttributeError, OSError, TypeError):
        return False
