"""Asterisk core sounds: telephone prompts in five languages, read by professional speakers."""

import functools
import gzip
import re
from collections.abc import Iterator
from pathlib import Path

from corpus.clips import Clip, Materials, Source
from corpus.download import Package
from corpus.sound import read_g722
from corpus.text import spoken_sentence

VERSION = "1.6.1-1"
# code -> language, speaker, gender, hash of the sound package, hash of the text package
VOICES = {
    "en": (
        "English",
        "allison",
        "woman",
        "38c5261820b406dcb0ecb37675720da2b0864850690690352ca52707eb623806",
        "973e797d28e37fa6ca3c0a9d6fa717e77cf1268ae916bf09fd3503113cdffa50",
    ),
    "es": (
        "Spanish",
        "allison",
        "woman",
        "e4e3b4281057d3b81b779298fd6be705f57411513955c518eed1bcaabbd615b8",
        "9afdab7f559f036649fb406e625899306ca1004df8ebe39c30bfbd5912d66f74",
    ),
    "fr": (
        "French",
        "june",
        "woman",
        "7add61d5e42279ecff1bbdf842a5a946ac3644fac9a0fe44384731aa7270c8e0",
        "04c82c78c570c43a7136cbc5e2488d0c470b775468dff9fbce4a131b18cf1056",
    ),
    "it": (
        "Italian",
        "carlo",
        "man",
        "46b4cf7afc508a5fcfc051b7ea233251c0d195dd4ef83cc4b7facb4c6429b016",
        "3884d9457e12f21caa018c18f0d587df5d53ebea14b673d8453a134c5941ab3b",
    ),
    "ru": (
        "Russian",
        "ivrvoice-ru",
        "woman",
        "673b4238a6b8269960f055d868c6a11083f7a0d00979167cb01554046b48ed9b",
        "28a61616bb0cd3345a7ea532dec4df9f071e5d0fa9f8c1a563ea9669002f39ab",
    ),
}
# kept out of the corpus in every language: shown on the page as examples
HELD_OUT = frozenset(
    {
        "tt-weasels",
        "queue-youarenext",
        "ss-noservice",
        "privacy-unident",
        "followme/pls-hold-while-try",
        "priv-introsaved",
        "pbx-invalidpark",
    }
)


def read_texts(path: Path) -> dict[str, str]:
    """The prompts' texts by prompt name, from `core-sounds-LANG.txt.gz` (`name: text` a line)."""
    texts = {}
    for line in gzip.decompress(path.read_bytes()).decode("utf-8", "replace").splitlines():
        if not line.startswith(";") and ":" in line:
            name, text = line.split(":", 1)
            texts[name.strip()] = text.strip()
    return texts


def is_speech(text: str) -> bool:
    """Whether a prompt says something: tones and silence are described in brackets."""
    return bool(text) and text[0] not in "[("


def packages(code: str) -> tuple[Package, Package]:
    """The sound package and the text package of a language."""
    *_, sounds, texts = VOICES[code]
    name = f"asterisk-core-sounds-{code}"
    return (
        Package("debian", f"{name}-g722", VERSION, sounds),
        Package("debian", name, VERSION, texts),
    )


def prompts(materials: Materials, code: str) -> Iterator[tuple[str, str, Path]]:
    """Name, text and file of every spoken prompt of a language."""
    sounds, texts = (materials.unpacked(package) for package in packages(code))
    table = read_texts(next(texts.rglob(f"core-sounds-{code}.txt.gz")))
    root = next((sounds / "usr/share/asterisk/sounds").iterdir())
    for path in sorted(root.rglob("*.g722")):
        name = path.relative_to(root).with_suffix("").as_posix()
        if is_speech(table.get(name, "")):
            yield name, table[name], path


def _read(materials: Materials) -> Iterator[Clip]:
    for code, (language, speaker, gender, *_) in VOICES.items():
        for name, text, path in prompts(materials, code):
            if name in HELD_OUT:
                continue
            sentence = spoken_sentence(text) if code == "en" else ""
            yield Clip(
                name=f"{code}-{re.sub('[^a-z0-9]+', '-', name.lower())}",
                load=functools.partial(read_g722, path),
                split="train",
                tasks=("transcribe", "language", "gender") if sentence else ("language", "gender"),
                recording=f"asterisk-{code}-{name}",
                speaker=f"asterisk-{speaker}",
                gender=gender,
                language=language,
                text=sentence,
                licence="CC BY 3.0" if code in ("it", "ru") else "CC BY-SA 3.0",
            )


SOURCE = Source(
    name="asterisk",
    title="Asterisk core sounds, telephone prompts in English, Spanish, French, Italian, Russian",
    licence="CC BY-SA 3.0 (English, Spanish, French); CC BY 3.0 (Italian, Russian)",
    attribution=(
        "Allison Smith (theivrvoice.com; English, Spanish), June Wallack (junewallack.com; "
        "French), Carlo Flora (carloflora.com; Italian), Maxim Topal (ivrvoice.ru; Russian); "
        "financial contribution by Digium, Inc."
    ),
    read=_read,
    packages=tuple(package for code in VOICES for package in packages(code)),
    seconds=(0.5, 15.0),
    characters_per_second=(2.0, 35.0),
)
