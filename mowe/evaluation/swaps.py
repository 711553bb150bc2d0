"""Whether the language model listens: right answers with the audio tokens of another recording."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from mowe.data.ledger import Row
from mowe.evaluation.asking import Question, describe, hear, kept_rows
from mowe.evaluation.baselines import Bench
from mowe.evaluation.measures import Tally, drawn_units, interval, ratio

TOLD, UNTOLD = "told", "untold"  # with all hints, and with the audio tokens alone


def swap_all(bench: Bench) -> list[Row]:
    """Log-likelihoods of the right answers, in nats, with own audio tokens and with others.

    The other recording is the next one of the same task, in the order of the questions, whose
    right answer is another. Questions in several turns are left out, and transcripts: what is said
    is told in text.
    """
    asked = [
        one
        for one in bench.questions
        if not one.task.is_transcript and len(one.example.messages) == 2
    ]
    others = {one.identity: _other(one, asked) for one in asked}
    paired = [one for one in asked if others[one.identity] is not None]

    def score(question: Question) -> Row:
        own, other = hear(question.example), others[question.identity]
        assert other is not None
        words = question.example.turns[-2][1], question.example.answer
        row: Row = {}
        for name, hints in ((TOLD, None), (UNTOLD, ())):
            likely = [
                bench.assistant.log_likelihood(
                    [own], *words, control=bench.control, hints=hints, tokens_of=one
                )
                for one in (None, hear(other.example))
            ]
            row[name] = [round(one, 4) for one in likely]
        return row

    return list(kept_rows(paired, bench.ledger, "swaps", score, describe))


def _other(question: Question, asked: Sequence[Question]) -> Question | None:
    """The next question of its task with another right answer; None where there is none."""
    task = [one for one in asked if one.example.task == question.example.task]
    place = task.index(question)
    later = [*task[place + 1 :], *task[:place]]
    different = (one for one in later if one.example.answer != question.example.answer)
    return next(different, None)


def summarize_swaps(rows: Sequence[Row], seed: int = 0) -> list[dict[str, Any]]:
    """By task and of all: nats that right answers gain by their own recording's audio tokens.

    Args:
        rows: From `swap_all`.
        seed: Of the bootstrap.
    """
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["task"]].append(row)
    lines = []
    for task, some in [*groups.items(), ("all", list(rows))] if rows else []:
        line: dict[str, Any] = {"task": task, "examples": len(some)}
        for name in (TOLD, UNTOLD):
            gains = [row[name][0] - row[name][1] for row in some]
            tally = Tally(np.array([(gain, 1.0) for gain in gains]), ratio)
            low, high = interval(tally, drawn_units(some)[0], seed)
            line[name] = {
                "nats": round(tally.whole(), 4),
                "low": round(low, 4),
                "high": round(high, 4),
            }
        lines.append(line)
    return lines
