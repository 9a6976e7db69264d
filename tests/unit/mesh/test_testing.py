"""What users test their own resilience with must itself behave as the real thing does."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
from grpclib.const import Cardinality, Handler
from grpclib.server import Stream

from mesh.call import Level, Method
from mesh.client import ServiceClient
from mesh.errors import Lost, MeshError, NoEndpoint, RemoteError, Unreachable
from mesh.events import Events
from mesh.policy import Policy
from mesh.server import StatusError, current
from mesh.server.current import handled
from mesh.status import Status
from mesh.testing import Fault, Faults, InMemory, LoopClock, assert_amplification, in_pure_time
from tests.fakes.mesh import Recorded, a_call
from tests.fakes.waiting import until

SAY = Method("/test.Echo/Say", str, str, Level.NO_SIDE_EFFECTS)


class Echo:
    """Does what it is told."""

    def __init__(self) -> None:
        self.cancelled = 0

    async def say(self, stream: Stream[str, str]) -> None:
        match await stream.recv_message():
            case "no":
                raise StatusError(Status.ABORTED, "not so", code="NOT_SO", info={"a": "b"})
            case "never":
                raise StatusError(Status.UNAVAILABLE, "not again", pushback=-1.0)
            case "bug":
                raise RuntimeError("the inside")
            case "headers":
                current().trailers["seen"] = current().headers["who"]
                await stream.send_message(str(current().remaining()))
            case "wait":
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    self.cancelled += 1
                    raise
            case word:
                await stream.send_message(word or "")

    def __mapping__(self) -> Mapping[str, Handler]:
        return {SAY.path: Handler(self.say, Cardinality.UNARY_UNARY, str, str)}


def memory(*addresses: str, echo: Echo | None = None) -> InMemory:
    return InMemory(lambda: [echo or Echo()], addresses or ["a:1"], clock=LoopClock())


@asynccontextmanager
async def client(service: InMemory, events: Events | None = None, **options: Any) -> AsyncIterator[ServiceClient]:
    given: dict[str, Any] = {
        "methods": {"Say": SAY},
        "source": service,
        "connect": service.connect,
        "clock": LoopClock(),
    }
    async with ServiceClient("test.Echo", events=events or Events(), **given, **options) as calling:
        await calling.ready()
        yield calling


def asking(word: str, **fields: Any) -> Any:
    return a_call(**fields)._replace(method=SAY, message=word)


# Time


def test_an_hour_passes_at_once_and_in_order() -> None:
    """A test that waits is a test that is not run."""

    async def main() -> tuple[list[str], float]:
        seen = []

        async def wait(name: str, seconds: float) -> None:
            await asyncio.sleep(seconds)
            seen.append(name)

        await asyncio.gather(wait("last", 3_600), wait("first", 0.001), wait("second", 60))
        return seen, LoopClock().now()

    seen, now = in_pure_time(main())
    assert seen == ["first", "second", "last"]
    assert now == pytest.approx(3_600)


def test_a_timeout_ends_what_takes_longer_and_nothing_else() -> None:
    """Deadlines are most of what is tested with it."""

    async def main() -> str:
        clock = LoopClock()
        async with clock.timeout(2.0):
            await clock.sleep(1.9)
        try:
            async with clock.timeout(2.0):
                await clock.sleep(2.1)
        except TimeoutError:
            return "late"
        return "in time"

    assert in_pure_time(main()) == "late"


def test_a_wait_for_nothing_is_told_and_does_not_hang() -> None:
    """In real time it would hang until the whole run's limit, and nobody would know where."""

    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="time stands still"):
        in_pure_time(main())


def test_a_wait_that_only_probes_keep_going_is_told_as_well() -> None:
    """Somebody polls for ever: time never stands still, and the test would never end."""

    async def main() -> None:
        while True:  # noqa: ASYNC110  # this is what must be found
            await asyncio.sleep(1)

    with pytest.raises(RuntimeError, match="not ended after 100 seconds"):
        in_pure_time(main(), most=100)


# A service in memory


async def test_a_call_reaches_a_replica_with_all_that_travels_beside_it() -> None:
    """A method that reads its metadata or its deadline must be testable as it is."""
    async with client(memory()) as calling:
        reply = await calling.call("Say", "headers", timeout=2.0, metadata={"who": "me"})
    assert reply.headers["seen"] == "me"
    assert 1.0 < float(reply.message) < 2.0
    assert reply.endpoint == "a:1"


async def test_what_a_method_sees_of_its_call_does_not_leak_to_its_caller() -> None:
    """Else the caller's next call would take over a deadline of the one before."""
    await memory()["a:1"](asking("hello", deadline=5.0 + LoopClock().now()))
    assert handled() is None


@pytest.mark.parametrize(("word", "status", "code"), [("no", Status.ABORTED, "NOT_SO"), ("bug", Status.INTERNAL, "")])
async def test_an_error_arrives_as_it_would_over_the_wire(word: str, status: Status, code: str) -> None:
    """Statuses, codes and their details are what a caller acts on."""
    with pytest.raises(RemoteError) as caught:
        await memory()["a:1"](asking(word))
    assert (caught.value.status, caught.value.code) == (status, code)
    assert "inside" not in str(caught.value)


async def test_a_service_that_wants_no_second_attempt_gets_none() -> None:
    """Pushback is part of the answer."""
    events = Recorded()
    async with client(memory("a:1", "b:1"), events) as calling:
        with assert_amplification(events, 1.0) as seen, pytest.raises(RemoteError):
            await calling.call("Say", "never", timeout=2.0)
    assert seen.attempts == 1


async def test_a_killed_replica_loses_what_is_in_flight_and_is_not_reached_until_it_starts() -> None:
    """The two ends of a process's death, which a caller must tell apart."""
    replica = memory()["a:1"]
    calling = asyncio.create_task(replica(asking("wait")))
    await until(lambda: replica.in_flight)
    replica.kill()
    with pytest.raises(Lost):
        await calling
    with pytest.raises(Unreachable):
        await replica(asking("hello"))
    replica.start()
    assert (await replica(asking("hello"))).message == "hello"


def test_a_replica_that_stands_still_answers_once_it_goes_on() -> None:
    """A process under SIGSTOP: its calls wait, and its callers give up."""

    async def main() -> tuple[str, str]:
        service = memory()
        async with client(service, policy=Policy(attempts=1)) as calling:
            service["a:1"].hold()
            with pytest.raises(MeshError) as caught:
                await calling.call("Say", "hello", timeout=2.0)
            service["a:1"].go_on()
            return caught.value.reason, (await calling.call("Say", "hello", timeout=2.0)).message

    assert in_pure_time(main()) == ("attempt_timeout", "hello")


def test_a_method_that_there_is_not_is_named_beside_those_that_there_are() -> None:
    """A slip of the pen is seen at once."""

    async def main() -> None:
        async with client(memory()) as calling:
            await calling.call("Sya", "hello")

    with pytest.raises(KeyError, match=r"no unary method 'Sya'; it has Say"):
        in_pure_time(main())


async def test_a_caller_that_gives_up_ends_the_method() -> None:
    """A service that holds a lock while it works must be seen to let go of it."""
    echo = Echo()
    replica = memory(echo=echo)["a:1"]
    calling = asyncio.create_task(replica(asking("wait")))
    await until(lambda: replica.in_flight)
    calling.cancel()
    await asyncio.wait({calling})
    await until(lambda: not replica.in_flight)
    assert echo.cancelled == 1


def test_a_replica_that_does_not_serve_is_left_alone() -> None:
    """Probes go the same way as calls."""

    async def main() -> str:
        service = memory("a:1", "b:1")
        service["a:1"].health.set_serving(False)
        async with client(service) as calling:
            await asyncio.sleep(1.5)
            asked = {(await calling.call("Say", "hello", timeout=1.0)).endpoint for _ in range(50)}
            service["b:1"].kill()
            await asyncio.sleep(1.5)
            with pytest.raises(NoEndpoint):
                await calling.call("Say", "hello", timeout=1.0)
        return " ".join(asked)

    assert in_pure_time(main()) == "b:1"


async def test_what_is_raised_within_a_client_s_block_leaves_it_as_it_is() -> None:
    """A caller that catches a MeshError around the block would not look for it within a group of errors."""
    with pytest.raises(RemoteError):
        async with client(memory()) as calling:
            await calling.call("Say", "no", timeout=2.0)


# Amplification


def test_more_attempts_than_are_allowed_fail_the_test_with_their_number() -> None:
    """Retries that multiply are seen in a test, and not in the next outage."""

    async def main() -> None:
        service, events = memory("a:1", "b:1", "c:1"), Recorded()
        faults = Faults([Fault(error="unavailable")], rng=Random(1))
        async with client(service, events, faults=faults) as calling:
            with assert_amplification(events, 1.0, spare=2):
                await given_up(calling)
            with assert_amplification(events, 1.0, spare=1):
                await given_up(calling)

    with pytest.raises(AssertionError, match="1 calls made 3 attempts, and 2 are allowed"):
        in_pure_time(main())


async def given_up(calling: ServiceClient) -> None:
    with pytest.raises(MeshError):
        await calling.call("Say", "hello", timeout=2.0)
