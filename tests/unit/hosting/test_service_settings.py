"""What a service process can be told, and what it refuses."""

import pytest

from process.settings import SettingsError, load
from svc_prescriptions.settings import PrescriptionsSettings
from svc_records.settings import RecordsSettings


def refusal(**environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(RecordsSettings, {f"CAREMESH_{name}": value for name, value in environ.items()})
    return str(caught.value)


def test_with_nothing_set_each_service_has_a_database_of_its_own_on_loopback() -> None:
    """`python -m svc_records` works at once."""
    records, prescriptions = load(RecordsSettings, {}), load(PrescriptionsSettings, {})
    assert records.database != prescriptions.database
    assert (records.host, records.process, prescriptions.process) == ("127.0.0.1", "records", "prescriptions")
    assert records.registry_addresses == ["127.0.0.1:8500"]


def test_registries_are_a_list_and_may_be_none() -> None:
    """Two registries may run; behind DNS there is none."""
    assert load(RecordsSettings, {"CAREMESH_REGISTRIES": "a:1, b:2"}).registry_addresses == ["a:1", "b:2"]
    assert load(RecordsSettings, {"CAREMESH_REGISTRIES": ""}).registry_addresses == []


def test_without_login_it_listens_beyond_loopback_only_when_told_so() -> None:
    """Whoever reaches the port reads every record."""
    assert "CAREMESH_LISTEN_ANYWHERE" in refusal(HOST="0.0.0.0")
    open_to_all = {"CAREMESH_HOST": "0.0.0.0", "CAREMESH_LISTEN_ANYWHERE": "true"}
    assert load(RecordsSettings, open_to_all).host == "0.0.0.0"


def test_every_wrong_setting_is_named_at_once_and_none_is_echoed() -> None:
    """One start, one list of what to mend; an address may hold a password."""
    text = refusal(
        HOST="localhost",
        PORT="70000",
        REGISTRIES="x",
        ADVERTISE="y:0",
        DATABASE="mysql://me:secret@db/x",
        LOG_LEVEL="z",
    )
    for name in ("HOST", "PORT", "REGISTRIES", "ADVERTISE", "DATABASE", "LOG_LEVEL"):
        assert f"CAREMESH_{name}: " in text
    assert "secret" not in text


@pytest.mark.parametrize(
    "address", ["", "records.db", "sqlite://", "sqlite:///:memory:", "sqlite:///a?mode=memory", "::"]
)
def test_a_database_address_names_a_file(address: str) -> None:
    """A database in memory would lose what was acknowledged."""
    assert "sqlite:///path/to/file.db" in refusal(DATABASE=address)


def test_an_address_is_not_shown_with_the_settings() -> None:
    """It may hold a password."""
    assert "records.db" not in repr(load(RecordsSettings, {}))
