"""`make faults`: every fault scenario in full size, or the named ones. Ends with 1 when a promise was broken."""

import argparse
import importlib
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import pytest

from tests.faults.report import Report, Scenario

SCENARIOS = {
    "acknowledged-sqlite": "tests.faults.acknowledged:on_sqlite",
    "acknowledged-mariadb": "tests.faults.acknowledged:on_mariadb",
    "defects": "tests.faults.defects:run",
    "fsync": "tests.faults.fsync:run",
    "races": "tests.faults.races:run",
    "keys": "tests.faults.copies:run",
    "pages-sqlite": "tests.faults.pages:on_sqlite",
    "pages-mariadb": "tests.faults.pages:on_mariadb",
    "cancelled-sqlite": "tests.faults.cancelled:on_sqlite",
    "cancelled-mariadb": "tests.faults.cancelled:on_mariadb",
    "disk-full": "tests.faults.disk:run",
    "registers": "tests.faults.registers:run",
    "mail": "tests.faults.mail:run",
    "mail-defects": "tests.faults.mail_defects:run",
    "relay-away": "tests.faults.relay_away:run",
    "hostile": "tests.faults.hostile:run",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(SCENARIOS)}; all when none is named")
    parser.add_argument("--seed", type=int, default=1, help="repeats a run (default 1)")
    parser.add_argument("--share", type=float, default=1.0, help="of the full size (default 1.0)")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(SCENARIOS):
        parser.error(f"no scenario is named {', '.join(sorted(unknown))}")
    if arguments.share <= 0:
        parser.error("--share must be larger than 0")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    broken = 0
    for name in arguments.names or SCENARIOS:
        broken += not _run(name, arguments.seed, arguments.share)
    return bool(broken)


def _run(name: str, seed: int, share: float) -> bool:
    module, _, function = SCENARIOS[name].partition(":")
    folder = Path(tempfile.mkdtemp(prefix=f"caremesh-{name}-"))
    began = time.monotonic()
    print(f"{name}: seed {seed}, share {share:g}", flush=True)
    run = getattr(importlib.import_module(module), function)
    try:
        report: Report = run(Scenario(folder, seed, share, lambda line: print(f"  {line}", flush=True)))
    except (pytest.skip.Exception, pytest.fail.Exception) as why:
        print(f"  {why}")
        shutil.rmtree(folder)
        return False
    except Exception:  # noqa: BLE001  # the others are run all the same
        print(f"  BROKEN the scenario itself; see {folder}\n{traceback.format_exc()}")
        return False
    for figure, value in report.figures.items():
        print(f"  {figure}: {value:,}" if isinstance(value, int) else f"  {figure}: {value}")
    for told in report.broken[:3]:
        print(f"  BROKEN {told}")
    kept = not report.broken
    print(f"  {'kept' if kept else f'{len(report.broken)} broken; see {folder}'}, {time.monotonic() - began:.0f} s")
    if kept:
        shutil.rmtree(folder)
    return kept


if __name__ == "__main__":
    sys.exit(main())
