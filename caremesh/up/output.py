"""Reads what a process prints, line by line."""

import asyncio
import os
from collections.abc import Callable

LINE = 65536  # bytes; a longer line is told in pieces


async def read_lines(descriptor: int, tell: Callable[[str], object]) -> None:
    """Tells each line of a pipe until nobody can write to it any more; closes it, also when cancelled.

    A pipe of our own, since asyncio's `Process.wait` waits for the end of its pipes too (CPython's gh-119710): whatever
    a process has started and left behind would keep its death unnoticed.
    """
    reader = asyncio.StreamReader()
    file = os.fdopen(descriptor, "rb", 0)
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, file)
    try:
        rest = b""
        while chunk := await reader.read(LINE):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > LINE:
                lines, rest = [*lines, rest], b""
            for line in lines:
                tell(line.decode(errors="replace"))
        if rest:
            tell(rest.decode(errors="replace"))
    finally:
        transport.close()
