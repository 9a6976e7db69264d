"""What every service process can be told."""

from pydantic import field_validator

from process.listening import NOTICE, Addresses, ListeningSettings, listed
from process.settings import setting
from storage.address import MYSQL_FORM, SQLITE_FORM, place_of

DATABASE = f"the database's address: {SQLITE_FORM}, or {MYSQL_FORM} for MySQL and MariaDB"


class ServiceSettings(ListeningSettings):
    """The base; a service gives `process` and `database` their defaults."""

    advertise: Addresses = setting("", "the host:port that callers reach this process by; empty: where it listens")
    registries: Addresses = setting(
        "127.0.0.1:8500", "the registries to announce itself to, host:port, with commas between"
    )
    database: str = setting("", DATABASE, repr=False)
    keys_kept_hours: int = setting(48, "hours for which an Idempotency-Key is kept; at least 24", ge=24, le=24 * 366)

    policy: str = setting(
        "", "the file that says how many calls it takes on at one time, such as policy.toml; empty: the mesh's defaults"
    )
    drain_notice: float = setting(2.0, NOTICE, ge=0, le=600)
    max_connection_age: float = setting(
        0.0,
        "seconds after which a caller is asked to make a new connection, a tenth more or less; 0: never",
        ge=0,
        le=86_400,
    )

    @field_validator("database")
    @classmethod
    def _database(cls, value: str) -> str:
        place_of(value)
        return value

    @property
    def registry_addresses(self) -> list[str]:
        return listed(self.registries)
