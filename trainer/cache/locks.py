"""Locks between processes, which end with the process that has them."""

from __future__ import annotations

import errno
import fcntl
from typing import IO

NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)


def take_lock(file: int | IO) -> bool:
    """Lock an open file or folder for this process alone, without waiting; False where the file
    system has no locks. Raises BlockingIOError while another process has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in NO_LOCKS:
            return False
        raise
    return True
