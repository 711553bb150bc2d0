"""Synthetic voices reading the example sentences of WordNet."""

import functools
import json
import logging
import random
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from corpus import hibari_voice
from corpus.clips import (
    Clip,
    CorpusSettings,
    Materials,
    Source,
    Waveform,
    sentence_key,
)
from corpus.download import CorpusError, Package
from corpus.sound import read_sound
from corpus.splits import split_of
from corpus.text import sentence_case

WORDNET = Package(
    "debian",
    "wordnet-base",
    "1:3.0-37",
    "61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752",
)
logger = logging.getLogger(__name__)

SMALL = 40  # sentences of a voice in a small corpus
WORDS = (3, 16)  # words in a sentence, both included
PITCH = (0.95, 1.06)  # factor on the playing rate, which shifts pitch and pace together
PACE = (0.85, 1.2)  # factor on the speaking rate
WIDE_PACE = (0.8, 1.4)  # the same, for the second block
# glosses with these marks have examples nobody should have to hear
_RUDE = re.compile(r"slur|obscen|vulgar|offensive|disparag|derogat|sexual|genital|prostitut")
_SENTENCE = re.compile(r"[A-Za-z][A-Za-z' ,;-]*[A-Za-z][.!?]?")


@dataclass(frozen=True)
class Voice:
    """A voice, and how many sentences it reads."""

    engine: str  # "flite", "hibari" or "espeak"
    gender: str  # "man" or "woman"
    sentences: int
    more: int = 0  # further sentences, in a second block


VOICES: Mapping[str, Voice] = {
    "slt": Voice("flite", "woman", 200),
    "heart": Voice("hibari", "woman", 4500, 7500),
    "kal16": Voice("flite", "man", 1500, 3600),
    "awb": Voice("flite", "man", 1500, 1000),
    "rms": Voice("flite", "man", 1500, 1000),
    "en-us+f3": Voice("espeak", "woman", 0, 300),
    "en-gb-x-rp+m3": Voice("espeak", "man", 0, 300),
    "en-gb-scotland+f2": Voice("espeak", "woman", 0, 300),
    "en-us+m7": Voice("espeak", "man", 0, 300),
}


def wordnet_sentences(folder: Path) -> list[str]:
    """Unique example sentences, 3 to 16 words long, in the order of the files.

    Args:
        folder: Any folder above WordNet's `data.noun`, `data.verb`, `data.adj`, `data.adv`.
    """
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("data.*")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            gloss = line.partition(" | ")[2]
            if gloss and not _RUDE.search(gloss):
                for quote in re.findall(r'"([^"]+)"', gloss):
                    found.setdefault(sentence_key(quote), quote.strip())
    return [
        sentence_case(sentence)
        for sentence in found.values()
        if _SENTENCE.fullmatch(sentence) and WORDS[0] <= len(sentence.split()) <= WORDS[1]
    ]


def share_out(sentences: list[str]) -> Iterator[tuple[str, int, str]]:
    """Voice, number and sentence; no sentence is read by two voices.

    Numbers go on in the second block, which takes what the first one left.
    """
    shuffled = sorted(sentences)
    random.Random("wordnet").shuffle(shuffled)
    position = 0
    for first in (True, False):
        for name, voice in VOICES.items():
            start, count = (0, voice.sentences) if first else (voice.sentences, voice.more)
            for number, text in enumerate(shuffled[position : position + count], start):
                yield name, number, text
            position += count


def _with_pitch(waveform: Waveform, rng: random.Random) -> Waveform:
    samples, rate = waveform
    return samples, round(rate * rng.uniform(*PITCH) / 50) * 50  # a coarse rate resamples fast


def speak_with_flite(
    command: str, voice: str, text: str, path: Path, paces: tuple[float, float] = PACE
) -> Waveform:
    """One sentence by a flite voice, its pace and pitch drawn from the file's name."""
    rng = random.Random(path.name)
    pace = f"duration_stretch={1 / rng.uniform(*paces):.3f}"
    return _with_pitch(
        _spoken([command, "-voice", voice, "--setf", pace, "-t", text, "-o", str(path)], path), rng
    )


def speak_with_espeak(command: str, voice: str, text: str, path: Path) -> Waveform:
    """One sentence by an espeak-ng voice, its pace and pitch drawn from the file's name."""
    rng = random.Random(path.name)
    words_a_minute = round(165 * rng.uniform(*WIDE_PACE))
    tone = ["-p", str(rng.randint(30, 70)), "-s", str(words_a_minute)]
    return _spoken([command, "-v", voice, *tone, "-w", str(path), text], path)


def _spoken(arguments: list[str], path: Path) -> Waveform:
    path.parent.mkdir(parents=True, exist_ok=True)
    result = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise CorpusError(f"{Path(arguments[0]).name} stopped: {result.stderr.strip()}")
    waveform = read_sound(path)
    path.unlink()
    return waveform


def prepare_hibari(command: str, wanted: Mapping[Path, str]) -> None:
    """Let hibari speak every missing file in one go, for loading the voice takes longest.

    Raises:
        CorpusError: If it fails.
    """
    jobs = [
        {"text": text, "path": str(path), "seed": seed, "speed": _pace(path)}
        for seed, (path, text) in enumerate(wanted.items())
        if not path.exists()
    ]
    if not jobs:
        return
    python = Path(command).resolve().with_name("python")
    lines = "\n".join(json.dumps(job) for job in jobs)
    result = subprocess.run(
        [python, hibari_voice.__file__], input=lines, text=True, capture_output=True, check=False
    )
    if result.returncode != 0:
        said = result.stderr.strip().splitlines() or ["it said nothing"]
        raise CorpusError(f"hibari stopped: {said[-1]}")


def _pace(path: Path) -> float:
    return round(random.Random(path.name).uniform(*PACE), 3)


def _spoken_file(path: Path) -> Waveform:
    return _with_pitch(read_sound(path), random.Random(path.name))


def _tools(settings: CorpusSettings) -> dict[str, str]:
    """The synthesisers that are here; voices of the others are left out, with a line each.

    Raises:
        CorpusError: If there is none.
    """
    wanted = {name: getattr(settings, name) for name in ("flite", "hibari", "espeak")}
    if settings.size == "small":
        del wanted["hibari"]
    found = {name: path for name, one in wanted.items() if (path := shutil.which(one))}
    for name in wanted.keys() - found.keys():
        logger.warning(
            "the speech synthesiser %s was not found as %r, its voices are left out; "
            "install it or name it with --%s COMMAND",
            name,
            wanted[name],
            name,
        )
    if not found:
        raise CorpusError(f"no speech synthesiser was found, looked for {sorted(wanted.values())}")
    return found


def _read(materials: Materials) -> Iterator[Clip]:
    tools = _tools(materials.settings)
    folder = materials.work / "synthetic-speech"
    folder.mkdir(parents=True, exist_ok=True)
    shares = [
        (voice, number, text)
        for voice, number, text in share_out(wordnet_sentences(materials.unpacked(WORDNET)))
        if VOICES[voice].engine in tools and (materials.settings.size == "full" or number < SMALL)
    ]
    files = {(voice, number): folder / f"{voice}-{number:04d}.wav" for voice, number, _ in shares}
    if "hibari" in tools:
        spoken = {files[v, n]: text for v, n, text in shares if VOICES[v].engine == "hibari"}
        prepare_hibari(tools["hibari"], spoken)
    for name, number, text in shares:
        voice, path = VOICES[name], files[name, number]
        if voice.engine == "hibari":
            load = functools.partial(_spoken_file, path)
        elif voice.engine == "espeak":
            load = functools.partial(speak_with_espeak, tools["espeak"], name, text, path)
        else:
            paces = PACE if number < voice.sentences else WIDE_PACE
            load = functools.partial(speak_with_flite, tools["flite"], name, text, path, paces)
        yield Clip(
            name=f"{name}-{number:04d}",
            load=load,
            split=split_of("synthetic-speech", name),
            tasks=("transcribe", "gender", "language"),
            recording=f"{voice.engine}-{name}",
            speaker=f"{voice.engine}-{name}",
            gender=voice.gender,
            language="English",
            text=text,
        )


SOURCE = Source(
    name="synthetic-speech",
    title="Synthetic speech: WordNet example sentences read by flite and hibari",
    licence=(
        "sentences: WordNet 3.0 licence (permissive); voices: flite (BSD-like), "
        "hibari-tts (Apache-2.0)"
    ),
    attribution=(
        "WordNet 3.0, Princeton University; CMU Flite, Carnegie Mellon University; "
        "hibari-tts, Maureese Williams, after Kokoro-82M by hexgrad"
    ),
    read=_read,
    packages=(WORDNET,),
    seconds=(0.5, 15.0),
    characters_per_second=(3.0, 35.0),
)
