"""What `demo` and `import-synthea` share: find the gateway, write, report, tell how to go on."""

import argparse
import asyncio
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from caremesh import config, state
from caremesh.endings import INTERRUPTED
from caremesh.intake.progress import progress
from caremesh.intake.report import Outcome, Report
from caremesh.intake.writer import CONCURRENCY, Away, Writer
from caremesh.rows import Row
from caremesh.terminal import complain, say, uncaught


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that both have."""
    parser.add_argument("--gateway", metavar="URL", type=_url, help="where to write (default: what `caremesh up` runs)")
    parser.add_argument(
        "--concurrency",
        metavar="N",
        type=_concurrency,
        default=CONCURRENCY,
        help="requests at once (default: %(default)s)",
    )
    parser.add_argument("--config", metavar="FILE", type=Path, default=config.DEFAULT_FILE, help=argparse.SUPPRESS)


def _url(text: str) -> str:
    url = urlsplit(text)
    if url.scheme not in ("http", "https") or not url.hostname or url.path not in ("", "/"):
        raise argparse.ArgumentTypeError("write it as http://HOST:PORT")
    return text.rstrip("/")


def _concurrency(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 256):  # noqa: PLR2004  # beyond, sockets run out
        raise argparse.ArgumentTypeError("must be a number from 1 to 256")
    return int(text)


def running_gateway(file: Path) -> str | None:
    """The gateway of the clinic that runs by this configuration; none is guessed, it could be another clinic's."""
    try:
        running = state.running(config.read(file).data)
    except config.ConfigError:
        return None
    return running.gateway if running else None


def write_all(what: str, rows: Sequence[Row], arguments: argparse.Namespace) -> int:
    """Writes the rows and reports; the exit code is 0 when every row is in the clinic, 130 when interrupted."""
    gateway = arguments.gateway or running_gateway(arguments.config)
    if gateway is None:
        complain(
            f"{what}: no clinic runs by {arguments.config}; start it with `caremesh up`, or name one: --gateway URL"
        )
        return 1
    return asyncio.run(_write(what, rows, gateway, arguments.concurrency))


async def _write(what: str, rows: Sequence[Row], gateway: str, concurrency: int) -> int:
    if trouble := await unreachable(gateway):
        complain(f"{what}: {trouble}")
        return 1
    stop, report, began = asyncio.Event(), Report(len(rows)), time.monotonic()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(uncaught)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    say(f"{what}: {len(rows):,} rows to {gateway}")
    try:
        with progress(what, report) as step:
            await Writer(gateway, report, stop, concurrency, progressed=step).write(rows)
    except Away as away:
        complain(f"{what}: the clinic takes nothing any more ({away}); see `caremesh doctor`")
    tell(what, report, time.monotonic() - began)
    return _code(what, report, stop.is_set())


async def unreachable(gateway: str) -> str | None:
    """What is wrong when nothing at all answers there; None when something does."""
    try:
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(f"{gateway}/livez"):
            return None
    except (aiohttp.ClientError, TimeoutError, OSError):
        return f"nothing answers at {gateway}; start it with `caremesh up`, or name another with --gateway URL"


def tell(what: str, report: Report, seconds: float) -> None:
    """Prints the report."""
    for line in report.lines():
        say(f"  {line}")
    rate = f"{report.done / seconds:,.0f} rows a second" if seconds > 0 else ""
    colour = "green" if report.clean else "yellow"
    say(f"{what}: {report.summary()}; {report.done:,} of {report.total:,} in {seconds:.1f} s, {rate}", colour)


def _code(what: str, report: Report, interrupted: bool) -> int:  # noqa: FBT001  # two outcomes of one thing
    if report.clean:
        return 0
    if report.done < report.total or report.of(Outcome.FAILED):
        left = report.total - report.done + report.of(Outcome.FAILED)
        complain(f"{what}: {left:,} rows are left; run the same command again to go on, nothing is written twice")
    return INTERRUPTED if interrupted and report.done < report.total else 1
