"""Settings: read once, checked whole."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from process.settings import Settings, SettingsError, load, setting, table


class Example(Settings):
    port: int = setting(80, "the port to listen on", ge=0, le=65535)
    wait: float = setting(2.0, "seconds to wait", gt=0)
    password: SecretStr = setting(SecretStr(""), "who may enter")
    endpoint: str = setting("", "where traces go", env="OTEL_EXPORTER_OTLP_ENDPOINT")


def test_defaults_hold_and_the_environment_wins() -> None:
    """One machine needs no settings at all."""
    assert load(Example, {}).port == 80
    settings = load(Example, {"CAREMESH_PORT": "8080", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTHER": "1"})
    assert (settings.port, settings.endpoint) == (8080, "http://x")


def test_every_wrong_setting_is_named_at_once_and_no_value_is_repeated() -> None:
    """One restart per typing error is a bad morning; a secret in the log is a worse one."""
    with pytest.raises(SettingsError) as caught:
        load(Example, {"CAREMESH_PORT": "hunter2", "CAREMESH_WAIT": "-1", "CAREMESH_PASSWORD_FILE": "/not/there"})
    told = str(caught.value)
    assert all(name in told for name in ("CAREMESH_PORT:", "CAREMESH_WAIT:", "CAREMESH_PASSWORD_FILE"))
    assert "hunter2" not in told


def test_a_secret_comes_from_a_file_and_loses_only_its_line_end(tmp_path: Path) -> None:
    """Container platforms hand secrets over as files, editors end them with a newline."""
    file = tmp_path / "password"
    file.write_text(" pass word \n")
    assert load(Example, {"CAREMESH_PASSWORD_FILE": str(file)}).password.get_secret_value() == " pass word "


def test_a_variable_and_its_file_together_are_refused(tmp_path: Path) -> None:
    """Which of the two holds would be a guess."""
    file = tmp_path / "port"
    file.write_text("1")
    with pytest.raises(SettingsError, match="CAREMESH_PORT and CAREMESH_PORT_FILE are both set"):
        load(Example, {"CAREMESH_PORT": "1", "CAREMESH_PORT_FILE": str(file)})


def test_settings_cannot_be_changed_once_read() -> None:
    """What the start has checked stays so."""
    with pytest.raises(ValueError, match="frozen"):
        load(Example, {}).port = 1


def test_the_table_names_each_variable_its_default_and_its_meaning() -> None:
    """The page of settings is made from the classes."""
    assert "| `CAREMESH_PORT` | `80` | the port to listen on |" in table(Example)
    assert "| `OTEL_EXPORTER_OTLP_ENDPOINT` | empty | where traces go |" in table(Example)
