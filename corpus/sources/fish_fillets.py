"""Fish Fillets: acted dialogue of a puzzle game in Czech and Dutch, with an English line each.

A level's script declares `dialogId("id", "font", "English line")` and, in `dialogs_LANG.lua`,
`dialogStr("line")` after it; `font_small` is the small fish, a woman, and `font_big` the big one,
a man. The clip of a line is `sound/LEVEL/LANG/id.ogg`.
"""

import functools
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from corpus.clips import Clip, Materials, Source
from corpus.download import CorpusError, Package
from corpus.languages import NAMES
from corpus.sound import read_sound

SCRIPTS = Package(
    "debian",
    "fillets-ng-data",
    "1.0.1-1.1",
    "25de89afd8b1adf7bcace8290248a6a22c89cd42300317e69000e162c032cf84",
)
VOICES = {
    "cs": Package(
        "debian",
        "fillets-ng-data-cs",
        "1.0.1-1.1",
        "3ecef99b9456f1c80c9625c6f2418642b52d58e7167a46bad7a412db17991b14",
    ),
    "nl": Package(
        "debian",
        "fillets-ng-data-nl",
        "1.0.1-1.1",
        "afb4443fda9ab507dee578b75be857d121718a1cd6017a474f30e0eb13dc9d10",
    ),
}
PARTS = {"font_small": ("small-fish", "woman"), "font_big": ("big-fish", "man")}
CAP = 600  # clips of a language
SMALL_CAP = 30
_IDENTITY = re.compile(r'\s*dialogId\("([^"]+)"\s*,\s*"([^"]*)"\s*,\s*"(.*)"\)')
_WORDS = re.compile(r'\s*dialogStr\("(.*)"\)')


@dataclass(frozen=True)
class Spoken:
    """A line of the script."""

    font: str
    english: str
    text: str


def read_script(text: str) -> dict[str, Spoken]:
    """Lines of one `dialogs_LANG.lua` by id."""
    found: dict[str, Spoken] = {}
    identity = None
    for line in text.splitlines():
        if declared := _IDENTITY.match(line):
            identity = declared
        elif (words := _WORDS.match(line)) and identity:
            found[identity[1]] = Spoken(identity[2], identity[3], words[1])
            identity = None
    return found


def read_scripts(folder: Path, code: str) -> Mapping[tuple[str, str], Spoken]:
    """Lines of every level by (level, id)."""
    return {
        (path.parent.name, name): line
        for path in sorted(folder.rglob(f"dialogs_{code}.lua"))
        for name, line in read_script(path.read_text(encoding="utf-8", errors="replace")).items()
    }


def _read(materials: Materials) -> Iterator[Clip]:
    scripts = materials.unpacked(SCRIPTS)
    cap = SMALL_CAP if materials.settings.size == "small" else CAP
    for code, package in VOICES.items():
        lines, clips = read_scripts(scripts, code), []
        for path in sorted(materials.unpacked(package).rglob("*.ogg")):
            line = lines.get((path.parent.parent.name, path.stem))
            if line is not None:
                clips.append((path, line))
        if not clips:
            raise CorpusError(f"{package.title} holds no clip that its scripts name")
        for path, line in random.Random(code).sample(clips, min(cap, len(clips))):
            part, gender = PARTS.get(line.font, ("unnamed", ""))
            name = f"{code}-{path.parent.parent.name}-{path.stem}".lower()
            yield Clip(
                name=name,
                load=functools.partial(read_sound, path),
                split="train",
                tasks=("language", "gender") if gender else ("language",),
                recording=f"fish-fillets-{name}",
                speaker=f"fish-fillets-{code}-{part}",
                gender=gender,
                language=NAMES[code],
                text=line.text,
                english=line.english,
            )


SOURCE = Source(
    name="fish-fillets",
    title="Fish Fillets - Next Generation, acted dialogue in Czech and Dutch",
    licence="GPL-2",
    attribution="ALTAR interactive and the Fish Fillets NG team; Dutch voices by its translators",
    read=_read,
    packages=(SCRIPTS, *VOICES.values()),
    seconds=(0.6, 12.0),
)
