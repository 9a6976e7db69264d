"""What a process holds at a moment: memory, descriptors, streams, and the connections' windows."""

import gc
import os
from collections.abc import Iterable
from pathlib import Path

from mesh.transport.protocol import WINDOW, Protocol


def memory() -> float:
    """Megabytes of this process that are in memory; as Linux tells it."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def descriptors() -> int:
    """Files, pipes and sockets of this process that are open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def state(connections: Iterable[Protocol]) -> dict[str, float]:
    """Of one side of the wire: streams that are open, and bytes that the far side may not send any more."""
    gc.collect()
    live = [each for each in connections if not each.connection.is_closing()]
    return {
        "streams": sum(len(each.processor.streams) for each in live),
        "missing": sum(WINDOW - _window(each) for each in live),
        "memory": memory(),
    }


def _window(end: Protocol) -> int:
    """What may be sent, and what was freed and is held back until it is worth a frame."""
    h2 = end.connection.h2
    return int(h2.inbound_flow_control_window + h2._inbound_flow_control_window_manager._bytes_processed)
