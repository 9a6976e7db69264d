"""MySQL and MariaDB and how they are spoken to.

Each connection sets what it needs for itself. What only the server's configuration can give is checked on each that
writes: a server that was started anew with other settings has no old ones.
Writers read what is committed (READ COMMITTED) and lock what they change; readers see one moment of the database
(a snapshot, REPEATABLE READ) and can change nothing.
"""

import math
import ssl
import time
from typing import Any

from sqlalchemy import URL, event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from storage.address import MysqlPlace
from storage.errors import AddressError, Unfit
from storage.mysql_checks import VARIABLES, unfit
from storage.mysql_driver import Connection as DriverConnection

TO_CONNECT = 3.0  # seconds
LONGEST_IDLE = 300.0  # seconds, then a connection is not used any more: firewalls forget such ones, and tell nobody
# Seconds that the server lets a statement wait for rows, and for tables that a migration changes. The lane answers
# its caller in time whatever the server does; these end the wait of those whose caller has gone.
WAITS = "innodb_lock_wait_timeout = 1, lock_wait_timeout = 2"
MODE = "STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"


def writing_engine(place: MysqlPlace, connections: int) -> AsyncEngine:
    """Connections whose transactions see what is committed and lock what they change.

    To connect raises Unfit where the server's settings do not suffice.
    """
    engine = _engine(place, connections, isolation="READ COMMITTED", begin="BEGIN")
    event.listen(engine.sync_engine, "connect", _refuse_unfit)  # after what the session sets for itself
    return engine


def reading_engine(place: MysqlPlace, connections: int) -> AsyncEngine:
    """Connections that can only read; each transaction sees one moment of the database."""
    begin = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
    return _engine(place, connections, isolation="REPEATABLE READ", begin=begin)


def _engine(place: MysqlPlace, connections: int, *, isolation: str, begin: str) -> AsyncEngine:
    options: dict[str, Any] = {
        "async_creator_fn": DriverConnection.opened,
        "connect_timeout": TO_CONNECT,
        "program_name": "caremesh",
        "autocommit": True,
    }
    if place.authorities:
        options["ssl"] = _trusting(place.authorities)
    engine = create_async_engine(
        URL.create(
            "mysql+aiomysql", place.user, place.password, place.host, place.port, place.name, {"charset": "utf8mb4"}
        ),
        pool_size=connections,
        max_overflow=0,
        hide_parameters=True,  # the text of a failed statement must not hold what a client sent
        connect_args=options,
    )
    _speak_mysql(engine, isolation, begin)
    return engine


def _trusting(authorities: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authorities)
    except OSError as error:
        raise AddressError(f"?ssl_ca={authorities} is no file with certificates that can be read: {error}") from None


def _speak_mysql(engine: AsyncEngine, isolation: str, begin: str) -> None:
    def connected(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute(f"SET SESSION TRANSACTION ISOLATION LEVEL {isolation}")
        cursor.execute(f"SET SESSION sql_mode = '{MODE}', time_zone = '+00:00', {WAITS}")
        cursor.close()

    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine.sync_engine, "connect", connected)
    event.listen(engine.sync_engine, "begin", begun)
    event.listen(engine.sync_engine, "checkin", _laid_down)
    event.listen(engine.sync_engine, "checkout", _taken_up)


def _laid_down(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info["idle since"] = time.monotonic()


def _taken_up(_connection: object, record: ConnectionPoolEntry, _proxy: object) -> None:
    if time.monotonic() - record.info.get("idle since", math.inf) > LONGEST_IDLE:
        raise DisconnectionError  # the pool makes another


def _refuse_unfit(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute(VARIABLES)
    found = {str(name): str(value) for name, value in cursor.fetchall()}
    cursor.close()
    if problems := unfit(found):
        raise Unfit(problems)
