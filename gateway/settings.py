"""What the gateway can be told."""

import ipaddress
from typing import Literal, Self

from pydantic import field_validator, model_validator

from process.settings import Settings, setting


class GatewaySettings(Settings):
    """Read once at start, by `__main__`."""

    host: str = setting("127.0.0.1", "the IP address to listen on")
    port: int = setting(8080, "the port to listen on; 0 takes a free one", ge=0, le=65535)
    allowed_hosts: str = setting(
        "localhost,127.0.0.1,[::1]", "the names it may be asked under (the Host header without its port)"
    )
    listen_anywhere: bool = setting(False, "whether it may listen beyond loopback: there is no login")
    registries: str = setting("127.0.0.1:8500", "the registries to ask, host:port, with commas between")
    records: str = setting("", "where the records service is, host:port with commas between; empty: ask the registries")
    prescriptions: str = setting("", "the same for the prescriptions service")
    request_timeout: float = setting(2.0, "seconds that a request may take at the most", gt=0, le=60)
    max_connections: int = setting(500, "connections it answers; those above it get 503", ge=1, le=100_000)
    cors_origins: str = setting("", "the origins whose pages may use the API, such as https://app.example; empty: none")
    process: str = setting("gateway", "the name of this process in logs and traces")
    log_level: Literal["debug", "info", "warning", "error"] = setting("info", "the least level that is logged")
    log_format: Literal["text", "json"] = setting("text", "log lines for people (text) or for programs (json)")
    otlp_endpoint: str = setting(
        "", "the collector's URL, e.g. http://127.0.0.1:4318; empty exports nothing", env="OTEL_EXPORTER_OTLP_ENDPOINT"
    )

    @field_validator("host")
    @classmethod
    def _ip(cls, value: str) -> str:
        try:
            ipaddress.ip_address(value)
        except ValueError:
            raise ValueError("must be an IP address, such as 127.0.0.1") from None
        return value

    @field_validator("registries", "records", "prescriptions")
    @classmethod
    def _addresses(cls, value: str) -> str:
        for address in listed(value):
            host, _, port = address.rpartition(":")
            if not (host and port.isascii() and port.isdigit() and 0 < int(port) < 65536):  # noqa: PLR2004  # TCP's
                raise ValueError("must be host:port, such as 127.0.0.1:8500")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: str) -> str:
        for origin in listed(value):
            scheme, separator, rest = origin.partition("://")
            if scheme not in ("http", "https") or not separator or not rest or "/" in rest or "*" in rest:
                raise ValueError("must be origins such as https://app.example, without a path and without *")
        return value

    @model_validator(mode="after")
    def _loopback(self) -> Self:
        if not self.listen_anywhere and not ipaddress.ip_address(self.host).is_loopback:
            raise ValueError("CAREMESH_HOST: must be a loopback address, or set CAREMESH_LISTEN_ANYWHERE=true")
        return self


def listed(value: str) -> list[str]:
    """The items of a setting that has commas between them."""
    return [item.strip() for item in value.split(",") if item.strip()]
