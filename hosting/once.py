"""Writes that may be asked for again: the idempotency key of a call, and the answer that was given before."""

import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from hosting.caller import principal
from mesh.server import current
from protos.codec import Codec
from storage.errors import Invalid, Violation
from storage.keys import KEY_LENGTH, Answered, Once, digest

HEADER = "idempotency-key"
REPLAY = "idempotent-replay"
KEY = re.compile(rf"[!-~]{{1,{KEY_LENGTH}}}")

M = TypeVar("M")
R = TypeVar("R")


async def answered(
    request: Any, kind: type[M], tell: Callable[[R], M], write: Callable[[Once[R] | None], Awaitable[R]]
) -> M:
    """The answer to a write: what was given under its key before, or what `write` makes now.

    Args:
        request: the message: the path's id, the body and the expected version are all in it.
        kind: the class of the answer.
        tell: makes the answer of what was written.
        write: does it, under the key that it is given.

    Raises:
        Invalid: the key cannot be one.
        KeyReused: the key belongs to another request.
    """
    codec = Codec()
    once: Once[R] | None = _asked(request, lambda written: codec.encode(tell(written), kind))
    try:
        return tell(await write(once))
    except Answered as before:
        current().trailers[REPLAY] = "true"
        answer: M = codec.decode(before.answer, kind)
        return answer


def _asked(request: Any, tell: Callable[[R], bytes]) -> Once[R] | None:
    call = current()
    key = call.headers.get(HEADER)
    if key is None:
        return None
    if not KEY.fullmatch(key):
        message = f"must be 1 to {KEY_LENGTH} visible ASCII characters without spaces"
        raise Invalid([Violation("Idempotency-Key", message)])
    # The codec writes equal messages as equal bytes: fields in the order of their numbers, defaults left out.
    return Once(f"{principal()}\n{call.method}", key, digest(Codec().encode(request, type(request))), tell)
