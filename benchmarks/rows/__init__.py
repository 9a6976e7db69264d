"""Every row by its name."""

from benchmarks.row import Row
from benchmarks.rows.ageing import OURS, THEIRS
from benchmarks.rows.all_of_them import ALL_FAIL, ALL_SILENT
from benchmarks.rows.batched import TOGETHER_OR_ALONE
from benchmarks.rows.cancelled import CANCELLED
from benchmarks.rows.comings import REGISTRY_AWAY, ROLLING
from benchmarks.rows.cost import NOTHING_WRONG
from benchmarks.rows.hedged import SLOW_NOW_AND_THEN
from benchmarks.rows.one_of_them import BLOCKED, DROPPED, FAILS_HALF, KILLED, REFUSES, SLOW, STOPPED
from benchmarks.rows.overloaded import MILD, THRICE, TIMING_OUT, TWICE
from benchmarks.rows.receipts import RECEIPTS
from benchmarks.rows.speed import LATENCY, SATURATION

RESILIENCE = (
    *(KILLED, STOPPED, DROPPED, REFUSES, FAILS_HALF, SLOW),
    *(SLOW_NOW_AND_THEN, TOGETHER_OR_ALONE, RECEIPTS),
    *(ALL_FAIL, ALL_SILENT),
    *(TWICE, THRICE, MILD, TIMING_OUT, BLOCKED),
    *(ROLLING, REGISTRY_AWAY, THEIRS, OURS),
    *(CANCELLED, NOTHING_WRONG),
)
"""What `make resilience` runs; `make bench` runs the last of them, and what follows."""

ROWS: dict[str, Row] = {row.name: row for row in (*RESILIENCE, SATURATION, LATENCY)}
