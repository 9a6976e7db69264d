"""Letters as files: whole or not there, in the order of their coming."""

import errno
import os
import stat
from pathlib import Path

import pytest

from caremesh.sink.maildir import ABANDONED, Maildir, came


def made(folder: Path, *moments: float) -> Maildir:
    """A folder that takes its letters at these moments, then at 9."""
    left = list(moments)
    maildir = Maildir(folder, lambda: left.pop(0) if left else 9.0)
    maildir.prepare()
    return maildir


def files(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


def test_letters_come_back_as_they_were_in_the_order_of_their_coming(tmp_path: Path) -> None:
    """Numbers in `caremesh mail inbox` stay while further letters come."""
    maildir = made(tmp_path / "mail", 1_700_000_000.000009, 1_700_000_000.25, 1_700_000_001.0)
    for letter in (b"first", b"second\r\n", b""):
        maildir.add(letter)
    assert [path.read_bytes() for path in maildir.letters()] == [b"first", b"second\r\n", b""]
    assert [came(path).isoformat() for path in maildir.letters()] == [
        "2023-11-14T22:13:20.000009+00:00",
        "2023-11-14T22:13:20.250000+00:00",
        "2023-11-14T22:13:21+00:00",
    ]


def test_they_are_for_their_owner_only(tmp_path: Path) -> None:
    """They name patients."""
    maildir = made(tmp_path / "mail")
    maildir.add(b"x")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in [tmp_path / "mail", *(tmp_path / "mail").iterdir()]}
    assert modes == {0o700}
    assert [stat.S_IMODE(path.stat().st_mode) for path in maildir.letters()] == [0o600]


def test_a_letter_gets_its_name_when_it_is_on_the_disk_and_the_name_is_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So `kill -9` leaves no half letter, and a cut of the power none that was acknowledged and is gone."""
    maildir, done = made(tmp_path), list[str]()

    def sync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        done.append(f"{path.parent.name if path.is_file() else path.name}, {len(maildir.letters())} there")

    monkeypatch.setattr(os, "fsync", sync)
    maildir.add(b"x")
    assert done == ["tmp, 0 there", "new, 1 there"]


@pytest.mark.parametrize("failing", [1, 2], ids=["its file", "its name"])
def test_a_letter_that_cannot_be_stored_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """Whoever sent it is told so and sends it again: it must not be there twice."""
    maildir, calls = made(tmp_path), list[int]()

    def sync(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == failing:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", sync)
    with pytest.raises(OSError, match="No space left"):
        maildir.add(b"x")
    assert files(tmp_path) == []
    maildir.add(b"y")
    assert [path.read_bytes() for path in maildir.letters()] == [b"y"]


def test_what_a_killed_sink_did_not_finish_is_no_letter_and_goes_when_it_is_old(tmp_path: Path) -> None:
    """Another sink may be writing into the same folder right now."""
    maildir = made(tmp_path)
    old, young = tmp_path / "tmp" / "old", tmp_path / "tmp" / "young"
    for path, age in ((old, ABANDONED), (young, ABANDONED - 60)):
        path.write_bytes(b"hal")
        os.utime(path, (100_000 - age, 100_000 - age))
    assert maildir.letters() == []
    Maildir(tmp_path, lambda: 100_001).prepare()
    assert files(tmp_path) == ["tmp/young"]


def test_a_folder_that_a_mail_program_has_read_keeps_its_letters_and_their_order(tmp_path: Path) -> None:
    """Such programs move letters to `cur` and put letters of their own beside them."""
    maildir = made(tmp_path, 1_700_000_000.0, 1_700_000_001.0)
    for letter in (b"1", b"2"):
        maildir.add(letter)
    first = maildir.letters()[0]
    first.rename(tmp_path / "cur" / f"{first.name}:2,S")
    other = tmp_path / "cur" / "z.other.program"
    other.write_bytes(b"3")
    os.utime(other, (5, 5))
    (tmp_path / "new" / ".hidden").touch()
    assert [path.read_bytes() for path in maildir.letters()] == [b"1", b"2", b"3"]
    assert came(other).timestamp() == 5


def test_where_no_letter_ever_came_there_is_none(tmp_path: Path) -> None:
    """`caremesh mail inbox` may come before the sink's first start."""
    assert Maildir(tmp_path / "nowhere").letters() == []
