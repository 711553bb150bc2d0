"""`ask`: one answer per file."""

import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from mowe.assistant import Answer, Sampling, Turn, WindowRouting
from mowe.audio import Recording
from mowe.cli.desk import Desk, given, with_decoding
from mowe.cli.text import printable, tell
from mowe.errors import QuestionError

SAMPLING = ("max_new_tokens", "temperature", "top_p", "seed")


def run(desk: Desk) -> None:
    """Answer the question about each file.

    Raises:
        QuestionError: If the question is empty or too long.
    """
    question = desk.options.question.strip()
    if not question:
        raise QuestionError("the question is empty; write one behind -q")
    options = desk.options
    sampling = Sampling(**given({name: getattr(options, name) for name in SAMPLING}))
    desk.for_each(desk.files, partial(_answer, desk, question, sampling))


def json_line(path: Path, answer: Answer, *, embedding: bool) -> str:
    """One JSON object on one line; numbers that JSON has no word for are an error."""
    plain: dict[str, Any] = {"file": str(path), **answer.to_dict()}
    if not embedding:
        del plain["embedding"]
    return json.dumps(plain, allow_nan=False)


def _answer(
    desk: Desk,
    question: str,
    sampling: Sampling,
    path: Path,
    recording: Recording,
    decode_seconds: float,
) -> None:
    options = desk.options
    if len(options.files) > 1 and not options.json:
        print(f"== {printable(str(path))} ==", file=desk.out)
    stop = threading.Event()
    turn = Turn("user", question, (recording,))
    answers = desk.assistant.stream(
        [turn], sampling=sampling, control=desk.control, stop=stop, hints=desk.hints
    )
    # with --json the growing text goes where it cannot spoil the result
    screen = sys.stderr if options.json else desk.out
    try:
        answer = _follow(answers, screen, shown=options.stream)
    finally:
        stop.set()  # Ctrl-C ends the decoding too
    answer = replace(answer, timings=with_decoding(answer, decode_seconds))
    if options.json:
        line = json_line(path, answer, embedding=options.embedding)
        print(line, file=desk.out, flush=True)
    elif not options.stream:
        print(answer.text, file=desk.out, flush=True)
    if not options.json:
        _tell_about(answer)


def _follow(answers: Iterator[Answer], screen: TextIO, *, shown: bool) -> Answer:
    """The last answer, after showing its text piece by piece where that is wanted."""
    text = ""
    for answer in answers:
        if shown:
            print(answer.text[len(text) :], end="", file=screen, flush=True)
            text = answer.text
    if shown:
        print(file=screen, flush=True)
    return answer


def _tell_about(answer: Answer) -> None:
    """What was heard, who ran and how long it took, for people."""
    for treatment in answer.audio:
        tell(f"  {treatment['sentence']}")
    for window in answer.windows:
        tell(f"  {_describe(window)}")
    seconds = [
        f"{name.replace('_', ' ')} {answer.timings[name]:.2f} s"
        for name in ("decode", "encoders", "transcript", "first_token", "total")
        if name in answer.timings
    ]
    tell(f"  {answer.mode}; {', '.join(seconds)}; preset {answer.preset}, seed {answer.seed}")


def _describe(window: WindowRouting) -> str:
    probabilities = window.dependent or window.independent
    ranked = sorted(probabilities.items(), key=lambda one: -one[1])
    shares = ", ".join(f"{name} {share:.2f}" for name, share in ranked)
    ran = " + ".join(window.chosen) or "the base encoder alone"
    return f"{window.start:.1f}-{window.end:.1f} s: {ran} ran" + (f" ({shares})" if shares else "")
