"""A run into a records file that is killed at any file operation loses and doubles nothing."""

import os
from pathlib import Path

import pytest
from fakes import FakeAssistant
from killing import Killed, Watch
from pyarrow import parquet
from serving import write_tone

from mowe.__main__ import main
from mowe.data.records import RecordsFile

FILES = ["records.parquet", "records.parquet.sha256"]
SOUNDS = (1.0, 2.0, 35.0)  # s; the last has two windows


@pytest.fixture(scope="module")
def watch():
    return Watch()


@pytest.fixture
def clips(tmp_path, monkeypatch):
    monkeypatch.setattr("mowe.cli.recorded._TOGETHER", 1)  # a part for each
    folder = tmp_path / "clips"
    folder.mkdir()
    for seconds in SOUNDS:
        write_tone(folder / f"{seconds:04}.wav", seconds, rate=8_000)
    return folder


def route(clips: Path, room: Path) -> Path:
    room.mkdir(exist_ok=True)
    table = room / "records.parquet"
    fake = FakeAssistant(step_seconds=0.0)
    assert main(["route", str(clips), "--out", str(table)], assistant_factory=lambda _: fake) == 0
    return table


def kill(watch: Watch, clips: Path, room: Path, operation: int) -> list[str]:
    """A run that dies before one of its operations, and what it did before."""
    room.mkdir(exist_ok=True)
    with watch.changes(room, operation) as seen, pytest.raises(Killed):
        route(clips, room)
    return seen[:operation]


@pytest.fixture
def whole(watch, clips, tmp_path):
    """The rows of an uninterrupted run, and its operations."""
    (tmp_path / "whole").mkdir()
    with watch.changes(tmp_path / "whole") as seen:
        table = route(clips, tmp_path / "whole")
    return parquet.read_table(table).to_pylist(), list(seen)


def test_a_run_writes_parts_joins_them_and_removes_them(whole):
    rows, operations = whole
    assert [Path(row["path"]).name for row in rows] == [
        "01.0.wav", "02.0.wav", "35.0.wav", "35.0.wav",
    ]  # fmt: skip
    assert operations == [
        *["os.mkdir", "open", "os.rename"] * 3,  # parts
        "os.remove", "open", "os.rename", "open", "os.rename",  # joined; its sum
        "os.remove", "os.remove", "os.remove", "os.rmdir",
    ]  # fmt: skip


def test_a_run_killed_at_any_operation_is_continued_to_the_same_rows(watch, clips, whole, tmp_path):
    rows, operations = whole
    for number in range(len(operations)):
        room = tmp_path / str(number)
        assert kill(watch, clips, room, number) == operations[:number]
        assert parquet.read_table(route(clips, room)).to_pylist() == rows, number
        assert sorted(one.name for one in room.iterdir()) == FILES


def test_a_part_that_was_half_written_is_written_again(watch, clips, whole, tmp_path):
    rows, operations = whole
    for number in (place for place, one in enumerate(operations) if one == "os.rename"):
        room = tmp_path / str(number)
        kill(watch, clips, room, number)
        (half,) = room.rglob("*.partial")
        os.truncate(half, half.stat().st_size // 2)
        assert parquet.read_table(route(clips, room)).to_pylist() == rows
        assert sorted(one.name for one in room.iterdir()) == FILES


def test_a_run_that_is_killed_again_and_again_comes_to_its_end(watch, clips, whole, tmp_path):
    rows, operations = whole
    kills = 0
    for first in range(len(operations)):
        room = tmp_path / str(first)
        kill(watch, clips, room, first)
        for later in (0, 1, 2):
            with watch.changes(room, later):
                try:
                    route(clips, room)
                except Killed:
                    kills += 1
        assert parquet.read_table(route(clips, room)).to_pylist() == rows, first
    assert kills > len(operations)


def test_new_parts_are_not_taken_for_joined_ones(clips, tmp_path):
    table = route(clips, tmp_path / "room")
    write_tone(clips / "new.wav", 1.0)
    file = RecordsFile(table, "fake", FakeAssistant.encoder_names)
    assert len(file.done) == 3
    route(clips, tmp_path / "room")
    assert len(parquet.read_table(table)) == 5
