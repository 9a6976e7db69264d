"""What a records process can be told."""

from hosting.settings import ServiceSettings
from process.settings import setting


class RecordsSettings(ServiceSettings):
    """The service's own defaults."""

    process: str = setting("records", "the name of this process in logs and traces")
    database: str = setting("sqlite:///var/records.db", "the database's address, sqlite:///path/to/file.db", repr=False)
