"""RAVDESS: two sentences acted in eight emotions by professional actors.

File names are seven numbers: modality, channel, emotion, intensity, sentence, repetition, actor;
actors with even numbers are women. The recordings are quiet, and are left so: how loudly somebody
speaks is part of how they feel.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from corpus.clips import Ask, Clip, Materials, Source
from corpus.download import CorpusError
from corpus.sound import read_sound
from corpus.splits import split_of

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
SUBJECTS = ("kids", "dogs")  # of the two sentences
ACTORS = range(1, 21)  # the release's actors 21 to 24 stay untouched
SUFFIXES = frozenset({".wav", ".ogg"})
_SPEECH = ("03", "01")  # audio only, spoken


@dataclass(frozen=True)
class Take:
    """What a file name says."""

    emotion: str
    subject: str
    actor: int

    @property
    def gender(self) -> str:
        """Of the actor."""
        return "man" if self.actor % 2 else "woman"

    @property
    def split(self) -> str:
        """Empty for actors that are not used."""
        return split_of("ravdess", str(self.actor)) if self.actor in ACTORS else ""


def read_name(stem: str) -> Take | None:
    """What `03-01-05-01-02-01-12` says; None for anything but speech of this set."""
    fields = stem.split("-")
    if len(fields) != 7 or tuple(fields[:2]) != _SPEECH or not all(map(str.isdigit, fields)):
        return None
    emotion, sentence, actor = int(fields[2]), int(fields[4]), int(fields[6])
    if not 1 <= emotion <= len(EMOTIONS) or not 1 <= sentence <= len(SUBJECTS):
        return None
    return Take(EMOTIONS[emotion - 1], SUBJECTS[sentence - 1], actor)


def takes(folder: Path) -> Iterator[tuple[Path, Take]]:
    """Recordings that are used, from folders by actor or one folder.

    Raises:
        CorpusError: If there is none.
    """
    files = (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES)
    found = [(path, take) for path in files if (take := read_name(path.stem)) and take.split]
    if not found:
        raise CorpusError(f"{folder} holds no recording named like 03-01-05-01-02-01-12.wav")
    yield from found


def _read(materials: Materials) -> Iterator[Clip]:
    for path, take in takes(materials.folder("ravdess")):
        subject = take.subject.capitalize()
        # Both sentences are in all splits by design, so they are no transcripts to learn.
        about = Ask(
            task="mention",
            turns=(("Who is the sentence about, kids or dogs?", f"{subject}."),),
            label=take.subject,
            options=SUBJECTS,
        )
        yield Clip(
            name=path.stem,
            load=functools.partial(read_sound, path),
            split=take.split,
            tasks=("emotion", "gender", "language"),
            recording=f"ravdess-{path.stem}",
            speaker=f"ravdess-{take.actor}",
            gender=take.gender,
            language="English",
            emotion=take.emotion,
            asks=(about,),
        )


SOURCE = Source(
    name="ravdess",
    title="RAVDESS, acted emotional speech",
    licence="CC BY-NC-SA 4.0 (non-commercial)",
    attribution=(
        "S. R. Livingstone and F. A. Russo, The Ryerson Audio-Visual Database of Emotional Speech "
        "and Song (RAVDESS), PLoS ONE 13(5), 2018"
    ),
    read=_read,
)
