"""Lessons about what cannot be known, no recording, several recordings, and other languages."""

from corpus import wording
from corpus.lessons import phrases
from corpus.lessons.conversations import (
    Dialogue,
    Exchange,
    about,
    about_both,
    without_recording,
)
from corpus.lessons.of_speech import names_of
from corpus.lessons.scenes import Draw, SimulatedRecording
from corpus.wording import capitalized
from mowe.data.manifest import AUDIO_TAG

_PLACE = ("first", "second")


def unknowable(draw: Draw) -> Dialogue:
    """What a recording leaves open, or does not hold at all."""
    silent = SimulatedRecording(round(draw.rng.uniform(0.5, 12), 1))
    scene, questions, answers = draw.choice(
        (
            (draw.sounds(1, 2), phrases.NO_WAY, wording.PERSONAL_ANSWERS),
            (draw.speech(), wording.PERSONAL, wording.PERSONAL_ANSWERS),
            (draw.sounds(1, 2), phrases.OF_A_VOICE, wording.NO_SPEECH),
            (silent, phrases.OF_ANY, phrases.NOTHING),
        )
    )
    return about(scene, Exchange(draw.choice(questions), draw.choice(answers)))


def no_recording(draw: Draw) -> Dialogue:
    """A question about a recording that is not there."""
    asked = draw.choice((*phrases.OF_ANY, *phrases.WHAT, *wording.SPEAKING, "Transcribe this."))
    return without_recording(Exchange(asked, draw.choice(phrases.NO_RECORDING)))


def able(draw: Draw) -> Dialogue:
    """What the assistant can do."""
    return without_recording(Exchange(draw.choice(phrases.ABLE), phrases.ABILITIES))


def two(draw: Draw) -> Dialogue | None:
    """Which of two recordings it is, or what is in each."""
    first, second = (draw.choice((draw.sounds(1, 2), draw.speech())) for _ in range(2))
    turn = draw.choice((_where, _longer, _spoken, _who, _each, _each))(draw, (first, second))
    return about_both(first, second, turn) if turn else None


_Both = tuple[SimulatedRecording, SimulatedRecording]


def _where(draw: Draw, both: _Both) -> Exchange | None:
    place = draw.rng.randrange(2)
    names = [one for one in both[place].names if one not in both[1 - place].names]
    if not names:
        return None
    asked = draw.choice(("In which recording is {}, the first or the second?", "Where is {}?"))
    return Exchange(asked.format(names[0]), f"In the {_PLACE[place]}.")


def _longer(draw: Draw, both: _Both) -> Exchange | None:
    if both[0].seconds == both[1].seconds:
        return None
    longer, asked = int(both[1].seconds > both[0].seconds), draw.choice(("longer", "shorter"))
    place = longer if asked == "longer" else 1 - longer
    return Exchange(f"Which recording is {asked}?", f"The {_PLACE[place]}.")


def _spoken(draw: Draw, both: _Both) -> Exchange | None:
    if bool(both[0].text) == bool(both[1].text):
        return None
    asked = ("Which of the two is speech?", "In which recording does somebody speak?")
    return Exchange(draw.choice(asked), f"The {_PLACE[int(bool(both[1].text))]}.")


def _who(draw: Draw, both: _Both) -> Exchange | None:
    first, second = (one.voice.gender if one.voice else "" for one in both)
    if not (first and second):
        return None
    asked = draw.choice(("Is it the same person in both?", "Is it one person or two?"))
    if first == second:
        return Exchange(asked, f"I am not sure: both are a {first}.")
    return Exchange(asked, "No, the voices are different.")


def _each(draw: Draw, both: _Both) -> Exchange:
    first, second = ("somebody speaking" if one.text else names_of(one) for one in both)
    asked = (
        "What is in the first and what is in the second recording?",
        "What do you hear in each of them?",
        "Describe both.",
    )
    return Exchange(draw.choice(asked), f"The first has {first}, the second has {second}.")


def next_one(draw: Draw) -> Dialogue | None:
    """One recording, then another."""
    scenes = draw.sounds(1, 1), draw.sounds(1, 1)
    if not all(one.names for one in scenes):
        return None
    first = draw.choice(phrases.WHAT)
    asked = first, draw.choice(("And this one?", "And this?", "What about this one?", first))
    messages = []
    for question, scene in zip(asked, scenes, strict=True):
        messages.append(("user", f"{AUDIO_TAG} {question}"))
        messages.append(("assistant", capitalized(scene.names[0])))
    return Dialogue(tuple(messages), tuple(one.lines for one in scenes))


def foreign(draw: Draw) -> Dialogue | None:
    """A question in another language, answered in the words of the lines."""
    what, language, words = draw.choice(phrases.FOREIGN)
    scene = draw.sounds(1, 1)
    if draw.random() < 0.35:
        answer = capitalized(scene.names[0]) if scene.names else ""
        return about(scene, Exchange(draw.choice(what), answer)) if answer else None
    if draw.random() < 0.5:
        spoken = draw.choice(phrases.LANGUAGES)
        return about(draw.speech(language=spoken), Exchange(draw.choice(language), f"{spoken}."))
    scene = draw.speech()
    return about(scene, Exchange(draw.choice(words), scene.text))
