"""`grpc-timeout`: how long a caller waits, as text.

Source: github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md ("TimeoutValue").
"""

import re

_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_FORM = re.compile(r"([0-9]{1,8})([HMSmun])")
_MOST = 99_999_999  # of a unit


def written(seconds: float) -> str:
    """At most so long, and shorter by less than a hundredth."""
    for unit, size in (("u", 1e6), ("m", 1e3)):
        if seconds < (0.1 if unit == "u" else _MOST / size):
            return f"{max(0, int(seconds * size))}{unit}"
    return f"{min(_MOST, int(seconds))}S"


def read(text: str) -> float:
    """Seconds.

    Raises:
        ValueError: it is not of that form.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError("not a grpc-timeout")
    return int(found[1]) * _UNITS[found[2]]
