"""The worker's end of the benchmark: one JSON object a line, in on standard input, out on a pipe.

Only the standard library, since the cascade's worker runs in an environment of its own.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CORES = 2  # what every variant may use


@dataclass(frozen=True)
class Reply:
    """One measured answer."""

    text: str
    first_text: float  # seconds from the file's name to the first word
    total: float  # seconds
    tokens: int  # of the whole text
    hearing: float  # seconds spent on the audio before the language model starts


def timed_stream(
    started: float, pieces: Iterator[str], hearing: Callable[[], float], count: Callable[[str], int]
) -> Reply:
    """Read a stream of text to its end, noting when its first word came.

    Args:
        started: `time.perf_counter()` when the file was handed over.
        pieces: New text as it comes; empty pieces are skipped.
        hearing: Gives the seconds spent on the audio, asked once the stream has ended.
        count: Gives the number of tokens of a text.
    """
    text, first = "", None
    for piece in pieces:
        if piece.strip() and first is None:
            first = time.perf_counter()
        text += piece
    ended = time.perf_counter()
    return Reply(
        text=text.strip(),
        first_text=(first or ended) - started,
        total=ended - started,
        tokens=count(text),
        hearing=hearing(),
    )


def keep_to_cores() -> None:
    """Use the first `CORES` cores only, where the system can be told so."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])


def serve(load: Callable[[], Callable[[dict[str, Any]], Reply]]) -> None:
    """Load, say `ready`, answer every request, and tell the peak memory at the end.

    Libraries print to standard output as they like, so the answers go through a copy of it.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(**fields: Any) -> None:
        answers.write(json.dumps(fields) + "\n")
        answers.flush()

    keep_to_cores()
    answer = load()
    say(ready=True)
    for line in sys.stdin:
        say(**vars(answer(json.loads(line))))
    say(peak_megabytes=peak_bytes() / 1e6)


def peak_bytes() -> float:
    """Most memory this process ever held."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count the parent's memory too, from before the exec
        line = next(one for one in status.read_text().splitlines() if one.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # bytes on macOS
