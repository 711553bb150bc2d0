"""Drascula: The Vampire Strikes Back, spoken English; every voice is dev, none is trained on.

`drascula.dat` holds tables of lines: a count, then for each of six languages a size in bytes and
the lines, each ended by a zero byte and preceded by the step to the next one. Speech files are
named after a character and the line's number (`D12.ALS`): unsigned 8-bit samples.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from corpus.clips import Clip, Materials, Source, Waveform
from corpus.download import Package
from corpus.sound import read_unsigned_8_bit
from corpus.splits import split_of
from corpus.text import from_capitals, spoken_sentence

PACKAGE = Package(
    "debian",
    "drascula",
    "1.0+ds4-2",
    "ed4af8e2d41ad446e2f3b73533daa1804e2f13f62f596c0b02b8dc39544f22b4",
)
RATE = 11_025  # Hz
# the tables in their order: whose lines they are, and how that character's files begin
CHARACTERS = {
    "hero": "",
    "dracula": "D",
    "b": "B",
    "bj": "BJ",
    "e": "E",
    "igor": "I",
    "l": "L",
    "p": "P",
    "t": "T",
    "vb": "VB",
}
LANGUAGES = 6  # English is the first
_FIRST_TABLE = 3000  # bytes; the tables lie somewhere behind
_LINES = range(3, 701)  # plausible count of lines in a table
_STEPS = range(1, 2001)  # plausible bytes from a line to the next
_LEAD = 4  # bytes before a language's first line
_SLACK = 16  # bytes a language may end before or after its size
_SMALLEST = 500  # bytes; shorter files hold no speech


def read_tables(data: bytes) -> list[list[str]]:
    """The English lines of every table of `drascula.dat`."""
    tables, position = [], _FIRST_TABLE
    while position < len(data) - 10:
        found = _table(data, position)
        if found is None:
            position += 1
        else:
            position, lines = found
            tables.append(lines)
    return tables


def _table(data: bytes, position: int) -> tuple[int, list[str]] | None:
    """Where the table at `position` ends, and its English lines; None if there is no table."""
    count = _word(data, position)
    position += 2
    if count not in _LINES:
        return None
    english: list[str] = []
    for _ in range(LANGUAGES):
        end = position + 2 + _word(data, position)
        lines = _lines(data, position + 2 + _LEAD, count, end)
        if lines is None:
            return None
        english = english or lines
        position = end
    return position, english


def _lines(data: bytes, position: int, count: int, end: int) -> list[str] | None:
    lines = []
    for number in range(count):
        if position > min(end + 4, len(data) - 2):
            return None
        stop = data.find(b"\0", position)
        lines.append(data[position:stop].decode("cp850"))
        if number < count - 1:
            step = _word(data, position - 2)
            if step not in _STEPS:
                return None
            position += step
    return lines if abs(end - stop) <= _SLACK else None


def _word(data: bytes, position: int) -> int:
    return int.from_bytes(data[position : position + 2], "big")


def _load(path: Path) -> Waveform:
    return read_unsigned_8_bit(path.read_bytes(), RATE)


def _spoken(
    lines: Sequence[str], prefix: str, files: Mapping[str, Path]
) -> Iterator[tuple[str, Path]]:
    for number, line in enumerate(lines):
        path = files.get(f"{prefix}{number}.ALS")
        if line and path is not None and path.stat().st_size >= _SMALLEST:
            yield line, path


def _read(materials: Materials) -> Iterator[Clip]:
    folder = materials.unpacked(PACKAGE)
    tables = read_tables(next(folder.rglob("drascula.dat")).read_bytes())
    files = {path.name.upper(): path for path in sorted(folder.rglob("*.[aA][lL][sS]"))}
    known = zip(CHARACTERS.items(), tables[: len(CHARACTERS)], strict=True)  # other tables follow
    for (character, prefix), lines in known:
        for line, path in _spoken(lines, prefix, files):
            text = from_capitals(spoken_sentence(line))
            if not text:
                continue
            yield Clip(
                name=path.stem.lower(),
                load=functools.partial(_load, path),
                split=split_of("drascula", character),
                tasks=("transcribe", "language"),
                recording=f"drascula-{path.stem}",
                speaker=f"drascula-{character}",
                language="English",
                text=text,
            )


SOURCE = Source(
    name="drascula",
    title="Drascula: The Vampire Strikes Back, amateur readings of game dialogue",
    licence=(
        "Drascula licence: free to distribute and modify, notices kept, modified copies marked, "
        "no fee for the game itself"
    ),
    attribution="Alcachofa Soft S.L.; clips cut from the game and resampled: a modified version",
    read=_read,
    packages=(PACKAGE,),
    seconds=(0.5, 20.0),
    characters_per_second=(3.0, 35.0),
)
