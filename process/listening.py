"""What every process that listens can be told."""

import ipaddress
import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, model_validator

from process.settings import Settings, setting

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,}")  # RFC 6750, and too long to be guessed


def listed(value: str) -> list[str]:
    """The items of a setting that has commas between them."""
    return [item.strip() for item in value.split(",") if item.strip()]


def is_ip(host: str) -> bool:
    """Whether it is an address, with or without brackets, and no name."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _ip(value: str) -> str:
    if not is_ip(value) or "[" in value:
        raise ValueError("must be an IP address, such as 127.0.0.1")
    return value


def _addresses(value: str) -> str:
    for address in listed(value):
        host, _, port = address.rpartition(":")
        if not (host and port.isascii() and port.isdigit() and 0 < int(port) < 65536):  # noqa: PLR2004  # TCP's
            raise ValueError("must be host:port, such as 127.0.0.1:8500")
    return value


def _token(value: str) -> str:
    if value and not _TOKEN.fullmatch(value):
        raise ValueError(
            "must be at least 16 characters of A-Z a-z 0-9 . _ ~ + / = -, such as `openssl rand -hex 16` gives"
        )
    return value


Addresses = Annotated[str, AfterValidator(_addresses)]
"""host:port, with commas between."""


NOTICE = (
    "seconds that callers have to go elsewhere when SIGTERM, or a drain by the control port, ends it; it answers "
    "them until then (SIGINT does not wait)"
)


class ListeningSettings(Settings):
    """The base: where it listens, what it is called, what it tells of itself."""

    host: Annotated[str, AfterValidator(_ip)] = setting("127.0.0.1", "the IP address to listen on")
    port: int = setting(0, "the port to listen on; 0 takes a free one", ge=0, le=65535)
    listen_anywhere: bool = setting(False, "whether it may listen beyond loopback: there is no login")
    process: str = setting("process", "the name of this process in logs and traces")
    log_level: Literal["debug", "info", "warning", "error"] = setting("info", "the least level that is logged")
    log_format: Literal["text", "json"] = setting("text", "log lines for people (text) or for programs (json)")
    otlp_endpoint: str = setting(
        "", "the collector's URL, e.g. http://127.0.0.1:4318; empty exports nothing", env="OTEL_EXPORTER_OTLP_ENDPOINT"
    )
    control_port: int = setting(0, "the port of 127.0.0.1 that controls it; 0 takes a free one", ge=0, le=65535)
    control_token: Annotated[str, AfterValidator(_token)] = setting(
        "", "what a request to the control port must bring; empty: there is no control port", repr=False
    )

    @model_validator(mode="after")
    def _loopback(self) -> Self:
        if not self.listen_anywhere and not ipaddress.ip_address(self.host).is_loopback:
            raise ValueError("CAREMESH_HOST: must be a loopback address, or set CAREMESH_LISTEN_ANYWHERE=true")
        return self
