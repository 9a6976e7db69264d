"""Histories and expected versions on real databases: nothing is overwritten unseen, nothing that was is lost."""

import asyncio
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.database import Database
from storage.documents import Documents
from storage.errors import Deleted, Invalid, NotFound, VersionMismatch
from storage.shape import Document
from tests.databases import Kind


def _instead(new: Any, _stored: Any) -> Any:
    return new


async def history(documents: Documents[Any], key: int, limit: int = 200) -> list[Document[Any]]:
    """All of it, page by page."""
    seen, cursor, more = list[Document[Any]](), "", True
    while more:
        page = await documents.history(key, 0, limit, cursor)
        assert len(page.items) <= limit
        seen += page.items
        cursor = page.next_cursor
        more = bool(cursor)
    return seen


async def test_a_history_is_what_each_write_was_answered_with_newest_first(
    documents: Documents[Any], kind: Kind
) -> None:
    """Who wrote what and when, as it was told then; the deletion is its last version."""
    answers = [await documents.add(kind.content(words="1", source_id="s"), "a")]
    for number in ("2", "3"):
        new = replace(kind.content(words=number), source_id="s")
        answers.append(await documents.replace(answers[0].key, partial(_instead, new), number))
    answers.append(await documents.delete(answers[0].key, 7, "d"))
    found = await history(documents, answers[0].key)
    assert found == answers[::-1]
    assert [(one.version, one.updated_by, one.deleted) for one in found] == [
        (4, "d", True), (3, "3", False), (2, "2", False), (1, "a", False),
    ]  # fmt: skip


async def test_what_an_old_replica_wrote_meanwhile_is_in_the_history_too(
    database: Database, documents: Documents[Any], kind: Kind
) -> None:
    """In an upgrade one that knows no histories goes on writing for a while; the next write keeps what it made."""
    key, table = (await documents.add(kind.content(), "a")).key, kind.shape.table
    old = update(table).values(version=2, updated_by="old")

    async def write(connection: AsyncConnection) -> None:
        await connection.execute(old)

    await database.write(write)
    await documents.delete(key, 0, "b")
    told = [(one.version, one.updated_by, one.deleted) for one in await history(documents, key)]
    assert told == [(3, "b", True), (2, "old", False), (1, "a", False)]


async def test_a_refused_write_leaves_no_version(documents: Documents[Any], kind: Kind) -> None:
    """Or a history would show what never was."""
    key = (await documents.add(kind.content(), "a")).key

    def refuse(_stored: Any) -> Any:
        raise Invalid([])

    with pytest.raises(Invalid):
        await documents.replace(key, refuse, "b")
    with pytest.raises(VersionMismatch):
        await documents.delete(key, 0, "b", if_version=2)
    assert [one.version for one in await history(documents, key)] == [1]


@pytest.mark.parametrize("limit", [1, 2, 7, 64, 200])
async def test_the_pages_of_a_history_show_each_version_once_while_others_write(
    documents: Documents[Any], kind: Kind, limit: int
) -> None:
    """What comes meanwhile is newer than the first page; nothing moves."""
    key = (await documents.add(kind.content(), "a")).key
    for _ in range(7):
        await documents.replace(key, lambda content: content, "a")
    first = await documents.history(key, 7, limit, "")
    await documents.replace(key, lambda content: content, "a")
    seen, cursor = list(first.items), first.next_cursor
    while cursor:
        assert len(seen) <= 8
        page = await documents.history(key, 7, limit, cursor)
        seen, cursor = [*seen, *page.items], page.next_cursor
    assert [one.version for one in seen] == list(range(8, 0, -1))


async def test_a_history_is_its_patients_and_only_of_what_was(documents: Documents[Any], kind: Kind) -> None:
    """Another patient's document does not exist; a deleted one has been."""
    key = (await documents.add(kind.content(patient_id=7), "a")).key
    for asked in ((key, 8), (key + 1, 0)):
        with pytest.raises(NotFound):
            await documents.history(*asked, 50, "")
    await documents.delete(key, 0, "a")
    assert [one.version for one in await history(documents, key)] == [2, 1]


async def test_a_cursor_of_another_history_or_of_the_list_is_refused(documents: Documents[Any], kind: Kind) -> None:
    """A place in one means nothing in another."""
    keys = [(await documents.add(kind.content(), "a")).key for _ in range(2)]
    for key in keys:
        await documents.replace(key, lambda content: content, "a")
    cursor, listed = (
        (await documents.history(keys[0], 7, 1, "")).next_cursor,
        (await documents.page(7, 1, "")).next_cursor,
    )
    for wrong in (cursor, listed):
        with pytest.raises(Invalid):
            await documents.history(keys[1], 7, 1, wrong)
    with pytest.raises(Invalid):
        await documents.page(7, 1, cursor)


@pytest.mark.parametrize("expected", [1, 3, 2_147_483_647])
async def test_a_write_that_expects_another_version_changes_nothing(
    documents: Documents[Any], kind: Kind, expected: int
) -> None:
    """What the writer has not seen is not overwritten, and the refusal tells the stored version."""
    key = (await documents.add(kind.content(), "a")).key
    stored = await documents.replace(key, lambda content: content, "a")
    for attempt in (
        documents.replace(key, lambda content: content, "b", if_version=expected),
        documents.delete(key, 0, "b", if_version=expected),
    ):
        with pytest.raises(VersionMismatch) as caught:
            await attempt
        assert (caught.value.key, caught.value.version) == (key, 2)
    assert await documents.get(key) == stored


async def test_a_write_that_expects_the_stored_version_is_done(documents: Documents[Any], kind: Kind) -> None:
    """The usual case."""
    key = (await documents.add(kind.content(), "a")).key
    assert (await documents.replace(key, lambda content: content, "a", if_version=1)).version == 2
    assert (await documents.delete(key, 0, "a", if_version=2)).version == 3


async def test_what_is_gone_is_told_before_its_version(documents: Documents[Any], kind: Kind) -> None:
    """410 before 412."""
    key = (await documents.add(kind.content(), "a")).key
    await documents.delete(key, 0, "a")
    for attempt in (
        documents.replace(key, lambda content: content, "b", if_version=9),
        documents.delete(key, 0, "b", if_version=9),
    ):
        with pytest.raises(Deleted):
            await attempt


async def test_of_twenty_writers_of_one_version_one_wins(documents: Documents[Any], kind: Kind) -> None:
    """The rest has to read again."""
    key = (await documents.add(kind.content(), "a")).key
    for version in range(1, 6):
        writes = (
            documents.replace(key, lambda content: content, f"w{number}", 20, if_version=version)
            for number in range(20)
        )
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        assert Counter(type(outcome).__name__ for outcome in outcomes) == {"Document": 1, "VersionMismatch": 19}
    assert [one.version for one in await history(documents, key)] == [6, 5, 4, 3, 2, 1]


async def test_a_write_whose_version_cannot_be_kept_is_not_there_either(
    database: Database, documents: Documents[Any], kind: Kind
) -> None:
    """The row and its version are one transaction: a history has no gap."""
    key = (await documents.add(kind.content(), "a")).key
    taken = text(f"UPDATE {kind.shape.versions.name} SET version = 2")

    async def spoil(connection: AsyncConnection) -> None:
        await connection.execute(taken)

    await database.write(spoil)
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        await documents.replace(key, lambda content: content, "b", 2)
    assert (await documents.get(key)).version == 1
