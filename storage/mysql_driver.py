"""aiomysql, held to what SQLAlchemy expects of a driver: its failures are its own kinds of errors."""

from contextlib import suppress
from typing import Any, Self

import aiomysql  # type: ignore[import-untyped]
from pymysql.constants import CR  # type: ignore[import-untyped]


class Connection(aiomysql.Connection):  # type: ignore[misc]
    """One connection.

    uvloop refuses a write to what the server has closed with RuntimeError, by which nobody knows a lost connection.
    On asyncio the write is dropped without a word, and to read the answer fails as it should.
    """

    @classmethod
    async def opened(cls, **options: Any) -> Self:
        """Connects; `options` are those of `aiomysql.connect`."""
        connection = cls(**options)
        await connection._connect()
        return connection

    async def ensure_closed(self) -> None:
        """Takes leave of the server, if that is still there."""
        with suppress(OSError, RuntimeError):
            await super().ensure_closed()
        self.close()

    def _write_bytes(self, data: bytes) -> None:
        try:
            super()._write_bytes(data)
        except RuntimeError as error:
            self.close()
            raise aiomysql.OperationalError(CR.CR_SERVER_GONE_ERROR, "the server has closed the connection") from error
