"""`make resilience` and `make bench`: rows in full size. Ends with 1 when the mesh misses what it must reach."""

import argparse
import os
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from benchmarks.load import saturation
from benchmarks.replicas import replicas
from benchmarks.report import Outcome, as_json
from benchmarks.row import Row
from benchmarks.rows import RESILIENCE, ROWS
from benchmarks.scale import Scale
from benchmarks.ways import mesh

SATURATING = 3.0  # seconds


def main() -> int:
    arguments = _arguments()
    saturated = arguments.saturation or uvloop.run(_saturation())
    print(f"saturation: {saturated:,.0f} calls a second by two replicas; half of it is offered", flush=True)
    scale, outcomes, broken = Scale(arguments.seed, arguments.share, saturated), list[Outcome](), 0
    for name in arguments.names:
        outcome = _run(ROWS[name], scale, arguments.runs)
        broken += outcome is None or bool(outcome.broken)
        outcomes += [outcome] if outcome else []
    conditions = {"seed": scale.seed, "share": scale.share, "runs": arguments.runs, "saturation": round(saturated)}
    if arguments.json:
        when = datetime.now(UTC).isoformat(timespec="seconds")
        report = as_json(outcomes, when=when, python=sys.version.split()[0], cores=os.cpu_count(), **conditions)
        arguments.json.write_text(report + "\n", encoding="utf-8")
    print(f"{broken} of {len(arguments.names)} rows broken" if broken else "every row kept")
    return bool(broken)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make resilience", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"{', '.join(ROWS)}; those of resilience when none is named"
    )
    parser.add_argument("--seed", type=int, default=1, help="repeats what is drawn (default 1)")
    parser.add_argument("--share", type=float, default=1.0, help="of the full size (default 1.0)")
    parser.add_argument("--runs", type=int, default=3, help="of each row, seeds one after the other (default 3)")
    parser.add_argument("--saturation", type=float, help="calls a second; measured when not given")
    parser.add_argument("--json", type=Path, help="a file for the report")
    arguments = parser.parse_args()
    arguments.names = arguments.names or [row.name for row in RESILIENCE]
    if unknown := set(arguments.names) - set(ROWS):
        parser.error(f"no row is named {', '.join(sorted(unknown))}; choose from {', '.join(ROWS)}")
    if arguments.share <= 0 or arguments.runs <= 0:
        parser.error("--share and --runs must be larger than 0")
    return arguments


async def _saturation() -> float:
    async with replicas(2) as running, mesh([replica.address for replica in running], Scale()) as way:
        await saturation(way, 1.0)
        return await saturation(way, SATURATING)


def _run(row: Row, scale: Scale, runs: int) -> Outcome | None:
    try:
        outcome = uvloop.run(row.run(scale, runs))
    except Exception:  # noqa: BLE001  # the others are run all the same
        print(f"{row.name}: BROKEN the row itself\n{traceback.format_exc()}", flush=True)
        return None
    print(outcome.table(), flush=True)
    return outcome


if __name__ == "__main__":
    sys.exit(main())
