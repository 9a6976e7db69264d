"""The calling side over HTTP/2: the only place there that touches grpclib.

From a call to bytes: `calls` (one call), `channel` (the connections to one endpoint), `link` (one of
them), `protocol` (what both sides share), `frames` (what is looked at before h2).
"""

from mesh.transport.calls import Transport, refused, split_address, texts

__all__ = ["Transport", "refused", "split_address", "texts"]
