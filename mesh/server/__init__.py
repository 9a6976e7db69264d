"""The answering side: serve, say what is well, tell an error so that the caller can act on it."""

from mesh.server.current import ServerCall, current, detached, spending
from mesh.server.health import Health
from mesh.server.server import Server
from mesh.server.status import StatusError
from mesh.status import Status

__all__ = ["Health", "Server", "ServerCall", "Status", "StatusError", "current", "detached", "spending"]
