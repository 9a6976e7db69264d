"""The gateway's settings are checked whole at start, and the defaults serve this machine alone."""

import ipaddress

import pytest

from gateway.settings import GatewaySettings
from gateway.wiring import source
from mesh.endpoints import Dns, Leases, Static
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
    "CAREMESH_DRAIN_NOTICE": "-1",
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


def test_a_service_is_where_its_addresses_its_name_or_the_registries_say() -> None:
    """One setting, three ways to be found."""
    assert isinstance(source("", "127.0.0.1:8500"), Leases)
    assert isinstance(source("10.0.0.1:50051,10.0.0.2:50051", ""), Static)
    assert isinstance(source("dns:records.test:50051", ""), Dns)


@pytest.mark.parametrize("places", ["dns:a.test:1,dns:b.test:1", "dns:a.test:1,10.0.0.1:1", "dns:10.0.0.1:1", "dns:a"])
def test_a_name_stands_alone_and_is_no_address(places: str) -> None:
    """What cannot be followed is told at start."""
    with pytest.raises(SettingsError, match="CAREMESH_RECORDS"):
        load(GatewaySettings, {"CAREMESH_RECORDS": places})


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
