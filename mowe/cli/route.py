"""`route`: which weak encoders every window of every file is sent to, as a table."""

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mowe.assistant import Answer
from mowe.audio import Recording
from mowe.cli.ask import json_line
from mowe.cli.desk import Desk, progress, with_decoding
from mowe.cli.recorded import find_sources, route_to_records
from mowe.cli.text import format_table, printable, tell
from mowe.errors import ConfigError

RouteRow = dict[str, Any]
SHOWN = ("file", "start", "end", "chosen", "entropy", "margin")


def run(desk: Desk) -> None:
    """Route every file, and write, print or show the table.

    What was routed before Ctrl-C is still written.

    Raises:
        ConfigError: If the table cannot be written where `--out` says, or what is asked for needs
            another kind of table.
        ManifestError: If a manifest is wrong.
        RecordsError: If `--out` names records that cannot be continued.
    """
    options = desk.options
    if options.out and _ending(options.out) == ".parquet":
        if options.json:
            raise ConfigError("--json prints, and --out with .parquet writes; ask for one of them")
        _place(options.out)
        route_to_records(desk, options.out, find_sources(desk))
        return
    if options.fused:
        raise ConfigError("--fused needs --out with a table ending in .parquet")
    if manifests := [path.name for path in options.files if _ending(path) == ".jsonl"]:
        raise ConfigError(
            f"{manifests[0]} is a manifest; --out must end in .parquet for its labels"
        )
    _route_files(desk)


def _route_files(desk: Desk) -> None:
    options = desk.options
    write = _writer(options.out, embedding=options.embedding) if options.out else None
    rows: list[RouteRow] = []

    def work(path: Path, recording: Recording, decode_seconds: float) -> None:
        answer = desk.assistant.route(recording, control=desk.control)
        answer = replace(answer, timings=with_decoding(answer, decode_seconds))
        rows.extend(_rows(path, answer, embedding=options.embedding))
        if options.json:
            print(json_line(path, answer, embedding=options.embedding), file=desk.out, flush=True)

    try:
        desk.for_each(progress(desk.find_files(desk.files)), work)
    finally:
        if write and rows:
            _replace(options.out, rows, write)
            tell(f"{len(rows)} windows in {options.out.name}")
    if rows and not options.out and not options.json:
        shown = [[_cell(row[name]) for name in SHOWN] for row in rows]
        print(format_table(SHOWN, shown), file=desk.out)


def _rows(path: Path, answer: Answer, *, embedding: bool) -> list[RouteRow]:
    last = {"embedding": answer.embedding.tolist()} if embedding else {}
    return [{"file": str(path), **row, **last} for row in answer.rows()]


def _cell(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else printable(str(value))


def _writer(path: Path, *, embedding: bool) -> Callable[[Path, Sequence[RouteRow]], None]:
    """The function that writes what `path` ends in, before any work is done for it."""
    writers = {".csv": _write_csv, ".jsonl": _write_jsonl}
    if _ending(path) not in writers:
        raise ConfigError(f"--out ends in .parquet, {', '.join(writers)}, found {path.name}")
    if embedding and _ending(path) == ".csv":
        raise ConfigError("--embedding needs a table ending in .parquet or .jsonl, found .csv")
    _place(path)
    return writers[_ending(path)]


def _place(path: Path) -> None:
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"--out needs a folder that exists, found {path.parent}")


def _ending(path: Path) -> str:
    return path.suffix.lower()


def _replace(
    path: Path, rows: Sequence[RouteRow], write: Callable[[Path, Sequence[RouteRow]], None]
) -> None:
    """Write beside `path` and rename, so that a half-written table is never found there."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        write(partial, rows)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise ConfigError(f"{path.name} cannot be written: {error.strerror}") from error


def _write_csv(path: Path, rows: Sequence[RouteRow]) -> None:
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        table = csv.DictWriter(file, fieldnames=list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def _write_jsonl(path: Path, rows: Sequence[RouteRow]) -> None:
    lines = (json.dumps(row, allow_nan=False) + "\n" for row in rows)
    path.write_text("".join(lines), encoding="utf-8")
