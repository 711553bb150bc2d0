"""Tux Paint's stamps: short descriptions of pictures, read aloud in many languages.

Beside a stamp `x.txt` lie `x_desc.ogg` (English) and `x_desc_LANG.ogg`; the text file holds the
English line first and then `LANG.utf8=...`.
"""

import functools
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from corpus.clips import Clip, Materials, Source
from corpus.download import CorpusError, Package
from corpus.languages import NAMES
from corpus.sound import read_sound

PACKAGE = Package(
    "debian",
    "tuxpaint-stamps-default",
    "2022.06.04-1",
    "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
)
LANGUAGES = ("be", "bg", "ca", "da", "el", "es", "fr", "nl", "ro", "ru")
CAP = 350  # clips of a language
SMALL_CAP = 12
_SPOKEN = re.compile(r"(.+)_desc_([A-Za-z]+)\.ogg")
_LINE = re.compile(r"([A-Za-z_@]+)\.utf8=(.*)")


@dataclass(frozen=True)
class Stamp:
    """One spoken description."""

    path: Path
    code: str
    text: str
    english: str


def read_texts(text: str) -> dict[str, str]:
    """Texts of a stamp by language code; the first line is English."""
    first, *lines = text.splitlines() or [""]
    found = (match for line in lines if (match := _LINE.fullmatch(line)))
    return {"en": first.strip()} | {match[1]: match[2].strip() for match in found}


def stamps(folder: Path) -> Iterator[Stamp]:
    """Every description that has its text, in the languages that are used."""
    for path in sorted(folder.rglob("*_desc_*.ogg")):
        match = _SPOKEN.fullmatch(path.name)
        table = path.with_name(f"{match[1]}.txt") if match else path
        if match and match[2] in LANGUAGES and table.is_file():
            texts = read_texts(table.read_text(encoding="utf-8", errors="replace"))
            if text := texts.get(match[2]):
                yield Stamp(path, match[2], text, texts["en"])


def _read(materials: Materials) -> Iterator[Clip]:
    folder = materials.unpacked(PACKAGE)
    by_language: dict[str, list[Stamp]] = defaultdict(list)
    for stamp in stamps(folder):
        by_language[stamp.code].append(stamp)
    if not by_language:
        raise CorpusError("tuxpaint-stamps-default holds no spoken description")
    cap = SMALL_CAP if materials.settings.size == "small" else CAP
    for code, group in sorted(by_language.items()):
        for stamp in random.Random(code).sample(group, min(cap, len(group))):
            place = stamp.path.relative_to(folder).with_suffix("").as_posix()
            name = re.sub(r"[^a-z0-9]+", "-", place.split("stamps/")[-1].lower())
            yield Clip(
                name=name,
                load=functools.partial(read_sound, stamp.path),
                split="train",
                tasks=("language",),
                recording=f"tuxpaint-{name}",
                speaker=f"tuxpaint-{code}",
                language=NAMES[code],
                text=stamp.text,
                english=stamp.english,
            )


SOURCE = Source(
    name="tux-paint",
    title="Tux Paint stamps, spoken descriptions in ten languages",
    licence="GPL-2",
    attribution="The Tux Paint developers and the volunteers who read the descriptions",
    read=_read,
    packages=(PACKAGE,),
    seconds=(0.5, 12.0),
)
