"""The gateway's settings are checked whole at start, and the defaults serve this machine alone."""

import ipaddress

import pytest

from gateway.settings import GatewaySettings
from process.listening import listed
from process.settings import SettingsError, load


def test_by_default_it_listens_on_loopback_and_answers_to_loopback_names() -> None:
    """There is no login."""
    settings = load(GatewaySettings, {})
    assert ipaddress.ip_address(settings.host).is_loopback
    assert listed(settings.allowed_hosts) == ["localhost", "127.0.0.1", "[::1]"]
    assert listed(settings.cors_origins) == []


WRONG = {
    "CAREMESH_HOST": "localhost",
    "CAREMESH_PORT": "65536",
    "CAREMESH_REGISTRIES": "127.0.0.1",
    "CAREMESH_RECORDS": "host:0",
    "CAREMESH_PRESCRIPTIONS": ":50051",
    "CAREMESH_REQUEST_TIMEOUT": "0",
    "CAREMESH_MAX_CONNECTIONS": "0",
    "CAREMESH_CORS_ORIGINS": "https://*.example",
    "CAREMESH_LOG_LEVEL": "loud",
    "CAREMESH_LOG_FORMAT": "xml",
}


def test_every_bad_value_is_named_in_one_message() -> None:
    """Nobody mends them one start at a time."""
    with pytest.raises(SettingsError) as caught:
        load(GatewaySettings, WRONG)
    assert [name for name in WRONG if name not in str(caught.value)] == []


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])
def test_listening_beyond_loopback_must_be_said(host: str) -> None:
    """A container says so."""
    with pytest.raises(SettingsError, match="CAREMESH_LISTEN_ANYWHERE=true"):
        load(GatewaySettings, {"CAREMESH_HOST": host})
    assert load(GatewaySettings, {"CAREMESH_HOST": host, "CAREMESH_LISTEN_ANYWHERE": "true"}).host == host


@pytest.mark.parametrize("origin", ["*", "https://a.example/", "app.example", "ftp://a.example", "null"])
def test_an_origin_is_scheme_host_and_port(origin: str) -> None:
    """Else a browser's Origin could never equal it."""
    with pytest.raises(SettingsError, match="CAREMESH_CORS_ORIGINS"):
        load(GatewaySettings, {"CAREMESH_CORS_ORIGINS": origin})
