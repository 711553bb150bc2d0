"""`transcribe`: what is said in each file, by the base encoder's own decoder."""

import json
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TextIO

from mowe.audio import Recording
from mowe.cli.desk import Desk
from mowe.cli.text import printable, tell
from mowe.hints import FORMATS, Transcript, as_dict


def run(desk: Desk) -> None:
    """Write down the speech of each file; what comes out is text, subtitles or JSON.

    Raises:
        QuestionError: If the mixture writes down no speech, or not in this language.
    """
    desk.for_each(desk.files, partial(_write_down, desk))


def _write_down(desk: Desk, path: Path, recording: Recording, decode_seconds: float) -> None:
    options, started = desk.options, time.perf_counter()
    if len(options.files) > 1 and not options.json:
        print(f"== {printable(str(path))} ==", file=desk.out)
    written = desk.assistant.stream_transcript(
        recording, language=options.language.title(), translate=options.translate
    )
    # with --json or subtitles the growing text goes where it cannot spoil the result
    plain = not options.json and not options.format
    transcript = _follow(written, desk.out if plain else sys.stderr, shown=options.stream)
    seconds = time.perf_counter() - started + decode_seconds
    if options.json:
        line = {"file": str(path), **as_dict(transcript), "seconds": round(seconds, 3)}
        print(json.dumps(line, ensure_ascii=False), file=desk.out, flush=True)
        return
    if options.format:
        print(FORMATS[options.format](transcript), end="", file=desk.out, flush=True)
    elif not options.stream:
        print(transcript.text, file=desk.out, flush=True)
    for segment in transcript.segments if plain else ():
        tell(f"  {segment.start:.1f}-{segment.end:.1f} s: {segment.text}")
    spoken = transcript.language or "no speech"
    tell(f"  {recording.treatment.sentence()} {spoken}; {seconds:.2f} s")


def _follow(written: Iterator[Transcript], screen: TextIO, *, shown: bool) -> Transcript:
    """The whole transcript, after showing its text as it grows where that is wanted."""
    text = ""
    for transcript in written:
        new = transcript.text
        if shown and new != text:
            # what was taken back stands on a line of its own
            print(new[len(text) :] if new.startswith(text) else f"\n{new}", end="", file=screen)
            screen.flush()
            text = new
    if shown:
        print(file=screen, flush=True)
    return transcript
