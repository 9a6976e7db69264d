"""What a MySQL or MariaDB server and the tables on it must be like, each fault told with its remedy."""

from collections.abc import Collection, Iterator, Mapping

from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

LEAST_PACKET = 8 * 1024 * 1024  # bytes: a prescription of 1 MiB, its version and its answer, with room
OLDEST = {True: (10, 5), False: (8, 0)}  # MariaDB, MySQL
SYNCED = {True: ("1", "3"), False: ("1",)}  # the same; with 3 MariaDB syncs when it prepares, too
NOT_SYNCED = ("nosync", "littlesync")
CHECKED = (
    "version",
    "innodb_flush_log_at_trx_commit",
    "innodb_flush_method",
    "innodb_doublewrite",
    "log_bin",
    "sync_binlog",
    "binlog_format",
    "max_allowed_packet",
    "read_only",
    "tx_isolation",
    "transaction_isolation",
    "sql_mode",
    "character_set_client",
    "character_set_connection",
    "character_set_results",
)
# It gives the session's value where there is one, the server's for the others.
VARIABLES = f"SHOW VARIABLES WHERE Variable_name IN ({', '.join(repr(name) for name in CHECKED)})"
TABLES = text(
    "SELECT table_name, engine, table_collation FROM information_schema.tables "
    "WHERE table_schema = DATABASE() AND table_name IN :names"
).bindparams(bindparam("names", expanding=True))
IN_CONFIGURATION = "in the server's configuration"


def unfit(found: Mapping[str, str]) -> list[str]:
    """What is wrong with a server and a writing connection to it, by what VARIABLES gave."""
    return [*_version(found["version"]), *_durability(found), *_writing(found), *_session(found)]


async def unfit_now(writer: AsyncConnection, names: Collection[str]) -> list[str]:
    """The same, and what is wrong with those of the named tables that are there; others' are not looked at."""
    found = {str(name): str(value) for name, value in (await writer.execute(text(VARIABLES))).all()}
    rows = (await writer.execute(TABLES, {"names": list(names)})).all()
    return unfit(found) + [told for name, engine, letters in rows for told in _table(name, engine, str(letters))]


def _version(version: str) -> Iterator[str]:
    first, second = version.split("-", 1)[0].split(".")[:2]
    if (int(first), int(second)) < OLDEST[_is_maria(version)]:
        yield f"the server is {version}; it must be MariaDB 10.5 or MySQL 8.0 at the least"


def _durability(found: Mapping[str, str]) -> Iterator[str]:
    at_commit, method = found["innodb_flush_log_at_trx_commit"], found.get("innodb_flush_method", "")
    if at_commit not in SYNCED[_is_maria(found["version"])]:
        yield (
            f"innodb_flush_log_at_trx_commit is {at_commit}, so that a crash loses acknowledged writes; "
            f"set it to 1 {IN_CONFIGURATION}"
        )
    if method.lower() in NOT_SYNCED:
        yield (
            f"innodb_flush_method is {method}, so that a crash loses acknowledged writes; "
            f"set it to fsync {IN_CONFIGURATION}"
        )
    if found["log_bin"] == "ON" and found["sync_binlog"] != "1":
        yield (
            f"sync_binlog is {found['sync_binlog']}, so that a crash loses acknowledged writes from the binary log; "
            f"set it to 1 {IN_CONFIGURATION}"
        )
    if found.get("innodb_doublewrite") == "OFF":
        yield f"innodb_doublewrite is OFF, so that a crash can tear a page; set it to ON {IN_CONFIGURATION}"


def _writing(found: Mapping[str, str]) -> Iterator[str]:
    if found["log_bin"] == "ON" and found.get("binlog_format") == "STATEMENT":
        yield (
            "binlog_format is STATEMENT, with which InnoDB refuses every write under READ COMMITTED; "
            f"set it to ROW {IN_CONFIGURATION}"
        )
    if int(found["max_allowed_packet"]) < LEAST_PACKET:
        yield f"max_allowed_packet is {found['max_allowed_packet']}; set it to 16M {IN_CONFIGURATION}"
    if found["read_only"] != "OFF":
        yield "the server is read-only; name the one that takes writes, or set read_only to OFF"


def _session(found: Mapping[str, str]) -> Iterator[str]:
    isolation = found.get("transaction_isolation") or found.get("tx_isolation")  # the latter on MariaDB until 11.1
    if isolation != "READ-COMMITTED":
        yield f"the isolation stays {isolation} when READ-COMMITTED is set; connect without a proxy that drops SET"
    if "STRICT_ALL_TABLES" not in found["sql_mode"]:
        yield "sql_mode stays without STRICT_ALL_TABLES when it is set; connect without a proxy that drops SET"
    for name in ("character_set_client", "character_set_connection", "character_set_results"):
        if found[name] != "utf8mb4":
            yield f"{name} is {found[name]}, which loses letters; connect without a proxy that changes it to utf8mb4"


def _table(name: str, engine: str, collation: str) -> Iterator[str]:
    if engine != "InnoDB":
        yield f"the table {name} is {engine}, which knows no transactions; ALTER TABLE {name} ENGINE=InnoDB"
    if not collation.startswith("utf8mb4"):
        yield (
            f"the table {name} is {collation}, which loses letters; "
            f"ALTER TABLE {name} CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
        )


def _is_maria(version: str) -> bool:
    return "mariadb" in version.lower()
