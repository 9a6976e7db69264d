"""Where a database is: one address, two kinds of databases."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from storage.errors import AddressError

SQLITE_FORM = "sqlite:///path/to/file.db"
MYSQL_FORM = "mysql://user:password@host:3306/name"
FORMS = f"{SQLITE_FORM} or {MYSQL_FORM}"
MYSQL_PORT = 3306
ESCAPED = "a %, @, / or : in the password is written %25, %40, %2F or %3A"


@dataclass(frozen=True, slots=True)
class SqlitePlace:
    """A file on this machine."""

    file: Path


@dataclass(frozen=True, slots=True)
class MysqlPlace:
    """A database on a MySQL or MariaDB server.

    Attributes:
        authorities: a file with the certificates that the server's must come from; empty for no TLS.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    name: str
    authorities: str


Place = SqlitePlace | MysqlPlace


def place_of(address: str) -> Place:
    """What an address names.

    Raises:
        AddressError: it names nothing that could be used; the text never holds the password.
    """
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise AddressError(f"the database's address cannot be read; write {FORMS}; {ESCAPED}") from None
    if url.drivername == "sqlite":
        return _sqlite(url)
    if url.drivername in ("mysql", "mariadb"):
        return _mysql(url)
    raise AddressError(f"only SQLite, MySQL and MariaDB are supported; write {FORMS}")


def sqlite_file(address: str) -> Path:
    """The file that a `sqlite:///…` address names. Raises AddressError where it is not such an address."""
    place = place_of(address)
    if not isinstance(place, SqlitePlace):
        raise AddressError(f"this is not the address of a file; write {SQLITE_FORM}")
    return place.file


def _sqlite(url: URL) -> SqlitePlace:
    if url.host or not url.database or url.database == ":memory:" or url.query:
        raise AddressError(f"the address must name a file and nothing else; write {SQLITE_FORM}")
    return SqlitePlace(Path(os.path.realpath(url.database)))  # by whatever name, so that its locks are the same


def _mysql(url: URL) -> MysqlPlace:
    if not (url.host and url.username and url.database):
        raise AddressError(f"the address must name a user, a host and a database; write {MYSQL_FORM}")
    if "@" in url.host + url.database:
        raise AddressError(f"the address has an @ too many; write {MYSQL_FORM}; {ESCAPED}")
    if set(url.query) - {"ssl_ca"}:
        raise AddressError("the address may have one option, ?ssl_ca=/path/to/authorities.pem; leave out the others")
    password, authorities = str(url.password or ""), str(url.query.get("ssl_ca", ""))
    return MysqlPlace(url.host, url.port or MYSQL_PORT, url.username, password, url.database, authorities)
