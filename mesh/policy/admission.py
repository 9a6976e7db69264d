"""How much a process takes on at one time. The figures are starting points; each says its unit."""

from dataclasses import dataclass

from mesh.policy.mode import Mode


@dataclass(frozen=True, slots=True)
class AdmissionPolicy:
    """How many calls are under way at one time, and what becomes of the others.

    Attributes:
        least, most: calls, whatever is measured,
        first: and so many until something is.
        tolerance: a call may take so many times as long as it does when there is little to do,
        slack: or so many seconds longer, whichever is more.
        window: seconds between two looks at what calls took,
        minimum: and calls that must have ended in them.
        unloaded: while at most this part of the limit is under way, calls take what they take unloaded.
        check: seconds after which that is measured anew; if need be, with so small a part let in for a moment.
        patience: seconds for which a call waits for its turn,
        hurried: and so many while others are refused: waiting then only makes an answer late,
        calm: until nobody has been refused for so many seconds.
        retry_after: seconds until a refused call may be made again.
        late: whether a call is refused that has less time left than half of its method's took of late.
    """

    mode: Mode = "enforce"
    least: int = 4
    most: int = 1000
    first: int = 20
    tolerance: float = 1.5
    slack: float = 0.02
    window: float = 0.25
    minimum: int = 20
    unloaded: float = 0.4
    check: float = 10.0
    patience: float = 0.25
    hurried: float = 0.002
    calm: float = 1.0
    retry_after: float = 2.0
    late: Mode = "shadow"
