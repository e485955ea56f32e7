"""The one exception that carries a sentence meant for the user."""

from __future__ import annotations


class UserError(ValueError):
    """Bad input, told in one clear sentence: what is wrong, in which file, what to do.

    The command line prints the message and exits with status 2; the window shows it as a napari notification. It never
    carries a traceback, a patient name or an identifier.
    """
