"""Hints as lines of text for a language model.

Such as, one line each:

    Length: 5.0 s.
    Speech (English) 0.3-4.1 s: We're way up in the clouds, Joey.
    Voice: a man.
    Sounds: wind blowing 0.0-5.0 s, 12 dB softer; a dog barking 4.2-4.9 s, loudest.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mowe.hints.events import SoundEvent, describe_events

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LENGTH, VOICE = "Length: ", "Voice: "  # how what is told of a recording begins, and its voice
_STRING = 5  # digits in a row from which figures are read out one by one, as in a phone number
_FIGURES = re.compile(r"\d(?:[\d,.\s-]*\d)?")  # with what may stand between them


def spelled(text: str) -> str:
    """Strings of digits as words, one by one; other numbers stay as they are. It is one line.

    Whisper writes `573-602` where six digits are read out, and a small language model that is asked
    for the third of them counts words, not figures. What is nothing but figures is a string of
    digits too, however short: `7`, `1, 2.`.
    """
    text = " ".join(text.split())  # a line that ends early would begin another hint
    only_figures = not re.search(r"[^\W\d_]", text)

    def words(found: re.Match[str]) -> str:
        digits = re.sub(r"\D", "", found[0])
        if not digits.isascii() or not (only_figures or len(digits) >= _STRING):
            return found[0]
        return " ".join(DIGITS[int(digit)] for digit in digits)

    return _FIGURES.sub(words, text)


class SpokenStretch(NamedTuple):
    """Words in one piece."""

    language: str
    start: float  # s
    end: float  # s
    text: str


@dataclass(frozen=True)
class VoiceGuess:
    """What is guessed of who speaks; empty or 0 where that is not sure."""

    gender: str = ""  # man, woman
    speakers: int = 0
    emotion: str = ""  # only where a person asked for it


def hint_lines(
    seconds: float,
    spoken: Sequence[SpokenStretch],
    voice: VoiceGuess | None,
    events: Sequence[SoundEvent],
) -> list[str]:
    """What the language model is told about one recording, a line each.

    Args:
        seconds: Its length.
        spoken: What is said.
        voice: Of who speaks; None where nobody does.
        events: In the order they begin.
    """
    lines = [f"{LENGTH}{seconds:.1f} s."]
    for one in spoken:
        lines.append(
            f"Speech ({one.language}) {one.start:.1f}-{one.end:.1f} s: {spelled(one.text)}"
        )
    if spoken and voice is not None:
        lines.append(f"{VOICE}{_voice(voice)}.")
    if events:
        lines.append(describe_events(events))
    return lines if len(lines) > 1 else [*lines, "Nothing is heard."]


def _voice(voice: VoiceGuess) -> str:
    told = f"a {voice.gender}" if voice.gender else "a man or a woman, not sure"
    if voice.speakers > 1:
        told = f"{DIGITS[voice.speakers]} people, one is {told}"
    elif voice.speakers == 0:
        told += ", alone or not, not sure"
    return f"{told}; {voice.emotion}" if voice.emotion else told
