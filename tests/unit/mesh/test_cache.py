"""The cache layer alone and two of them over one store, on a clock turned by hand."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from random import Random

import pytest

from mesh.cache import Keeper
from mesh.call import Call, Level, Method, Reply
from mesh.errors import DeadlineExceeded, Lost, MeshError, NoEndpoint, RemoteError
from mesh.events import CacheHit, CacheMissed, FillDiscarded, Invalidated, StoreChanged
from mesh.layers.cache import Cache
from mesh.policy import CachePolicy, MethodPolicy
from mesh.status import Status
from mesh.testing import TurnedClock, settle
from tests.fakes.mesh import Recorded
from tests.fakes.store import FakeStore, Shelf, TextCodec

READ = Method("/test.Register/Read", str, str, Level.NO_SIDE_EFFECTS)
LOOK = Method("/test.Register/Look", str, str, Level.NO_SIDE_EFFECTS)  # not kept
WRITE = Method("/test.Register/Write", str, str, Level.IDEMPOTENT)
POLICIES = {
    READ.path: MethodPolicy(safe=True, idempotent=True, cache=True),
    LOOK.path: MethodPolicy(safe=True, idempotent=True),
    WRITE.path: MethodPolicy(safe=False, idempotent=True),
}


@dataclass
class Registers:
    """The far side: "7" reads register 7, "7=x" writes it. What is being answered can be held up."""

    clock: TurnedClock
    values: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    failure: MeshError | None = None
    tagged: bool = True
    held: asyncio.Event | None = None

    async def __call__(self, call: Call) -> Reply:
        self.asked.append(call.message)
        if self.failure:
            raise self.failure
        name, writes, value = call.message.partition("=")
        headers = {"cache-tags": f"register/{name}"} if self.tagged else {}
        if writes and value == "no":
            raise RemoteError(Status.ABORTED, "another version", code="VERSION_MISMATCH", headers=headers)
        if writes:
            self.values[name] = value
        found = self.values.get(name)
        if self.held and not writes:
            try:
                async with self.clock.timeout(call.deadline - self.clock.now()):
                    await self.held.wait()
            except TimeoutError:
                raise DeadlineExceeded("late") from None
        if found is None:
            raise RemoteError(Status.NOT_FOUND, "no such register", headers=headers)
        return Reply(found, headers, "a:1")


@dataclass
class Process:
    """One client of the registers with a cache."""

    clock: TurnedClock
    registers: Registers
    keeper: Keeper
    events: Recorded
    scope: str = "me"
    down: bool = False

    def __post_init__(self) -> None:
        layer = Cache(self.keeper, TextCodec(), POLICIES, lambda: self.down, self.clock, self.events)
        self.handler = layer(self.registers)

    def call(self, message: str, *, cached: bool = True, timeout: float = 2.0, method: Method = READ) -> Call:
        method = WRITE if "=" in message else method
        deadline = self.clock.now() + timeout
        return Call(
            method=method,
            message=message,
            timeout=timeout,
            deadline=deadline,
            scope=self.scope,
            cached=cached,
            request_id="r",
        )

    async def ask(self, message: str, **options: object) -> str:
        return str((await self.reply(message, **options)).message)

    async def reply(self, message: str, **options: object) -> Reply:
        return await self.handler(self.call(message, **options))  # type: ignore[arg-type]

    def begin(self, message: str, **options: object) -> "asyncio.Task[Reply]":
        return asyncio.ensure_future(self.reply(message, **options))


Make = Callable[..., Process]


@pytest.fixture
async def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def registers(clock: TurnedClock) -> Registers:
    return Registers(clock, {"7": "old"})


@pytest.fixture
async def make(clock: TurnedClock, registers: Registers) -> AsyncIterator[Make]:
    keepers: list[Keeper] = []

    def process(store: FakeStore | None = None, memory: int = 2**20) -> Process:
        events = Recorded()
        keeper = Keeper("registers", TextCodec(), CachePolicy(), memory, store, clock, Random(1), events)
        keepers.append(keeper)
        return Process(clock, registers, keeper, events)

    yield process
    for keeper in keepers:
        await keeper.__aexit__(None, None, None)


@pytest.fixture
def one(make: Make) -> Process:
    return make()


class TestReading:
    async def test_a_second_read_costs_no_call_until_it_is_no_longer_fresh(
        self, one: Process, registers: Registers, clock: TurnedClock
    ) -> None:
        """That is what it is for; and a reader is never told anything older than two seconds."""
        first, second = await one.reply("7"), await one.reply("7")
        assert (first.message, second.message, len(registers.asked)) == ("old", "old", 1)
        assert first.served is not None
        assert second.served is not None
        assert (first.served.how, second.served.how) == ("miss", "hit")
        registers.values["7"] = "written by another"
        await clock.turn(1.5)
        hit = (await one.reply("7")).served
        assert hit is not None
        assert hit.age == 1.5
        await clock.turn(0.5)
        assert await one.ask("7") == "written by another"
        assert [event.reason for event in one.events.of(CacheMissed)] == ["absent", "expired"]
        assert [event.how for event in one.events.of(CacheHit)] == ["hit", "hit"]

    async def test_times_differ_so_that_what_came_together_does_not_go_together(
        self, one: Process, registers: Registers, clock: TurnedClock
    ) -> None:
        """A list of a hundred things read at once would come back as a hundred calls at once."""
        registers.values = {str(number): "x" for number in range(100)}
        for name in registers.values:
            await one.ask(name)
        await clock.turn(1.8)
        registers.asked.clear()
        for name in registers.values:
            await one.ask(name)
        assert 20 < len(registers.asked) < 80

    async def test_scopes_never_share_an_answer(self, one: Process, registers: Registers) -> None:
        """Two people may see different things under one name."""
        await one.ask("7")
        one.scope = "you"
        await one.ask("7")
        assert len(registers.asked) == 2

    async def test_what_is_not_to_be_kept_is_asked_for_each_time(self, one: Process, registers: Registers) -> None:
        """The table of policies says what may be kept."""
        for _ in range(2):
            assert (await one.reply("7", method=LOOK)).served is None
        assert len(registers.asked) == 2

    async def test_an_answer_without_tags_is_not_kept(self, one: Process, registers: Registers) -> None:
        """Nothing could say when it becomes old."""
        registers.tagged = False
        await one.ask("7")
        await one.ask("7")
        assert len(registers.asked) == 2
        assert {event.reason for event in one.events.of(FillDiscarded)} == {"untagged"}

    async def test_no_cache_goes_past_what_is_kept_and_what_it_brings_is_kept(
        self, one: Process, registers: Registers
    ) -> None:
        """Whoever asks for what is true now gets it, and the others have it from then on."""
        await one.ask("7")
        registers.values["7"] = "new"
        assert await one.ask("7", cached=False) == "new"
        assert await one.ask("7") == "new"
        assert len(registers.asked) == 2

    async def test_no_cache_joins_nobody(self, one: Process, registers: Registers) -> None:
        """A making that is under way may have read before the client asked."""
        registers.held = asyncio.Event()
        slow = one.begin("7")
        await settle()
        registers.values["7"] = "new"
        sure = one.begin("7", cached=False)
        await settle()
        registers.held.set()
        assert (await sure).message == "new"
        assert (await slow).message == "old"
        assert len(registers.asked) == 2

    async def test_not_found_is_kept_briefly(self, one: Process, registers: Registers, clock: TurnedClock) -> None:
        """Clients that poll for what is not there yet cost little; and it is found soon once it is there."""
        for _ in range(2):
            with pytest.raises(RemoteError, match="no such register") as caught:
                await one.ask("8")
        assert caught.value.served is not None
        assert (len(registers.asked), caught.value.served.how) == (1, "hit")
        registers.values["8"] = "there"
        await clock.turn(1.0)
        assert await one.ask("8") == "there"

    async def test_what_was_not_found_and_then_written_is_found_at_once(
        self, one: Process, registers: Registers
    ) -> None:
        """A write says what became old, and that there was nothing is one such thing."""
        with pytest.raises(RemoteError):
            await one.ask("8")
        await one.ask("8=new")
        assert await one.ask("8") == "new"


class TestStale:
    async def test_nobody_there_to_ask_is_answered_at_once_with_what_there_was(
        self, one: Process, registers: Registers, clock: TurnedClock
    ) -> None:
        """A patient's list of a minute ago is better than none, and it is marked."""
        await one.ask("7")
        await clock.turn(60)
        one.down, registers.failure = True, NoEndpoint("none")
        reply = await one.reply("7")
        assert reply.served is not None
        assert (reply.message, reply.served.how, reply.served.why) == ("old", "stale", "no_endpoint")
        assert reply.served.ttl < 0
        assert len(registers.asked) == 1, "nobody was asked"

    @pytest.mark.parametrize(
        "failure",
        [
            NoEndpoint("none"),
            Lost("broke"),
            DeadlineExceeded("late"),
            RemoteError(Status.UNAVAILABLE, "busy", code="OVERLOADED"),
        ],
    )
    async def test_whatever_fails_below_may_be_answered_stale(
        self, one: Process, registers: Registers, clock: TurnedClock, failure: MeshError
    ) -> None:
        """Refused, open, late, lost: the client cannot tell them apart, and has its answer."""
        await one.ask("7")
        await clock.turn(60)
        registers.failure = failure
        reply = await one.reply("7")
        assert reply.served is not None
        assert (reply.message, reply.served.how, reply.served.why) == ("old", "stale", failure.reason)

    @pytest.mark.parametrize(
        "failure", [RemoteError(Status.PERMISSION_DENIED, "no"), RemoteError(Status.INTERNAL, "bug")]
    )
    async def test_an_answer_is_an_answer(
        self, one: Process, registers: Registers, clock: TurnedClock, failure: MeshError
    ) -> None:
        """Whoever may not see it any more is not shown what was kept; and a fault of the service is not hidden."""
        await one.ask("7")
        await clock.turn(60)
        registers.failure = failure
        with pytest.raises(RemoteError):
            await one.ask("7")

    async def test_no_cache_is_never_answered_stale(
        self, one: Process, registers: Registers, clock: TurnedClock
    ) -> None:
        """The client has said that it does not want it."""
        await one.ask("7")
        await clock.turn(60)
        registers.failure = Lost("broke")
        with pytest.raises(Lost):
            await one.ask("7", cached=False)

    async def test_after_five_minutes_there_is_nothing_any_more(
        self, one: Process, registers: Registers, clock: TurnedClock
    ) -> None:
        """Too old is worse than none."""
        await one.ask("7")
        await clock.turn(303)
        one.down, registers.failure = True, NoEndpoint("none")
        with pytest.raises(NoEndpoint) as caught:
            await one.ask("7")
        assert caught.value.served is not None

    async def test_what_was_written_is_not_answered_older_even_then(
        self, one: Process, registers: Registers, clock: TurnedClock
    ) -> None:
        """Whoever wrote it knows better."""
        await one.ask("7")
        await one.ask("7=new")
        one.down, registers.failure = True, NoEndpoint("none")
        with pytest.raises(NoEndpoint):
            await one.ask("7")


class TestTogether:
    async def test_fifty_readers_of_one_thing_make_one_call(self, one: Process, registers: Registers) -> None:
        """What many want at the moment at which it expires is asked for once."""
        registers.held = asyncio.Event()
        readers = [one.begin("7") for _ in range(50)]
        await settle()
        registers.held.set()
        replies = await asyncio.gather(*readers)
        assert len(registers.asked) == 1
        assert [reply.served.how for reply in replies if reply.served] == ["miss"] + ["joined"] * 49

    async def test_a_making_outlives_whoever_began_it(self, one: Process, registers: Registers) -> None:
        """A client that closes its tab takes the answer away from nobody."""
        registers.held = asyncio.Event()
        first = one.begin("7")
        await settle()
        second = one.begin("7")
        await settle()
        first.cancel()
        await settle()
        registers.held.set()
        assert (await second).message == "old"
        assert first.cancelled()
        assert await one.ask("7") == "old"
        assert len(registers.asked) == 1

    async def test_a_reader_in_a_hurry_takes_nobody_else_with_it(
        self, one: Process, registers: Registers, clock: TurnedClock
    ) -> None:
        """The making has its beginner's deadline; another who has more time makes it again."""
        registers.held = asyncio.Event()
        hurried, patient = one.begin("7", timeout=0.1), one.begin("7", timeout=2.0)
        await clock.turn(0.15)
        with pytest.raises(DeadlineExceeded):
            await hurried
        assert not patient.done()
        registers.held.set()
        assert (await patient).message == "old"

    async def test_each_waits_only_as_long_as_it_may(
        self, one: Process, registers: Registers, clock: TurnedClock
    ) -> None:
        """A deadline is a caller's own, whoever makes the answer."""
        registers.held = asyncio.Event()
        patient, hurried = one.begin("7", timeout=2.0), one.begin("7", timeout=0.1)
        await clock.turn(0.15)
        with pytest.raises(DeadlineExceeded):
            await hurried
        assert not patient.done()
        registers.held.set()
        await patient

    async def test_those_who_wait_when_the_client_closes_are_told(self, one: Process, registers: Registers) -> None:
        """A cancellation that nobody asked for would look like a client that has gone."""
        registers.held = asyncio.Event()
        reader = one.begin("7")
        await settle()
        await one.keeper.__aexit__(None, None, None)
        with pytest.raises(Lost) as caught:
            await reader
        assert caught.value.reason == "client_closed"


class TestWriting:
    async def test_a_write_is_read_at_once(self, one: Process, registers: Registers) -> None:
        """After the answer to a write the same gateway never answers older."""
        await one.ask("7")
        await one.ask("7=new")
        assert await one.ask("7") == "new"
        assert [(event.tags, event.reason) for event in one.events.of(Invalidated)] == [(1, "written")]
        assert [event.reason for event in one.events.of(CacheMissed)] == ["absent", "overtaken"]

    async def test_a_fill_that_a_write_overtook_is_not_kept_and_not_given(
        self, one: Process, registers: Registers
    ) -> None:
        """The late fill: it read before the write and comes back after the write's answer."""
        registers.held = asyncio.Event()
        reader = one.begin("7")
        await settle()
        await one.ask("7=new")
        registers.held.set()
        assert (await reader).message == "new"
        assert await one.ask("7") == "new"
        assert [event.reason for event in one.events.of(FillDiscarded)] == ["overtaken"]

    async def test_a_reader_who_comes_after_a_write_is_not_given_what_began_before_it(
        self, one: Process, registers: Registers
    ) -> None:
        """It would join a making that read too early."""
        registers.held = asyncio.Event()
        early = one.begin("7")
        await settle()
        await one.ask("7=new")
        late = one.begin("7")
        await settle()
        registers.held.set()
        assert (await late).message == "new"
        await early

    async def test_without_tags_nobody_is_given_what_began_before_it_came(
        self, one: Process, registers: Registers
    ) -> None:
        """Where nothing tells what a write made old, only what began later is sure."""
        registers.tagged, registers.held = False, asyncio.Event()
        early = one.begin("7")
        await settle()
        await one.ask("7=new")
        late = one.begin("7")
        await settle()
        registers.held.set()
        assert (await late).message == "new"
        await early

    async def test_a_refusal_that_knows_better_drops_what_is_kept(self, one: Process, registers: Registers) -> None:
        """Who was told 412 reads again, and must not read the same version again."""
        await one.ask("7")
        registers.values["7"] = "written by another"
        with pytest.raises(RemoteError):
            await one.ask("7=no")
        assert await one.ask("7") == "written by another"
        assert [event.reason for event in one.events.of(Invalidated)] == ["refused"]

    async def test_other_things_stay_kept(self, one: Process, registers: Registers) -> None:
        """A busy clinic writes all the time."""
        registers.values["8"] = "x"
        await one.ask("8")
        await one.ask("7=new")
        await one.ask("8")
        assert registers.asked == ["8", "7=new"]


class TestSharing:
    @pytest.fixture
    async def two(self, make: Make, clock: TurnedClock) -> tuple[Process, Process, FakeStore, FakeStore]:
        shelf = Shelf()
        stores = FakeStore(shelf, clock), FakeStore(shelf, clock)
        processes = [make(store) for store in stores]
        for process in processes:
            await process.keeper.__aenter__()
        await settle()
        return processes[0], processes[1], *stores

    async def test_what_one_has_read_another_need_not_ask_for(
        self, two: tuple[Process, Process, FakeStore, FakeStore], registers: Registers, clock: TurnedClock
    ) -> None:
        """And it is as old there as it is."""
        one, other, *_ = two
        await one.ask("7")
        await clock.turn(1)
        reply = await other.reply("7")
        assert reply.served is not None
        assert (reply.message, reply.served.how, reply.served.age) == ("old", "hit", 1.0)
        assert len(registers.asked) == 1
        await clock.turn(1)
        await other.ask("7")
        assert len(registers.asked) == 2, "its age counts from where it was made"

    async def test_a_write_through_one_is_read_through_the_other(
        self, two: tuple[Process, Process, FakeStore, FakeStore], registers: Registers
    ) -> None:
        """Both are told, and what is shared is old."""
        one, other, *_ = two
        await one.ask("7")
        await other.ask("7")
        await one.ask("7=new")
        assert await other.ask("7") == "new"
        assert [event.reason for event in other.events.of(Invalidated)] == ["subscribed", "told"]

    async def test_one_that_is_not_told_is_older_for_the_fresh_time_at_most(
        self, two: tuple[Process, Process, FakeStore, FakeStore], clock: TurnedClock
    ) -> None:
        """Messages get lost; two seconds later it asks."""
        one, other, _, store = two
        await other.ask("7")
        store.deaf = True
        await one.ask("7=new")
        assert await one.ask("7") == "new"
        assert await other.ask("7") == "old"
        await clock.turn(2)
        assert await other.ask("7") == "new"

    async def test_a_late_fill_of_another_is_not_found(
        self, two: tuple[Process, Process, FakeStore, FakeStore], registers: Registers
    ) -> None:
        """It read before the write, in another process, and comes to the store after it."""
        one, other, _, store = two
        store.deaf = True
        registers.held = asyncio.Event()
        slow = other.begin("7")
        await settle()
        await one.ask("7=new")
        registers.held.set()
        assert (await slow).message == "old"
        await settle()
        assert await one.ask("7") == "new"

    async def test_a_slow_store_costs_a_request_fifty_milliseconds_and_the_next_one_nothing(
        self, two: tuple[Process, Process, FakeStore, FakeStore], clock: TurnedClock
    ) -> None:
        """Until a probe finds it well."""
        one, _, store, _ = two
        store.stick()
        reader = one.begin("7")
        await clock.turn(0.049)
        assert not reader.done()
        await clock.turn(0.002)
        assert (await reader).message == "old"
        before = store.commands
        assert await one.ask("7", cached=False) == "old"
        assert await one.ask("7=new") == "new"
        assert await one.ask("7") == "new"
        assert store.commands == before
        store.go_on()
        await clock.turn(1.1)
        assert [(event.reachable, event.reason) for event in one.events.of(StoreChanged)] == [
            (False, "too slow"),
            (True, "a probe found it well"),
        ]
        assert await one.ask("7") == "new"

    async def test_one_that_is_gone_fails_no_call(self, two: tuple[Process, Process, FakeStore, FakeStore]) -> None:
        """It only makes things faster."""
        one, _, store, _ = two
        store.broken = True
        assert await one.ask("7") == "old"
        assert await one.ask("7=new") == "new"
        assert await one.ask("7") == "new"
        assert [event.reason for event in one.events.of(StoreChanged)] == ["ConnectionError"]

    async def test_what_it_missed_while_it_was_away_it_is_told_before_it_is_asked(
        self, two: tuple[Process, Process, FakeStore, FakeStore], registers: Registers, clock: TurnedClock
    ) -> None:
        """It holds what was true before, and would give it to whoever wrote since."""
        one, other, store, _ = two
        await other.ask("7")  # and so it is in the store
        store.broken = True
        await one.ask("7=new")
        await one.ask("7=newer")
        store.broken = False
        await clock.turn(1.1)
        one.keeper._local.clear()
        registers.asked.clear()
        assert await one.ask("7") == "newer"
        assert await other.ask("7") == "newer", "and so are the others"

    async def test_when_it_missed_more_than_can_be_kept_all_it_holds_is_old(
        self, two: tuple[Process, Process, FakeStore, FakeStore], registers: Registers, clock: TurnedClock
    ) -> None:
        """What is owed is bounded too."""
        one, other, store, _ = two
        await other.ask("7")
        store.broken = True
        await one.ask("7=new")
        for number in range(1100):
            await one.ask(f"{number + 100}=x")
        assert len(one.keeper._shared._owed) < 200  # type: ignore[union-attr]
        store.broken = False
        await clock.turn(1.1)
        one.keeper._local.clear()
        assert await one.ask("7") == "new"

    async def test_what_is_being_told_is_not_found_meanwhile(
        self, two: tuple[Process, Process, FakeStore, FakeStore], registers: Registers
    ) -> None:
        """Between a write's answer here and its invalidation there, the store still has the old value."""
        one, other, store, _ = two
        await other.ask("7")
        store.stick()
        writer = one.begin("7=new")
        await settle()
        reader = one.begin("7")
        await settle()
        store.go_on()
        await writer
        assert (await reader).message == "new"
        assert await one.ask("7") == "new"

    async def test_what_was_found_before_a_write_and_arrives_after_it_is_not_kept(
        self, two: tuple[Process, Process, FakeStore, FakeStore]
    ) -> None:
        """The reader began before the write; those who begin after it get what was written."""
        one, other, store, _ = two
        await other.ask("7")
        store.held = asyncio.Event()
        reader = one.begin("7")
        await settle()
        await one.ask("7=new")
        store.held.set()
        await reader
        assert await one.ask("7") == "new"

    async def test_nor_is_what_was_found_while_the_store_was_being_told(
        self, two: tuple[Process, Process, FakeStore, FakeStore]
    ) -> None:
        """The reader began after the write had come back here, and looked before the store had heard of it."""
        one, other, store, _ = two
        await other.ask("7")
        store.stick()
        writer = one.begin("7=new")
        await settle()
        store.held = asyncio.Event()
        held_up = store._open
        store._open = asyncio.Event()
        store._open.set()
        reader = one.begin("7")
        await settle()
        held_up.set()
        await writer
        store.held.set()
        await reader
        assert await one.ask("7") == "new"

    async def test_whoever_subscribes_again_keeps_nothing(
        self, two: tuple[Process, Process, FakeStore, FakeStore], registers: Registers, clock: TurnedClock
    ) -> None:
        """Nobody knows what it was not told meanwhile."""
        one, *_ = two
        await one.ask("7")
        one.keeper._told(None)
        one.keeper._shared.away = True  # type: ignore[union-attr]
        registers.asked.clear()
        await one.ask("7")
        assert registers.asked == ["7"]
