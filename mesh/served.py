"""How an answer was come by."""

from typing import NamedTuple, Protocol


class Kept(Protocol):
    """An answer that may be given again without a call."""

    def again(self, request_id: str) -> "Served | None":
        """How it is served now, if it is fresh still and nothing overtook it; else None. Told as a hit."""
        ...


class Served(NamedTuple):
    """How an answer was come by.

    Attributes:
        how: "hit": kept, and fresh; "stale": kept, and given since none could be had; "miss": made for this call;
            "joined": made for another call that asked for the same at the same time.
        why: of a stale one, what became of the call; of a miss, why it was none; else "".
        age: seconds for which it has been kept.
        ttl: seconds for which it is fresh yet; negative once it is not.
        kept: gives it again, where it is kept here.
    """

    how: str
    why: str = ""
    age: float = 0.0
    ttl: float = 0.0
    kept: Kept | None = None
