"""Errors that whoever runs a command can put right."""

from __future__ import annotations


class ExpectedError(Exception):
    """Something that is not as it should be outside the program: a file, an option, a machine.

    The message is one line that says what is wrong, where, and what to do. Any other exception is
    a fault of the program (`trainer.commands.command`).
    """


class InputError(ExpectedError, ValueError):
    """A value that cannot be used: of an option, or in a file that a user named."""
