"""What the gateway can be told."""

from urllib.parse import urlsplit

from pydantic import field_validator

from gateway.policies import policies
from mesh.policy.table import PolicyError
from process.listening import NOTICE, Addresses, ListeningSettings, is_ip, listed
from process.settings import setting

BY_NAME = "dns:"
"""Before a place whose name stands for any number of addresses."""


class GatewaySettings(ListeningSettings):
    """Read once at start, by `__main__`."""

    port: int = setting(8080, "the port to listen on; 0 takes a free one", ge=0, le=65535)
    process: str = setting("gateway", "the name of this process in logs and traces")
    allowed_hosts: str = setting(
        "localhost,127.0.0.1,[::1]", "the names it may be asked under (the Host header without its port)"
    )
    registries: Addresses = setting("127.0.0.1:8500", "the registries to ask, host:port, with commas between")
    records: Addresses = setting(
        "",
        "where the records service is: host:port with commas between, or dns:name:port for all that the name stands "
        "for; empty: ask the registries",
    )
    prescriptions: Addresses = setting("", "the same for the prescriptions service")
    request_timeout: float = setting(2.0, "seconds that a request may take at the most", gt=0, le=60)
    policy: str = setting(
        "", "the file that says what each method may cost and repeat, such as policy.toml; empty: the mesh's defaults"
    )
    if_match_required: bool = setting(
        False, "whether a PUT or DELETE must say by If-Match which version it means; it gets 428 without"
    )
    max_connections: int = setting(500, "connections it answers; those above it get 503", ge=1, le=100_000)
    drain_notice: float = setting(
        2.0, f"{NOTICE}; meanwhile /readyz says 503, so that a balancer before it sees it", ge=0, le=600
    )
    gateways: int = setting(
        1,
        "how many gateways serve the same clients; more than one keep answers only where they share them in Redis",
        ge=1,
        le=1000,
    )
    cache_mb: int = setting(64, "megabytes of answers that it keeps in memory; 0 keeps none", ge=0, le=1_000_000)
    redis: str = setting(
        "", "the Redis that gateways share answers in, redis://user:password@host:port/0; empty: none", repr=False
    )
    cors_origins: str = setting("", "the origins whose pages may use the API, such as https://app.example; empty: none")

    @field_validator("records", "prescriptions")
    @classmethod
    def _places(cls, value: str) -> str:
        names = [place.removeprefix(BY_NAME) for place in listed(value) if place.startswith(BY_NAME)]
        if names and (len(listed(value)) > 1 or is_ip(names[0].rpartition(":")[0])):
            raise ValueError("must be addresses, or dns: and one name with its port, such as dns:records.test:50051")
        return value

    @field_validator("policy")
    @classmethod
    def _policy(cls, value: str) -> str:
        try:
            policies(value)
        except PolicyError as error:
            raise ValueError("\n  ".join(str(error).splitlines())) from None
        return value

    @field_validator("redis")
    @classmethod
    def _redis(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            right = not value or (parts.scheme in ("redis", "rediss") and bool(parts.hostname) and parts.port != 0)
        except ValueError:
            right = False
        if not right:
            raise ValueError("must be redis://host:port, or rediss:// for TLS, with user:password@ where it needs one")
        return value

    @property
    def memory(self) -> int:
        """Bytes of answers that it keeps itself: none where another gateway's writes would go unnoticed."""
        return self.cache_mb * 2**20 if self.redis or self.gateways == 1 else 0

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: str) -> str:
        for origin in listed(value):
            scheme, separator, rest = origin.partition("://")
            if scheme not in ("http", "https") or not separator or not rest or "/" in rest or "*" in rest:
                raise ValueError("must be origins such as https://app.example, without a path and without *")
        return value
