"""caremesh.toml is read strictly: what it does not say cannot be guessed, what it says wrongly is named."""

from pathlib import Path

import pytest

from caremesh.config import ConfigError, read

WHOLE = """
data = "store"
[registry]
port = 1
[records]
count = 3
port = 2
[prescriptions]
[gateway]
[gateway.environment]
CAREMESH_REQUEST_TIMEOUT = 1.5
CAREMESH_LISTEN_ANYWHERE = true
"""


def written(place: Path, text: str) -> Path:
    file = place / "caremesh.toml"
    file.write_text(text, encoding="utf-8")
    return file


def problem(place: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(written(place, text))
    return str(caught.value)


def test_the_file_in_the_repository_is_sound_and_says_what_make_run_promises() -> None:
    """Gateway on 8080, two replicas of each service, one registry, one sink."""
    kinds = read(Path(__file__).parents[3] / "caremesh.toml").kinds
    assert {name: kind.count for name, kind in kinds.items()} == {
        "registry": 1, "mail-sink": 1, "records": 2, "prescriptions": 2, "gateway": 1,
    }  # fmt: skip
    assert kinds["gateway"].port == 8080


def test_counts_ports_and_settings_are_read_and_the_data_lies_beside_the_file(tmp_path: Path) -> None:
    """Wherever `caremesh up` is started from, it finds the same data."""
    config = read(written(tmp_path, WHOLE))
    assert config.data == tmp_path / "store"
    assert (config.kinds["records"].count, config.kinds["records"].port) == (3, 2)
    assert (config.kinds["prescriptions"].count, config.kinds["prescriptions"].port) == (1, 0)
    environment = {"CAREMESH_REQUEST_TIMEOUT": "1.5", "CAREMESH_LISTEN_ANYWHERE": "true"}
    assert config.kinds["gateway"].environment == environment


def test_the_policy_table_lies_beside_the_file_and_there_need_be_none(tmp_path: Path) -> None:
    """The repository's own is named in its caremesh.toml; a clinic without one has the mesh's defaults."""
    assert read(written(tmp_path, WHOLE)).policy is None
    assert read(written(tmp_path, 'policy = "p.toml"\n' + WHOLE)).policy == tmp_path / "p.toml"
    assert problem(tmp_path, "policy = 3\n" + WHOLE).endswith(
        'policy: must name a file in quotes, e.g. policy = "policy.toml"'
    )
    assert read(Path(__file__).parents[3] / "caremesh.toml").policy == Path(__file__).parents[3] / "policy.toml"


@pytest.mark.parametrize(
    ("was", "becomes", "named"),
    [
        ("count = 3", "count = 0", "[records] count: must be a whole number from 1 to 32"),
        ("count = 3", "count = true", "[records] count: must be"),
        ("count = 3", 'count = "3"', "[records] count: must be"),
        ("count = 3", "cuont = 3", "[records] cuont: no such entry; did you mean 'count'?"),
        ("port = 2", "port = 65536", "[records] port: must be a whole number from 0 to 65535"),
        ("[prescriptions]", "", "[prescriptions] is missing; write"),
        ("[prescriptions]", "[prescription]", "prescription: no such entry; did you mean 'prescriptions'?"),
        ('"store"', "7", "data: must name a folder"),
        ("CAREMESH_REQUEST_TIMEOUT", "TIMEOUT", "[gateway.environment] TIMEOUT: settings are named CAREMESH_"),
        ("CAREMESH_REQUEST_TIMEOUT", "CAREMESH_PORT", "CAREMESH_PORT: is not set here; use `port` of the kind"),
        ("CAREMESH_REQUEST_TIMEOUT", "CAREMESH_PORT_FILE", "CAREMESH_PORT_FILE: is not set here"),
        ("1.5", "[1]", "CAREMESH_REQUEST_TIMEOUT: must be text, a number, true or false"),
        ("count = 3", "count = ", "is not TOML"),
    ],
)
def test_a_bad_entry_is_named_with_its_remedy(tmp_path: Path, was: str, becomes: str, named: str) -> None:
    """Each of these, taken silently, would start something else than was written."""
    assert was in WHOLE
    assert named in problem(tmp_path, WHOLE.replace(was, becomes, 1))


@pytest.mark.parametrize("text", ["", "[mail-sink]\ncount = 0\nport = 1025\n"], ids=["no table", "a count of 0"])
def test_there_may_be_no_sink(tmp_path: Path, text: str) -> None:
    """Whoever has a relay needs none, and a file from before there was one still starts."""
    assert read(written(tmp_path, WHOLE + text)).kinds["mail-sink"].count == 0
    assert read(written(tmp_path, WHOLE + "[mail-sink]\n")).kinds["mail-sink"].count == 1
    told = problem(tmp_path, WHOLE + "[mail-sink]\ncount = -1")
    assert "[mail-sink] count: must be a whole number from 0 to 32" in told


def test_all_bad_entries_are_told_at_once(tmp_path: Path) -> None:
    """One start shows all there is to mend."""
    text = problem(tmp_path, WHOLE.replace("count = 3", "count = 0").replace("port = 1", "prot = 1"))
    assert "[records] count" in text
    assert "[registry] prot" in text


def test_a_missing_file_and_one_that_is_not_utf_8_say_what_to_do(tmp_path: Path) -> None:
    """The first thing that goes wrong is the wrong folder."""
    with pytest.raises(ConfigError, match="--config FILE"):
        read(tmp_path / "caremesh.toml")
    (tmp_path / "latin.toml").write_bytes(b'data = "\xe9"')
    with pytest.raises(ConfigError, match="save the file as UTF-8"):
        read(tmp_path / "latin.toml")
