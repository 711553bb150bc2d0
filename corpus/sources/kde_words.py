"""KTuberling: names of things, read aloud in many languages; held out to test language.

Single words are too short to tell a language by, so a clip is four words of one language in a row.
"""

import functools
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from corpus.clips import SPEECH_RATE, Clip, Materials, Source, Waveform
from corpus.download import CorpusError, Package
from corpus.languages import NAMES
from corpus.sound import convert, join, read_sound
from corpus.splits import split_of

PACKAGE = Package(
    "debian",
    "ktuberling-data",
    "4:22.12.3-1",
    "fba44c875bfa31ea488dadd9263e87a4dcaea0bd47d28817f6c0dc6d2af970ed",
)
LANGUAGES = ("ca", "da", "el", "en", "es", "fr", "it", "nl", "ro", "ru")  # others read them too
WORDS = 4  # in a clip
GAP = 0.25  # s between words
CAP = 20  # clips of a language
SUFFIXES = frozenset({".ogg", ".opus", ".wav"})


def groups_of_words(files: Sequence[Path], code: str) -> list[list[Path]]:
    """Words in fours, each file once."""
    order = sorted(files)
    random.Random(code).shuffle(order)
    starts = range(0, len(order) - WORDS + 1, WORDS)
    return [order[start : start + WORDS] for start in starts][:CAP]


def _spoken(paths: Sequence[Path]) -> Waveform:
    pieces = [convert(read_sound(path), SPEECH_RATE) for path in paths]
    return join(pieces, [GAP] * (len(pieces) - 1), SPEECH_RATE), SPEECH_RATE


def _read(materials: Materials) -> Iterator[Clip]:
    sounds = materials.unpacked(PACKAGE) / "usr/share/ktuberling/sounds"
    if not sounds.is_dir():
        raise CorpusError("ktuberling-data holds no folder of sounds")
    for code in LANGUAGES:
        files = [path for path in (sounds / code).glob("*") if path.suffix in SUFFIXES]
        for number, paths in enumerate(groups_of_words(files, code)):
            yield Clip(
                name=f"{code}-{number:02d}",
                load=functools.partial(_spoken, paths),
                split=split_of("kde-words", code),
                tasks=("language",),
                recording=f"ktuberling-{code}-{number:02d}",
                speaker=f"ktuberling-{code}",
                language=NAMES[code],
                notes={"words": " ".join(path.stem for path in paths)},
            )


SOURCE = Source(
    name="kde-words",
    title="KTuberling, words in ten languages",
    licence="GPL-2+",
    attribution="The KDE Education project and the volunteers who recorded the words",
    read=_read,
    packages=(PACKAGE,),
    seconds=(0.8, 15.0),
)
