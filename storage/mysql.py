"""MySQL and MariaDB and how they are spoken to.

Each connection sets what it needs for itself; what only the server's configuration can give is checked at start.
Writers read what is committed (READ COMMITTED) and lock what they change; readers see one moment of the database
(a snapshot, REPEATABLE READ) and can change nothing.
"""

import ssl
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import URL, event, text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from storage.address import MysqlPlace
from storage.mysql_driver import Connection as DriverConnection

TO_CONNECT = 3.0  # seconds
LONGEST_KEPT = 300  # seconds, then a connection is made anew: firewalls forget those that lie idle, and tell nobody
# Seconds that the server lets a statement wait for rows, and for tables that a migration changes. The lane answers
# its caller in time whatever the server does; these end the wait of those whose caller has gone.
WAITS = "innodb_lock_wait_timeout = 1, lock_wait_timeout = 2"
MODE = "STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
LEAST_PACKET = 8 * 1024 * 1024  # bytes: a prescription of 1 MiB, its version and its answer, with room
OLDEST = {True: (10, 5), False: (8, 0)}  # MariaDB, MySQL
CHECKED = (
    "innodb_flush_log_at_trx_commit",
    "innodb_doublewrite",
    "log_bin",
    "sync_binlog",
    "max_allowed_packet",
    "read_only",
    "tx_isolation",
    "transaction_isolation",
    "sql_mode",
    "character_set_client",
    "character_set_connection",
    "character_set_results",
)


def writing_engine(place: MysqlPlace, connections: int) -> AsyncEngine:
    """Connections whose transactions see what is committed and lock what they change."""
    return _engine(place, connections, isolation="READ COMMITTED", begin="BEGIN")


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
        options["ssl"] = ssl.create_default_context(cafile=place.authorities)
    engine = create_async_engine(
        URL.create(
            "mysql+aiomysql", place.user, place.password, place.host, place.port, place.name, {"charset": "utf8mb4"}
        ),
        pool_size=connections,
        max_overflow=0,
        pool_recycle=LONGEST_KEPT,
        hide_parameters=True,  # the text of a failed statement must not hold what a client sent
        connect_args=options,
    )
    _speak_mysql(engine, isolation, begin)
    return engine


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


async def unfit(writer: AsyncConnection) -> list[str]:
    """What is wrong with a server, a writing connection to it and the tables there, each with its remedy."""
    names = ", ".join(f"'{name}'" for name in CHECKED)
    # SHOW VARIABLES gives the session's value where there is one, the server's for the others.
    rows = (await writer.execute(text(f"SHOW VARIABLES WHERE Variable_name IN ({names})"))).all()
    version = str((await writer.execute(text("SELECT VERSION()"))).scalar_one())
    return [
        *_server({str(name): str(value) for name, value in rows}, version),
        *[told async for told in _tables(writer)],
    ]


def _server(found: Mapping[str, str], version: str) -> Iterator[str]:
    maria = "mariadb" in version.lower()
    if _numbers(version) < OLDEST[maria]:
        yield f"the server is {version}; it must be MariaDB 10.5 or MySQL 8.0 at the least"
    if found["innodb_flush_log_at_trx_commit"] != "1":
        yield (
            f"innodb_flush_log_at_trx_commit is {found['innodb_flush_log_at_trx_commit']}, so that a crash loses "
            "acknowledged writes; set it to 1 in the server's configuration"
        )
    if found["log_bin"] == "ON" and found["sync_binlog"] != "1":
        yield (
            f"sync_binlog is {found['sync_binlog']}, so that a crash loses acknowledged writes from the binary log; "
            "set it to 1 in the server's configuration"
        )
    if found.get("innodb_doublewrite") == "OFF":
        yield "innodb_doublewrite is OFF, so that a crash can tear a page; set it to ON in the server's configuration"
    if int(found["max_allowed_packet"]) < LEAST_PACKET:
        yield f"max_allowed_packet is {found['max_allowed_packet']}; set it to 16M in the server's configuration"
    if found["read_only"] != "OFF":
        yield "the server is read-only; name the one that takes writes, or set read_only to OFF"
    yield from _session(found)


def _session(found: Mapping[str, str]) -> Iterator[str]:
    isolation = found.get("transaction_isolation") or found.get("tx_isolation")  # the latter on MariaDB until 11.1
    if isolation != "READ-COMMITTED":
        yield f"the isolation stays {isolation} when READ-COMMITTED is set; connect without a proxy that drops SET"
    if "STRICT_ALL_TABLES" not in found["sql_mode"]:
        yield "sql_mode stays without STRICT_ALL_TABLES when it is set; connect without a proxy that drops SET"
    for name in ("character_set_client", "character_set_connection", "character_set_results"):
        if found[name] != "utf8mb4":
            yield f"{name} is {found[name]}, which loses letters; connect without a proxy that changes it to utf8mb4"


async def _tables(writer: AsyncConnection) -> Any:
    query = "SELECT table_name, engine, table_collation FROM information_schema.tables WHERE table_schema = DATABASE()"
    for name, engine, collation in (await writer.execute(text(query))).all():
        if engine != "InnoDB":
            yield f"the table {name} is {engine}, which knows no transactions; ALTER TABLE {name} ENGINE=InnoDB"
        if not str(collation).startswith("utf8mb4"):
            yield (
                f"the table {name} is {collation}, which loses letters; "
                f"ALTER TABLE {name} CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
            )


def _numbers(version: str) -> tuple[int, int]:
    first, second = version.split("-", 1)[0].split(".")[:2]
    return int(first), int(second)
