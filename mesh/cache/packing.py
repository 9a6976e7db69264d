"""An entry as the bytes that a shared store keeps, and its key there."""

import json
from hashlib import blake2b

from mesh.cache.entry import Entry, Key, Refusal
from mesh.status import Status


def name_of(key: Key) -> str:
    """The key as a store has it: what was asked for cannot be read from it."""
    method, scope, request = key
    whole = b"%b\0%b\0%b" % (method.encode(), scope.encode(), request)
    return blake2b(whole, digest_size=20, person=b"mesh.cache").hexdigest()


def packed(entry: Entry) -> bytes:
    """The entry but for its tags and the moments of this process."""
    refusal = entry.refusal and [int(entry.refusal.status), *entry.refusal[1:3], dict(entry.refusal.info)]
    head = {
        "fresh": entry.fresh_until - entry.made,
        "stale": entry.stale_until - entry.made,
        "headers": dict(entry.headers),
        "refusal": refusal,
    }
    return json.dumps(head).encode() + b"\n" + entry.body


def unpacked(value: bytes, tags: tuple[str, ...], made: float, since: int) -> Entry:
    """The entry again, by the clock and the count of this process.

    Raises:
        ValueError, KeyError: the bytes are none.
    """
    head, _, body = value.partition(b"\n")
    told = json.loads(head)
    refusal = None
    if told["refusal"]:
        status, message, code, info = told["refusal"]
        refusal = Refusal(Status(status), message, code, info)
    return Entry(body, tags, made, made + told["fresh"], made + told["stale"], since, told["headers"], refusal)
