"""How much may come at once and in the long run: a bucket that fills again with time."""


class Bucket:
    """Holds tokens.

    Args:
        rate: tokens that come back in a second.
        size: tokens that it holds at the most; it begins full.
        now: seconds of the clock that `take` is told, too.
    """

    def __init__(self, rate: float, size: float, now: float) -> None:
        self._rate, self._size, self._left, self._at = rate, size, size, now

    def take(self, count: float, now: float) -> bool:
        """Takes so many tokens, all or none; false if there are too few."""
        self._left = min(self._size, self._left + self._rate * (now - self._at))
        self._at = now
        if count > self._left:
            return False
        self._left -= count
        return True
