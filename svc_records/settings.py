"""What a records process can be told."""

from hosting.settings import DATABASE, ServiceSettings
from process.settings import setting


class RecordsSettings(ServiceSettings):
    """The service's own defaults."""

    process: str = setting("records", "the name of this process in logs and traces")
    database: str = setting("sqlite:///var/records.db", DATABASE, repr=False)
