"""How many attempts calls are made of: what retries cost those who are called."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mesh.events import AttemptStarted, CallStarted, Events


@dataclass(slots=True)
class Amplification:
    """What was counted."""

    calls: int = 0
    attempts: int = 0

    def hear(self, event: object) -> None:
        """A listener."""
        if isinstance(event, AttemptStarted):
            self.attempts += 1
        elif isinstance(event, CallStarted):
            self.calls += 1


@contextmanager
def assert_amplification(events: Events, at_most: float, *, spare: float = 0.0) -> Iterator[Amplification]:
    """Counts the calls of the block and their attempts.

    Args:
        events: those of the client.
        at_most: attempts a call.
        spare: attempts that are allowed besides, such as the budget's floor times the seconds of the block.

    Raises:
        AssertionError: there were more; only where the block itself raises nothing.
    """
    seen = Amplification()
    with events.subscribed(seen.hear):
        yield seen
    allowed = at_most * seen.calls + spare
    if seen.attempts > allowed:
        raise AssertionError(
            f"{seen.calls} calls made {seen.attempts} attempts, and {allowed:g} are allowed; "
            "lower the attempts of the methods, or the budget's share"
        )
