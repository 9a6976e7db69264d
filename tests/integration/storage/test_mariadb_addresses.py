"""An address with which no connection comes about: what is said of it, and that TLS is never given up."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from storage.database import Database
from storage.errors import AddressError, MigrationFailed
from storage.migrations import migrate
from tests.databases import RECORDS
from tests.fakes.certificate import Certificate, certificate
from tests.fakes.mariadb import QUOTED, MariaDB
from tests.stack import free_port


def refused(address: str, told: str) -> None:
    """The program that makes the schema is the first that connects, and says so."""
    with pytest.raises(MigrationFailed, match=told) as caught:
        migrate(address, RECORDS.migrations)
    assert QUOTED not in str(caught.value)


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        (f"clinic:{QUOTED}", "clinic:p%2Fss", "knows no user clinic with this password; .* %40"),
        (f"clinic:{QUOTED}", f"nobody:{QUOTED}", "knows no user nobody"),
        ("clinic_", "none_", r"(none_\w+) is not there, or not for clinic; CREATE DATABASE \1; GRANT ALL ON \1"),
        ("127.0.0.1", "db.invalid", r"no server answers at db.invalid:\d+: .*the address is right"),
    ],
    ids=["password", "user", "database", "host"],
)
def test_what_is_wrong_with_an_address_is_told_with_its_remedy(
    mariadb_address: str, right: str, wrong: str, told: str
) -> None:
    """The driver's own words are a number and half a sentence."""
    refused(mariadb_address.replace(right, wrong), told)


def test_where_nobody_listens_is_told() -> None:
    """The server has not been started, or listens elsewhere."""
    port = free_port()
    refused(f"mysql://clinic:{QUOTED}@127.0.0.1:{port}/clinic", f"no server answers at 127.0.0.1:{port}: ")


@pytest.mark.parametrize("content", [None, "no certificate"], ids=["missing", "other"])
def test_a_file_of_authorities_that_is_none_is_named(tmp_path: Path, content: str | None) -> None:
    """The system's own words leave out which file."""
    file = tmp_path / "authorities.pem"
    if content:
        file.write_text(content)
    with pytest.raises(AddressError, match=rf"ssl_ca={file} "):
        Database(f"mysql://clinic:x@127.0.0.1/clinic?ssl_ca={file}")


@pytest.fixture
def mine(frail: MariaDB, tmp_path: Path) -> Iterator[Certificate]:
    """What the server shows until the test ends."""
    made = certificate(tmp_path)
    frail.kill()
    frail.start(f"--ssl-cert={made.file}", f"--ssl-key={made.key}", "--require-secure-transport=ON")
    yield made
    frail.kill()
    frail.start()


@pytest.mark.parametrize("loops", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_server_is_spoken_to_by_tls(
    mortal: str, mine: Certificate, loops: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """The server takes no other connections here."""
    address = f"{mortal}?ssl_ca={mine.file}"
    migrate(address, RECORDS.migrations)

    async def used() -> None:
        async with Database(address) as database:
            await database.check()

    with asyncio.Runner(loop_factory=loops) as runner:
        runner.run(used())


def test_a_server_of_another_authority_is_not_trusted(mortal: str, mine: Certificate, tmp_path: Path) -> None:
    """Somebody else could be there in its place."""
    (tmp_path / "other").mkdir()
    refused(f"{mortal}?ssl_ca={certificate(tmp_path / 'other').file}", "cannot be trusted: .*must name the authority")


def test_a_server_without_tls_gets_no_password_and_no_patient_in_the_clear(mortal: str, tmp_path: Path) -> None:
    """Whoever sits between could take the offer of TLS out of the server's greeting."""
    refused(f"{mortal}?ssl_ca={certificate(tmp_path).file}", "the server has no TLS; set it up there")
