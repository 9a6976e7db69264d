"""An SMTP server of the tests: keeps every letter that it takes, and fails where it is told to.

Inside a test's loop it is a `FakeRelay`. `python -m tests.fakes.relay` is one in a process of its own.
"""

from tests.fakes.relay.exchange import Taken
from tests.fakes.relay.faults import Drawn, Fault, How, Planned, Point, Script
from tests.fakes.relay.server import FakeRelay

__all__ = ["Drawn", "FakeRelay", "Fault", "How", "Planned", "Point", "Script", "Taken"]
