"""Pages that are asked for in the same turn of the loop are read by one statement, each as if it were alone."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from storage.database import Database
from storage.documents import Documents
from storage.errors import Invalid, Unavailable
from storage.pages import LARGEST_PAGE_BYTES
from tests.databases import RECORDS, Kind
from tests.fakes.plans import plans_of


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """What is asked of the database within the block."""
    seen = list[str]()

    def listen(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    engines = [engine.sync_engine for engine in database.engines]
    for engine in engines:
        event.listen(engine, "before_cursor_execute", listen)
    yield seen
    for engine in engines:
        event.remove(engine, "before_cursor_execute", listen)


async def filled(documents: Documents[Any], kind: Kind) -> None:
    """Six patients with none to five documents, on days out of order; the first with texts of a page's size each."""
    for patient_id in range(1, 6):
        for number in range(patient_id):
            words = "x" * (LARGEST_PAGE_BYTES // 2) if patient_id == 2 and kind is RECORDS else f"{patient_id}/{number}"
            day = f"2024-01-{(7 * number) % 10 + 1:02}"
            await documents.add(kind.content(patient_id, day=day, words=words), "local")
    await documents.delete(5, 0, "local")


async def test_pages_asked_at_once_are_those_asked_one_by_one_and_one_statement(
    documents: Documents[Any], database: Database, kind: Kind
) -> None:
    """The same rows in the same order with the same cursors, whoever else asks."""
    await filled(documents, kind)
    asked = [(patient_id, limit) for limit in (1, 2, 50) for patient_id in (1, 2, 3, 3, 4, 5, 6)]
    alone = [await documents.page(patient_id, limit, "") for patient_id, limit in asked]
    with statements(database) as seen:
        together = await asyncio.gather(*(documents.page(patient_id, limit, "") for patient_id, limit in asked))
    assert together == alone
    assert len([each for each in seen if "SELECT" in each]) == 1
    assert sum(len(page.items) for page in together) > 20


async def test_lists_by_category_are_read_together_by_themselves(
    documents: Documents[Any], database: Database, kind: Kind
) -> None:
    """They come from another index."""
    if kind is not RECORDS:
        pytest.skip("prescriptions have no categories")
    await filled(documents, kind)
    kinds: list[Mapping[str, str]] = [{}, {"category": "note"}, {"category": "diagnosis"}]
    asked = [(patient_id, only) for only in kinds for patient_id in (1, 3, 4)]
    alone = [await documents.page(patient_id, 2, "", only=only) for patient_id, only in asked]
    with statements(database) as seen:
        together = await asyncio.gather(*(documents.page(patient_id, 2, "", only=only) for patient_id, only in asked))
    assert together == alone
    assert len([each for each in seen if "SELECT" in each]) == 2


async def test_more_than_go_into_one_statement_are_read_by_several(
    documents: Documents[Any], database: Database, kind: Kind
) -> None:
    """A statement has a greatest length."""
    await filled(documents, kind)
    with statements(database) as seen:
        pages = await asyncio.gather(*(documents.page(1 + each % 6, 50, "") for each in range(70)))
    assert [len(page.items) for page in pages[:6]] == [len(page.items) for page in pages[6:12]]
    assert len([each for each in seen if "SELECT" in each]) == 3


async def test_one_that_gives_up_or_asks_wrongly_harms_nobody(documents: Documents[Any], kind: Kind) -> None:
    """Each keeps its own time and its own mistakes."""
    await filled(documents, kind)
    asks = [
        documents.page(3, 50, "", 5.0),
        documents.page(3, 50, "", 0.02),
        documents.page(3, 50, "nonsense", 5.0),
        documents.page(4, 50, "", 5.0),
    ]
    tasks = [asyncio.ensure_future(ask) for ask in (*asks, documents.page(5, 50, ""))]
    await asyncio.sleep(0)
    tasks[4].cancel()
    first, late, wrong, last, gone = await asyncio.gather(*tasks, return_exceptions=True)
    assert first == await documents.page(3, 50, "")
    assert last == await documents.page(4, 50, "")
    assert isinstance(late, Unavailable)
    assert isinstance(wrong, Invalid)
    assert isinstance(gone, asyncio.CancelledError)


async def test_each_part_of_the_statement_is_read_from_the_index(
    documents: Documents[Any], database: Database, kind: Kind
) -> None:
    """One statement that sorts would cost more than many that do not."""
    await filled(documents, kind)

    async def pages() -> None:
        await asyncio.gather(*(documents.page(patient_id, 2, "") for patient_id in (3, 4, 5)))

    (plan,) = await plans_of(database, pages)
    assert plan.told.count(f"{kind.name}_listed") >= 3, plan.told
    assert "TEMP B-TREE" not in plan.told
    assert "filesort" not in plan.told
