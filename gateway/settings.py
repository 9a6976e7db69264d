"""What the gateway can be told."""

from pydantic import field_validator

from process.listening import Addresses, ListeningSettings, listed
from process.settings import setting


class GatewaySettings(ListeningSettings):
    """Read once at start, by `__main__`."""

    port: int = setting(8080, "the port to listen on; 0 takes a free one", ge=0, le=65535)
    process: str = setting("gateway", "the name of this process in logs and traces")
    allowed_hosts: str = setting(
        "localhost,127.0.0.1,[::1]", "the names it may be asked under (the Host header without its port)"
    )
    registries: Addresses = setting("127.0.0.1:8500", "the registries to ask, host:port, with commas between")
    records: Addresses = setting(
        "", "where the records service is, host:port with commas between; empty: ask the registries"
    )
    prescriptions: Addresses = setting("", "the same for the prescriptions service")
    request_timeout: float = setting(2.0, "seconds that a request may take at the most", gt=0, le=60)
    if_match_required: bool = setting(
        False, "whether a PUT or DELETE must say by If-Match which version it means; it gets 428 without"
    )
    max_connections: int = setting(500, "connections it answers; those above it get 503", ge=1, le=100_000)
    cors_origins: str = setting("", "the origins whose pages may use the API, such as https://app.example; empty: none")

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: str) -> str:
        for origin in listed(value):
            scheme, separator, rest = origin.partition("://")
            if scheme not in ("http", "https") or not separator or not rest or "/" in rest or "*" in rest:
                raise ValueError("must be origins such as https://app.example, without a path and without *")
        return value
