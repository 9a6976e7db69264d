"""How much of anything the gateway takes. One place, so that the server and the edge cut at the same line."""

MAX_ID = 2**31 - 1
"""int32, which is what a message carries."""

BODY = 1024 * 1024
"""Bytes of a request body."""

TARGET = 8 * 1024
"""Bytes of path and query together; 414 above."""

HEADERS = 32 * 1024
"""Bytes of all request headers together; 431 above. llhttp itself has no limit."""

HEADER_DEADLINE = 10.0
"""Seconds from a connection's first byte, or from its opening, to the end of the headers."""

KEEP_ALIVE = 20
"""Seconds that a connection may lie idle between two requests; clients that pool them keep them some 15."""

LEFTOVER_DEADLINE = 5.0
"""Seconds a client may go on sending a body that has been answered already (a 413, say)."""

ERRORS = 100
"""Fields named in one answer at the most: a body of a megabyte may hold more mistakes than anyone reads."""

FIELD = 200
"""Characters of a field's name in an error: unknown fields are named, and their names are the client's."""
