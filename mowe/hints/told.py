"""What the language model is told about a recording: transcript, voice and sounds as lines."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mowe.config import HINTS
from mowe.hints.emotion import EMOTION, SURE
from mowe.hints.events import SoundEvent, decode_events
from mowe.hints.heads import HeadLogits, Heads, sure_label
from mowe.hints.lines import SpokenStretch, VoiceGuess, hint_lines, spelled
from mowe.hints.transcript import Transcript

TRANSCRIPT, EVENTS, VOICE = HINTS
SPEAKING = "somebody speaking"  # the detector's name for it; the transcript tells it better
_JOINED = 0.25  # s between two events of one name at the end of a window that are one
_SURE = 0.8  # share from which a label is told


class HeardSounds(NamedTuple):
    """What the heads heard in a window of a recording, times from its beginning."""

    events: tuple[SoundEvent, ...]
    labels: Mapping[str, Tensor]  # set -> (labels,) logits


def heard_sounds(heads: Heads, logits: HeadLogits, levels: np.ndarray) -> HeardSounds:
    """Of one window.

    Args:
        heads: The heads.
        logits: What they said, of a batch of one.
        levels: dB of full scale of every step, `(steps,)`.
    """
    events = logits.events
    steps = min(int(events.mask[0].sum()), len(levels))
    names, kinds = (one[0, :steps].sigmoid().cpu() for one in (events.names, events.kinds))
    detector = heads.detector
    found = decode_events(detector.names, detector.kinds, names, kinds, levels[:steps])
    return HeardSounds(tuple(found), {name: one[0].cpu() for name, one in logits.labels.items()})


def joined(windows: Sequence[tuple[float, float, HeardSounds]]) -> HeardSounds:
    """All windows of a recording as one: a sound that is cut by a border is one sound.

    Args:
        windows: Start and end (s) of each, in their order, and what was heard in it; one at least.
    """
    events: list[SoundEvent] = []
    for start, _, heard in windows:
        for one in heard.events:
            moved = replace(one, start=round(one.start + start, 1), end=round(one.end + start, 1))
            place = _cut_before(events, moved, start)
            if place is None:
                events.append(moved)
            else:
                events[place] = _as_one(events[place], moved)
    lengths = torch.tensor([end - start for start, end, _ in windows])
    labels = {
        name: lengths @ torch.stack([heard.labels[name] for *_, heard in windows]) / lengths.sum()
        for name in windows[0][2].labels
    }
    return HeardSounds(tuple(events), labels)


def _cut_before(events: Sequence[SoundEvent], one: SoundEvent, border: float) -> int | None:
    """Which event of the window before a border goes on in this one."""
    for place, other in enumerate(events):
        near = abs(other.end - border) <= _JOINED and abs(one.start - border) <= _JOINED
        if near and other.name and other.name == one.name:
            return place
    return None


def _as_one(first: SoundEvent, second: SoundEvent) -> SoundEvent:
    lengths = [one.end - one.start for one in (first, second)]
    powers = [10 ** (one.level / 10) for one in (first, second)]
    power = float(np.average(powers, weights=lengths))
    level = round(10 * float(np.log10(power)), 1)
    return replace(first, end=second.end, level=level, share=max(first.share, second.share))


def told_of(
    seconds: float,
    said: Transcript,
    heard: HeardSounds | None,
    sets: Mapping[str, Sequence[str]],
    hints: Collection[str],
) -> tuple[str, ...]:
    """The lines about a recording; none where no hint is given. Without heads, the words alone.

    Args:
        seconds: Its length.
        said: What is said in it.
        heard: What sounds in it; None where no head hears.
        sets: Labels by set.
        hints: Which of `HINTS` are given, `emotion` perhaps among them.
    """
    given = {*hints}
    if heard is None:
        return (spelled(said.text),) if TRANSCRIPT in given else ("",)
    if not given:
        return ()
    spoken = []
    if TRANSCRIPT in given and said.segments:
        start, end = said.segments[0].start, said.segments[-1].end
        spoken = [SpokenStretch(said.language, start, end, said.text)]
    gender = feeling = ""
    if VOICE in given and "gender" in heard.labels:
        gender = sure_label(heard.labels["gender"], sets["gender"], _SURE)
    if EMOTION in given and EMOTION in heard.labels:
        feeling = sure_label(heard.labels[EMOTION], sets[EMOTION], SURE)
    guessed = (VOICE in given and "gender" in heard.labels) or feeling
    voice = VoiceGuess(gender, 1, feeling) if guessed else None
    events = heard.events if EVENTS in given else ()
    if spoken:
        events = tuple(one for one in events if one.name != SPEAKING)
    return tuple(hint_lines(seconds, spoken, voice, events))
