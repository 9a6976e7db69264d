"""`python -m gateway`."""

import os

from gateway.settings import GatewaySettings
from gateway.wiring import run
from process.run import Stop, leave
from process.run import run as run_process
from process.settings import load


async def main(stop: Stop) -> None:
    """One gateway."""
    await run(load(GatewaySettings, os.environ), stop)


if __name__ == "__main__":
    leave(run_process(main))
