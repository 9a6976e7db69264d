"""Who goes first where there is not room for all, and who is not waited with any longer.

Source: "Fail at Scale", Ben Maurer, ACM Queue 13(8), 2015: first come first served while all get their turn; once some
do not, the newest first, since the oldest has a caller that will soon be gone, and nobody waits for long.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any, Literal

from mesh.policy.admission import AdmissionPolicy
from mesh.policy.methods import Priority

ORDER: tuple[Priority, ...] = ("high", "normal", "low")
"""Whoever is "always" let in never waits."""
SHARES: dict[Priority, float] = {"high": 1.0, "normal": 0.8, "low": 0.7}
"""Of the room, so much is for each while somebody is refused: whoever goes first finds some left, and need not wait.
What is unloaded (`AdmissionPolicy.unloaded`), times the tolerance, is less than any of them: see mesh.decide.limit."""
Refused = Literal["no_room", "displaced", "waited_too_long", "expired_waiting"]
"""Why a call is refused: all places to wait are taken by those that go before it; one that came later took its place;
its patience is over; its caller's time is over."""


@dataclass(slots=True, eq=False)
class Waiting:
    """One that waits. `ticket` is whatever its owner knows it by."""

    priority: Priority
    since: float
    deadline: float
    ticket: Any = None


class Turns:
    """Those that wait, in the order in which they get their turn."""

    def __init__(self, policy: AdmissionPolicy) -> None:
        self._policy = policy
        self._lines: dict[Priority, deque[Waiting]] = {priority: deque() for priority in ORDER}
        self._refused = float("-inf")

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def patience(self, now: float) -> float:
        """Seconds for which one waits."""
        return self._policy.hurried if self._hurried(now) else self._policy.patience

    def room(self, priority: Priority, room: int, now: float) -> int:
        """So much of the room is for it and for those that go after it."""
        return max(1, int(room * SHARES[priority])) if self._hurried(now) else room

    def join(self, waiting: Waiting, most: int, now: float) -> list[tuple[Waiting, Refused]]:
        """One more waits, where there is room for `most`. Returns whoever does not any longer; it may be that one."""
        over = self._over(now) if len(self) >= most else []
        if len(self) < most:
            self._lines[waiting.priority].append(waiting)
            return over
        self._refused = now
        weakest = next((line for priority in reversed(ORDER) if (line := self._lines[priority])), None)
        if weakest is None or ORDER.index(weakest[0].priority) < ORDER.index(waiting.priority):
            return [*over, (waiting, "no_room")]
        displaced = weakest.popleft()
        self._lines[waiting.priority].append(waiting)
        return [*over, (displaced, "displaced")]

    def leave(self, waiting: Waiting) -> bool:
        """It waits no longer, of its own accord. False if it did not wait."""
        line = self._lines[waiting.priority]
        if waiting not in line:
            return False
        line.remove(waiting)
        return True

    def gave_up(self, waiting: Waiting, now: float) -> bool:
        """Its patience is over. False if it did not wait any more."""
        if not self.leave(waiting):
            return False
        self._refused = now
        return True

    def next(self, room: int, taken: int, now: float) -> tuple[Waiting | None, list[tuple[Waiting, Refused]]]:
        """Whose turn it is while so much of the room is taken, and those that are let go of before."""
        over = self._over(now)
        for priority, line in self._lines.items():
            if line and taken < self.room(priority, room, now):
                return (line.pop() if self._hurried(now) else line.popleft()), over
        return None, over

    def _hurried(self, now: float) -> bool:
        return now - self._refused < self._policy.calm

    def _over(self, now: float) -> list[tuple[Waiting, Refused]]:
        over = list[tuple[Waiting, Refused]]()
        before = now - self.patience(now)
        for line in self._lines.values():
            over += [(each, "expired_waiting") for each in line if each.deadline <= now]
            over += [(each, "waited_too_long") for each in line if each.since < before and each.deadline > now]
        for each, _ in over:
            self._lines[each.priority].remove(each)
        if over:
            self._refused = now
        return over
