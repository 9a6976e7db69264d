"""A relay in a process of its own, with faults drawn from a seed; it writes down what it took before it says so.

It prints its port once it listens, and ends on SIGTERM with its counts of what went wrong.
"""

import argparse
import asyncio
import base64
import json
import signal
from pathlib import Path
from random import Random

from tests.fakes.relay.exchange import Taken
from tests.fakes.relay.faults import Drawn
from tests.fakes.relay.server import FakeRelay


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.relay", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 for any")
    parser.add_argument("--letters", type=Path, required=True, help="a file; it gets a line of JSON a letter")
    parser.add_argument("--seed", default="1", help="of what goes wrong")
    parser.add_argument("--per", type=int, default=0, help="one fault in so many exchanges, at each point; 0 for none")
    asyncio.run(_serve(parser.parse_args()))


async def _serve(told: argparse.Namespace) -> None:
    ends = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ends.set)
    script = Drawn(Random(told.seed), told.per) if told.per else None
    with told.letters.open("a", encoding="utf-8") as letters:

        def keep(letter: Taken) -> None:
            letters.write(json.dumps(written(letter)) + "\n")
            letters.flush()

        async with FakeRelay(script, port=told.port, kept=keep) as relay:
            print(relay.port, flush=True)
            await ends.wait()
        print(json.dumps({f"{fault.point} {fault.how} {fault.answer}": n for fault, n in relay.happened.items()}))


def written(letter: Taken) -> dict[str, object]:
    """A letter as JSON holds it."""
    return {
        "message_id": letter.message_id,
        "sender": letter.sender,
        "recipients": letter.recipients,
        "confirmed": letter.confirmed,
        "content": base64.b64encode(letter.content).decode(),
    }


if __name__ == "__main__":
    main()
