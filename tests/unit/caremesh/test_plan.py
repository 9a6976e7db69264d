"""What each process is started with: the file over the defaults, the environment over the file, its own to each."""

from pathlib import Path

import pytest

from caremesh.config import read
from caremesh.preflight import misspelt, problems
from caremesh.up.banner import banner
from caremesh.up.plan import Plan, plan
from caremesh.up.ports import Ports

TEXT = """
[registry]
count = 2
[records]
count = 2
[prescriptions]
[prescriptions.environment]
CAREMESH_DATABASE = "sqlite:////elsewhere/p.db"
[gateway]
[gateway.environment]
CAREMESH_LOG_LEVEL = "debug"
CAREMESH_REQUEST_TIMEOUT = 1.5
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "caremesh.toml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def planned(file: Path, **environ: str) -> Plan:
    ports = Ports()
    try:
        return plan(read(file), ports, environ)
    finally:
        ports.close()


def test_each_process_has_a_name_and_a_port_of_its_own_and_knows_all_registries(file: Path) -> None:
    """A service that knows one of two registries is lost with it."""
    specs = planned(file).specs
    names = ["registry.1", "registry.2", "records.1", "records.2", "prescriptions.1", "gateway.1"]
    assert [spec.name for spec in specs] == names == [spec.environment["CAREMESH_PROCESS"] for spec in specs]
    assert len({spec.port for spec in specs}) == 6
    assert {int(spec.environment["CAREMESH_PORT"]) for spec in specs} == {spec.port for spec in specs}
    registries = ",".join(spec.address for spec in specs[:2])
    assert {spec.environment.get("CAREMESH_REGISTRIES") for spec in specs[2:]} == {registries}


def test_the_gateway_and_the_services_are_told_of_the_policy_table(file: Path) -> None:
    """What stands in the table holds for the clinic that was started; the environment wins, as over every setting."""
    assert "CAREMESH_POLICY" not in planned(file).environments["gateway"]
    file.write_text('policy = "p.toml"\n' + TEXT, encoding="utf-8")
    assert planned(file).environments["gateway"]["CAREMESH_POLICY"] == str(file.parent / "p.toml")
    assert planned(file, CAREMESH_POLICY="other.toml").environments["gateway"]["CAREMESH_POLICY"] == "other.toml"
    assert planned(file).environments["records"]["CAREMESH_POLICY"] == str(file.parent / "p.toml")


def test_each_service_has_a_database_of_its_own_unless_the_file_names_another(file: Path) -> None:
    """Replicas share theirs; the two services never do."""
    environments = planned(file).environments
    assert environments["records"]["CAREMESH_DATABASE"] == f"sqlite:///{file.parent / 'var' / 'records.db'}"
    assert environments["prescriptions"]["CAREMESH_DATABASE"] == "sqlite:////elsewhere/p.db"
    assert "CAREMESH_DATABASE" not in environments["gateway"]


def test_the_environment_wins_over_the_file(file: Path) -> None:
    """`CAREMESH_LOG_LEVEL=info make run` must do what it says, also when it is given as a file."""
    assert planned(file).environments["gateway"]["CAREMESH_LOG_LEVEL"] == "debug"
    assert planned(file, CAREMESH_LOG_LEVEL="info").environments["gateway"]["CAREMESH_LOG_LEVEL"] == "info"
    given = planned(file, CAREMESH_LOG_LEVEL_FILE="/run/level").environments["gateway"]
    assert "CAREMESH_LOG_LEVEL" not in given
    assert given["CAREMESH_LOG_LEVEL_FILE"] == "/run/level"


def test_what_can_only_be_one_processs_is_not_handed_to_all_and_that_is_said(file: Path) -> None:
    """One CAREMESH_DATABASE for both services would put two schemas into one file."""
    told = planned(file, CAREMESH_DATABASE="sqlite:///one.db", CAREMESH_PORT="9")
    assert "one.db" not in "".join(spec.environment.get("CAREMESH_DATABASE", "") for spec in told.specs)
    assert [note.split()[0] for note in told.notes] == ["CAREMESH_DATABASE", "CAREMESH_PORT"]


def test_each_process_has_a_control_port_of_its_own_and_the_token_of_this_start(file: Path) -> None:
    """Who has the state file may ask all of them, and nobody who saw the token of an earlier start."""
    told = planned(file, CAREMESH_CONTROL_TOKEN="chosen-by-somebody-else")
    ports = {spec.control_port for spec in told.specs}
    assert len(ports | {spec.port for spec in told.specs}) == 12
    assert {int(spec.environment["CAREMESH_CONTROL_PORT"]) for spec in told.specs} == ports
    assert {spec.environment["CAREMESH_CONTROL_TOKEN"] for spec in told.specs} == {told.token}
    assert told.token not in (planned(file).token, "chosen-by-somebody-else")


SINK = "[mail-sink]\n"


def test_letters_go_to_the_sink_of_this_machine_and_lie_beside_the_databases(file: Path) -> None:
    """Whoever tries the clinic out has no relay, and must not reach anybody by mail."""
    file.write_text(SINK + TEXT, encoding="utf-8")
    told = planned(file)
    (sink,) = (spec for spec in told.specs if spec.kind == "mail-sink")
    relays = {spec.environment.get("CAREMESH_MAIL_RELAY") for spec in told.specs if spec.kind == "prescriptions"}
    assert relays == {f"smtp://{sink.address}"}
    assert told.sink == sink.address
    assert sink.environment["CAREMESH_MAIL_FOLDER"] == str(file.parent / "var" / "mail")
    assert [spec.name for spec in told.specs if "CAREMESH_MAIL_RELAY" in spec.environment] == ["prescriptions.1"]
    assert problems(read(file), told.environments) == []


RELAY = 'CAREMESH_MAIL_RELAY = "smtps://relay.example"\n'


@pytest.mark.parametrize(
    ("text", "environ", "becomes"),
    [
        (SINK + TEXT.replace("[gateway]", RELAY + "[gateway]"), {}, "smtps://relay.example"),
        (SINK + TEXT, {"CAREMESH_MAIL_RELAY": "smtp://other.example"}, "smtp://other.example"),
        (SINK + TEXT.replace("[gateway]", RELAY + "[gateway]"), {"CAREMESH_MAIL_RELAY": ""}, ""),
        (SINK + TEXT, {"CAREMESH_MAIL_RELAY_FILE": "/run/relay"}, None),
        (SINK + "count = 0\n" + TEXT, {}, None),
        (TEXT, {}, None),
    ],
    ids=["the file", "the environment", "the environment over the file", "a secret's file", "count = 0", "no sink"],
)
def test_a_relay_that_is_named_wins_over_the_sink(
    file: Path, text: str, environ: dict[str, str], becomes: str | None
) -> None:
    """By the file, by the environment, by a file that holds the secret; an empty one keeps letters waiting."""
    file.write_text(text, encoding="utf-8")
    told = planned(file, **environ)
    assert told.environments["prescriptions"].get("CAREMESH_MAIL_RELAY") == becomes
    assert told.sink == ""


def test_what_is_printed_at_the_start_says_where_letters_go(file: Path) -> None:
    """And mails the prescription that is to be pasted to nobody but the sink."""

    def told(text: str, **environ: str) -> str:
        file.write_text(text, encoding="utf-8")
        return "\n".join(banner(planned(file, **environ)))

    with_sink = told(SINK + TEXT)
    assert '"mail_to": "pharmacy@example.org"' in with_sink
    assert "brings them to nobody: `caremesh mail inbox` shows them" in with_sink
    for elsewhere in (told(SINK + TEXT, CAREMESH_MAIL_RELAY="smtp://u:secret@relay.example"), told(TEXT)):
        assert "mail_to" not in elsewhere
        assert "secret" not in elsewhere
    assert "the relay that CAREMESH_MAIL_RELAY names" in told(TEXT, CAREMESH_MAIL_RELAY_FILE="/run/relay")
    assert "letters wait" in told(TEXT)


def test_every_process_takes_what_the_file_gives_it_and_what_it_would_not_take_is_found_before(file: Path) -> None:
    """The settings classes themselves are asked: nothing here can disagree with them."""
    assert problems(read(file), planned(file).environments) == []
    file.write_text(TEXT.replace('"debug"', '"loud"').replace("REQUEST_TIMEOUT", "RECORD"), encoding="utf-8")
    unknown, refused = problems(read(file), planned(file).environments)
    assert (
        "[gateway.environment] CAREMESH_RECORD: gateway has no such setting; did you mean CAREMESH_RECORDS?" in unknown
    )
    assert "gateway" in refused
    assert "CAREMESH_LOG_LEVEL" in refused
    assert "loud" not in refused


def test_a_setting_may_stand_in_a_file_and_may_be_a_file(file: Path) -> None:
    """CAREMESH_MAIL_CA_FILE is its whole name: a relay with authorities of its own could not be named in the file."""
    named = {"CAREMESH_MAIL_CA_FILE": "/etc/caremesh/ca.pem", "CAREMESH_MAIL_RELAY_FILE": str(file.parent / "relay")}
    (file.parent / "relay").write_text("smtps://relay.example", encoding="utf-8")
    settings = "\n".join(f'{name} = "{value}"' for name, value in named.items())
    file.write_text(TEXT.replace("[gateway]", f"{settings}\n[gateway]"), encoding="utf-8")
    assert problems(read(file), planned(file).environments) == []
    assert misspelt(named) == []


def test_a_variable_that_nobody_reads_is_told_with_what_was_meant() -> None:
    """A misspelt variable is the quietest of all faults."""
    environ = ["PATH", "CAREMESH_LOG_LEVEL", "CAREMESH_LOG_FORMAT_FILE", "CAREMESH_LOGLEVEL", "CAREMESH_TEST_SYNTHEA"]
    assert misspelt(environ) == ["CAREMESH_LOGLEVEL; did you mean CAREMESH_LOG_LEVEL?"]
