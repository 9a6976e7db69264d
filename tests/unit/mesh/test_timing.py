"""Where a call's time went: parts that together are the whole, whatever a far side says of its own."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.decide.late import Late
from mesh.errors import RemoteError
from mesh.events import NotBegun, WouldHave
from mesh.policy import AdmissionPolicy, Mode
from mesh.server import spending
from mesh.server.exchange import Exchange
from mesh.server.methods import Methods
from mesh.status import Status
from mesh.testing import TurnedClock
from mesh.timing import SERVER_TIMING, of_call, read, written
from mesh.transport.calls import remote
from tests.fakes.mesh import Recorded
from tests.simulation import SAY, Echo

SECONDS = st.floats(0, 100, allow_nan=False)


@given(st.dictionaries(st.sampled_from(["queue", "database", "service"]), SECONDS))
def test_what_a_service_says_is_read_as_it_was_written(parts: dict[str, float]) -> None:
    """To the microsecond."""
    assert read(written(parts)) == pytest.approx(parts, abs=1e-6)


@given(SECONDS, SECONDS, st.text() | st.dictionaries(st.sampled_from(["queue", "service"]), SECONDS).map(written))
def test_the_parts_are_never_more_than_the_whole_and_none_is_below_zero(
    seconds: float, attempts: float, told: str
) -> None:
    """A receipt that adds up to more than was paid is no receipt; a far side may say anything."""
    parts = of_call(seconds, attempts, told)
    assert sum(parts.values()) == pytest.approx(seconds)
    assert min(parts.values()) >= -1e-9


@pytest.mark.parametrize(
    "told", ["", "x", "queue", "queue;dur=x", "queue;dur=-1", "other;dur=3", "queue;dur=1e9", ",,;"]
)
def test_what_cannot_be_read_is_not_there(told: str) -> None:
    """It comes from outside, and ends in a header."""
    assert read(told) == {}


class Slow(Echo):
    """Waits for something, and works."""

    def __init__(self, clock: TurnedClock) -> None:
        self._clock = clock

    async def say(self, stream: Exchange) -> None:  # type: ignore[override]  # as a server's method sees it
        await self._clock.sleep(0.1)
        for _ in range(2):
            await spending("database", self._clock.sleep(0.2))
        if await stream.recv_message() == "no":
            raise RuntimeError("the inside")
        await stream.send_message("well")


async def answered(methods: Methods, clock: TurnedClock, message: str = "", timeout: float = 5.0) -> Exchange:
    exchange = Exchange(message, {"request-id": "r"}, clock.now() + timeout, clock)
    task = asyncio.ensure_future(methods.table[SAY.path].func(exchange))
    await clock.turn(1.0)
    try:
        await task
    except Exception as error:  # noqa: BLE001  # as the wire tells it
        raise remote(error, exchange) from None  # type: ignore[arg-type]  # a GRPCError
    return exchange


@pytest.mark.parametrize("message", ["", "no"])
async def test_an_answer_says_what_was_waited_for_and_what_was_done(message: str) -> None:
    """A refusal, too: whoever waited wants to know for what."""
    clock = TurnedClock()
    methods = Methods([Slow(clock)], Recorded(), "test", clock)
    try:
        told = (await answered(methods, clock, message)).trailing_metadata
    except RemoteError as error:
        told = error.headers
    assert told is not None
    assert read(told[SERVER_TIMING]) == pytest.approx({"queue": 0.0, "database": 0.4, "service": 0.1})


@pytest.mark.parametrize(("mode", "refused"), [("enforce", True), ("shadow", False), ("off", False)])
async def test_what_its_caller_will_not_wait_for_is_not_begun_with(mode: Mode, *, refused: bool) -> None:
    """Work that is thrown away takes the place of work that is not. In shadow it only counts."""
    clock, events = TurnedClock(), Recorded()
    methods = Methods([Slow(clock)], events, "test", clock, Late(AdmissionPolicy(late=mode)))
    exchanges = [Exchange("", {}, clock.now() + 5.0, clock) for _ in range(20)]
    tasks = [asyncio.ensure_future(methods.table[SAY.path].func(exchange)) for exchange in exchanges]
    await clock.turn(2.0)
    assert all(task.done() for task in tasks)
    await answered(methods, clock, timeout=0.7)
    events.seen.clear()
    with pytest.raises(RemoteError) as caught:
        await answered(methods, clock, timeout=0.3)
    assert caught.value.status is Status.DEADLINE_EXCEEDED
    assert ("not begun" in caught.value.message) is refused
    assert [event.reason for event in events.of(NotBegun)] == ["too_little_time"] * refused
    assert [event.reason for event in events.of(WouldHave)] == ["too_little_time"] * (mode == "shadow")
    await clock.turn(30.0)
    assert (await answered(methods, clock, timeout=0.6)).answer == "well", "what is old says nothing"


def test_too_little_is_known_at_first() -> None:
    """The first calls after a start are slow, and say little."""
    late = Late(AdmissionPolicy(late="enforce"))
    for _ in range(19):
        late.took("/a/B", 1.0, 0.5)
    assert late.usual("/a/B", 0.1, 1.6) is None
    late.took("/a/B", 1.0, 1.6)
    assert late.usual("/a/B", 0.1, 2.7) == pytest.approx(1.0, rel=0.2)
    assert late.usual("/a/B", 1.5, 2.7) is None
