"""What a command does not catch is told by type and place: the text may be a patient's row."""

import argparse
import asyncio

import pytest

from caremesh import demo, main
from caremesh.terminal import uncaught

MARK = "XMARKX"


def test_a_defect_ends_a_command_without_its_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_arguments: argparse.Namespace) -> int:
        raise ExceptionGroup(MARK, [ValueError(MARK)])

    monkeypatch.setattr(demo, "run", fails)
    assert main.main(["demo"]) == 1
    said = "".join(capsys.readouterr())
    assert MARK not in said
    assert "caremesh demo ends: ExceptionGroup at test_uncaught.py:" in said
    assert "ValueError" in said


async def test_a_task_that_nobody_asked_is_told_without_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(uncaught)
    loop.call_soon(int, MARK)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    loop.set_exception_handler(None)
    said = capsys.readouterr().err
    assert MARK not in said
    assert "nobody caught ValueError" in said
