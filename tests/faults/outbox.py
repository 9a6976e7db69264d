"""Did each letter reach its mailbox, and only those? The outbox and what the relay stored go in, findings come out."""

import re
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

Arrived = Mapping[tuple[str, tuple[str, ...]], int]
"""How often a letter arrived, by its Message-ID and its recipients."""

FOR_GOOD = re.compile(r"\b5[0-9]{2}\b")
"""The code of a refusal that is meant for good."""

QUERY = """
SELECT d.delivery_id, d.prescription_id, d.about, d.kind, d.state, d.message_id, d.replaces, d.maybe_left,
       d.next_attempt_at IS NOT NULL, d.last_error, v.mail_to
FROM deliveries d JOIN prescription_versions v ON v.prescription_id = d.prescription_id AND v.version = d.about
ORDER BY d.delivery_id
"""


class Row(NamedTuple):
    """A delivery as it is stored; `about`: the version that it shows; `doubts`: attempts that ended uncertain."""

    delivery_id: int
    prescription_id: int
    about: int
    kind: str
    state: str
    message_id: str
    replaces: str
    doubts: int
    due: bool
    last_error: str
    recipient: str

    @property
    def open(self) -> bool:
        """Whether it is still on its way."""
        return self.state in ("waiting", "sending") or bool(self.due)


def rows(folder: Path) -> list[Row]:
    """Every delivery in the SQLite file of a stack in this folder; none before there is a table."""
    with closing(sqlite3.connect(f"file:{folder}/prescriptions.db?mode=ro", uri=True, timeout=10)) as database:
        try:
            return [Row(*found) for found in database.execute(QUERY)]
        except sqlite3.OperationalError:
            return []


def check(
    found: Sequence[Row],
    arrived: Arrived,
    written: Collection[int],
    changed: Collection[int] = (),
    deleted: Collection[int] = (),
) -> list[str]:
    """Every broken promise.

    Args:
        found: the outbox in the end.
        arrived: what the relay stored.
        written: the prescriptions that were acknowledged, each of them active and with a `mail_to`.
        changed: those of them of which one change was acknowledged.
        deleted: those of them whose deletion was acknowledged.
    """
    return [
        *_of_rows(found, arrived),
        *_of_mailboxes(found, arrived),
        *_of_prescriptions(found, arrived, written, set(changed), set(deleted)),
    ]


def _of_rows(found: Sequence[Row], arrived: Arrived) -> Iterator[str]:
    for row in found:
        times = arrived.get((row.message_id, (row.recipient,)), 0)
        most = row.doubts + (row.state == "sent")
        if row.open:
            yield f"none lost: {row} never ended"
        if row.state == "sent" and not times:
            yield f"sent means arrived: {row} is in no mailbox"
        if row.state == "failed" and not FOR_GOOD.search(row.last_error):
            yield f"failed means refused for good: {row} was only told to come later"
        if row.state in ("failed", "withdrawn") and times:
            yield f"failed means not arrived: {row} is in a mailbox"
        if times > most:
            yield f"twice only in doubt: {row} arrived {times} times"


def _of_mailboxes(found: Sequence[Row], arrived: Arrived) -> Iterator[str]:
    known = {(row.message_id, row.recipient) for row in found}
    for (message_id, recipients), times in arrived.items():
        if {(message_id, one) for one in recipients} - known or len(recipients) != 1:
            yield f"nothing foreign: {message_id} arrived {times} times and is no letter of the outbox"


def _of_prescriptions(
    found: Sequence[Row],
    arrived: Arrived,
    written: Collection[int],
    changed: Collection[int],
    deleted: Collection[int],
) -> Iterator[str]:
    letters: dict[int, list[Row]] = defaultdict(list)
    for row in found:
        letters[row.prescription_id].append(row)
    for key in written:
        mine = letters[key]
        if not mine:
            yield f"none lost: prescription {key} has no letter"
        elif key in deleted:
            there = [row for row in mine if arrived.get((row.message_id, (row.recipient,)))]
            if there and (mine[-1].kind != "cancellation" or mine[-1].state == "withdrawn"):
                yield f"who has a letter learns that it is void: {mine}"
        elif mine[-1].kind == "cancellation":
            yield f"nothing is void by itself: {mine}"
        elif mine[-1].about != 1 + (key in changed) or mine[-1].state == "withdrawn":
            yield f"none lost: nobody was mailed what holds now: {mine}"
    for key in letters.keys() - set(written):
        yield f"nothing foreign: prescription {key} is mailed and was never acknowledged"
