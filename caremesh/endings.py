"""How commands end that do not do what they were asked for."""

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it: 128 and the signal's number."""


class Refused(Exception):
    """It cannot be done; the text says why, to what, and what to do."""
