"""Tux Paint's translated descriptions, read by espeak-ng in thirteen languages and many voices.

Real recordings have one or two people a language, so that a model may learn the person instead of
the language. A formant synthesiser sounds like nobody, but in every language it can be man, woman,
high, low, fast and slow.
"""

import functools
import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from mowe.training.corpus.clips import Clip, Materials, Source
from mowe.training.corpus.download import CorpusError
from mowe.training.corpus.languages import NAMES
from mowe.training.corpus.sources import tux_paint
from mowe.training.corpus.sources.synthetic_speech import speak_with_espeak

LANGUAGES = ("be", "bg", "ca", "cs", "da", "el", "en", "es", "fr", "it", "nl", "ro", "ru")
VARIANTS = (*(f"m{number}" for number in range(1, 8)), *(f"f{number}" for number in range(1, 6)))
CAP = 120  # clips of a language
WORDS = (3, 14)  # words of a description, both included


def descriptions(folder: Path) -> dict[str, list[str]]:
    """Texts of all stamps by language code, each once, in the order of the files."""
    found: dict[str, dict[str, None]] = {code: {} for code in LANGUAGES}
    for path in sorted(folder.rglob("*.txt")):
        texts = tux_paint.read_texts(path.read_text(encoding="utf-8", errors="replace"))
        for code in LANGUAGES:
            text = texts.get(code, "")
            if WORDS[0] <= len(text.split()) <= WORDS[1]:
                found[code][text] = None
    return {code: list(texts) for code, texts in found.items()}


def _shared(texts: Sequence[str], code: str) -> Iterator[tuple[str, str]]:
    """Voices in turn, each with a text."""
    drawn = random.Random(code).sample(texts, min(CAP, len(texts)))
    for number, text in enumerate(drawn):
        yield f"{code}+{VARIANTS[number % len(VARIANTS)]}", text


def _read(materials: Materials) -> Iterator[Clip]:
    command = shutil.which(materials.settings.espeak)
    if command is None:
        raise CorpusError(
            f"the speech synthesiser espeak-ng was not found as {materials.settings.espeak!r}; "
            "install it or name it with --espeak COMMAND"
        )
    work = materials.work / "many-voices"
    for code, texts in descriptions(materials.unpacked(tux_paint.PACKAGE)).items():
        if not texts:
            raise CorpusError(f"tuxpaint-stamps-default holds no description in {NAMES[code]}")
        for number, (voice, text) in enumerate(_shared(texts, code)):
            name = f"{code}-{number:03d}"
            yield Clip(
                name=name,
                load=functools.partial(
                    speak_with_espeak, command, voice, text, work / f"{name}.wav"
                ),
                split="train",
                tasks=("language",),
                recording=f"many-voices-{name}",
                speaker=f"espeak-{voice}",
                language=NAMES[code],
                text=text,
            )


SOURCE = Source(
    name="many-voices",
    title="Synthetic speech: Tux Paint's descriptions read by espeak-ng in thirteen languages",
    licence="texts: GPL-2; voices: espeak-ng (GPL-3), whose output is free of it",
    attribution="The Tux Paint developers and translators; the espeak-ng developers",
    read=_read,
    packages=(tux_paint.PACKAGE,),
    seconds=(0.5, 15.0),
)
