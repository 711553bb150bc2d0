"""What a score has to beat: rows of the same questions, answered by something simpler."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mowe.assistant import Assistant
from mowe.data.ledger import Ledger, Row
from mowe.data.manifest import Example
from mowe.errors import ConfigError
from mowe.evaluation.asking import Question, answer_all, describe, hear, kept_rows
from mowe.evaluation.baselines.cascade import cascade_rows
from mowe.evaluation.baselines.cepstra import cepstra_rows
from mowe.evaluation.baselines.majority import majority_rows
from mowe.evaluation.baselines.noise import like_noise
from mowe.evaluation.baselines.whisper import BASE, TINY_EN, whisper_rows
from mowe.model.control import RoutingControl

GUESSES = 30  # of a task, asked about noise: enough to see whether the words alone give it away


@dataclass(frozen=True)
class Bench:
    """What a baseline may use."""

    assistant: Assistant
    questions: Sequence[Question]
    train: Sequence[Example]
    ledger: Ledger
    control: RoutingControl | None


def _noise(bench: Bench) -> list[Row]:
    """Questions whose answers could be guessed, up to `GUESSES` of a task."""
    asked: Counter[str] = Counter()
    guessed = []
    for question in bench.questions:
        # nobody guesses a transcript
        if not question.task.is_transcript and asked[question.example.task] < GUESSES:
            asked[question.example.task] += 1
            guessed.append(question)
    return answer_all(
        bench.assistant,
        guessed,
        bench.ledger,
        by="noise",
        control=bench.control,
        change=like_noise,
    )


def _transcribed(bench: Bench) -> list[Row]:
    """Transcripts as `transcribe` gives them, without the language model."""
    if bench.assistant.model.hints.transcriber is None:
        return []
    asked = [one for one in bench.questions if one.task.is_transcript]

    def answer(one: Question) -> Row:
        return {"answer": bench.assistant.transcribe(hear(one.example)).text}

    return list(kept_rows(asked, bench.ledger, "transcribe", answer, describe))


def _part(name: str, **given: Any) -> Callable[[Bench], list[Row]]:
    """The same mixture with a part of what its language model is given."""

    def rows(bench: Bench) -> list[Row]:
        asked, ledger = _told(bench), bench.ledger
        return answer_all(bench.assistant, asked, ledger, by=name, control=bench.control, **given)

    return rows


def _told(bench: Bench) -> Sequence[Question]:
    """All questions, of a mixture that can be told anything in text."""
    return bench.questions if bench.assistant.model.config.hints.given else ()


BASELINES: Mapping[str, Callable[[Bench], list[Row]]] = {
    "majority": lambda bench: majority_rows(bench.questions, bench.train),
    "noise": _noise,
    "paper-path": _part("paper-path", hints=()),  # the audio tokens alone
    "hints-alone": _part("hints-alone", tokens=False),
    "cascade": lambda bench: cascade_rows(bench.assistant, bench.questions, bench.ledger),
    "cepstra": lambda bench: cepstra_rows(bench.questions, bench.train),
    "transcribe": _transcribed,
    "whisper-base": lambda bench: whisper_rows(BASE, bench.questions, bench.ledger),
    "whisper-tiny.en": lambda bench: whisper_rows(TINY_EN, bench.questions, bench.ledger),
}


def find_baselines(text: str) -> tuple[str, ...]:
    """Names in `none`, `all` or `name,name`.

    Raises:
        ConfigError: If one is unknown; the message lists them.
    """
    if text in ("none", "all"):
        return tuple(BASELINES) if text == "all" else ()
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in BASELINES:
            raise ConfigError(f"no baseline {name!r}; there are none, all, {', '.join(BASELINES)}")
    return names
