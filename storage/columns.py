"""Column types that mean the same in every dialect, and the columns that each document has."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, DateTime, Dialect, Integer, String, Text, TypeDecorator
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

LARGEST_ID = 2_147_483_647
SOURCE_ID_LENGTH = 128
PRINCIPAL_LENGTH = 255

# How each table is made there. Its own default for texts, latin1, refuses "ť", and its comparison takes `K` for `k`.
MYSQL: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}


class Moment(TypeDecorator[datetime]):
    """A moment in UTC with microseconds; aware in Python, naive in the database."""

    impl = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else value.replace(tzinfo=UTC)


def long_text() -> TypeEngine[str]:
    """Up to some megabytes. MySQL's TEXT ends one byte short of 64 KiB."""
    return Text().with_variant(mysql.MEDIUMTEXT(charset="utf8mb4"), "mysql", "mariadb")


def ascii_text(length: int) -> TypeEngine[str]:
    """Compared byte by byte: MySQL's default would take `K` for `k`. It must not end in a space: MySQL ignores it."""
    exact = mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")
    return String(length).with_variant(exact, "mysql", "mariadb")


def identity() -> TypeEngine[int]:
    """A number that the database gives out. Wider than an id may be, so that one too many is seen and refused."""
    return Integer().with_variant(mysql.BIGINT(), "mysql", "mariadb")


def day_text() -> TypeEngine[str]:
    """YYYY-MM-DD, as text: it sorts as the days do, and MySQL's DATE begins only with the year 1000."""
    return ascii_text(10)


def document_columns(key: str) -> list[Column[object]]:
    """Its id, whose it is, its version and who made it when; `deleted_at` hides it, the row stays."""
    return [
        Column(key, identity(), primary_key=True, autoincrement=True),
        Column("patient_id", Integer, nullable=False),
        Column("version", Integer, nullable=False),
        Column("created_at", Moment, nullable=False),
        Column("updated_at", Moment, nullable=False),
        Column("updated_by", String(PRINCIPAL_LENGTH), nullable=False),
        Column("source_id", ascii_text(SOURCE_ID_LENGTH), unique=True),
        Column("deleted_at", Moment),
    ]
