"""Every row by its name."""

from benchmarks.row import Row
from benchmarks.rows.cost import NOTHING_WRONG
from benchmarks.rows.one_of_them import KILLED

ROWS: dict[str, Row] = {row.name: row for row in (KILLED, NOTHING_WRONG)}
