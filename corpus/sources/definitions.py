"""Questions about English words, without audio: WordNet's definitions and example sentences."""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from corpus.clips import Ask, Clip, Materials, Source, Waveform
from corpus.download import CorpusError
from corpus.size import thinned
from corpus.sources.synthetic_speech import WORDNET
from corpus.text import sentence_case
from corpus.wording import DEFINE, EXAMPLE

COUNTS = {"dev": 50, "train": 1500}
WORDS = (3, 18)  # words in an answer, both included
# glosses with these marks are about things a child should not ask about
_RUDE = re.compile(
    r"slur|obscen|vulgar|offensive|disparag|derogat|sex|genital|prostitut|erotic|excrement|naked"
)
_PLAIN = re.compile(r"[A-Za-z][A-Za-z' ,;-]*[A-Za-z]")
_LEMMA = re.compile(r"[a-z]{4,12}")


@dataclass(frozen=True)
class Entry:
    """What WordNet says about a word in its first sense."""

    word: str
    definition: str
    example: str  # empty where none holds the word


def read_entries(folder: Path) -> list[Entry]:
    """Words that WordNet's authors met in running text, each in the sense they met most.

    Args:
        folder: Any folder above WordNet's `data.*` files and `cntlist.rev`.

    Raises:
        CorpusError: If they are not there.
    """
    counts = _counts(folder)
    best: dict[str, tuple[int, Entry | None]] = {}
    for path in sorted(folder.rglob("data.*")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            head, _, gloss = line.partition(" | ")
            fields = head.split()
            if not gloss or not _LEMMA.fullmatch(fields[4]):
                continue
            word, count = fields[4], counts.get((fields[4], fields[1], fields[5]), 0)
            if count > best.get(word, (0, None))[0]:
                best[word] = count, _entry(word, gloss)
    return [entry for _, (_, entry) in sorted(best.items()) if entry]


def _counts(folder: Path) -> dict[tuple[str, str, str], int]:
    """How often a sense was met, by word, lexical file and number in that file."""
    table = next(iter(sorted(folder.rglob("cntlist.rev"))), None)
    if table is None:
        raise CorpusError(f"{folder} holds no cntlist.rev of WordNet")
    counts = {}
    for line in table.read_text(encoding="utf-8").splitlines():
        sense, _, count = line.split()
        word, _, place = sense.partition("%")
        _, file, number, *_ = place.split(":")
        counts[word, file, f"{int(number):x}"] = int(count)
    return counts


def _entry(word: str, gloss: str) -> Entry | None:
    definition = re.sub(r"\([^)]*\)", "", gloss.partition('"')[0]).split(";")[0]
    definition = " ".join(definition.split()).strip(" ,:")
    quotes = [quote.strip() for quote in re.findall(r'"([^"]+)"', gloss)]
    holding = [quote for quote in quotes if re.search(rf"\b{word}\b", quote) and _plain(quote)]
    if _RUDE.search(gloss) or not _plain(definition) or re.search(rf"\b{word}\b", definition):
        return None
    return Entry(word, sentence_case(definition), sentence_case(holding[0]) if holding else "")


def _plain(text: str) -> bool:
    words = len(text.split())
    return WORDS[0] <= words <= WORDS[1] and _PLAIN.fullmatch(text) is not None


def without_sound() -> Waveform:
    """Stands where a clip's sound is loaded.

    Raises:
        CorpusError: Always.
    """
    raise CorpusError("these lines are text only")


def _clip(entry: Entry, split: str, rng: random.Random) -> Clip:
    shows = bool(entry.example) and split == "train" and rng.random() < 0.4
    question = rng.choice(EXAMPLE if shows else DEFINE).format(word=entry.word)
    answer = entry.example if shows else entry.definition
    label = "example" if shows else "definition"
    return Clip(
        name=entry.word,
        load=without_sound,
        split=split,
        tasks=(),
        recording=f"wordnet-{entry.word}",
        text=entry.example if shows else "",
        asks=(Ask(task="chat", turns=((question, answer),), label=label),),
    )


def _read(materials: Materials) -> Iterator[Clip]:
    entries = read_entries(materials.unpacked(WORDNET))
    random.Random("definitions").shuffle(entries)
    clips = []
    for split, count in COUNTS.items():
        drawn, entries = entries[:count], entries[count:]
        clips += [_clip(entry, split, random.Random(entry.word)) for entry in drawn]
    yield from thinned(clips, materials.settings, lambda clip: clip.asks[0].label)


SOURCE = Source(
    name="definitions",
    title="Definitions and example sentences of WordNet, text only",
    licence="WordNet 3.0 licence (permissive)",
    attribution="WordNet 3.0, Princeton University",
    read=_read,
    packages=(WORDNET,),
)
