"""What works beside a service begins and ends with it, and takes it along when it fails."""

import asyncio

import pytest

from hosting.beside import beside


async def test_it_runs_until_it_is_told_to_stop_and_is_waited_for() -> None:
    """A letter that is being sent must not be torn off."""
    stop, told = asyncio.Event(), list[str]()

    async def work(stop: asyncio.Event) -> None:
        told.append("begun")
        await stop.wait()
        await asyncio.sleep(0)
        told.append("ended")

    async with beside(work, stop):
        await asyncio.sleep(0)
        assert told == ["begun"]
    assert told == ["begun", "ended"]
    assert stop.is_set()


async def test_one_that_fails_ends_the_process_with_what_it_raised() -> None:
    """It is started again then; a service without its worker would look well."""
    stop = asyncio.Event()

    async def fail(_stop: asyncio.Event) -> None:
        raise ZeroDivisionError

    async def serve() -> None:
        async with beside(fail, stop):
            async with asyncio.timeout(10):
                await stop.wait()

    with pytest.raises(ZeroDivisionError):
        await serve()


async def test_a_service_without_one_is_not_stopped() -> None:
    """Most have none."""
    stop = asyncio.Event()
    async with beside(None, stop):
        await asyncio.sleep(0)
    assert not stop.is_set()
