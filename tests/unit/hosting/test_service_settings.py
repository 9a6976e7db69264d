"""What a service process can be told, and what it refuses."""

import pytest

from process.settings import SettingsError, load
from storage.address import MysqlPlace, place_of
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
        DATABASE="postgres://me:secret@db/x",
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


@pytest.mark.parametrize(
    "address",
    ["mysql://db/x", "mysql://me:secret@db", "mysql://me:secret@/x", "mysql://me:secret@db/x?charset=latin1",
     "mysql://me:secret@db:port/x", "mysql+pymysql://me:secret@db/x"],
)  # fmt: skip
def test_an_address_of_a_server_names_user_host_and_database_and_nothing_unknown(address: str) -> None:
    """An option that is passed on could take a promise back; the password is never echoed."""
    told = refusal(DATABASE=address)
    assert "CAREMESH_DATABASE: " in told
    assert "secret" not in told


@pytest.mark.parametrize("password", ["p@ss", "p@ss/w:rd", "p@ss:1"])
def test_a_password_that_was_not_escaped_is_refused_with_the_remedy(password: str) -> None:
    """Else its second half is taken for the server's name, which cannot be found and is in the error then."""
    told = refusal(DATABASE=f"mysql://me:{password}@db.example/clinic")
    assert "%40" in told
    assert "ss" not in told.split("CAREMESH_DATABASE", 1)[1].replace("password", "").replace("address", "")


def test_a_servers_address_may_hold_any_password_and_a_file_of_authorities() -> None:
    """As it comes out of a secret."""
    address = "mysql://me:p%40ss%2F%3A@db.example/clinic?ssl_ca=/etc/ssl/clinic.pem"
    place = place_of(load(RecordsSettings, {"CAREMESH_DATABASE": address}).database)
    assert place == MysqlPlace("db.example", 3306, "me", "p@ss/:", "clinic", "/etc/ssl/clinic.pem")
    assert "p@ss" not in repr(place)


def test_keys_are_kept_for_a_day_at_the_least() -> None:
    """A client may come back tomorrow."""
    assert "CAREMESH_KEYS_KEPT_HOURS" in refusal(KEYS_KEPT_HOURS="23")
    assert load(RecordsSettings, {}).keys_kept_hours == 48


def test_an_address_is_not_shown_with_the_settings() -> None:
    """It may hold a password."""
    assert "records.db" not in repr(load(RecordsSettings, {}))
