"""Flight of the Amazon Queen: acted dialogue of an adventure game, with its script.

The data file `queen.1c` begins with a table of the files inside it. Speech is MP3 (`*.SB`), named
after the line it speaks; the lines are in dialogue files (`*.DOG`), the hero's remarks
(`QUEEN2.JAS`) and scenes (`*.CUT`). In a line, `*` and a two-letter command end a spoken piece.
"""

import functools
import itertools
import re
import statistics
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from corpus.clips import Clip, Materials, Source
from corpus.download import CorpusError, Package
from corpus.sound import read_sound
from corpus.splits import split_of
from corpus.text import spoken_sentence

PACKAGE = Package(
    "debian",
    "flight-of-the-amazon-queen",
    "1.0.0-9",
    "40c08fd258d6fe95c46c1eaf5e9137f84ba330657995a281bd887c94a560a0f1",
)
MEN = frozenset({"JOE", "BOB", "FRANK", "CHIEF"})
WOMEN = frozenset({"FAYE", "LOLA", "PRIN", "NAOMI"})

_TABLE_START = 15  # bytes of the archive's head
_ENTRY = struct.Struct(">12sBII")  # name, bundle, offset, size
_BANK_HEAD = 20  # bytes before a script file's content
_LEVEL = 96  # bytes of a dialogue level
_FIRST_REMARK = 41  # number of the speech file that says the first line of QUEEN2.JAS
_SHORT_ANSWERS = 1186  # line that the speech file before number 1 would say

Entries = Mapping[str, bytes]


@dataclass(frozen=True)
class ScriptLine:
    """What is said in a clip, by whom; `part` is dialogue, remark or scene."""

    text: str
    speaker: str  # empty where the script does not say
    part: str


def read_entries(data: bytes) -> dict[str, bytes]:
    """The files inside `queen.1c` by name.

    Raises:
        CorpusError: If it is not that archive.
    """
    if data[:4] != b"QTBL":
        raise CorpusError(f"queen.1c should begin with QTBL, found {data[:4]!r}")
    found: dict[str, bytes] = {}
    for position in itertools.count(_TABLE_START, _ENTRY.size):
        raw, _, offset, size = _ENTRY.unpack_from(data, position)
        name = raw.rstrip(b"\0")
        if not name or not all(32 < byte < 127 for byte in name):
            return found
        found[name.decode("ascii")] = data[offset : offset + size]
    raise AssertionError("count never ends")


def spoken_pieces(line: str) -> list[str]:
    """`Hi*02there*FL` is spoken in two pieces, `Hi` and `there`."""
    pieces = re.split(r"\*(?:XY.{0,7}|.{0,2})", line, flags=re.DOTALL)
    return pieces if pieces[-1] else pieces[:-1]


def read_script(entries: Entries) -> dict[str, ScriptLine]:
    """What every speech file says, by file name."""
    speech = {name for name in entries if name.endswith(".SB")}
    script: dict[str, ScriptLine] = {}
    for stem, text, speaker, part in itertools.chain(_dialogues(entries), _remarks(entries)):
        if text and text[0] != "0":
            for number, piece in enumerate(spoken_pieces(text), start=1):
                file = f"{stem}{number:X}.SB".replace(" ", "0")
                if file in speech and piece.strip():
                    script[file] = ScriptLine(piece.strip(), speaker, part)
    script.update(_scenes(entries))
    return script


def _word(data: bytes, position: int) -> int:
    return int(struct.unpack_from(">h", data, position)[0])


def _dialogues(entries: Entries) -> Iterator[tuple[str, str, str, str]]:
    for name in sorted(entries):
        if name.endswith(".DOG"):
            data = entries[name][_BANK_HEAD:]
            partner = re.sub(r"\d*\.DOG$", "", name)
            levels, talk, hero_last, partner_last = (_word(data, at) for at in (0, 4, 6, 8))
            hero_start = 32 + abs(levels) * _LEVEL
            partner_start = struct.unpack_from(">H", data, 22)[0]
            for number, text in _strings(data, hero_start, hero_last + 1):
                yield f"{talk:2d}{number:4X}J", text, "JOE", "dialogue"
            for number, text in _strings(data, partner_start, partner_last):
                yield f"{talk:2d}{number:4X}P", text, partner, "dialogue"


def _strings(data: bytes, position: int, count: int) -> Iterator[tuple[int, str]]:
    for _ in range(count):
        if position + 6 > len(data):
            return
        number, length = struct.unpack_from(">HB", data, position + 2)
        text = data[position + 5 : position + 5 + length].decode("cp437")
        position += 5 + length
        if length:
            position += -position % 4
        yield number, text


def _remarks(entries: Entries) -> Iterator[tuple[str, str, str, str]]:
    lines = entries["QUEEN2.JAS"].decode("cp437").split("\n")
    for number in range(1, 1000):
        short = number < _FIRST_REMARK
        index = number + _SHORT_ANSWERS if short else number - _FIRST_REMARK
        if index < len(lines):
            yield f"JOE{number:04d}", lines[index].rstrip("\r"), "JOE", "remark"


def _scenes(entries: Entries) -> Iterator[tuple[str, ScriptLine]]:
    for name in sorted(entries):
        if not name.endswith(".CUT"):
            continue
        prefix = (name[:-4] + "_____")[:5]
        sizes = _scene_clips(entries, prefix)
        if not sizes:
            continue
        chain = _longest_chain(entries[name][_BANK_HEAD:])
        for (line, piece), text in _aligned(chain, sizes).items():
            yield f"{prefix}{line:02d}{piece:X}.SB", ScriptLine(text, "", "scene")


def _scene_clips(entries: Entries, prefix: str) -> dict[tuple[int, int], int]:
    pattern = re.compile(re.escape(prefix) + r"(\d\d)([0-9A-F])\.SB")
    return {
        (int(match[1]), int(match[2], 16)): len(data)
        for name, data in entries.items()
        if not name.startswith("JOE") and (match := pattern.fullmatch(name))
    }


def _longest_chain(data: bytes) -> list[str]:
    """The scene's sentences: the run of length-prefixed strings with the most text."""

    def text_length(chain: list[str]) -> int:
        return sum(len(text) for text in chain if len(text) > 6)

    chains = (_chain(data, start) for start in range(20, len(data) - 4))
    return max(chains, key=text_length, default=[])


def _chain(data: bytes, position: int) -> list[str]:
    chain: list[str] = []
    while position < len(data) and len(chain) < 2000:
        length = data[position]
        text = data[position + 1 : position + 1 + length]
        if len(text) < length or not all(32 <= byte < 127 or byte == 13 for byte in text):
            break
        chain.append(text.decode("ascii"))
        position += 1 + length if length else 2
        position += position % 2 if length else 0
    return chain


def _aligned(chain: list[str], sizes: Mapping[tuple[int, int], int]) -> dict[tuple[int, int], str]:
    """Texts by (line, piece), at the shift where text lengths follow clip sizes best.

    A scene whose best shift is doubtful gives nothing.
    """
    best: tuple[float, bool, dict[tuple[int, int], str]] = (float("-inf"), False, {})
    for shift in range(-12, 6):
        spoken = {
            (line + shift, number): piece.strip()
            for line, text in enumerate(chain)
            for number, piece in enumerate(spoken_pieces(text), start=1)
            if piece.strip() and line + shift >= 0
        }
        texts = {key: text for key, text in spoken.items() if key in sizes}
        missed = len(spoken) - len(texts)
        likeness = _correlation([sizes[key] for key in texts], [len(t) for t in texts.values()])
        score = len(texts) - missed + 10 * likeness
        if score > best[0]:
            best = score, _is_sure(len(texts), missed, likeness, len(sizes)), texts
    return best[2] if best[1] else {}


def _is_sure(hits: int, missed: int, likeness: float, clips: int) -> bool:
    if hits >= 3 and likeness > 0.7:
        return True
    complete = hits > 0 and hits / clips > 0.9 and missed <= 1
    return complete and (likeness > 0.5 or hits < 5)


def _correlation(first: list[int], second: list[int]) -> float:
    if len(first) < 5 or len(set(first)) == 1 or len(set(second)) == 1:
        return 0.0
    return statistics.correlation(first, second)


def gender_of(speaker: str) -> str:
    """`man` or `woman` where the script leaves no doubt, else empty."""
    if speaker in MEN:
        return "man"
    return "woman" if speaker in WOMEN else ""


def _read(materials: Materials) -> Iterator[Clip]:
    archive = next(materials.unpacked(PACKAGE).rglob("queen.1c"))
    entries = read_entries(archive.read_bytes())
    for file, line in sorted(read_script(entries).items()):
        text = spoken_sentence(line.text)
        if not text:
            continue
        gender = gender_of(line.speaker)
        speaker = line.speaker or "unnamed"
        yield Clip(
            name=file.removesuffix(".SB").lower(),
            load=functools.partial(read_sound, entries[file]),
            split=split_of("amazon-queen", line.speaker),
            tasks=("transcribe", "language", "gender") if gender else ("transcribe", "language"),
            recording=f"amazon-queen-{file}",
            speaker=f"amazon-queen-{speaker.lower()}",
            gender=gender,
            language="English",
            text=text,
            notes={"part": line.part},
        )


SOURCE = Source(
    name="amazon-queen",
    title="Flight of the Amazon Queen, acted game dialogue",
    licence=(
        "Flight of the Amazon Queen licence: free to distribute and modify, notices kept, "
        "modified copies marked, no fee for the game itself"
    ),
    attribution=(
        "John Passfield and Steven Stamatiadis (Interactive Binary Illusions), 1995; "
        "clips cut from the game and resampled: a modified version"
    ),
    read=_read,
    packages=(PACKAGE,),
    seconds=(0.5, 15.0),
    characters_per_second=(3.0, 30.0),
)
