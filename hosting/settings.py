"""What every service process can be told."""

import ipaddress
from typing import Literal, Self

from pydantic import field_validator, model_validator

from process.settings import Settings, setting
from storage.engine import sqlite_file


class ServiceSettings(Settings):
    """The base; a service gives `process` and `database` their defaults."""

    host: str = setting("127.0.0.1", "the IP address to listen on")
    port: int = setting(0, "the port to listen on; 0 takes a free one", ge=0, le=65535)
    advertise: str = setting("", "the host:port that callers reach this process by; empty: where it listens")
    registries: str = setting("127.0.0.1:8500", "the registries to announce itself to, host:port, with commas between")
    process: str = setting("service", "the name of this process in logs and traces")
    database: str = setting("", "the database's address, sqlite:///path/to/file.db", repr=False)
    keys_kept_hours: int = setting(48, "hours for which an Idempotency-Key is kept; at least 24", ge=24, le=24 * 366)
    log_level: Literal["debug", "info", "warning", "error"] = setting("info", "the least level that is logged")
    log_format: Literal["text", "json"] = setting("text", "log lines for people (text) or for programs (json)")
    otlp_endpoint: str = setting(
        "", "the collector's URL, e.g. http://127.0.0.1:4318; empty exports nothing", env="OTEL_EXPORTER_OTLP_ENDPOINT"
    )
    listen_anywhere: bool = setting(False, "whether it may listen beyond loopback: there is no login")

    @field_validator("host")
    @classmethod
    def _ip(cls, value: str) -> str:
        try:
            ipaddress.ip_address(value)
        except ValueError:
            raise ValueError("must be an IP address, such as 127.0.0.1") from None
        return value

    @field_validator("registries", "advertise")
    @classmethod
    def _addresses(cls, value: str) -> str:
        for address in filter(None, value.split(",")):
            host, _, port = address.strip().rpartition(":")
            if not (host and port.isascii() and port.isdigit() and 0 < int(port) < 65536):  # noqa: PLR2004  # TCP's
                raise ValueError("must be host:port, such as 127.0.0.1:8500")
        return value

    @field_validator("database")
    @classmethod
    def _database(cls, value: str) -> str:
        sqlite_file(value)
        return value

    @model_validator(mode="after")
    def _loopback(self) -> Self:
        if not self.listen_anywhere and not ipaddress.ip_address(self.host).is_loopback:
            raise ValueError("CAREMESH_HOST: must be a loopback address, or set CAREMESH_LISTEN_ANYWHERE=true")
        return self

    @property
    def registry_addresses(self) -> list[str]:
        return [address.strip() for address in self.registries.split(",") if address.strip()]
