"""`worth`: what each weak encoder does for the right answers of a manifest's lines."""

import sys
from typing import Any

from tqdm import tqdm

from mowe.analysis.worth.by_task import of_heads, worth_by_task
from mowe.analysis.worth.figures import WORTH_COLUMNS, worth_rows
from mowe.analysis.worth.measure import (
    BY,
    identity,
    lines_to_measure,
    measured,
    open_worth,
    read_worth,
    routings,
    twins_of,
)
from mowe.audio import load_audio
from mowe.cli.desk import Desk
from mowe.cli.interrupt import kept_interrupt
from mowe.cli.text import format_table, printable, tell
from mowe.data.ledger import Ledger
from mowe.data.manifest import Example
from mowe.data.sampling import by_clip
from mowe.errors import AudioError, ConfigError
from mowe.evaluation.origin import fingerprint
from mowe.files import file_sha256


def run(desk: Desk) -> None:
    """Measure what is not in `--out` yet, and print the table of all that is.

    Raises:
        ConfigError: If `--out` cannot be written, or the mixture has no weak encoder.
        ManifestError: If the manifest is wrong.
        RecordsError: If `--out` holds something else.
    """
    options = desk.options
    if options.out.suffix.lower() != ".jsonl" or not options.out.absolute().parent.is_dir():
        raise ConfigError(f"--out is a .jsonl in a folder that exists, found {options.out}")
    lines = lines_to_measure(
        options.manifest, split=options.split, limit=options.limit, seed=options.seed
    )
    assistant = desk.assistant
    routings(assistant.encoder_names)
    file = open_worth(
        options.out,
        {
            "preset": assistant.preset,
            "encoders": assistant.encoder_names,
            "checkpoint_sha256": fingerprint(assistant),
            "manifest_sha256": file_sha256(options.manifest),
            "split": options.split,
        },
    )
    _measure(desk, lines, file)
    if len(file):
        found = read_worth(options.out)
        tell(f"{len(found.rows)} lines in {options.out.name}")
        told = {"Answers": found.rows, "Labels, by their heads": of_heads(found.rows)}
        for title, rows in told.items():
            if rows:
                table = worth_rows(worth_by_task(rows, found.encoders))
                print(f"{title}, nats", file=desk.out)
                print(
                    format_table(WORTH_COLUMNS, [list(map(_cell, row)) for row in table]),
                    file=desk.out,
                )


def _measure(desk: Desk, lines: list[Example], file: Ledger) -> None:
    """Measure what is left; a recording that cannot be used is remembered, not fatal."""
    root = desk.options.manifest.parent
    left = [one for one in lines if file.find(BY, identity(one, root)) is None]
    if known := len(lines) - len(left):
        tell(f"{known} of {len(lines)} are in {desk.options.out.name} already")
    twins = twins_of(desk.assistant.model) if left else {}
    with kept_interrupt() as interrupt:
        for some in tqdm(by_clip(left).values(), desc=BY, unit="clip", file=sys.stderr):
            first = some[0]
            assert first.audio is not None, "lines_to_measure() leaves out what has no audio"
            try:
                with interrupt.held():
                    recording = load_audio(first.audio, start=first.start, end=first.end)
                rows = measured(desk.assistant, recording, some, root, twins)
            except AudioError as error:
                desk.fail(first.audio, error)
                continue
            for row in rows:
                file.add(BY, row)


def _cell(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else printable(str(value))
