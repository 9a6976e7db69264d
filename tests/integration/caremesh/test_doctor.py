"""The doctor finds what is wrong, says how to mend it, and leaves the healthy alone."""

import os
import socket
import sqlite3
import time
from pathlib import Path

import pytest

from caremesh.doctor import clinic, machine
from caremesh.doctor.command import examine
from caremesh.doctor.finding import Finding
from caremesh.doctor.running import gateway, running
from caremesh.main import main
from caremesh.state import Running, State
from storage.migrations import migrate
from tests.databases import PRESCRIPTIONS
from tests.fakes.mariadb import MariaDB
from tests.fakes.redis import redis_server

TEXT = "[registry]\n[records]\n[prescriptions]\n[gateway]\nport = 0\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "caremesh.toml"
    path.write_text(TEXT, encoding="utf-8")
    (tmp_path / "var").mkdir()
    return path


def wrong(findings: list[Finding]) -> list[Finding]:
    return [one for one in findings if one.level == "wrong"]


def test_a_clinic_that_was_never_started_is_well(file: Path) -> None:
    """No database, no processes: that is how everybody begins."""
    assert wrong(list(examine(file))) == []


def test_whatever_is_wrong_has_a_remedy_and_the_exit_code_says_so(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script can ask the doctor, too."""
    assert main(["doctor", "--config", str(file)]) == 0
    (file.parent / "var" / "records.db").write_bytes(b"no database at all" * 100)
    capsys.readouterr()
    assert main(["doctor", "--config", str(file)]) == 1
    out = capsys.readouterr().out
    assert "WRONG database records" in out
    assert "      → stop the clinic" in out
    assert main(["doctor", "--config", str(file.parent / "none.toml")]) == 1


def test_a_wrong_policy_table_is_named_and_a_tight_one_noted(file: Path) -> None:
    """The first keeps the clinic from starting; the second only makes it worse than it need be."""
    whole = (Path(__file__).parents[3] / "policy.toml").read_text(encoding="utf-8")
    file.write_text('policy = "policy.toml"\n' + TEXT, encoding="utf-8")
    assert any("policy.toml: cannot be read" in one.told for one in wrong(list(examine(file))))
    table = file.parent / "policy.toml"
    table.write_text(whole.replace("per_second = 10.0", "per_seconds = 10.0"), encoding="utf-8")
    assert any("did you mean per_second?" in one.told for one in wrong(list(examine(file))))
    table.write_text(whole.replace("deadline = 2.0, attempts = 3", "deadline = 1.0, attempts = 3", 1), encoding="utf-8")
    found = [one for one in examine(file) if one.what == "policy"]
    assert [one.level for one in found] == ["note", "well"]
    assert "GetPatientRecords: 3 attempts" in found[0].told
    assert "17 methods of records, prescriptions" in found[1].told


def test_it_says_where_answers_are_kept(file: Path) -> None:
    """Several gateways without a Redis ask each time, and somebody will wonder why."""

    def found(count: int, redis: str = "") -> Finding:
        environment = f'[gateway.environment]\nCAREMESH_REDIS = "{redis}"\n' if redis else ""
        file.write_text(TEXT.replace("[gateway]", f"[gateway]\ncount = {count}") + environment, encoding="utf-8")
        return next(one for one in examine(file) if one.what == "answers")

    assert (found(1).level, "64 MB" in found(1).told) == ("well", True)
    assert (found(2).level, "2 gateways" in found(2).told) == ("note", True)
    with redis_server() as redis:
        assert (found(2, redis.url).level, "127.0.0.1" in found(2, redis.url).told) == ("well", True)
    gone = found(2, redis.url.replace("redis://", "redis://doctor:secret@"))
    assert (gone.level, "secret" in gone.told) == ("wrong", False)


def test_a_sound_database_is_told_with_its_size_and_stays_as_it_is(file: Path) -> None:
    """Looking must not write: the file may be under load."""
    database = file.parent / "var" / "records.db"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    before = database.read_bytes()
    config, _ = clinic.configuration(file)
    assert config
    told = list(clinic.databases(config, {}))
    assert wrong(told) == []
    assert "1 tables, sound" in told[0].told
    assert database.read_bytes() == before


def test_a_database_with_damaged_pages_is_found(file: Path) -> None:
    """It opens and answers until a damaged page is read: the doctor reads them."""
    database = file.parent / "var" / "prescriptions.db"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.executemany("INSERT INTO t VALUES (?)", [("x" * 1000,)] * 100)
    connection.close()
    content = bytearray(database.read_bytes())
    content[3 * 4096 : 5 * 4096] = bytes(2 * 4096)
    database.write_bytes(content)
    config, _ = clinic.configuration(file)
    assert config
    assert [one.what for one in wrong(list(clinic.databases(config, {})))] == ["database prescriptions"]


def at(file: Path, address: str) -> Finding:
    """What is told of the records at an address."""
    file.write_text(f"{TEXT}[records.environment]\nCAREMESH_DATABASE = '{address}'\n", encoding="utf-8")
    config, _ = clinic.configuration(file)
    assert config
    return next(iter(clinic.databases(config, {})))


def test_a_database_on_a_server_is_looked_at_as_its_service_would(
    file: Path, mariadb_address: str, server: MariaDB
) -> None:
    """A wrong password, a server that would lose writes, lost tables, the other service's: not "all well"."""
    assert (at(file, mariadb_address).level, at(file, mariadb_address).told[:15]) == ("well", "answers and is ")
    wrong_password = at(file, mariadb_address.replace("p%40ss", "other"))
    assert (wrong_password.level, "password" in wrong_password.told) == ("wrong", True)
    migrate(mariadb_address, PRESCRIPTIONS.migrations)
    others = at(file, mariadb_address)
    assert (others.level, "records is missing" in others.told) == ("wrong", True)
    server.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 0")
    try:
        unfit = at(file, mariadb_address)
    finally:
        server.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 1")
    assert (unfit.level, "innodb_flush_log_at_trx_commit is 0" in unfit.told) == ("wrong", True)


def test_a_taken_port_is_wrong_unless_it_is_this_clinics_own(file: Path) -> None:
    """Our own gateway on 8080 is no fault."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        file.write_text(TEXT.replace("port = 0", f"port = {port}"), encoding="utf-8")
        config, _ = clinic.configuration(file)
        assert config
        assert f"(pid {os.getpid()})" in wrong(list(clinic.ports(config, None)))[0].told
        ours = State(1, "", "", (Running("gateway.1", "gateway", 1, f"127.0.0.1:{port}", ""),))
        assert wrong(list(clinic.ports(config, ours))) == []


def test_each_bad_entry_of_the_file_is_a_line(file: Path) -> None:
    """The same messages as `up` gives."""
    file.write_text(TEXT.replace("[records]", "[recods]"), encoding="utf-8")
    assert len(wrong(list(examine(file)))) == 2


def test_a_setting_that_a_process_would_refuse_is_found(file: Path) -> None:
    """Before it is started with it."""
    config, _ = clinic.configuration(file)
    assert config
    assert wrong(list(clinic.settings(config, {"CAREMESH_LOG_FORMAT": "xml"})))
    assert not wrong(list(clinic.settings(config, {"CAREMESH_LOG_FORMAT": "json"})))


def test_a_package_of_another_version_than_locked_is_named(tmp_path: Path) -> None:
    """An environment that was changed by hand is the last thing one thinks of."""
    lock = tmp_path / "requirements.lock"
    lock.write_text('rich==0.0.1 \\\n    --hash=x\nnothing-of-this-name==1\nother==1 ; sys_platform == "win32" \\\n')
    told = machine.packages(lock).told
    assert "locked is 0.0.1" in told
    assert "nothing-of-this-name is missing" in told
    assert "other" not in told


def test_a_clock_before_what_it_wrote_or_before_this_program_is_wrong(tmp_path: Path) -> None:
    """Leases, breakers and backups are judged by it."""
    (tmp_path / "records.db").touch()
    assert machine.clock(tmp_path).level == "well"
    assert "records.db was written" in machine.clock(tmp_path, time.time() - 3600).told
    assert machine.clock(tmp_path, 86400.0).level == "wrong"


def test_a_full_disk_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite on a full disk refuses writes; better to hear it before."""
    assert not wrong(list(machine.disk(tmp_path / "not" / "made")))
    monkeypatch.setattr(machine, "LEAST_FREE", 2**80)
    assert "GiB free" in wrong(list(machine.disk(tmp_path)))[0].told


def test_a_gateway_that_gives_no_answer_and_a_process_that_is_down_are_wrong() -> None:
    """The stack may be up and no good."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    assert [one.level for one in gateway("gateway.1", address)] == ["wrong"]
    down = State(os.getpid(), "", "", (Running("records.1", "records", None, "127.0.0.1:1", ""),))
    assert "records.1 keeps ending" in wrong(list(running(down)))[0].told
