"""Redis as a shared store, on a real server."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from random import Random

import pytest

from mesh.cache import Stamp
from mesh.cache.flights import Tasks
from mesh.cache.guarded import Guarded
from mesh.cache.redis import RedisStore
from mesh.clock import SystemClock
from mesh.events import StoreChanged
from mesh.faults.proxy import Proxy, Trouble
from mesh.policy import CachePolicy
from tests.fakes.mesh import Recorded
from tests.fakes.redis import RedisServer, redis_server
from tests.fakes.waiting import until

pytestmark = pytest.mark.xdist_group("redis")


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


@pytest.fixture
def own() -> Iterator[RedisServer]:
    """One that the test may kill."""
    with redis_server() as running:
        yield running


@asynccontextmanager
async def opened(url: str, name: str) -> AsyncIterator[RedisStore]:
    store = RedisStore(url, name)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(server: RedisServer) -> AsyncIterator[RedisStore]:
    async with opened(server.url, "registers") as made:
        yield made
        await made.invalidate_all()


async def put(store: RedisStore, key: str, value: bytes, *tags: str, stamp: Stamp | None = None) -> None:
    await store.put(key, value, tags, stamp or (await store.get(key)).stamp, 30.0)


async def test_what_was_put_is_found_with_its_tags_and_its_age(store: RedisStore) -> None:
    """Any bytes; and its age is counted by one clock, the server's."""
    stamp = (await store.get("a")).stamp
    await put(store, "a", b"\x00\nany \xff bytes", "t/1", "t/2", stamp=stamp._replace(at=stamp.at - 500))
    found = await store.get("a")
    assert (found.value, found.tags) == (b"\x00\nany \xff bytes", ("t/1", "t/2"))
    assert 0.5 <= found.age < 20
    assert (await store.get("b")).value is None


async def test_what_is_too_old_is_not_there(store: RedisStore) -> None:
    """It goes by itself; nobody has to look for it."""
    stamp = (await store.get("a")).stamp
    await put(store, "a", b"x", "t", stamp=stamp._replace(at=stamp.at - 29_990))
    await asyncio.sleep(0.05)
    assert (await store.get("a")).value is None
    await put(store, "a", b"x", "t", stamp=stamp._replace(at=stamp.at - 30_001))
    assert (await store.get("a")).value is None, "it was too long under way"


async def test_an_invalidated_tag_takes_its_values_along_and_no_others(store: RedisStore) -> None:
    """A write makes old what it is about."""
    await put(store, "a", b"a", "t/1", "t/2")
    await put(store, "b", b"b", "t/3")
    await store.invalidate(["t/2"])
    assert (await store.get("a")).value is None
    assert (await store.get("b")).value == b"b"


async def test_what_was_begun_before_an_invalidation_is_not_kept(store: RedisStore) -> None:
    """The late fill, of another process."""
    stamp = (await store.get("a")).stamp
    await store.invalidate(["t"])
    await put(store, "a", b"old", "t", stamp=stamp)
    assert (await store.get("a")).value is None
    await put(store, "a", b"new", "t")
    assert (await store.get("a")).value == b"new"


async def test_what_was_begun_before_it_lost_its_memory_is_not_kept(store: RedisStore, server: RedisServer) -> None:
    """It knows nothing of the invalidations that came between."""
    stamp = (await store.get("a")).stamp
    await store.invalidate(["t"])
    server.ask("FLUSHALL")
    await put(store, "a", b"old", "t", stamp=stamp)
    assert (await store.get("a")).value is None


async def test_stores_of_two_names_share_nothing(store: RedisStore, server: RedisServer) -> None:
    """Two services may have a patient 7."""
    async with opened(server.url, "others") as other:
        await put(store, "a", b"a", "t")
        await put(other, "a", b"b", "t")
        await other.invalidate_all()
        assert (await store.get("a")).value == b"a"
        assert (await other.get("a")).value is None


async def test_those_who_follow_are_told_what_others_invalidate(store: RedisStore, server: RedisServer) -> None:
    """And first that they know nothing of before."""
    told: list[Collection[str] | None] = []
    async with opened(server.url, "registers") as other:
        following = asyncio.create_task(store.follow(told.append))
        await until(lambda: told)
        await store.invalidate(["own"])
        await other.invalidate(["t/1", "t/2"])
        await other.invalidate_all()
        await until(lambda: len(told) == 3)
        following.cancel()
        await asyncio.wait({following})
    assert told == [None, ["t/1", "t/2"], None]


async def test_a_command_that_was_cut_short_hands_its_answer_to_nobody(server: RedisServer) -> None:
    """One patient's record would be another's answer (redis/redis-py#2624, #2665)."""
    rng, events, tasks = Random(1), Recorded(), Tasks()
    slow = Proxy(f"127.0.0.1:{server.port}", trouble=Trouble(latency=0.005))
    async with slow as proxy, opened(f"redis://{proxy.address}/0", "registers") as store:
        for number in range(20):
            await put(store, str(number), str(number).encode(), "t")
        guarded = Guarded("registers", store, CachePolicy(patience=10), tasks, SystemClock(), events)

        async def ask(number: int) -> bool:
            found = await guarded.get(str(number))
            assert found is not None
            return found.value == str(number).encode()

        right, cut = 0, 0
        for _ in range(60):
            asking = [asyncio.create_task(ask(rng.randrange(20))) for _ in range(10)]
            await asyncio.sleep(rng.uniform(0, 0.02))
            for task in asking[::2]:
                task.cancel()
            results = await asyncio.gather(*asking, return_exceptions=True)
            cut += sum(isinstance(result, asyncio.CancelledError) for result in results)
            assert all(result is True or isinstance(result, asyncio.CancelledError) for result in results), results
            right += results.count(True)
        await tasks.__aexit__(None, None, None)
    assert cut > 50
    assert right > 300
    assert events.of(StoreChanged) == []


async def test_one_that_dies_falls_silent_and_comes_back_is_asked_again(own: RedisServer) -> None:
    """No call fails; what it missed it is told; those who listen begin anew."""
    events, tasks, told = Recorded(), Tasks(), list[Collection[str] | None]()
    policy = CachePolicy(patience=0.2, probe_interval=0.05)
    async with opened(own.url, "registers") as store, opened(own.url, "registers") as other:
        guarded = Guarded("registers", store, policy, tasks, SystemClock(), events)
        tasks.start(guarded.follow(told.append))
        await until(lambda: told == [None])
        own.kill()
        assert await guarded.get("a") is None
        assert guarded.away
        await guarded.invalidate(["t"])
        own.start()
        await until(lambda: not guarded.away)
        await until(lambda: told == [None, None])
        await put(other, "a", b"x", "u")
        own.stop()
        assert await guarded.get("a") is None
        await guarded.invalidate(["u"])
        own.go_on()
        await until(lambda: not guarded.away)
        found = await guarded.get("a")
        assert found is not None
        assert found.value is None
        await tasks.__aexit__(None, None, None)
    assert [event.reachable for event in events.of(StoreChanged)] == [False, True, False, True]
