"""Which examples a suite asks, and the answers of the model, greedily."""

import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from tqdm import tqdm

from mowe.assistant import Answer, Assistant, Sampling, Turn
from mowe.audio import Recording, load_audio
from mowe.data.ledger import Ledger, Row
from mowe.data.manifest import Example
from mowe.errors import ManifestError
from mowe.evaluation.scores import answer_key
from mowe.evaluation.tasks import EACH, POOLED, Group, Suite, Task
from mowe.model.control import RoutingControl


class HasIdentity(Protocol):
    """What can be asked."""

    @property
    def identity(self) -> str:
        """What names it in its file."""


ToAsk = TypeVar("ToAsk", bound=HasIdentity)
MODEL = "model"  # who answered, in the ledger


@dataclass(frozen=True)
class Question:
    """One example to be asked."""

    example: Example
    task: Task
    part: str  # the sources it is scored with: one, or POOLED
    clip: str  # its sound: file and, where it is a part of it, start and end

    @property
    def identity(self) -> str:
        """What names it in its manifest."""
        given = self.example.metadata.get("id")
        return str(given or f"{self.clip} {self.example.task} {self.example.messages}")


def choose(
    examples: Sequence[Example],
    suite: Suite,
    root: Path,
    *,
    tasks: Sequence[str] = (),
    limit: int | None = None,
    seed: int = 0,
) -> list[Question]:
    """The questions of a suite; an example belongs to the first group that fits.

    Args:
        examples: Held-out lines; those without audio are left out.
        suite: Groups and how many of each.
        root: The manifest's folder, which file names are relative to.
        tasks: Only these; all of the suite where empty.
        limit: Of every group, instead of its own.
        seed: Of the draw.

    Raises:
        ManifestError: If nothing is left to ask.
    """
    left = [one for one in examples if one.audio is not None and one.task in suite.tasks]
    questions: list[Question] = []
    for group in suite.groups:
        if tasks and group.task not in tasks:
            continue
        found = [one for one in left if _fits(one, group)]
        taken = set(map(id, found))
        left = [one for one in left if id(one) not in taken]
        for part, members in _parts(found, group).items():
            asked = sorted(
                (Question(one, suite.tasks[one.task], part, _clip(one, root)) for one in members),
                key=lambda question: question.identity,
            )
            rng = random.Random(f"{seed} {group.task} {part}")
            count = group.limit if limit is None else limit
            questions += _drawn(rng.sample(asked, len(asked)), count, even=group.even)
    if not questions:
        wanted = ", ".join(tasks or suite.tasks) or "any task"
        raise ManifestError(f"the manifest holds no held-out recording for {wanted}")
    return questions


def _drawn(questions: Sequence[Question], count: int, *, even: bool) -> list[Question]:
    """The first `count`; where `even`, a first of each label, then a second, and so on."""
    if not even:
        return list(questions[:count])
    times: Counter[str] = Counter()
    turns = []
    for question in questions:
        label = str(question.example.metadata.get("label"))
        turns.append(times[label])
        times[label] += 1
    order = sorted(range(len(questions)), key=turns.__getitem__)  # stable
    return [questions[place] for place in order[:count]]


def _clip(example: Example, root: Path) -> str:
    path, start, end = example.clip
    inside = Path(path).is_relative_to(root.resolve())
    name = Path(path).relative_to(root.resolve()).as_posix() if inside else Path(path).name
    return name if not start and end is None else f"{name} {start}-{end}"


def _source(example: Example) -> str:
    return str(example.metadata.get("source") or "")


def _fits(example: Example, group: Group) -> bool:
    return example.task == group.task and group.source in (_source(example), EACH, POOLED)


def _parts(found: Sequence[Example], group: Group) -> Mapping[str, list[Example]]:
    parts: dict[str, list[Example]] = defaultdict(list)
    for one in found:
        parts[POOLED if group.source == POOLED else _source(one)].append(one)
    return parts


def hear(example: Example) -> Recording:
    """The example's sound.

    Raises:
        AudioError: If it cannot be used.
    """
    assert example.audio is not None, "choose() leaves out what has no audio"
    return load_audio(example.audio, start=example.start, end=example.end)


def conversation(example: Example, recording: Recording) -> list[Turn]:
    """The example's turns up to its last question; earlier answers are the right ones."""
    return [
        Turn(role, words, (recording,) if played else ())
        for role, words, played in example.turns[:-1]
    ]


def label_of(example: Example) -> str:
    """What tells a right answer from a wrong one: the label, or the words of the right answer."""
    return str(example.metadata.get("label") or answer_key(example.answer))


def describe(question: Question) -> Row:
    """What is known about a question before it is answered."""
    example, known = question.example, question.example.metadata
    return {
        "id": question.identity,
        "task": example.task,
        "source": _source(example),
        "part": question.part,
        "speaker": str(known.get("speaker") or ""),
        "audio": question.clip,
        "question": example.turns[-2][1],
        "turns": len(example.messages) // 2,
        "expected": example.answer,
        "label": label_of(example) if question.task.is_labelled else str(known.get("label") or ""),
        "accept": list(known.get("accept") or []),
        "options": list(known.get("options") or []),
        "references": list(known.get("references") or []),
        "label_words": known.get("label_words") or None,
    }


def answer_all(
    assistant: Assistant,
    questions: Sequence[Question],
    ledger: Ledger,
    *,
    by: str = MODEL,
    control: RoutingControl | None = None,
    hints: Collection[str] | None = None,
    tokens: bool = True,
    change: Callable[[Recording, str], Recording] = lambda recording, _: recording,
) -> list[Row]:
    """One row per question: what was asked, expected and answered, and the routing.

    Args:
        assistant: Who answers.
        questions: What is asked.
        ledger: Where answers are kept; those in it are not asked again.
        by: Their name in the ledger.
        control: Overrides of the routing.
        hints: What the language model is told in text; None: all that it can be.
        tokens: Give it the audio tokens.
        change: Of the recording before it is heard, with the example's identity.

    Raises:
        AudioError: If a recording cannot be used.
    """

    def ask(question: Question) -> Row:
        recording = change(hear(question.example), question.identity)
        sampling = Sampling(max_new_tokens=question.task.max_new_tokens)
        turns = conversation(question.example, recording)
        started = time.perf_counter()
        *_, answer = assistant.stream(
            turns, sampling=sampling, control=control, hints=hints, tokens=tokens
        )
        return {
            "answer": answer.text,
            "seconds": round(time.perf_counter() - started, 3),
            **routing_of(answer),
        }

    return list(kept_rows(questions, ledger, by, ask, describe))


def kept_rows(
    questions: Sequence[ToAsk],
    ledger: Ledger,
    by: str,
    ask: Callable[[ToAsk], Row],
    about: Callable[[ToAsk], Row],
) -> Iterator[Row]:
    """Rows from the ledger where they are in it; the others are asked for and written there."""
    for question in tqdm(questions, desc=by, mininterval=2):
        found = ledger.find(by, question.identity)
        if found is None:
            found = {"id": question.identity, **ask(question)}
            ledger.add(by, found)
        yield about(question) | found


def routing_of(answer: Answer) -> dict[str, Any]:
    """Both routers' probabilities, mean over the windows, and every encoder that was chosen."""
    windows = answer.windows
    return {
        "windows": len(windows),
        "independent": _mean([window.independent for window in windows]),
        "dependent": _mean([window.dependent for window in windows]),
        "chosen": sorted({name for window in windows for name in window.chosen}),
    }


def _mean(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = rows[0] if rows else {}
    return {name: round(float(np.mean([row[name] for row in rows])), 5) for name in names}
