"""Methods that carry several requests of another method as one call: `BatchX` those of `X`.

Its request and the messages that it is answered with hold `items`, one for each request:

    request: {request, timeout_ms, metadata: [{name, value}]}
    answer:  {number, reply or status (a google.rpc.Status), metadata, alone}
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from mesh.call import Level, Method, Service

PREFIX = "Batch"


class Batch(NamedTuple):
    """One of them.

    Attributes:
        method: it carries the requests,
        of: of this method, by its path.
        item: a request among others,
        answer: what it is answered with,
        entry: and an entry of its metadata.
    """

    method: Method
    of: str
    item: type
    answer: type
    entry: type

    def entries(self, metadata: Mapping[str, str]) -> list[Any]:
        return [self.entry(name=name, value=value) for name, value in metadata.items()]


def batches_of(service: type[Service] | Service) -> dict[str, Batch]:
    """Those of a generated service, by the path of the method whose requests they carry."""
    table = (service() if isinstance(service, type) else service).__mapping__()
    found = {}
    for path, handler in table.items():
        head, _, name = path.rpartition("/")
        of = f"{head}/{name.removeprefix(PREFIX)}"
        if name.startswith(PREFIX) and handler.cardinality.server_streaming and of in table:
            method = Method(path, handler.request_type, handler.reply_type, Level.NO_SIDE_EFFECTS)
            item, answer = _of(method.request, "items"), _of(method.reply, "items")
            found[of] = Batch(method, of, item, answer, _of(item, "metadata"))
    return found


def _of(message: Any, field: str) -> type:
    """The class of a field, as betterproto2 knows it."""
    cls: type = message._betterproto.cls_by_field[field]  # noqa: SLF001  # it has no other name
    return cls


def metadata_of(entries: list[Any]) -> dict[str, str]:
    return {entry.name: entry.value for entry in entries}
