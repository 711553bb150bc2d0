"""Lessons of text: questions about simulated hint lines, without audio."""

from collections.abc import Iterator, Sequence

from corpus.clips import Ask, Clip, Materials, Source
from corpus.lessons import Lesson, Teacher
from corpus.reading import Lexicon, QuestionFinder
from corpus.size import thinned
from corpus.sources.definitions import without_sound
from corpus.sources.synthetic_speech import VOICES, WORDNET, share_out, wordnet_sentences
from corpus.splits import split_of

COUNTS = {"train": 24_000, "dev": 500}
TASK = "lesson"


def sentences_of(split: str, sentences: Sequence[str]) -> list[str]:
    """Sentences that lessons of a split may hold: none that a voice of another split reads."""
    splits = {voice: split_of("synthetic-speech", voice) for voice in VOICES}
    held = {text for voice, _, text in share_out(list(sentences)) if splits[voice] == "dev"}
    return [one for one in sentences if (one in held) == (split == "dev")]


def _clip(lesson: Lesson, split: str, number: int) -> Clip:
    turns = [words for _, words in lesson.messages]
    pairs = tuple(zip(turns[::2], turns[1::2], strict=True))
    return Clip(
        name=f"{split}-{number:05d}",
        load=without_sound,
        split=split,
        tasks=(),
        recording=f"lesson-{split}-{number:05d}",
        hints=lesson.hints,
        asks=(Ask(task=TASK, turns=pairs, label=lesson.task),),
    )


def _read(materials: Materials) -> Iterator[Clip]:
    folder = materials.unpacked(WORDNET)
    reader, sentences = QuestionFinder(Lexicon.read(folder)), wordnet_sentences(folder)
    clips = []
    for split, count in COUNTS.items():
        teacher = Teacher(sentences_of(split, sentences), reader)
        drawn = (teacher.lesson(f"{split}:{number}") for number in range(count))
        clips += [_clip(lesson, split, number) for number, lesson in enumerate(drawn)]
    yield from thinned(clips, materials.settings, lambda clip: clip.asks[0].label)


SOURCE = Source(
    name="lessons",
    title="Lessons of text: simulated hints, with example sentences of WordNet",
    licence="WordNet 3.0 licence (permissive)",
    attribution="WordNet 3.0, Princeton University",
    read=_read,
    packages=(WORDNET,),
)
