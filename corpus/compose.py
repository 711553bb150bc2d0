"""New clips made of other clips of the same split, so that order, number and loudness are known."""

import functools
import hashlib
import logging
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from corpus import wording
from corpus.clips import SOUND_RATE, Ask, Clip, Source, TimedSound
from corpus.download import CorpusError
from corpus.events import Event, Placed, find_event, mix
from corpus.label_words import accepted_of, answer_of, noun_of
from corpus.lines import PARTS, Rendered
from corpus.questions import may_both_hold
from corpus.sound import convert, read_sound
from corpus.sounds import SOUNDS
from corpus.splits import SPLITS
from corpus.wording import NUMBERS, capitalized, one_of

logger = logging.getLogger(__name__)

COUNTS: Mapping[str, Mapping[str, int]] = {  # clips, by size and split
    "full": {"train": 5000, "dev": 240, "test": 240},
    "small": {"train": 150, "dev": 50, "test": 50},
}
CLIPS_AN_EVENT = 6  # most composed clips for each event there is
EVENTS_A_LABEL = 30  # most clips of a label that events are cut from, in each split
SECONDS = (2.0, 8.0)  # of a composed clip
GAPS = (0.3, 0.8)  # s between events
LOUDER_DB = (8.0, 16.0)  # how much louder the louder of two is
LONGER = 2.2  # times as long, at least
LONG_SECONDS = 1.0  # least of an event that can be the longer one
SPEECH_SECONDS = (0.8, 4.0)
_SEVERAL = re.compile(r"-(?:[2-9]|\d\d+)x$")  # names that tell of several shots
_EDGE = 0.2  # s of silence at both ends

SOURCE = Source(
    name="composed",
    title="Clips made of one to four other clips of this corpus, in a row or at once",
    licence="the licences of its parts, named in every line",
    attribution="the authors of the sources its parts come from",
    read=lambda _: (),
)


@dataclass(frozen=True)
class Part:
    """An event and the clip it was cut from."""

    event: Event
    one: Rendered

    @property
    def label(self) -> str:
        """What is heard, a key of SOUNDS; empty for speech."""
        return self.one.clip.label


@dataclass(frozen=True)
class Scene:
    """Parts in the order they begin, and the questions they answer."""

    kind: str
    parts: tuple[Part, ...]
    placed: tuple[Placed, ...]
    asks: tuple[Ask, ...]

    @property
    def labels(self) -> list[str]:
        """Every sound once, in the order of its first event."""
        return list(dict.fromkeys(part.label for part in self.parts if part.label))


Parts = Sequence[Part]


def composed(rendered: Sequence[Rendered], folder: Path, size: str, jobs: int = 1) -> list[Clip]:
    """Clips made of rendered clips; the same clips and questions in every build.

    Args:
        rendered: What there is.
        folder: Of the corpus.
        size: One of clips.SIZES.
        jobs: Clips read at once.
    """
    found = []
    for split in SPLITS:
        sounds = _parts(_candidates(rendered, split), folder, jobs)
        speech = [Part(_whole(one), one) for one in _lines(rendered, split)]
        count = min(COUNTS[size][split], CLIPS_AN_EVENT * len(sounds))
        found += [_clip(row, folder, split) for row in _rows(sounds, speech, split, count)]
    return list({clip.name: clip for clip in found}.values())


def _order(one: Rendered) -> float:
    return random.Random(f"part {one.key}").random()


def _candidates(rendered: Iterable[Rendered], split: str) -> list[Rendered]:
    groups: dict[str, list[Rendered]] = defaultdict(list)
    for one in sorted(rendered, key=_order):
        if one.clip.split == split and "sound" in one.clip.tasks and not one.clip.text:
            groups[one.clip.label].append(one)
    return [one for label in sorted(groups) for one in groups[label][:EVENTS_A_LABEL]]


def _lines(rendered: Iterable[Rendered], split: str) -> list[Rendered]:
    low, high = SPEECH_SECONDS
    fit = (one for one in rendered if one.clip.split == split and low <= one.seconds <= high)
    spoken = (
        one for one in fit if one.clip.language == "English" and "transcribe" in one.clip.tasks
    )
    return sorted(spoken, key=_order)


def _whole(one: Rendered) -> Event:
    return Event(one.audio or "", 0.0, one.seconds, False)


def _parts(candidates: Iterable[Rendered], folder: Path, jobs: int) -> list[Part]:
    def cut(one: Rendered) -> Part | None:
        audio = one.audio or ""
        try:
            samples = convert(read_sound(folder / audio), SOUND_RATE)
        except CorpusError as error:
            logger.warning("%s is no part of another clip: %s", one.key, error)
            return None
        event = find_event(audio, samples, SOUND_RATE)
        return Part(event, one) if event else None

    with ThreadPoolExecutor(jobs) as pool:
        return [part for part in pool.map(cut, candidates) if part]


def _rows(sounds: Parts, speech: Parts, split: str, count: int) -> Iterator[Scene]:
    """Clips of every kind, `count` in all."""
    shares: tuple[tuple[Callable[[Parts, Parts, random.Random, int], Scene | None], float], ...] = (
        (_in_a_row, 0.4),
        (_repeated, 0.2),
        (_louder, 0.12),
        (_longer, 0.08),
        (_at_once, 0.1),
        (_with_speech, 0.1),
    )
    for make, share in shares:
        for number in range(round(count * share)):
            rng = random.Random(f"{make.__name__} {split} {number}")
            row = make(sounds, speech, rng, number)
            if row is not None:
                yield row


def _clip(row: Scene, folder: Path, split: str) -> Clip:
    seconds = min(max(SECONDS[0], max(one.end for one in row.placed) + _EDGE), SECONDS[1])
    recipe = f"{row.kind} {seconds:.3f} {row.placed}"
    name = f"{row.kind}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    sources = sorted({part.one.clip.licence or part.one.source.licence for part in row.parts})
    spoken = [part.one.clip for part in row.parts if not part.label]
    recordings = dict.fromkeys(part.one.clip.recording for part in row.parts)
    notes = {
        "parts": PARTS.join(recordings),
        "part_clips": PARTS.join(dict.fromkeys(part.one.key for part in row.parts)),
        "labels": PARTS.join(row.labels),
    }
    return Clip(
        name=name,
        load=functools.partial(mix, folder, row.placed, seconds),
        split=split,
        tasks=(),
        recording=f"composed-{name}",
        speaker=spoken[0].speaker if spoken else "",
        sample_rate=SOUND_RATE,
        licence="; ".join(sources),
        notes=notes | ({"speech": "yes"} if spoken else {}),
        asks=row.asks,
        events=tuple(_heard(row, seconds)),
    )


def _heard(row: Scene, seconds: float) -> Iterator[TimedSound]:
    """What sounds when; one part may be placed several times."""
    labels = {part.event.audio: part.label or "speech" for part in row.parts}
    for one in row.placed:
        yield TimedSound(labels[one.event.audio], one.at, round(min(one.end, seconds), 3))


# --- drawing parts ------------------------------------------------------------------------------


def _apart(parts: Parts, count: int, rng: random.Random) -> list[Part]:
    """Parts with different labels, drawn evenly from the labels; fewer where there are none."""
    groups: dict[str, list[Part]] = defaultdict(list)
    for part in parts:
        groups[part.label].append(part)
    drawn: list[Part] = []
    for label in rng.sample(sorted(groups), len(groups)):
        if len(drawn) < count and not any(may_both_hold(label, one.label) for one in drawn):
            drawn.append(rng.choice(groups[label]))
    return drawn


def place(events: Sequence[Event], rng: random.Random) -> tuple[Placed, ...]:
    """Events one after the other with clear gaps; all are cut alike if it would be too long."""
    gaps = [rng.uniform(*GAPS) for _ in events]
    room = SECONDS[1] - 2 * _EDGE - sum(gaps[1:])
    shorter = min(1.0, room / sum(event.seconds for event in events))
    placed, at = [], _EDGE
    for gap, event in zip(gaps, events, strict=True):
        seconds = round(event.seconds * shorter, 3)
        placed.append(Placed(event, round(at, 3), 0.0, seconds))
        at += seconds + gap
    return tuple(placed)


def _choice(
    task: str,
    texts: Sequence[str],
    right: str,
    wrong: Sequence[str],
    rng: random.Random,
    number: int,
) -> Ask:
    """A closed question; the right one takes every place in turn."""
    options = rng.sample(list(wrong), len(wrong))
    options.insert(number % (len(wrong) + 1), right)
    question = rng.choice(texts).format(options=one_of([noun_of(label) for label in options]))
    return Ask(
        task=task,
        turns=((question, answer_of(right)),),
        label=right or "speech",
        options=tuple(label or "speech" for label in options),
        accept=accepted_of(right),
    )


def _number(count: int, question: str, thing: str, counts: str) -> Ask:
    word = NUMBERS[count]
    accept = [f"{count}.", f"{word.capitalize()} {thing}."]
    turns = ((question, capitalized(word)),)
    return Ask(task="count", turns=turns, label=word, accept=tuple(accept), counts=counts)


def _different(count: int, rng: random.Random) -> Ask:
    thing = "sound" if count == 1 else "different sounds"
    return _number(count, rng.choice(wording.DIFFERENT), thing, "kinds")


def caption(labels: Sequence[str], between: str, place_: int = 0) -> str:
    """`A dog barks, then rain is falling steadily.` with `, then ` between."""
    said = [SOUNDS[label].captions[place_ % len(SOUNDS[label].captions)] for label in labels]
    first, *others = [text.rstrip(".") for text in said]
    small = [text[0].lower() + text[1:] for text in others]
    return between.join([first, *small]) + "."


def _described(labels: Sequence[str], between: str, rng: random.Random) -> Ask:
    answers = dict.fromkeys(caption(labels, between, place_) for place_ in (0, 1, 2, 3))
    answer, *others = answers
    turns = ((rng.choice(wording.CAPTION), answer),)
    return Ask(task="caption", turns=turns, label=", ".join(labels), accept=tuple(others))


# --- kinds of clips -----------------------------------------------------------------------------


def _in_a_row(sounds: Parts, _: Parts, rng: random.Random, number: int) -> Scene | None:
    """Two to four sounds, one after the other; in every fourth clip the first comes again."""
    wanted = 2 + number % 3
    again = wanted > 2 and number % 4 == 0
    parts = _apart(sounds, wanted - again, rng)
    if len(parts) < wanted - again:
        return None
    row = [*parts, parts[0]] if again else parts
    return _row_with_questions(row, rng, number)


def _row_with_questions(parts: Parts, rng: random.Random, number: int) -> Scene:
    labels = [part.label for part in parts]
    different = len(set(labels))
    asks = [_described(labels, ", then ", rng)]
    if number % 2:
        asks.append(_different(different, rng))
    if different == len(labels):
        early, late = sorted(rng.sample(range(len(labels)), 2))
        asks.append(
            _choice("order", wording.FIRST, labels[early], [labels[late]], rng, number // 4)
        )
        after = rng.randrange(len(labels) - 1)
        asks.append(_after(labels[after], labels[after + 1], rng))
    if number % 4 in (0, 3):
        question = rng.choice(wording.LIST)
        answer = caption_of_nouns(labels)
        asks.append(Ask(task="order", turns=((question, answer),), label=", ".join(labels)))
    placed = place([part.event for part in parts], rng)
    return Scene("row", tuple(parts), placed, tuple(asks))


def caption_of_nouns(labels: Sequence[str]) -> str:
    """Such as `A dog barking, then rain falling.`, in the order heard."""
    return capitalized(", then ".join(noun_of(label) for label in labels))


def _after(before: str, after: str, rng: random.Random) -> Ask:
    question = rng.choice(wording.AFTER).format(noun=noun_of(before))
    turns = ((question, answer_of(after)),)
    return Ask(task="order", turns=turns, label=after or "speech", accept=accepted_of(after))


def _repeated(sounds: Parts, _: Parts, rng: random.Random, number: int) -> Scene | None:
    """One event, once to five times."""
    times = 1 + number % 5
    fit = [
        part
        for part in sounds
        if part.event.single and part.event.seconds <= 1.0 and SOUNDS[part.label].one
        and SOUNDS[part.label].many != "notes" and not _SEVERAL.search(part.one.clip.name)
    ]  # fmt: skip
    drawn = _apart(fit, 1, rng)
    if not drawn:
        return None
    part, sound = drawn[0], SOUNDS[drawn[0].label]
    quieter = [replace(one, gain=rng.uniform(-2, 0)) for one in place([part.event] * times, rng)]
    question = rng.choice(wording.TIMES).format(many=sound.many)
    asks = [_number(times, question, sound.one if times == 1 else sound.many, "times")]
    if number % 3 == 0:
        asks.append(_different(1, rng))
    return Scene("times", (part,), tuple(quieter), tuple(asks))


def _louder(sounds: Parts, _: Parts, rng: random.Random, number: int) -> Scene | None:
    """Two sounds, one clearly louder."""
    parts = _apart(sounds, 2, rng)
    if len(parts) < 2:
        return None
    loud = rng.randrange(2)
    placed = list(place([part.event for part in parts], rng))
    placed[1 - loud] = replace(placed[1 - loud], gain=-round(rng.uniform(*LOUDER_DB), 1))
    right, wrong = parts[loud].label, parts[1 - loud].label
    ask = _choice("compare", wording.LOUDER, right, [wrong], rng, number)
    return Scene("louder", tuple(parts), tuple(placed), (ask,))


def _longer(sounds: Parts, _: Parts, rng: random.Random, number: int) -> Scene | None:
    """Two sounds that could both be long, one of them cut short."""
    fit = [part for part in sounds if part.event.seconds >= LONG_SECONDS]
    parts = _apart(fit, 2, rng)
    if len(parts) < 2:
        return None
    short = rng.randrange(2)
    most = parts[1 - short].event.seconds / LONGER
    kept = round(rng.uniform(min(0.3, most), most), 3)
    events = [part.event for part in parts]
    events[short] = replace(events[short], seconds=min(kept, events[short].seconds))
    right, wrong = parts[1 - short].label, parts[short].label
    ask = _choice("compare", wording.LONGER, right, [wrong], rng, number)
    return Scene("longer", tuple(parts), place(events, rng), (ask,))


def _at_once(sounds: Parts, _: Parts, rng: random.Random, _number: int) -> Scene | None:
    """Two sounds that overlap, one a little quieter."""
    fit = [part for part in sounds if part.event.seconds >= 0.5]
    parts = _apart(fit, 2, rng)
    if len(parts) < 2:
        return None
    first = Placed(parts[0].event, _EDGE)
    latest = _EDGE + parts[0].event.seconds / 2
    second = Placed(
        parts[1].event, round(rng.uniform(_EDGE, latest), 3), round(rng.uniform(-3.0, 0.0), 1)
    )
    asks = (_described([part.label for part in parts], " while ", rng),)
    return Scene("together", tuple(parts), (first, second), asks)


def _with_speech(sounds: Parts, speech: Parts, rng: random.Random, number: int) -> Scene | None:
    """Somebody speaks, then or before there is a sound."""
    heard = _apart([part for part in sounds if part.label not in wording.VOICES], 1, rng)
    if not speech or not heard:
        return None
    said, sound = speech[number % len(speech)], heard[0]
    parts = (said, sound) if number % 4 < 2 else (sound, said)
    placed = place([part.event for part in parts], rng)
    first, second = (part.label for part in parts)
    asks = [_choice("order", wording.FIRST, first, [second], rng, number)]
    if number % 2:
        asks.append(_after(first, second, rng))
    if sum(one.end - one.at for one in placed) > sum(part.event.seconds for part in parts) - 0.01:
        question = rng.choice(wording.TRANSCRIBE)
        asks.append(Ask(task="transcribe", turns=((question, said.one.clip.text),), label=""))
    return Scene("speech", parts, placed, tuple(asks))
