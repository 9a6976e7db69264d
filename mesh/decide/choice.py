"""Which endpoint takes the next attempt."""

from collections.abc import Collection, Sequence
from random import Random
from typing import Protocol, TypeVar


class Addressed(Protocol):
    """Anything that has an address."""

    @property
    def address(self) -> str: ...


E = TypeVar("E", bound=Addressed)


def choose(candidates: Sequence[E], avoid: Collection[str], rng: Random) -> E:
    """One of the candidates by chance, and none whose address is to be avoided unless there is no other.

    Raises:
        IndexError: there are no candidates.
    """
    fresh = [candidate for candidate in candidates if candidate.address not in avoid]
    return rng.choice(fresh or candidates)
