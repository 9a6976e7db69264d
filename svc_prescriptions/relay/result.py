"""What became of one letter."""

from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """SENT: the relay took it.

    LATER: it did not, and may do so another time. REFUSED: it never will. UNCERTAIN: the letter was handed over and no
    answer came. RELAY_AWAY: the relay could not be spoken to; that says nothing about the letter.
    """

    SENT = "sent"
    LATER = "later"
    REFUSED = "refused"
    UNCERTAIN = "uncertain"
    RELAY_AWAY = "relay away"


DONE, GO_ON, NOT_NOW, REFUSED = 2, 3, 4, 5
REFUSALS = {NOT_NOW: Outcome.LATER, REFUSED: Outcome.REFUSED}


@dataclass(frozen=True, slots=True)
class Result:
    """An outcome and why, as phase and code: "RCPT 550 5.1.1". Never a text of the relay's, which may repeat names.

    `ours`: it came about on this side, and says nothing about the relay.
    """

    outcome: Outcome
    told: str
    ours: bool = False


class Lost(Exception):
    """The connection is of no more use; `told` says in which phase and why."""

    def __init__(self, told: str) -> None:
        super().__init__(told)
        self.told = told


class NotTaken(Exception):
    """The relay does not take the letter, and the connection is as good as before."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.told)
        self.result = result


@dataclass(frozen=True, slots=True)
class Reply:
    """What a relay answered to a command. `enhanced` is a code of RFC 3463 or empty."""

    phase: str
    code: int
    enhanced: str = ""

    @property
    def told(self) -> str:
        return " ".join(filter(None, (self.phase, str(self.code), self.enhanced)))

    @property
    def kind(self) -> int:
        """The first digit, the only one that counts (RFC 5321, 4.3.2)."""
        return self.code // 100

    def expect(self, kind: int) -> None:
        """Returns if it is of this kind.

        Raises:
            NotTaken: it is a refusal.
            Lost: it is neither; whoever answers so is not to be talked with.
        """
        if self.kind == kind:
            return
        if self.kind not in REFUSALS:
            raise Lost(f"{self.told} out of turn")
        raise NotTaken(Result(REFUSALS[self.kind], self.told))
