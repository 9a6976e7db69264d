"""What a prescriptions process can be told."""

from hosting.settings import DATABASE, ServiceSettings
from process.settings import setting


class PrescriptionsSettings(ServiceSettings):
    """The service's own defaults."""

    process: str = setting("prescriptions", "the name of this process in logs and traces")
    database: str = setting("sqlite:///var/prescriptions.db", DATABASE, repr=False)
