"""The policy table is read strictly: what is wrong is named, all at once, with file, table, key and remedy."""

from pathlib import Path

import pytest

from mesh.call import IDEMPOTENCY_KEY, Level, Method
from mesh.policy import AdmissionPolicy, MethodPolicy, Policy
from mesh.policy.table import PolicyError, admission, levels_of, load, warnings

SERVICES = {
    "shop": levels_of(
        "shop.v1.Orders",
        {
            "/shop.v1.Orders/Get": "NO_SIDE_EFFECTS",
            "/shop.v1.Orders/Put": "IDEMPOTENT",
            "/shop.v1.Orders/Post": "IDEMPOTENCY_UNKNOWN",
            "/shop.v1.OrdersToo/Get": "NO_SIDE_EFFECTS",
        },
    )
}
READ = {"safe": "true", "idempotent": "true", "hedge": "true", "cache": "true"}
WRITE = {"safe": "false", "idempotent": "true", "hedge": "false", "cache": "false"}
KEYED = WRITE | {"idempotent": '"keyed"'}
MOST = {"attempts": "3", "priority": '"normal"'}
REST = MOST | {"deadline": "2.0"}


def row(*parts: dict[str, str]) -> str:
    entries: dict[str, str] = {}
    for part in parts:
        entries |= part
    return "{ " + ", ".join(f"{name} = {value}" for name, value in entries.items()) + " }"


def a_table(more: str = "", **rows: str) -> str:
    methods = {"Get": row(READ, REST), "Put": row(WRITE, REST), "Post": row(KEYED, REST)} | rows
    lines = [f"{name} = {value}" for name, value in methods.items() if value]
    return "\n".join(["[shop.methods]", *lines, more, ""])


def loaded(folder: Path, text: str) -> dict[str, Policy]:
    file = folder / "policy.toml"
    file.write_text(text, encoding="utf-8")
    return load(file, SERVICES)


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        loaded(folder, text)
    assert all(line.startswith(f"{folder / 'policy.toml'}: ") for line in str(caught.value).splitlines())
    return caught.value.problems


def test_what_it_says_is_taken_and_what_it_leaves_out_has_its_default(tmp_path: Path) -> None:
    """A table that is read and not obeyed would be worse than none."""
    more = '[shop.budget]\nmode = "shadow"\nshare = 0\n[shop.breaker]\nin_a_row = 3\n[shop.retry]\ncap = 1'
    policy = loaded(tmp_path, a_table(more))["shop"]
    assert (policy.budget.mode, policy.budget.share, policy.budget.per_second) == ("shadow", 0.0, 10.0)
    assert (policy.circuit.in_a_row, policy.retry.cap, policy.retry.base) == (3, 1.0, 0.025)
    assert policy.methods["Get"] == MethodPolicy(safe=True, idempotent=True, deadline=2.0, hedge=True, cache=True)
    assert policy.methods["Post"] == MethodPolicy(safe=False, idempotent="keyed", deadline=2.0)
    assert set(policy.methods) == {"Get", "Put", "Post"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[shop", "is not TOML"),
        ("", "[shop] is missing; write [shop.methods] and a line for each of Get, Put, Post"),
        ("shop = 1", "[shop] must be a table"),
        (a_table("[shpo]"), "shpo: no such entry; did you mean shop?"),
        (a_table("[shop.budgte]"), "[shop] budgte: no such entry; did you mean budget?"),
        (a_table("[shop.budget]\nshares = 1"), "[shop.budget] shares: no such entry; did you mean share?"),
        (
            a_table("[shop.budget]\nshare = 20"),
            "[shop.budget] share: must be a number from 0 to 1; write e.g. share = 0.2",
        ),
        (
            a_table("[shop.budget]\nwindow = 0"),
            "[shop.budget] window: must be a number above 0; write e.g. window = 10.0",
        ),
        (a_table("[shop.budget]\nwindow = nan"), "[shop.budget] window: must be a number above 0"),
        (a_table("[shop.budget]\nwindow = true"), "[shop.budget] window: must be a number above 0"),
        (a_table("[shop.breaker]\nminimum = 2.5"), "[shop.breaker] minimum: must be a whole number from 1"),
        (a_table('[shop.retry]\nmode = "on"'), '[shop.retry] mode: must be one of "enforce", "shadow", "off"'),
        (a_table("[shop.retry]\nbase = 2"), "[shop.retry] base: is 2 and cap is 0.25; it must not be above it"),
        (a_table("[shop.attempt]\nleast = 2"), "[shop.attempt] least: is 2 and most is 0.6"),
        ("shop.budget = 3\n" + a_table(), "[shop.budget] must be a table"),
        ("shop.probe_interval = 0\n" + a_table(), "[shop] probe_interval: must be a number above 0"),
        ("shop.methods = 3", "[shop.methods] must be a table"),
        (a_table(Gte=row(READ, REST)), "[shop.methods] Gte: no such entry; did you mean Get?"),
        (
            a_table(Get=""),
            "[shop.methods] Get: is missing; write Get = { safe = true, idempotent = true, deadline = 2.0",
        ),
        (a_table(Get="3"), "[shop.methods] Get: must be in braces"),
        (a_table(Get=row(READ, MOST)), "[shop.methods] Get.deadline: is missing; write e.g. deadline = 2.0"),
        (
            a_table(Get=row(READ, REST, {"dedline": "1"})),
            "[shop.methods] Get.dedline: no such entry; did you mean deadline?",
        ),
        (a_table(Get=row(READ, REST, {"deadline": "0"})), "[shop.methods] Get.deadline: must be a number above 0"),
        (
            a_table(Get=row(READ, REST, {"attempts": "11"})),
            "[shop.methods] Get.attempts: must be a whole number from 1 to 10",
        ),
        (a_table(Get=row(READ, REST, {"safe": '"yes"'})), "[shop.methods] Get.safe: must be true or false"),
        (
            a_table(Get=row(READ, REST, {"priority": '"top"'})),
            '[shop.methods] Get.priority: must be one of "always", "high"',
        ),
        (
            a_table(Post=row(KEYED, REST, {"idempotent": "1"})),
            "[shop.methods] Post.idempotent: must be one of true, false",
        ),
    ],
    ids=range(27),
)
def test_each_wrong_entry_is_named_with_its_remedy(tmp_path: Path, text: str, told: str) -> None:
    """Whoever wrote it must not have to guess."""
    found = problems(tmp_path, text)
    assert len(found) == 1
    assert told in found[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (a_table(Get=row(WRITE, REST)), "Get.safe: its .proto says NO_SIDE_EFFECTS; write safe = true"),
        (a_table(Put=row(READ, REST)), "Put.safe: its .proto says IDEMPOTENT; write safe = false"),
        (a_table(Put=row(KEYED, REST)), "Put.idempotent: its .proto says IDEMPOTENT; write idempotent = true"),
        (
            a_table(Post=row(WRITE, REST)),
            "Post.idempotent: its .proto says IDEMPOTENCY_UNKNOWN; write idempotent = false, or",
        ),
        (a_table(Put=row(WRITE, REST, {"hedge": "true"})), "Put.hedge: is for safe methods only; write hedge = false"),
        (a_table(Put=row(WRITE, REST, {"cache": "true"})), "Put.cache: is for safe methods only; write cache = false"),
    ],
    ids=range(6),
)
def test_a_contradiction_with_the_proto_or_itself_is_refused(tmp_path: Path, text: str, told: str) -> None:
    """A write that the table calls safe would be hedged, and done twice."""
    assert told in problems(tmp_path, text)[0]


def test_a_write_may_also_be_one_that_is_never_repeated(tmp_path: Path) -> None:
    """Whoever does not know keys must be able to say so."""
    never = loaded(tmp_path, a_table(Post=row(KEYED, REST, {"idempotent": "false"})))["shop"].methods["Post"]
    keyed = loaded(tmp_path, a_table())["shop"].methods["Post"]
    assert [each.repeatable({IDEMPOTENCY_KEY: "k"}) for each in (never, keyed)] == [False, True]
    assert [each.repeatable({}) for each in (never, keyed)] == [False, False]


def test_all_that_is_wrong_is_named_at_once(tmp_path: Path) -> None:
    """Nobody wants to start five times in order to hear of five mistakes."""
    text = a_table('[shop.retry]\nmode = "on"\ncap = 0\n[shop.breaker]\nopen_for = 60', Get="", Put=row(READ))
    told = "\n".join(problems(tmp_path, text))
    for part in ("retry] mode", "retry] cap", "open_for: is 60", "Get: is missing", "Put.priority", "Put.safe"):
        assert part in told


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Its path may be wrong, or its bytes."""
    with pytest.raises(PolicyError, match="cannot be read"):
        load(tmp_path / "nowhere.toml", SERVICES)
    (tmp_path / "latin.toml").write_bytes(b"# \xe9\n")
    with pytest.raises(PolicyError, match="byte 2 is not UTF-8"):
        load(tmp_path / "latin.toml", SERVICES)


@pytest.mark.parametrize(
    ("figures", "more", "warned"),
    [
        ({"deadline": "2.0"}, "", 0),
        ({"deadline": "1.0"}, "", 1),
        ({"deadline": "1.0", "attempts": "1"}, "", 0),
        ({"deadline": "1.0"}, "[shop.attempt]\nmost = 0.3", 0),
        ({"deadline": "1.0"}, '[shop.attempt]\nmode = "off"', 0),
        ({"deadline": "2.0", "attempts": "4"}, "", 1),
    ],
)
def test_attempts_that_the_deadline_leaves_no_time_for_are_warned_of(
    tmp_path: Path, figures: dict[str, str], more: str, warned: int
) -> None:
    """It is allowed, and hardly meant: the last attempt of a service that hangs would never be made."""
    told = warnings(loaded(tmp_path, a_table(more, Get=row(READ, REST, figures))))
    assert len(told) == warned
    assert all(line.startswith("[shop.methods] Get: ") and "raise the deadline" in line for line in told)


def test_a_method_that_no_table_names_goes_by_its_proto() -> None:
    """The mesh's users need no table to begin with."""
    levels = {level: Policy(attempts=2).of(Method("/s.S/M", str, str, level)) for level in Level}
    assert {level: (each.safe, each.idempotent) for level, each in levels.items()} == {
        Level.NO_SIDE_EFFECTS: (True, True),
        Level.IDEMPOTENT: (False, True),
        Level.UNKNOWN: (False, "keyed"),
    }
    assert {each.attempts for each in levels.values()} == {2}


def test_what_a_process_takes_on_is_read_by_itself(tmp_path: Path) -> None:
    """A service knows nothing of the methods of the others, and need not stop for what is wrong with theirs."""
    file = tmp_path / "policy.toml"
    file.write_text(
        '[shop.admission]\nfirst = 7\n[caller.admission]\nmode = "off"\n[other]\nwrong = 1', encoding="utf-8"
    )
    assert admission(file, "shop") == AdmissionPolicy(first=7)
    assert admission(file, "caller").mode == "off"
    assert admission(file, "unnamed") == AdmissionPolicy()
    file.write_text("[shop.admission]\nunloaded = 2\nleast = 9\nmost = 5\nslack = 0", encoding="utf-8")
    with pytest.raises(PolicyError, match="unloaded: must be a number above 0 to 1"):
        admission(file, "shop")
    file.write_text("[shop.admission]\nfirst = 3", encoding="utf-8")
    with pytest.raises(PolicyError, match="least: is 4 and first is 3; it must not be above it"):
        admission(file, "shop")


def test_whoever_calls_may_say_what_it_takes_on_itself_and_nothing_else(tmp_path: Path) -> None:
    """One file says what holds for all of them."""
    file = tmp_path / "policy.toml"
    file.write_text(a_table("[caller.admission]\nfirst = 7"), encoding="utf-8")
    assert set(load(file, SERVICES, "caller")) == {"shop"}
    file.write_text(a_table("[caller.admision]\nfirst = 7"), encoding="utf-8")
    with pytest.raises(PolicyError, match="admision: no such entry; did you mean admission"):
        load(file, SERVICES, "caller")
