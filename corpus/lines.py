"""From rendered clips to manifest lines: tasks, splits that share nothing, balanced labels."""

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from corpus.clips import Ask, Clip, Source, sentence_key
from corpus.download import CorpusError
from corpus.facts import facts_of
from corpus.sounds import SOUNDS
from corpus.splits import HELD_OUT, SPLITS
from corpus.wording import ASKED, EMOTIONS, GENDERS, TASKS, TEXT_ONLY
from mowe.files import is_file_name

Line = dict[str, Any]

# most lines of one label and split; a label's lines are drawn evenly from its speakers
CAPS: Mapping[str, int] = {"gender": 1500, "language": 400, "transcribe": 24_000}
HELD_OUT_CAPS: Mapping[str, int] = {"gender": 200, "language": 60}  # the same, of dev and of test
YES_NO = ("yes", "no")
# most lines of a task and split, with even labels; yes and no are even and few by construction
TASK_CAPS: Mapping[str, int] = {
    "count": 1500,
    "order": 1500,
    "compare": 1500,
    "presence": 1500,
    "mention": 2400,
    "digits": 1500,
    "prompts": 1500,
    "unanswerable": 1500,
    "chat": 1500,
    "lesson": 40_000,
}
ANYONE = "unnamed"  # ends the name of a speaker that stands for several people
PARTS = " | "  # between the recordings in a composed clip's `parts`
# tasks whose answers are the very words of a clip: their sentences are never in two splits
WORDS_TASKS = frozenset({"transcribe", "prompts", "chat"})


@dataclass(frozen=True)
class Rendered:
    """A clip that lies on disk, or a conversation without audio."""

    clip: Clip
    source: Source
    audio: str | None  # relative to the manifest; None is text only
    seconds: float

    @property
    def key(self) -> str:
        """Source and clip."""
        return key_of(self.source, self.clip)


def key_of(source: Source, clip: Clip) -> str:
    """What names a clip among all sources."""
    return f"{source.name}/{clip.name}"


def is_text_only(clip: Clip) -> bool:
    """Whether a clip is a conversation without audio."""
    return not clip.tasks and bool(clip.asks) and all(ask.task in TEXT_ONLY for ask in clip.asks)


def check_clip(source: Source, clip: Clip) -> None:
    """Refuse a clip without a licence, or with a name or a label that cannot be used.

    Raises:
        CorpusError: Naming the clip, what was found and what is allowed.
    """
    where = key_of(source, clip)
    if not is_file_name(source.name) or not is_file_name(clip.name):
        raise CorpusError(f"{where}: source and clip are named as a folder and a file can be")
    if not (clip.licence or source.licence).strip() or not source.attribution.strip():
        raise CorpusError(f"{where}: a licence and an attribution are needed")
    asked = [ask.task for ask in clip.asks]
    allowed = (
        ("split", [clip.split], SPLITS),
        ("task", clip.tasks, TASKS),
        ("task", asked, (*TASKS, *ASKED)),
        ("emotion", [clip.emotion], ("", *EMOTIONS)),
        ("gender", [clip.gender], ("", *GENDERS)),
        ("label", [clip.label], ("", *SOUNDS)),
    )
    for kind, found, known in allowed:
        for one in found:
            if one not in known:
                raise CorpusError(f"{where}: {kind} {one!r} is not one of {', '.join(known)}")
    needed = {"transcribe": clip.text, "emotion": clip.emotion, "gender": clip.gender}
    needed |= {"language": clip.language, "sound": clip.label, "caption": clip.label}
    for task in clip.tasks:
        if not needed[task]:
            raise CorpusError(f"{where}: nothing answers the task {task!r}")


def _sentence(clip: Clip) -> str:
    words = "transcribe" in clip.tasks or any(ask.task in WORDS_TASKS for ask in clip.asks)
    return sentence_key(clip.text) if words else ""


def without_shared_sentences(
    clips: Iterable[tuple[Source, Clip]],
) -> list[tuple[Source, Clip]]:
    """Drop clips whose words are asked for and are also asked for in a split that comes later.

    Training gives way to dev, and both to the test.
    """
    kept: list[tuple[Source, Clip]] = list(clips)
    for held_out in reversed(HELD_OUT):
        earlier = SPLITS[: SPLITS.index(held_out)]
        asked = {_sentence(clip) for _, clip in kept if clip.split == held_out} - {""}
        kept = [
            pair for pair in kept if pair[1].split not in earlier or _sentence(pair[1]) not in asked
        ]
    return kept


def lines_of(rendered: Rendered, asks: Sequence[tuple[str, Ask]] = ()) -> list[Line]:
    """One line a task, and again for each crop; then one for each further question.

    Args:
        rendered: The clip.
        asks: Further questions about the whole clip, each with the end of its line's id.
    """
    clip = rendered.clip
    spans: list[tuple[float, float] | None] = [None, *clip.crops]
    lines = []
    for number, span in enumerate(spans):
        for task in clip.tasks:
            name = f"{task}/{number}" if number else task
            rng = random.Random(f"{rendered.key}/{name}")
            lines.append(_line(rendered, name, TASKS[task].ask(clip, task, rng), span))
    own = [(f"{ask.task}/asked-{number}", ask) for number, ask in enumerate(clip.asks)]
    return lines + [_line(rendered, name, ask, None) for name, ask in (*own, *asks)]


def _line(rendered: Rendered, name: str, ask: Ask, span: tuple[float, float] | None) -> Line:
    clip, source = rendered.clip, rendered.source
    line: Line = {"id": f"{rendered.key}/{name}", "audio": rendered.audio}
    seconds = rendered.seconds
    if span is not None:
        start, end = span[0], min(span[1], seconds)
        line |= {"start": start, "end": end}
        seconds = end - start
    line |= {
        "duration": round(seconds, 3),
        "task": ask.task,
        "messages": _messages(ask, rendered.audio is not None),
        "split": clip.split,
        "source": source.name,
        "speaker": clip.speaker,
        "language": clip.language,
        "licence": clip.licence or source.licence,
        "recording": clip.recording,
        "text": clip.text,
        "label": ask.label,
        "options": list(ask.options),
        "accept": list(ask.accept),
    }
    counted = {"counts": ask.counts} if ask.counts else {}
    told = {"hints": list(clip.hints)} if clip.hints else {}
    return line | counted | told | facts_of(clip) | dict(clip.notes)


def _messages(ask: Ask, has_audio: bool) -> list[dict[str, str]]:
    messages = []
    for number, (question, answer) in enumerate(ask.turns):
        asked = f"<audio> {question}" if has_audio and not number else question
        messages.append({"role": "user", "content": asked})
        messages.append({"role": "assistant", "content": answer})
    return messages


def balanced(lines: Sequence[Line]) -> list[Line]:
    """Keep at most `CAPS` lines of a label and `TASK_CAPS` of a task, in each split.

    A label's lines are drawn evenly from its speakers, a task's lines evenly from its labels.
    Yes and no stay as they were drawn: for every question alike.
    """
    kept: list[Line] = []
    groups: dict[tuple[str, str, str], list[Line]] = defaultdict(list)
    for line in lines:
        if line["task"] in CAPS:
            groups[line["task"], line["split"], line["label"]].append(line)
        elif line["task"] in TASK_CAPS and line["label"] not in YES_NO:
            groups[line["task"], line["split"], ""].append(line)
        else:
            kept.append(line)
    for (task, split, _), group in groups.items():
        if task in CAPS:
            most = HELD_OUT_CAPS.get(task, CAPS[task]) if split in HELD_OUT else CAPS[task]
            kept += _evenly(group, most, "speaker")
        else:
            kept += _evenly(group, TASK_CAPS[task], "label")
    return sorted(kept, key=lambda line: str(line["id"]))


def _evenly(lines: Sequence[Line], count: int, by: str) -> list[Line]:
    groups: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        groups[line[by]].append(line)
    for queue in groups.values():
        random.Random(queue[0]["id"]).shuffle(queue)
    kept: list[Line] = []
    while len(kept) < count and any(groups.values()):
        kept += [queue.pop() for queue in groups.values() if queue]
    return kept[:count]


def check_splits(lines: Iterable[Line]) -> None:
    """Refuse lines whose speaker, recording, part or sentence occurs in two splits.

    Raises:
        CorpusError: Naming the first that does.
    """
    first: dict[tuple[str, str], str] = {}
    for line in lines:
        parts = [part for part in line.get("parts", "").split(PARTS) if part]
        shared = [("recording", value) for value in (line["recording"], *parts)]
        if line["task"] in WORDS_TASKS:
            shared.append(("sentence", sentence_key(line["text"])))
        if not line["speaker"].endswith(ANYONE):
            shared.append(("speaker", line["speaker"]))
        for kind, value in shared:
            if value and first.setdefault((kind, value), line["split"]) != line["split"]:
                raise CorpusError(f"{line['id']}: the {kind} {value!r} is in two splits")
