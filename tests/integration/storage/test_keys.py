"""Idempotency keys on real databases: done once, answered as often as asked."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from storage.database import Database
from storage.documents import Documents
from storage.errors import KeyReused, NotFound, SourceTaken, VersionMismatch
from storage.keys import Answered, Once, digest, sweep_all
from storage.shape import Document
from tests.databases import Kind

BATCH = 10


def told(document: Document[Any]) -> bytes:
    return f"{document.key}.{document.version} {document.updated_by} \x00 ť".encode()


def once(key: str = "k1", request: bytes = b"a request", scope: str = "local\nPost") -> Once[Document[Any]]:
    return Once(scope, key, digest(request), told)


async def kept(database: Database, kind: Kind) -> int:
    count = select(func.count()).select_from(kind.shape.keys)
    return int((await database.read(lambda connection: connection.execute(count))).scalar_one())


async def answer(write: Awaitable[Any]) -> bytes:
    """What the caller of a write is told, whether it was done now or before."""
    try:
        return told(await write)
    except Answered as before:
        return before.answer


@pytest.fixture
def writes(documents: Documents[Any], kind: Kind) -> Callable[[str, Once[Document[Any]]], Awaitable[Any]]:
    """The three writes, each as it would be refused if it were done twice."""

    async def write(name: str, how: Once[Document[Any]]) -> Any:
        if name == "add":
            return await documents.add(kind.content(source_id="s"), "a", 20, how)
        if name == "replace":
            return await documents.replace(1, lambda content: content, "a", 20, if_version=1, once=how)
        return await documents.delete(1, 0, "a", 20, if_version=1, once=how)

    return write


@pytest.mark.parametrize("name", ["add", "replace", "delete"])
async def test_a_repeated_write_is_answered_as_the_first_and_not_done_again(
    database: Database, documents: Documents[Any], kind: Kind, writes: Any, name: str
) -> None:
    """The key comes before everything else: else a repeated PUT would meet its own version, a DELETE its own grave."""
    if name != "add":
        await documents.add(kind.content(), "a")
    first = await answer(writes(name, once()))
    assert [await answer(writes(name, once())) for _ in range(3)] == [first] * 3
    assert len((await documents.history(1, 0, 50, "")).items) == (1 if name == "add" else 2)
    assert await kept(database, kind) == 1


@pytest.mark.parametrize("name", ["add", "replace", "delete"])
async def test_twenty_copies_at_once_are_one_write_and_twenty_equal_answers(
    documents: Documents[Any], kind: Kind, writes: Any, name: str
) -> None:
    """A gateway that tries again does not know whether the first try still runs."""
    if name != "add":
        await documents.add(kind.content(), "a")
    answers = await asyncio.gather(*(answer(writes(name, once())) for _ in range(20)))
    assert Counter(answers) == {answers[0]: 20}
    assert len((await documents.history(1, 0, 50, "")).items) == (1 if name == "add" else 2)


async def test_a_key_of_another_request_is_refused_and_changes_nothing(documents: Documents[Any], kind: Kind) -> None:
    """Two requests with one key are a mistake of the client: neither answer would fit the other."""
    await documents.add(kind.content(), "a", once=once())
    with pytest.raises(KeyReused):
        await documents.add(kind.content(), "a", once=once(request=b"another"))
    assert len((await documents.page(7, 50, "")).items) == 1


@pytest.mark.parametrize("other", [once(scope="eve\nPost"), once(scope="local\nPut"), once("K1"), once("k1x")])
async def test_another_principals_or_methods_key_is_another_key(
    documents: Documents[Any], kind: Kind, other: Once[Any]
) -> None:
    """Nobody reads by a guessed key what another was answered; keys are compared byte by byte."""
    await documents.add(kind.content(), "a", once=once())
    assert (await documents.add(kind.content(), "a", once=other)).key == 2


async def test_a_refusal_leaves_no_key(database: Database, documents: Documents[Any], kind: Kind) -> None:
    """What was refused may be mended and sent again under the same key."""
    stored = await documents.add(kind.content(source_id="s"), "a")
    refused = [
        (SourceTaken, documents.add(kind.content(source_id="s"), "a", once=once())),
        (NotFound, documents.delete(9, 0, "a", once=once())),
        (VersionMismatch, documents.replace(stored.key, lambda content: content, "a", if_version=9, once=once())),
    ]
    for error, attempt in refused:
        with pytest.raises(error):
            await attempt
    assert await kept(database, kind) == 0
    assert (await documents.add(kind.content(), "a", once=once())).version == 1


async def test_a_write_whose_answer_cannot_be_told_is_not_done(
    database: Database, documents: Documents[Any], kind: Kind
) -> None:
    """The write, its version and its answer are one transaction."""

    def fails(_document: Document[Any]) -> bytes:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await documents.add(kind.content(), "a", once=Once("local", "k1", digest(b""), fails))
    assert (await documents.page(7, 50, "")).items == []
    assert await kept(database, kind) == 0


async def test_an_answer_of_a_mebibyte_and_an_empty_one_come_back_whole(documents: Documents[Any], kind: Kind) -> None:
    """The largest prescription there is, and the answer to a DELETE."""
    for key, size in (("large", 1024 * 1024), ("empty", 0)):
        how: Once[Document[Any]] = Once("local", key, digest(b""), lambda _, size=size: b"\xff" * size)  # type: ignore[misc]
        await documents.add(kind.content(), "a", once=how)
        with pytest.raises(Answered) as caught:
            await documents.add(kind.content(), "a", once=how)
        assert caught.value.answer == b"\xff" * size


async def test_keys_are_swept_when_their_time_is_over_and_not_before(database: Database, kind: Kind) -> None:
    """They would fill the disk; and a client's retry of an hour ago must still find its own."""
    begin = datetime(2026, 11, 24, tzinfo=UTC)
    clock = [begin]
    documents = Documents(database, kind.shape, now=lambda: clock[0])
    for number in range(BATCH + 5):
        clock[0] = begin + timedelta(seconds=number)
        await documents.add(kind.content(), "a", once=once(f"k{number}"))
    late = begin + timedelta(hours=48, seconds=BATCH + 2)
    assert await sweep_all(database, kind.shape.keys, late, timedelta(hours=48), BATCH) == BATCH + 2
    assert await kept(database, kind) == 3
    with pytest.raises(Answered):
        await documents.add(kind.content(), "a", once=once(f"k{BATCH + 2}"))
    await documents.add(kind.content(), "a", once=once("k0"))
