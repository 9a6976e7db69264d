"""Tags, and the memory that is kept: the parts under the cache."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mesh.cache.bounded import LARGEST, Bounded
from mesh.cache.entry import OVERHEAD, Entry, Key, Refusal, size
from mesh.cache.packing import name_of, packed, unpacked
from mesh.cache.tags import Tags, tags_of
from mesh.status import Status

TAGS = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=3)


def an_entry(body: bytes = b"", **fields: object) -> Entry:
    entry = Entry(body, tags=("a",), made=0.0, fresh_until=2.0, stale_until=9.0, since=0)
    return replace(entry, **fields)  # type: ignore[arg-type]


def a_key(number: int) -> Key:
    return "/a/B", "me", str(number).encode()


@given(st.lists(TAGS, max_size=30), TAGS, st.integers(0, 30), st.integers(1, 8))
def test_what_was_invalidated_since_is_never_taken_for_current(
    steps: Sequence[list[str]], mine: list[str], begun: int, most: int
) -> None:
    """However few tags are remembered: to forget one may cost a call, never an answer that is too old."""
    tags = Tags(most)
    for step in steps:
        tags.invalidate(step)
    since = min(begun, len(steps))
    touched = any(set(mine) & set(step) for step in steps[since:])
    assert tags.overtaken(mine, since) or not touched
    if most > len(set("abcdef")):
        assert tags.overtaken(mine, since) is touched


def test_all_can_be_invalidated() -> None:
    """A process that does not know what it missed takes everything for old."""
    tags = Tags()
    since = tags.now
    tags.invalidate_all()
    assert tags.overtaken(["a"], since)
    assert not tags.overtaken(["a"], tags.now)


def test_tags_are_words() -> None:
    """A service that names none is served without being kept."""
    assert tags_of({"cache-tags": "patient/7  record/12"}) == ("patient/7", "record/12")
    assert tags_of({}) == ()


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3000)), max_size=80))
def test_memory_is_bounded_by_bytes(puts: list[tuple[int, int]]) -> None:
    """A gateway that grows with what is read ends when its machine has no memory left."""
    most = 20_000
    local: Bounded[Key, Entry] = Bounded(most, size)
    for number, length in puts:
        kept = local.put(a_key(number), an_entry(bytes(length)))
        assert kept is (OVERHEAD + len(str(number)) + length + 1 <= most // LARGEST)
        assert local.bytes <= most
    assert local.bytes >= len(local) * OVERHEAD
    for number in range(41):
        local.drop(a_key(number))
    assert (len(local), local.bytes) == (0, 0)


def test_what_is_asked_for_stays_and_what_is_not_goes() -> None:
    """One long list that is read once must not drive out what is read all the time."""
    local: Bounded[Key, Entry] = Bounded(100 * (OVERHEAD + 3), size)
    for number in range(90):
        local.put(a_key(number), an_entry())
    for number in range(90, 1000):
        assert local.get(a_key(1)) is not None
        local.put(a_key(number), an_entry())
    assert local.get(a_key(1)) is not None
    assert local.get(a_key(2)) is None


def test_an_entry_crosses_a_store_whole() -> None:
    """Another process gives what this one kept, errors included."""
    refusal = Refusal(Status.NOT_FOUND, "there is no such thing", "DELETED", {"record_id": "12"})
    for entry in (
        an_entry(b"\n\x00body\n", headers={"cache-tags": "a"}),
        an_entry(headers={"cache-tags": "a"}, refusal=refusal),
    ):
        again = unpacked(packed(entry), entry.tags, 100.0, 7)
        assert (again.body, again.headers, again.refusal) == (entry.body, entry.headers, entry.refusal)
        assert (again.made, again.fresh_until, again.stale_until, again.since) == (100.0, 102.0, 109.0, 7)


def test_names_in_a_store_tell_nothing_and_never_clash() -> None:
    """A key holds a patient's number; and two scopes never share an answer."""
    keys = [("/a/B", "me", b"c"), ("/a/B", "you", b"c"), ("/a/B", "me", b"d"), ("/a/C", "me", b"c")]
    assert len({name_of(key) for key in keys}) == 4
    assert all("me" not in name_of(key)[:2] or name_of(key).isalnum() for key in keys)
