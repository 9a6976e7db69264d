"""Which endpoint takes the next attempt.

Source: "The Power of Two Choices in Randomized Load Balancing", Mitzenmacher, 1996; the cost is that of
Finagle's and tower's peak EWMA; asking one that was silent for long is go-zero's and Kratos' p2c.
"""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple, Protocol, TypeVar

from mesh.decide.load import Load


class Candidate(Protocol):
    """Somebody who could be asked."""

    @property
    def address(self) -> str: ...

    @property
    def load(self) -> Load: ...


C = TypeVar("C", bound=Candidate)
Scores = tuple[tuple[str, float], ...]
"""Addresses with their scores, as they were weighed: seconds × (calls under way + 1)."""


class Choice(NamedTuple):
    """Why it was this one.

    Attributes:
        reason: "cheaper", "only_one", "long_silent", "its_weight" of the cheaper one, or "anyone".
        weighed: those that were compared.
    """

    reason: str
    weighed: Scores


ONLY_ONE = Choice("only_one", ())
ANYONE = Choice("anyone", ())


def choose(candidates: Sequence[C], now: float, rng: Random, silence: float) -> tuple[C, Choice]:
    """One of the candidates: the cheaper of two that chance names.

    Nothing known of one of them makes it as cheap as the other, but for what it has under way. The
    dearer one is taken if nobody has asked it for `silence` seconds while the other was asked: what is
    known of it is old. One with little weight is passed over by chance.

    Raises:
        IndexError: there are no candidates.
    """
    if len(candidates) == 1:
        return candidates[0], ONLY_ONE
    better, worse, weighed = _pair(candidates, now, rng)
    if now - worse.load.asked > silence >= now - better.load.asked and not worse.load.in_flight:
        return worse, Choice("long_silent", weighed)
    weight = better.load.weight(now)
    if weight < 1.0 and weight <= rng.random() * max(candidate.load.weight(now) for candidate in candidates):
        others = [candidate for candidate in candidates if candidate is not better]
        return choose(others, now, rng, silence)[0], Choice("its_weight", weighed)
    return better, Choice("cheaper", weighed)


def anyone(candidates: Sequence[C], rng: Random) -> C:
    """One of the candidates by chance alone.

    Raises:
        IndexError: there are no candidates.
    """
    return candidates[int(rng.random() * len(candidates))]


def _pair(candidates: Sequence[C], now: float, rng: Random) -> tuple[C, C, Scores]:
    """Two different ones by chance, the better one first."""
    count = len(candidates)
    first = int(rng.random() * count)
    second = 1 - first if count == 2 else (first + 1 + int(rng.random() * (count - 1))) % count  # noqa: PLR2004
    one, other = candidates[first], candidates[second]
    cost, rival = one.load.cost(now), other.load.cost(now)
    score = (cost or rival or 1.0) * (one.load.in_flight + 1)
    against = (rival or cost or 1.0) * (other.load.in_flight + 1)
    weighed = ((one.address, score), (other.address, against))
    return (one, other, weighed) if score <= against else (other, one, weighed)
