"""Calls that come in the same turn of the loop travel as one, and each is answered as if it had come alone."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from grpclib.const import Handler

from mesh.batch import Batch, batches_of
from mesh.call import CACHE_TAGS, Reply, methods_of
from mesh.client import ServiceClient
from mesh.endpoints import Static
from mesh.errors import DeadlineExceeded, Lost, MeshError, RemoteError
from mesh.events import Batched, Event, ServerEnded, ServerStarted
from mesh.policy import AdmissionPolicy, Policy
from mesh.server import Health, Server, Status, StatusError, current
from mesh.timing import SERVER_TIMING
from protos.codec import Codec
from protos.generated.caremesh import v1 as pb
from protos.generated.levels import LEVELS
from tests.fakes.mesh import Recorded
from tests.fakes.waiting import until

SERVICE = pb.PatientRecordsServiceBase
METHOD = "/caremesh.v1.PatientRecordsService/GetPatientRecords"
SLOW, FAILING, PUSHED, BUG, LATE, LARGE, HUGE = 1001, 1002, 1003, 1004, 1005, 1006, 1007
MIB = 2**20


class Records(SERVICE):
    """Answers with what it was asked, or does what the number says."""

    def __init__(self) -> None:
        self.go_on, self.cancelled, self.seen = asyncio.Event(), list[int](), dict[int, Mapping[str, str]]()

    async def get_patient_records(self, message: pb.PatientRecordRequest) -> pb.RecordPage:
        number = message.patient_id
        self.seen[number] = current().headers
        current().trailers[CACHE_TAGS] = f"patient/{number}"
        if number in (SLOW, LATE):
            try:
                await self.go_on.wait()
            except asyncio.CancelledError:
                self.cancelled.append(number)
                raise
        if number == FAILING:
            raise StatusError(Status.NOT_FOUND, "not here", code="DELETED", info={"kind": "record"})
        if number == PUSHED:
            raise StatusError(Status.UNAVAILABLE, "not now", pushback=-1.0)
        if number == BUG:
            raise RuntimeError("the inside")
        text = "x" * {LARGE: MIB, HUGE: 5 * MIB}.get(number, number)
        return pb.RecordPage(items=[pb.PatientRecord(record_id=number, patient_id=number, record_text=text)])


class Older(Records):
    """As it was before it could take several at once."""

    def __mapping__(self) -> dict[str, Handler]:
        return {path: each for path, each in super().__mapping__().items() if "Batch" not in path}


def lasting(told: Reply | RemoteError) -> dict[str, str]:
    """The trailing metadata without what differs each time: where the time went is told, too."""
    assert isinstance(told, RemoteError) or SERVER_TIMING in told.headers
    return {name: value for name, value in told.headers.items() if name != SERVER_TIMING}


@dataclass
class Side:
    """A client and its server."""

    client: ServiceClient
    service: Records
    events: Recorded
    served: Recorded
    server: Server
    together: list[Batched] = field(default_factory=list)

    async def ask(self, number: int, timeout: float = 10.0) -> Reply:
        return await self.client.call(
            "GetPatientRecords",
            pb.PatientRecordRequest(patient_id=number),
            timeout=timeout,
            metadata={"request-id": f"r-{number}"},
            request_id=f"r-{number}",
        )

    async def outcome(self, number: int, timeout: float = 10.0) -> Any:
        """All that a caller can see of it, as bytes and words."""
        try:
            reply = await self.ask(number, timeout)
        except RemoteError as error:
            return error.status, error.message, error.code, error.info, lasting(error), error.pushback
        except MeshError as error:
            return type(error), error.reason, error.maybe_done
        return Codec().encode(reply.message, pb.RecordPage), lasting(reply), reply.endpoint


@asynccontextmanager
async def side(
    service: Records, batches: Mapping[str, Batch] | None = None, admission: AdmissionPolicy | None = None
) -> AsyncIterator[Side]:
    events, served = Recorded(), Recorded()
    async with Server(
        [service], health=Health(), events=served, codec=Codec(), domain="caremesh", admission=admission
    ) as server:
        client = ServiceClient(
            "records",
            methods=methods_of(SERVICE, LEVELS),
            source=Static([server.address]),
            events=events,
            codec=Codec(),
            policy=Policy(attempts=1),
            batches=batches_of(SERVICE) if batches is None else batches,
        )
        async with client, asyncio.timeout(60):
            await client.ready()
            yield Side(client, service, events, served, server)


@pytest.fixture
async def batching() -> AsyncIterator[Side]:
    async with side(Records()) as made:
        yield made


def paths(recorded: Recorded, kind: type[Event] = ServerStarted) -> list[str]:
    return [event.method for event in recorded.of(kind) if "Health" not in event.method]  # type: ignore[attr-defined]


async def test_thirty_two_reads_travel_as_one_and_none_waits_for_a_neighbour(batching: Side) -> None:
    """The table's row: one slow, one failing, one with 20 ms left; the others as if alone, to the byte."""
    numbers = [*range(1, 30), SLOW, FAILING, LATE]
    asked = [asyncio.ensure_future(batching.outcome(each, 0.07 if each == LATE else 30.0)) for each in numbers]
    well = await asyncio.gather(*asked[:29])
    assert not asked[29].done()
    failed, late = await asked[30], await asked[31]
    batching.service.go_on.set()
    slow = await asked[29]
    assert [event.calls for event in batching.events.of(Batched)] == [32] * 32
    async with side(batching.service, {}) as alone:
        for number, seen in [*zip(range(1, 30), well, strict=True), (SLOW, slow), (FAILING, failed)]:
            unbatched = await alone.outcome(number)
            assert seen[:2] == unbatched[:2]
            assert seen[2:] in (unbatched[2:], (batching.server.address,))
        assert alone.events.of(Batched) == []
    assert late == (DeadlineExceeded, "deadline_exceeded", True)


async def test_each_has_its_own_metadata_and_is_told_by_itself_on_the_other_side(batching: Side) -> None:
    """So each has a span and a log line of its own there; what carries them has none."""
    await asyncio.gather(*(batching.outcome(each) for each in (1, 2, FAILING, BUG, PUSHED)))
    assert paths(batching.served) == [METHOD] * 5
    assert {number: headers["request-id"] for number, headers in batching.service.seen.items()} == {
        number: f"r-{number}" for number in (1, 2, FAILING, BUG, PUSHED)
    }
    ended = {event.code or event.status for event in batching.served.of(ServerEnded)}
    assert {"DELETED", "INTERNAL", "UNAVAILABLE", "OK"} <= ended


@pytest.mark.parametrize("number", [1, FAILING, BUG, PUSHED, LARGE, HUGE])
async def test_each_ending_is_the_same_as_alone(batching: Side, number: int) -> None:
    """Details, texts, tags and pushback: a client must not be able to tell. What is too large goes alone."""
    together, _ = await asyncio.gather(batching.outcome(number), batching.outcome(2))
    assert len(batching.events.of(Batched)) == 2
    alone = await batching.outcome(number)
    assert len(batching.events.of(Batched)) == 2
    assert together == alone


async def test_replies_that_are_too_large_for_one_message_come_as_several(batching: Side) -> None:
    """Nine pages of 1 MiB each are more than any message may have."""
    seen = await asyncio.gather(*(batching.outcome(LARGE) for _ in range(9)))
    assert all(outcome == seen[0] and len(outcome[0]) > MIB for outcome in seen)
    assert len(paths(batching.served)) == 9


async def test_one_that_comes_alone_goes_as_ever(batching: Side) -> None:
    """Alone, nothing is added."""
    await batching.outcome(1)
    await batching.outcome(2)
    assert batching.events.of(Batched) == []
    assert paths(batching.served) == [METHOD] * 2


async def test_what_the_codec_does_not_take_befalls_nobody_else(batching: Side) -> None:
    """A number that is too large is one caller's mistake."""
    wrong, right = asyncio.ensure_future(batching.ask(2**40)), asyncio.ensure_future(batching.ask(1))
    other = asyncio.ensure_future(batching.ask(2))
    assert [reply.message.items[0].patient_id for reply in (await right, await other)] == [1, 2]
    with pytest.raises(ValueError, match="patient_id"):
        await wrong


async def test_one_that_gives_up_leaves_the_others_and_the_last_ends_the_work(batching: Side) -> None:
    """Work whose callers have all gone is cancelled."""
    asked = [asyncio.ensure_future(batching.ask(each)) for each in (SLOW, LATE, 3)]
    await asked[2]
    asked[0].cancel()
    await asyncio.wait({asked[0]})
    await asyncio.sleep(0.05)
    assert batching.service.cancelled == []
    asked[1].cancel()
    await until(lambda: sorted(batching.service.cancelled) == [SLOW, LATE])
    assert (await batching.ask(4)).message.items[0].patient_id == 4


async def test_a_service_that_is_older_is_asked_one_by_one() -> None:
    """While replicas are restarted one after the other, some do not know the batch yet."""
    async with side(Older()) as older:
        seen = await asyncio.gather(*(older.ask(each) for each in (1, 2, 3)))
        assert [reply.message.items[0].patient_id for reply in seen] == [1, 2, 3]
        await asyncio.gather(*(older.ask(each) for each in (4, 5)))
        assert len(older.events.of(Batched)) == 3, "once is enough to find out"


async def test_each_has_an_error_of_its_own_when_the_connection_breaks(batching: Side) -> None:
    """Layers write into an error what its call met with."""
    asked = [asyncio.ensure_future(batching.ask(each)) for each in (SLOW, LATE)]
    await until(lambda: len(batching.service.seen) == 2)
    for caller in list(batching.server._callers):
        caller.break_off("for the test")
    errors = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(error, Lost) and error.reason == "link_broke" for error in errors), errors
    assert errors[0] is not errors[1]


async def test_an_ending_client_ends_what_travels(batching: Side) -> None:
    """Nothing hangs at the end of a process."""
    asked = [asyncio.ensure_future(batching.ask(each)) for each in (SLOW, LATE)]
    await until(lambda: len(batching.service.seen) == 2)
    await batching.client.__aexit__(None, None, None)
    errors = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(error, Lost) and error.reason == "client_closed" for error in errors), errors
    await batching.client.__aenter__()


async def test_a_server_that_stops_answers_what_travels_first() -> None:
    """A rolling restart must not fail the calls that came together."""
    service = Records()
    async with side(service) as made:
        asked = [asyncio.ensure_future(made.outcome(each)) for each in (SLOW, LATE, 3)]
        await until(lambda: len(service.seen) == 3)
        stopping = asyncio.ensure_future(made.server.drain())
        await asyncio.sleep(0.05)
        service.go_on.set()
        assert [outcome[2] for outcome in await asyncio.gather(*asked)] == [made.server.address] * 3
        await stopping


async def test_each_has_to_find_a_place_of_its_own() -> None:
    """Calls that travel together must be no way past the limit, and each is told as it would be alone."""
    async with side(Records(), admission=AdmissionPolicy(least=2, most=2, first=2, patience=0.02)) as made:
        asked = [asyncio.ensure_future(made.outcome(SLOW)) for _ in range(6)]
        await until(lambda: sum(each.done() for each in asked) >= 4)
        alone = await made.outcome(SLOW)
        made.service.go_on.set()
        outcomes = await asyncio.gather(*asked)
    assert alone[2] == "OVERLOADED"
    refused = [outcome for outcome in outcomes if outcome[2] == "OVERLOADED"]
    assert 4 <= len(refused) < 6
    assert {outcome[:3] for outcome in refused} == {alone[:3]}
    assert all(outcome[5] > 1 for outcome in refused), "each is told when to come again"
