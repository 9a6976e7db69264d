"""Documents on real databases: found, listed, written, hidden."""

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from storage.columns import LARGEST_ID
from storage.database import Database
from storage.documents import Documents
from storage.errors import Deleted, IdsExhausted, Invalid, NotFound, SourceTaken
from storage.pages import LARGEST_PAGE_BYTES
from tests.databases import RECORDS, Kind
from tests.fakes.plans import plans_of

EVERY_SCRIPT = "Příliš žluťoučký kůň · مرحبا بالعالم · 病歷記錄 · 🧑‍⚕️💊\n\ttab"


async def walk(documents: Documents[Any], patient_id: int, limit: int) -> list[Any]:
    """All documents of a patient, page by page."""
    seen, cursor, more = list[Any](), "", True
    while more:
        page = await documents.page(patient_id, limit, cursor)
        assert len(page.items) <= limit
        seen += page.items
        cursor = page.next_cursor
        more = bool(cursor)
    return seen


async def test_what_was_written_is_read_back_as_it_was(documents: Documents[Any], kind: Kind) -> None:
    """Texts of every script, byte for byte; the answer to a write is what a read shows."""
    content = kind.content(words=EVERY_SCRIPT, source_id="s1")
    written = await documents.add(content, "dr.who")
    assert await documents.get(written.key) == written
    assert (written.content, written.version, written.updated_by) == (content, 1, "dr.who")


async def test_each_write_makes_one_more_version_and_keeps_when_it_was_made(database: Database, kind: Kind) -> None:
    """Versions are what history and conditional writes will count on."""
    clock = iter(datetime(2026, 11, 24, 12, 0, 0, 1, tzinfo=UTC) + timedelta(microseconds=step) for step in range(9))
    documents = Documents(database, kind.shape, now=lambda: next(clock))
    first = await documents.add(kind.content(), "a")
    second = await documents.replace(first.key, lambda _: kind.content(words="new"), "b")
    hidden = await documents.delete(first.key, 0, "c")
    assert [(one.version, one.updated_by) for one in (first, second, hidden)] == [(1, "a"), (2, "b"), (3, "c")]
    assert first.created_at == second.created_at == hidden.created_at == first.updated_at
    assert first.updated_at < second.updated_at < hidden.updated_at


async def test_a_change_sees_what_is_stored_and_its_refusal_changes_nothing(
    documents: Documents[Any], kind: Kind
) -> None:
    """The domain judges the stored one inside the write's own transaction."""
    document = await documents.add(kind.content(words="old"), "local")

    def refuse(stored: Any) -> Any:
        assert kind.words(stored) == "old"
        raise Invalid([])

    with pytest.raises(Invalid):
        await documents.replace(document.key, refuse, "local")
    assert await documents.get(document.key) == document


async def test_another_patients_document_does_not_exist(documents: Documents[Any], kind: Kind) -> None:
    """Not even deleted ones may show that they were there."""
    key = (await documents.add(kind.content(patient_id=7), "local")).key
    for attempt in (documents.get(key, 8), documents.delete(key, 8, "local")):
        with pytest.raises(NotFound):
            await attempt
    assert (await documents.get(key, 7)).version == 1
    await documents.delete(key, 7, "local")
    with pytest.raises(NotFound):
        await documents.get(key, 8)


async def test_a_deleted_document_is_gone_for_every_call_and_its_row_stays(
    database: Database, documents: Documents[Any], kind: Kind
) -> None:
    """410, not 404: it was there. History will be read from the row."""
    key = (await documents.add(kind.content(), "local")).key
    await documents.delete(key, 0, "local")
    for attempt in (documents.get(key), documents.delete(key, 0, "x"), documents.replace(key, lambda c: c, "x")):
        with pytest.raises(Deleted):
            await attempt
    assert (await documents.page(7, 50, "")).items == []
    rows = await database.read(lambda connection: connection.execute(text(f"SELECT 1 FROM {kind.shape.table.name}")))
    assert len(rows.all()) == 1


@pytest.mark.parametrize("key", [1, LARGEST_ID])
async def test_what_never_was_is_not_found(documents: Documents[Any], key: int) -> None:
    """A PUT or DELETE never creates."""
    for attempt in (documents.get(key), documents.delete(key, 0, "x"), documents.replace(key, lambda c: c, "x")):
        with pytest.raises(NotFound):
            await attempt


async def test_an_id_is_never_given_out_again(database: Database, documents: Documents[Any], kind: Kind) -> None:
    """Not even when the row itself is removed by hand: someone may hold a link to it."""
    keys = [(await documents.add(kind.content(), "local")).key for _ in range(3)]
    await documents.delete(keys[2], 0, "local")
    await database.write(lambda connection: connection.execute(kind.shape.table.delete()))
    assert (await documents.add(kind.content(), "local")).key > max(keys)


async def test_ids_end_at_31_bits(database: Database, documents: Documents[Any], kind: Kind) -> None:
    """One more would not fit a message, and a client would be told another document's id."""
    table = kind.shape.table
    key = (await documents.add(kind.content(), "local")).key
    await database.write(
        lambda connection: connection.execute(
            table.update().where(table.c[kind.shape.key] == key).values({kind.shape.key: LARGEST_ID - 1})
        )
    )
    assert (await documents.add(kind.content(), "local")).key == LARGEST_ID
    with pytest.raises(IdsExhausted):
        await documents.add(kind.content(), "local")
    assert len((await documents.page(7, 50, "")).items) == 2


async def test_a_source_id_is_taken_once_and_for_good(documents: Documents[Any], kind: Kind) -> None:
    """An import that is run again writes nothing twice, not even what was deleted meanwhile."""
    key = (await documents.add(kind.content(patient_id=7, source_id="S1"), "local")).key
    await documents.replace(key, lambda stored: stored, "local")
    with pytest.raises(SourceTaken) as caught:
        await documents.add(kind.content(patient_id=8, source_id="S1"), "local")
    assert (caught.value.key, caught.value.patient_id) == (key, 7)
    await documents.delete(key, 0, "local")
    with pytest.raises(SourceTaken):
        await documents.add(kind.content(source_id="S1"), "local")
    await documents.add(kind.content(source_id="s1"), "local")  # compared byte by byte


async def test_documents_without_source_id_are_as_many_as_one_likes(documents: Documents[Any], kind: Kind) -> None:
    """Absent is not a value that could be taken."""
    await asyncio.gather(*(documents.add(kind.content(), "local") for _ in range(3)))
    assert len((await documents.page(7, 50, "")).items) == 3


async def test_twenty_copies_of_one_write_at_once_make_one_document(documents: Documents[Any], kind: Kind) -> None:
    """Two importers may run at the same moment."""
    copies = (documents.add(kind.content(source_id="s1"), "local") for _ in range(20))
    outcomes = await asyncio.gather(*copies, return_exceptions=True)
    assert Counter(type(outcome).__name__ for outcome in outcomes) == {"Document": 1, "SourceTaken": 19}


async def test_a_list_is_newest_first_by_day_then_id(documents: Documents[Any], kind: Kind) -> None:
    """The order that pages, and people, rely on."""
    days = ["2024-02-29", "0001-01-01", "9999-12-31", "2024-02-29", "1999-12-31"]
    for day in days:
        await documents.add(kind.content(day=day), "local")
    await documents.add(kind.content(patient_id=8), "local")
    items = (await documents.page(7, 50, "")).items
    assert [item.key for item in items] == [3, 4, 1, 5, 2]


async def test_a_patient_without_documents_has_an_empty_list(documents: Documents[Any]) -> None:
    """Whether a patient exists is not known here."""
    page = await documents.page(7, 50, "")
    assert (page.items, page.next_cursor) == ([], "")


@pytest.mark.parametrize("limit", [1, 7, 64, 65, 200])
async def test_a_walk_shows_each_document_once(documents: Documents[Any], kind: Kind, limit: int) -> None:
    """Many on the same day, many days, pages that end within a day and between two."""
    choose = random.Random(limit)
    added = {}
    for _ in range(70):
        day = f"2024-02-{choose.choice((1, 1, 1, 2, 3)):02}"
        document = await documents.add(kind.content(day=day), "local")
        added[document.key] = day
    expected = sorted(added, key=lambda key: (added[key], key), reverse=True)
    assert [document.key for document in await walk(documents, 7, limit)] == expected


async def test_a_walk_while_others_insert_and_delete_repeats_and_misses_nothing(
    documents: Documents[Any], kind: Kind
) -> None:
    """A page by offset would show rows twice after an insert and skip some after a delete."""
    choose = random.Random(7)

    async def add() -> int:
        return (await documents.add(kind.content(day=f"2024-02-{choose.randint(1, 5):02}"), "local")).key

    stay = [await add() for _ in range(60)]
    leave = [await add() for _ in range(40)]
    seen, cursor, more = list[int](), "", True
    while more:
        page = await documents.page(7, 7, cursor)
        seen += [item.key for item in page.items]
        await add()
        await documents.delete(leave.pop(), 0, "local")
        cursor = page.next_cursor
        more = bool(cursor)
    assert len(seen) == len(set(seen))
    assert set(stay) <= set(seen)


async def test_a_cursor_of_another_patient_is_refused(documents: Documents[Any], kind: Kind) -> None:
    """It would page through the other patient's list from a place that means nothing there."""
    for _ in range(2):
        await documents.add(kind.content(patient_id=7), "local")
    cursor = (await documents.page(7, 1, "")).next_cursor
    with pytest.raises(Invalid):
        await documents.page(8, 1, cursor)


async def test_a_page_of_large_texts_ends_at_one_mebibyte(documents: Documents[Any], kind: Kind) -> None:
    """200 texts of 64 KiB would be an answer of 12 MiB."""
    for _ in range(20):
        await documents.add(kind.content(words="x" * 65_536), "local")
    page = await documents.page(7, 200, "")
    assert 1 < len(page.items) < LARGEST_PAGE_BYTES / 65_536
    assert len(await walk(documents, 7, 200)) == 20


async def test_a_page_is_read_from_its_index_at_its_place(
    database: Database, documents: Documents[Any], kind: Kind
) -> None:
    """So that the thousandth page costs what the first does: no sorting, no rows passed over."""
    for number in range(60):
        await documents.add(kind.content(patient_id=7 + number % 3, day=f"2024-02-{number % 28 + 1:02}"), "local")
    filters: dict[str, dict[str, str]] = {f"{kind.name}_listed": {}}
    if kind is RECORDS:
        filters["records_listed_by_category"] = {"category": "note"}

    async def two_pages(only: dict[str, str]) -> None:
        first = await documents.page(7, 9, "", only=only)
        await documents.page(7, 9, first.next_cursor, only=only)

    for index, only in filters.items():
        plans = await plans_of(database, partial(two_pages, only))
        assert len(plans) == 3
        for plan in plans:
            assert plan.at_its_place(index, kind.shape.day), plan
