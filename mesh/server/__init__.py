"""The answering side: serve, say what is well, tell an error so that the caller can act on it."""

from mesh.server.current import ServerCall, current, detached
from mesh.server.health import Health
from mesh.server.server import Server
from mesh.server.status import StatusError

__all__ = ["Health", "Server", "ServerCall", "StatusError", "current", "detached"]
