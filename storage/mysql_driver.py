"""aiomysql, held to what SQLAlchemy expects of a driver: what fails is an error of its own, with a remedy."""

import asyncio
import ssl
from contextlib import suppress
from typing import Any, Self

import aiomysql  # type: ignore[import-untyped]
from pymysql.constants import CLIENT, CR, ER  # type: ignore[import-untyped]

from storage.address import ESCAPED

TO_CLOSE = 1.0  # seconds


class NotConnected(aiomysql.OperationalError):  # type: ignore[misc]
    """No connection; the arguments are the server's or the driver's number and words with the remedy."""

    def __str__(self) -> str:
        return str(self.args[1])


class Connection(aiomysql.Connection):  # type: ignore[misc]
    """One connection.

    uvloop refuses a write to what the server has closed with RuntimeError, by which nobody knows a lost connection.
    On asyncio the write is dropped without a word, and to read the answer fails as it should.
    """

    @classmethod
    async def opened(cls, **options: Any) -> Self:
        """Connects; `options` are those of `aiomysql.connect`. Raises NotConnected where there is a remedy."""
        connection = cls(**options)
        try:
            await connection._connect()
        except aiomysql.OperationalError as error:
            if words := connection._remedy(error.args[0], error.__cause__):
                raise NotConnected(error.args[0], words) from error
            raise
        return connection

    async def ensure_closed(self) -> None:
        """Takes leave of the server, if that is still there, and waits until TLS has done so, too."""
        writer = self._writer
        with suppress(OSError, RuntimeError):
            await super().ensure_closed()
        self.close()
        if writer:
            with suppress(OSError):  # a TimeoutError is one
                async with asyncio.timeout(TO_CLOSE):
                    await writer.wait_closed()
            writer.transport.abort()

    async def _request_authentication(self) -> None:
        # aiomysql would go on in the clear, and whoever sits between could make it do so.
        if self._ssl_context and not self.server_capabilities & CLIENT.SSL:
            raise NotConnected(CR.CR_SSL_CONNECTION_ERROR, "the server has no TLS; set it up there, or omit ?ssl_ca")
        await super()._request_authentication()

    def _write_bytes(self, data: bytes) -> None:
        try:
            super()._write_bytes(data)
        except RuntimeError as error:
            self.close()
            raise aiomysql.OperationalError(CR.CR_SERVER_GONE_ERROR, "the server has closed the connection") from error

    def _remedy(self, number: int, cause: BaseException | None) -> str:
        server, user, name = f"{self._host}:{self._port}", self._user, self._db
        if number == ER.ACCESS_DENIED_ERROR:
            return f"{server} knows no user {user} with this password; {ESCAPED}"
        if number in (ER.DBACCESS_DENIED_ERROR, ER.BAD_DB_ERROR):
            return f"{name} is not there, or not for {user}; CREATE DATABASE {name}; GRANT ALL ON {name}.* TO {user}"
        if number != CR.CR_CONN_HOST_ERROR:
            return ""
        if isinstance(cause, ssl.SSLError):
            return f"{server} cannot be trusted: {cause.strerror}; ?ssl_ca must name the authority of its certificate"
        why = getattr(cause, "strerror", None) or "no answer in time"
        return f"no server answers at {server}: {why}; see that it runs there and that the address is right"
