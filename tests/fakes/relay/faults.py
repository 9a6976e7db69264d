"""What can go wrong at a relay, and when it does."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Point(StrEnum):
    """Where an exchange can fail."""

    CONNECT = "connect"
    BANNER = "banner"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    RSET = "RSET"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    CONTENT = "content"
    DOT = "dot"
    QUIT = "QUIT"


class How(StrEnum):
    """CUT: a reset instead of the answer. CUT_AFTER: the answer, then the end. STALL: no answer, ever."""

    CUT = "cut before"
    CUT_AFTER = "cut after"
    STALL = "stall"
    ANSWER = "answer"


@dataclass(frozen=True)
class Fault:
    """What goes wrong at a point. `answer` is told instead of the right one; `keeps`: the letter was stored before."""

    point: Point
    how: How
    answer: str = ""
    keeps: bool = False


Script = Callable[[Point], Fault | None]
"""Asked at each point of each exchange whether something goes wrong."""


class Planned:
    """Each fault happens once, at the first exchange that comes to its point."""

    def __init__(self, *faults: Fault) -> None:
        self.left = list(faults)

    def __call__(self, point: Point) -> Fault | None:
        for fault in self.left:
            if fault.point is point:
                self.left.remove(fault)
                return fault
        return None


class Drawn:
    """Faults are drawn: of `per` exchanges that come to a point about one goes wrong there."""

    def __init__(self, rng: Random, per: int) -> None:
        self._rng, self._per = rng, per

    def __call__(self, point: Point) -> Fault | None:
        return self._rng.choice(FAULTS[point]) if self._rng.randrange(self._per) == 0 else None


def _faults(point: Point) -> list[Fault]:
    cuts = [Fault(point, How.CUT), Fault(point, How.CUT_AFTER), Fault(point, How.STALL)]
    if point in (Point.CONNECT, Point.CONTENT):
        return cuts
    answers = [Fault(point, How.ANSWER, "451 4.3.0 later"), Fault(point, How.ANSWER, "421 4.3.2 closing")]
    if point is Point.DOT:
        cuts += [Fault(point, How.CUT, keeps=True), Fault(point, How.STALL, keeps=True)]
    return [*cuts, *answers, Fault(point, How.ANSWER, "550 5.7.1 never")]


FAULTS = {point: _faults(point) for point in Point}
