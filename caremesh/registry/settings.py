"""The registry process's settings."""

from process.listening import ListeningSettings
from process.settings import setting


class RegistrySettings(ListeningSettings):
    """What a registry process can be told."""

    port: int = setting(8500, "the port to listen on; 0 takes a free one", ge=0, le=65535)
    process: str = setting("registry", "the name of this process in logs and traces")
