"""Records of routing: one row per manifest line (or file) and window, in one Parquet file.

The format is described in docs/RECORDS.md. A run writes small parts beside the file and joins them
when it ends, so that a killed run continues where it stopped. Parts are numbered, and the joined
file says up to which number it holds them, so that a kill while they are removed doubles nothing.
"""

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from pyarrow import parquet

from mowe.assistant import Answer
from mowe.audio import AudioLimits, file_hash
from mowe.data.manifest import AUDIO_TAG, Example
from mowe.errors import AudioError, RecordsError
from mowe.files import check_sum, sum_file, write_sum

FORMAT, VERSION = "mowe-records", 2
LABELS = (
    "task", "dataset", "speaker", "language", "label", "split", "question", "expected",
)  # fmt: skip
_PART_ROWS = 400  # written at a time
_KEY = ("path", "clip_start", "clip_end", "sha256", "task", "question")
_TEXT, _SHARES = pyarrow.string(), pyarrow.list_(pyarrow.float32())
_COLUMNS = (
    ("path", _TEXT),
    ("sha256", _TEXT),
    ("clip_start", pyarrow.float64()),
    ("clip_end", pyarrow.float64()),
    ("window", pyarrow.int32()),
    ("start", pyarrow.float64()),
    ("end", pyarrow.float64()),
    *((name, _TEXT) for name in LABELS),
    ("independent", _SHARES),
    ("dependent", _SHARES),
    ("chosen", pyarrow.list_(_TEXT)),
    ("entropy", pyarrow.float32()),
    ("margin", pyarrow.float32()),
    ("embedding", _SHARES),
    ("fused", _SHARES),
    ("answer", _TEXT),
    ("score", pyarrow.float32()),
)

RecordRow = dict[str, Any]


@dataclass(frozen=True)
class LabelledClip:
    """A recording, or a part of one, and what is known about it."""

    path: Path
    start: float = 0.0  # seconds
    end: float | None = None  # seconds; None is the end of the file
    labels: Mapping[str, str] = field(default_factory=dict)  # some of `LABELS`

    @classmethod
    def of_example(cls, example: Example) -> "LabelledClip":
        """A manifest line that has a recording."""
        assert example.audio is not None
        about = example.metadata
        known = {
            "task": example.task,
            "dataset": about.get("source"),
            "question": example.messages[0][1].replace(AUDIO_TAG, "").strip(),
            "expected": example.answer,
            **{name: about.get(name) for name in ("speaker", "language", "label", "split")},
        }
        labels = {name: str(value) for name, value in known.items() if value}
        return cls(example.audio, example.start, example.end, labels)

    @property
    def clip(self) -> tuple[str, float, float | None]:
        """What identifies the sound."""
        return str(self.path), self.start, self.end


def parts_folder(path: Path) -> Path:
    """Where the parts of a records file wait to be joined."""
    return path.with_name(f".{path.name}.parts")


class RecordsFile:
    """A records file that is being written, or continued."""

    def __init__(
        self, path: Path, preset: str, encoders: Sequence[str], *, compact: bool = False
    ) -> None:
        """Open `path`, or begin it.

        Args:
            path: Ends in `.parquet`.
            preset: Of the mixture.
            encoders: Its weak encoders, in pool order.
            compact: Round embeddings to half precision, which makes the file half as large.

        Raises:
            RecordsError: If there are records of another mixture or version, or none at all.
        """
        self.path, self.compact = path, compact
        self.parts = parts_folder(path)
        self.about = {"preset": preset, "encoders": list(encoders)}
        self.done: set[tuple[Any, ...]] = set()
        self._rows: list[RecordRow] = []
        joined = self._learn(path) if path.exists() else {}
        self._next_part = int(joined.get(b"parts", 0))
        for part in self._part_files():
            number = int(part.stem)
            if number < self._next_part:
                part.unlink()  # left by a kill after it was joined
            else:
                self._learn(part)
                self._next_part = number + 1

    def _learn(self, known: Path) -> Mapping[bytes, bytes]:
        """Note which records a file holds; its metadata."""
        table = read_table(known)
        metadata: Mapping[bytes, bytes] = table.schema.metadata
        found = json.loads(metadata[b"about"])
        if found != self.about:
            raise RecordsError(
                f"{self.path.name} holds records of {found['preset']} with {found['encoders']}, "
                f"not of {self.about['preset']} with {self.about['encoders']}; name another file"
            )
        self.done.update(zip(*(table[name].to_pylist() for name in _KEY), strict=True))
        return metadata

    def add(self, source: LabelledClip, sha256: str, answer: Answer) -> int:
        """Take a recording's windows, and return how many; written once enough came together."""
        if self.compact:
            answer = _halved(answer)
        rows = rows_of(source, sha256, answer)
        self._rows += rows
        self.done.add(key_of(source, sha256))
        if len(self._rows) >= _PART_ROWS:
            self.flush()
        return len(rows)

    def flush(self) -> None:
        """Write what was taken as one more part."""
        if not self._rows:
            return
        self.parts.mkdir(exist_ok=True)
        table = pyarrow.Table.from_pylist(self._rows, schema=self._schema)
        self._write(table, self.parts / f"{self._next_part:06}.parquet")
        self._next_part += 1
        self._rows = []

    def close(self) -> int:
        """Join all parts into the file, and return how many windows it holds.

        Raises:
            RecordsError: If it cannot be written; the parts stay.
        """
        self.flush()
        if parts := self._part_files():
            old = [self.path] if self.path.exists() else []
            tables = [read_table(one).cast(self._schema) for one in (*old, *parts)]
            sum_file(self.path).unlink(missing_ok=True)  # a kill must not leave that of another
            self._write(pyarrow.concat_tables(tables), self.path)
        if self.path.exists() and not sum_file(self.path).exists():
            write_sum(self.path)
        if self.parts.exists():  # without parts, too: a killed run may have left half of one
            shutil.rmtree(self.parts)
        return parquet.read_metadata(self.path).num_rows if self.path.exists() else 0

    def _part_files(self) -> list[Path]:
        return sorted(self.parts.glob(f"{'[0-9]' * 6}.parquet"))

    @property
    def _schema(self) -> pyarrow.Schema:
        """Columns, what they are about, and the number that the next part gets."""
        stamp = {"format": FORMAT, "version": str(VERSION), "about": json.dumps(self.about)}
        return pyarrow.schema(_COLUMNS, metadata={**stamp, "parts": str(self._next_part)})

    def _write(self, table: pyarrow.Table, path: Path) -> None:
        partial = path.with_name(f".{path.name}.partial")
        try:
            with partial.open("wb") as file:  # not by pyarrow, so that tests see it happen
                parquet.write_table(
                    table, file, compression="zstd", use_dictionary=list(LABELS),
                    write_page_checksum=True,
                    use_byte_stream_split=["embedding.list.element", "fused.list.element"],
                )  # fmt: skip
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise RecordsError(f"{path.name} cannot be written: {error.strerror}") from error


def _halved(answer: Answer) -> Answer:
    """The same with embeddings of half precision, whose zeros compress."""
    fused = None if answer.fused is None else _half(answer.fused)
    return replace(answer, embedding=_half(answer.embedding), fused=fused)


def _half(vector: np.ndarray) -> np.ndarray:
    return vector.astype(np.float16).astype(np.float32)


def key_of(source: LabelledClip, sha256: str) -> tuple[Any, ...]:
    """What tells two records apart, under the names of `_KEY`."""
    labels = source.labels
    return (*source.clip, sha256, labels.get("task"), labels.get("question"))


def rows_of(source: LabelledClip, sha256: str, answer: Answer) -> list[RecordRow]:
    """One row per window; the routers' probabilities in pool order, none where there is none."""
    start = source.start
    return [
        {
            "path": str(source.path),
            "sha256": sha256,
            "clip_start": source.start,
            "clip_end": source.end,
            "window": number,
            "start": start + window.start,
            "end": start + window.end,
            **{name: source.labels.get(name) for name in LABELS},
            "independent": list(window.independent.values()),
            "dependent": list(window.dependent.values()),
            "chosen": list(window.chosen),
            "entropy": window.entropy,
            "margin": window.margin,
            "embedding": answer.embedding.tolist(),
            "fused": [] if answer.fused is None else answer.fused.tolist(),
            "answer": answer.text or None,
            "score": None,
        }
        for number, window in enumerate(answer.windows)
    ]


def read_table(path: Path) -> pyarrow.Table:
    """A records file of this version, as it lies on disk.

    Raises:
        RecordsError: If it is missing, damaged, not the file that its sum is of, no records file,
            or of another version.
    """
    check_sum(path, RecordsError)
    try:
        table = parquet.read_table(path, page_checksum_verification=True)
    except (OSError, pyarrow.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise RecordsError(f"{path.name} cannot be read as Parquet: {reason}") from error
    found = table.schema.metadata or {}
    if found.get(b"format") != FORMAT.encode():
        raise RecordsError(f"{path.name} is no records file; `python -m mowe route` writes one")
    version = found.get(b"version", b"").decode()
    if version != str(VERSION):
        raise RecordsError(
            f"{path.name} is of records version {version or 'unknown'}, this program reads "
            f"version {VERSION}; route the recordings again"
        )
    missing = [name for name, _ in _COLUMNS if name not in table.column_names]
    if missing:
        raise RecordsError(f"{path.name} lacks the columns {missing}")
    return table


def content_sha256(path: Path, limits: AudioLimits | None = None) -> str:
    """Sha256 of a recording's file; empty for one that decoding will refuse to open."""
    try:
        return file_hash(path, limits=limits)
    except AudioError:
        return ""


def by_clip(
    sources: Iterable[LabelledClip],
) -> dict[tuple[str, float, float | None], list[LabelledClip]]:
    """Sources that share a sound, so that it is heard once."""
    groups: dict[tuple[str, float, float | None], list[LabelledClip]] = {}
    for source in sources:
        groups.setdefault(source.clip, []).append(source)
    return groups
