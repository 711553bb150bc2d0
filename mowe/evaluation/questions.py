"""Lists of questions as people ask them: several turns, recordings at any of them, open answers.

An answer is right where it says what it must and nothing that it must not, in few enough words that
repeating what was heard is none; a transcript, where few of its words are wrong. Earlier turns are
answered by the model itself.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mowe.assistant import Assistant, Sampling, Turn
from mowe.audio import load_audio
from mowe.data.ledger import Ledger, Row
from mowe.errors import ManifestError
from mowe.evaluation.asking import MODEL, kept_rows, routing_of
from mowe.evaluation.measures import METRICS, interval
from mowe.evaluation.scores import answer_key, word_error_rate
from mowe.evaluation.tasks import LONGEST
from mowe.files import markdown_table, read_jsonl
from mowe.model.control import RoutingControl

HALVES = ("dev", "test")
MOST_WORDS_WRONG = 0.25  # of a transcript that counts as right
ALL = "all"  # the group of every question


@dataclass(frozen=True)
class AskedTurn:
    """What a person sends at once."""

    ask: str
    audio: tuple[Path, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ListedQuestion:
    """A conversation whose last answer is judged."""

    identity: str
    group: str
    turns: tuple[AskedTurn, ...]
    accept: tuple[tuple[str, ...], ...] = ()  # an answer says all phrases of one of these
    reject: tuple[str, ...] = ()  # and none of these
    most_words: int = 0  # and no more words than these; 0 sets no limit
    transcript: str = ""  # instead: the words that the answer must be

    def is_right(self, answer: str) -> bool:
        """Whether an answer is what is accepted."""
        if self.transcript:
            return word_error_rate([self.transcript], [answer]) <= MOST_WORDS_WRONG
        if self.most_words and len(answer_key(answer).split()) > self.most_words:
            return False
        said = f" {answer_key(answer)} "

        def says(phrase: str) -> bool:
            return f" {answer_key(phrase)} " in said

        return any(map(all, (map(says, one) for one in self.accept))) and not any(
            map(says, self.reject)
        )


def read_questions(path: Path, clips: Path, half: str) -> list[ListedQuestion]:
    """The questions of one half.

    Args:
        path: A JSON object a line: `id`, `group`, `half`, `turns` of `ask` and `audio`, and what is
            right: `accept`, `reject` and `most_words`, or `transcript`.
        clips: The folder that file names are relative to.
        half: One of `HALVES`.

    Raises:
        ManifestError: If a line cannot be used, a recording is missing, or nothing is left.
    """
    if half not in HALVES:
        raise ManifestError(f"half must be {' or '.join(HALVES)}, found {half!r}")
    found: dict[str, ListedQuestion] = {}
    for place, line in read_jsonl(path, ManifestError):
        question, its_half = _question(place, line, clips)
        if question.identity in found:
            raise ManifestError(f"{place}: there are two questions {question.identity!r}")
        if its_half == half:
            found[question.identity] = question
    if not found:
        raise ManifestError(f"{path.name} has no question of the {half} half")
    return list(found.values())


def _question(place: str, line: Mapping[str, Any], clips: Path) -> tuple[ListedQuestion, str]:
    try:
        question = ListedQuestion(
            identity=_text(line["id"]),
            group=_text(line["group"]),
            turns=tuple(
                AskedTurn(_text(one["ask"]), tuple(clips / _text(a) for a in one.get("audio", ())))
                for one in line["turns"]
            ),
            accept=tuple(tuple(map(_text, one)) for one in line.get("accept", ())),
            reject=tuple(map(_text, line.get("reject", ()))),
            most_words=int(line.get("most_words", 0)),
            transcript=str(line.get("transcript", "")),
        )
        half = line["half"]
    except (KeyError, TypeError, ValueError) as error:
        raise ManifestError(f"{place} is no question: {error!r}") from error
    if half not in HALVES or not question.turns:
        raise ManifestError(f"{place} needs turns, and as half {' or '.join(HALVES)}")
    if bool(question.accept) == bool(question.transcript):
        raise ManifestError(f"{place} needs either accept or transcript")
    silent = [one for alternative in question.accept for one in alternative if not answer_key(one)]
    if silent or not all(question.accept):
        raise ManifestError(f"{place} accepts an answer without a word")
    for missing in (one for turn in question.turns for one in turn.audio if not one.is_file()):
        raise ManifestError(f"{place}: there is no recording {missing}")
    return question, half


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise TypeError(f"{value!r} is no text")
    return value


def ask_all(
    assistant: Assistant,
    questions: Sequence[ListedQuestion],
    ledger: Ledger,
    control: RoutingControl | None = None,
    hints: Collection[str] | None = None,
) -> list[Row]:
    """A row a question: what was asked and answered, the routing, and whether it is right.

    Args:
        assistant: Who answers, greedily.
        questions: What is asked.
        ledger: Where answers are kept; those in it are not asked again.
        control: Overrides of the routing.
        hints: What the language model is told in text; None: all that it can be.

    Raises:
        AudioError: If a recording cannot be used.
    """
    sampling = Sampling(max_new_tokens=LONGEST)

    def ask(question: ListedQuestion) -> Row:
        turns: list[Turn] = []
        for one in question.turns:
            heard = tuple(load_audio(path) for path in one.audio)
            turns.append(Turn("user", one.ask, heard))
            *_, answer = assistant.stream(turns, sampling=sampling, control=control, hints=hints)
            turns.append(Turn("assistant", answer.text))
        return {"answers": [one.text for one in turns[1::2]], **routing_of(answer)}

    rows = kept_rows(questions, ledger, MODEL, ask, _describe)
    return [
        row | {"correct": one.is_right(row["answers"][-1])}
        for one, row in zip(questions, rows, strict=True)
    ]


def _describe(question: ListedQuestion) -> Row:
    return {
        "id": question.identity,
        "group": question.group,
        "asked": [one.ask for one in question.turns],
        "audio": [path.name for one in question.turns for path in one.audio],
        "right": question.transcript or [" + ".join(one) for one in question.accept],
    }


def by_group(rows: Sequence[Row], seed: int = 0) -> list[dict[str, Any]]:
    """Right answers of each group, in the order of the list, and of all."""
    names = list(dict.fromkeys(row["group"] for row in rows))
    return [
        _line(name, [row for row in rows if name in (ALL, row["group"])], seed)
        for name in [*names, ALL]
    ]


def _line(name: str, rows: Sequence[Row], seed: int) -> dict[str, Any]:
    tally = METRICS["accuracy"](rows)
    low, high = interval(tally, [row["id"] for row in rows], seed)
    return {
        "group": name,
        "questions": len(rows),
        "right": sum(row["correct"] for row in rows),
        "share": round(tally.whole(), 4),
        "low": round(low, 4),
        "high": round(high, 4),
    }


def questions_table(lines: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table of `by_group`."""
    head = ("group", "questions", "right", "share", "95 %")
    rows = [
        [
            *(one[name] for name in ("group", "questions", "right")),
            f"**{one['share']:.2f}**",
            f"{one['low']:.2f}–{one['high']:.2f}",
        ]
        for one in lines
    ]
    return markdown_table(head, rows) + "\n"
