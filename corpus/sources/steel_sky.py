"""Beneath a Steel Sky: acted British dialogue of an adventure game, with its script; training only.

`sky.dnr` lists the files inside `sky.dsk`: a number, where the file begins, its size. English lines
lie in eight files of Huffman codes; speech is unsigned 8-bit samples behind a short head, mostly
packed, in a file numbered after the line. The layout follows ScummVM's reader of the game
(engines/sky: disk.cpp, text.cpp, sound.cpp, rnc_deco.cpp and the letters of version 0.0372 in
hufftext.cpp). Who speaks is not written.
"""

import functools
import itertools
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from corpus.clips import Clip, Materials, Source, Waveform
from corpus.download import CorpusError, Package
from corpus.lines import ANYONE
from corpus.rnc import is_packed, unpack
from corpus.sound import read_unsigned_8_bit
from corpus.text import spoken_sentence

PACKAGE = Package(
    "debian",
    "beneath-a-steel-sky",
    "0.0372-8",
    "e2a25c880220c26a4dfd42904b878cc655afa1c72895f9c932befbd078622934",
)
RATE = 11_025  # Hz
_ENTRIES = 5097  # files of version 0.0372
_ENTRY_BYTES = 8
_FAR = 1 << 23  # of an offset: it counts 16 bytes
_SIZE = (1 << 22) - 1  # the bits of an entry's last three bytes that hold the size
_FIRST_TEXT = 60_600  # file of the first section's English lines
_FIRST_SPEECH = 50_000
# lines that speech files make room for in each section, the last open
_ROOM = (600, 500, 1330, 950, 1150, 550, 150)
_HEAD = 22  # bytes before the samples
_BLOCK = 32  # lines whose joint length is written once
_QUOTED = re.compile(r"`([^`]*)'")
_PAIRS = 4  # pairs of bits in a byte; lengths are counted in pairs
# the letters of the code from left to right, and how many bits each has, in base 17
_LETTERS = (
    b" eaostn.ir\x00EumAlIdRNSTOhcDgLCpU!yMPvH?b'f,GBVkFqwK-WJ*zYj+Q\x85)Z\x8b<\x95~\x8a\x87:\x7f"
    b']#xX\x91\x88`20\x831/(=\x86^39\x984}8\\"\x90&\x8d56\x92\x8f\x8e\x93\x8c7\x80\x81\x99$@[\x9a'
    b"_>\x96\x82%\t\x9c\x97{\x94!"
)
_BITS = (
    "3445555554665556666665776667777776887778877799888998889999aa9aa9bbaaabbabbaccbccbccbbbcccc"
    "ddcccddddddddeedeeeeffeeeffefffgg"
)


@dataclass(frozen=True)
class Archive:
    """The files inside `sky.dsk` by number."""

    places: dict[int, tuple[int, int]]  # number -> (offset, size) in bytes
    disk: Path

    def read(self, number: int) -> bytes:
        """Contents of a file.

        Raises:
            CorpusError: If the disk ends before the file does.
        """
        offset, size = self.places[number]
        with self.disk.open("rb") as file:
            file.seek(offset)
            data = file.read(size)
        if len(data) != size:
            raise CorpusError(f"sky.dsk: file {number} should have {size} bytes, found {len(data)}")
        return data


def read_places(table: bytes) -> dict[int, tuple[int, int]]:
    """Where each file lies in `sky.dsk`, from the contents of `sky.dnr`.

    Raises:
        CorpusError: If it is the table of another version.
    """
    count = int.from_bytes(table[:4], "little")
    if count != _ENTRIES or len(table) != 4 + count * _ENTRY_BYTES:
        raise CorpusError(
            f"sky.dnr should list {_ENTRIES} files, found {count} in {len(table)} bytes"
        )
    places = {}
    for start in range(4, len(table), _ENTRY_BYTES):
        number = int.from_bytes(table[start : start + 2], "little")
        offset = int.from_bytes(table[start + 2 : start + 5], "little")
        size = int.from_bytes(table[start + 5 : start + 8], "little") & _SIZE
        if offset & _FAR:
            offset = (offset ^ _FAR) * 16
        places[number] = offset, size
    return places


def letter_codes() -> dict[str, int]:
    """Bits, as text of 0 and 1, to letter: a code is the next one of its length after the last."""
    codes: dict[str, int] = {}
    value, before = 0, 0
    for letter, digit in zip(_LETTERS, _BITS, strict=True):
        bits = int(digit, 17)
        value = value << bits - before if bits > before else value >> before - bits
        codes[f"{value:0{bits}b}"] = letter
        value, before = value + 1, bits
    return codes


def read_lines(data: bytes) -> list[str]:
    """The lines of a section.

    The file holds where lengths and letters begin, the joint length of every 32 lines, the length
    of each line, and the letters.

    Raises:
        CorpusError: If a line does not end.
    """
    lengths, letters = struct.unpack_from("<HH", data)
    codes = letter_codes()
    bits = "".join(f"{byte:08b}" for byte in data[letters:])
    lines, block, place = [], 0, 0
    for number, short in enumerate(data[lengths:letters]):
        if number % _BLOCK == 0:
            place = block
            if 4 + number // _BLOCK * 2 < lengths:
                block += struct.unpack_from("<H", data, 4 + number // _BLOCK * 2)[0]
        lines.append(_line(bits, place * 8 // _PAIRS, codes))
        place += (short & 0x7F) << 3 if short & 0x80 else short
    return lines


def _line(bits: str, start: int, codes: dict[str, int]) -> str:
    letters, code = bytearray(), ""
    for place in itertools.count(start):
        if place >= len(bits):
            raise CorpusError(f"a line of sky.dsk does not end: {bytes(letters)!r}")
        code += bits[place]
        if code in codes:
            if not codes[code]:
                return letters.decode("cp437")
            letters.append(codes[code])
            code = ""
    raise AssertionError("count never ends")


def spoken_lines(archive: Archive) -> Iterator[tuple[int, str]]:
    """Speech files by number, each with its line."""
    starts = (0, *itertools.accumulate(_ROOM))
    for section, start in enumerate(starts):
        for number, line in enumerate(read_lines(archive.read(_FIRST_TEXT + section))):
            file = _FIRST_SPEECH + start + number
            if file in archive.places:
                yield file, line


def _load(archive: Archive, file: int) -> Waveform:
    data = archive.read(file)[_HEAD:]
    return read_unsigned_8_bit(unpack(data) if is_packed(data) else data, RATE)


def _read(materials: Materials) -> Iterator[Clip]:
    folder = materials.unpacked(PACKAGE)
    disk = next(folder.rglob("sky.dsk"))
    archive = Archive(read_places(disk.with_suffix(".dnr").read_bytes()), disk)
    for file, line in spoken_lines(archive):
        text = spoken_sentence(_QUOTED.sub(r"\1", line))
        if text:
            yield Clip(
                name=str(file),
                load=functools.partial(_load, archive, file),
                split="train",
                tasks=("transcribe", "language"),
                recording=f"steel-sky-{file}",
                speaker=f"steel-sky-{ANYONE}",
                language="English",
                text=text,
            )


SOURCE = Source(
    name="steel-sky",
    title="Beneath a Steel Sky: acted game dialogue, British English",
    licence=(
        "Beneath a Steel Sky licence: free to distribute and modify, notices kept, modified "
        "versions marked, no fee for the game itself"
    ),
    attribution="Revolution Software Ltd; clips cut from the game, resampled: a modified version",
    read=_read,
    packages=(PACKAGE,),
    seconds=(0.3, 20.0),
    characters_per_second=(3.0, 35.0),
)
